// Statements that stay prepared at the server from one branch of a session to the next: preparing
// one anew costs a round trip and as much work there as running it.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace sql {
class PreparedStatement;
}

namespace assent::adapters::mysql {

// Of one connection, and not to outlive it. Not thread-safe.
class StatementCache {
 public:
  // The server counts all sessions' statements against max_prepared_stmt_count (16382).
  static constexpr size_t kCountMax = 32;
  static constexpr size_t kKeyBytesMax = 4096;

  StatementCache();
  ~StatementCache();

  // Takes the statement out, so that one that fails is not kept. Null: there is none.
  std::unique_ptr<sql::PreparedStatement> Take(const std::string& key);
  // Keeps it, as the one used last; the one not used for longest gives way. Longer keys are not
  // kept.
  void Keep(std::string key, std::unique_ptr<sql::PreparedStatement> statement);
  void Clear();

 private:
  using Entry = std::pair<std::string, std::unique_ptr<sql::PreparedStatement>>;
  std::vector<Entry> entries_;  // Used last at the end.
};

}  // namespace assent::adapters::mysql
