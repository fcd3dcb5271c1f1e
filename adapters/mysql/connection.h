// One connection to MySQL or MariaDB: opening with every safe option, running SQL of our own, and
// turning what is thrown into values.
//
// A connection is never reset nor handed back to a pool that resets: on MariaDB a session that
// prepared a branch and was then reset (COM_RESET_CONNECTION, COM_CHANGE_USER) makes XA COMMIT
// elsewhere answer OK and commit nothing. It is closed, always.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "adapters/mysql/errors.h"
#include "adapters/mysql/statement_cache.h"
#include "adapters/resource_manager.h"

namespace sql {
class Connection;
}

namespace assent::adapters::mysql {

enum class Purpose {
  kWork,    // Statements may take as long as statement_timeout says.
  kFinish,  // Every answer must come within finish_timeout, or the session is lost.
};

enum class Flavour { kMysql, kMariadb };

// What is read once, right after connecting.
struct ServerFacts {
  Flavour flavour = Flavour::kMysql;
  std::string version;  // "10.11.19-MariaDB-..."
  uint64_t connection_id = 0;
  int64_t server_started = 0;  // Seconds since 1970 by its clock, to a second or two.
  std::chrono::steady_clock::time_point asked_at;  // When the server said `uptime`, or before.
  std::chrono::seconds uptime{0};                  // Rounded down.
  std::string server_uuid;                         // MySQL only.
  bool detaches_on_prepare = false;                // MySQL from 8.0.29, unless switched off.
  bool rollback_on_timeout = false;                // A lock time-out rolls back all of the branch.
};

// Text of a small internal result; nothing for NULL.
using Row = std::vector<std::optional<std::string>>;

// Not thread-safe: one thread at a time.
class Connection {
 public:
  // Connects, checks TLS if it was asked for, and reads the facts. The error always carries
  // session_lost: there is no session.
  static std::variant<std::unique_ptr<Connection>, WorkError> Open(const ConnectOptions& options,
                                                                   Purpose purpose);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // One statement of ours, in the text protocol: XA is refused in the binary one by MySQL.
  std::optional<SqlError> Run(const std::string& sql);
  std::variant<std::vector<Row>, SqlError> Query(const std::string& sql);

  // Several queries in one round trip, on connections of Purpose::kFinish. They run in order up to
  // the first that fails: as many answers as ran, and only the last can be an error. Each answers
  // with rows: no verbs.
  std::vector<std::variant<std::vector<Row>, SqlError>> QueryEach(
      const std::vector<std::string>& queries);

  // Runs something on the library's own connection; what it throws becomes the error, and marks
  // the connection lost where it means that.
  std::optional<SqlError> Guarded(const std::function<void(sql::Connection&)>& work);

  // For use within Guarded.
  StatementCache& statements() { return statements_; }

  // After a loss every call fails at once: nothing here reconnects.
  bool lost() const { return lost_; }
  void MarkLost() { lost_ = true; }

  const ServerFacts& facts() const { return facts_; }

 private:
  explicit Connection(std::unique_ptr<sql::Connection> connection);
  std::optional<SqlError> ReadFacts();
  std::optional<WorkError> CheckTls(const std::string& where);

  std::unique_ptr<sql::Connection> connection_;
  StatementCache statements_;  // Prepared on connection_.
  ServerFacts facts_;
  bool lost_ = false;
};

}  // namespace assent::adapters::mysql
