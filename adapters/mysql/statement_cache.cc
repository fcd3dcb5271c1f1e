#include "adapters/mysql/statement_cache.h"

#include <cppconn/prepared_statement.h>

#include <algorithm>

namespace assent::adapters::mysql {

StatementCache::StatementCache() = default;
StatementCache::~StatementCache() = default;

std::unique_ptr<sql::PreparedStatement> StatementCache::Take(const std::string& key) {
  auto it = std::find_if(entries_.rbegin(), entries_.rend(),
                         [&](const Entry& entry) { return entry.first == key; });
  if (it == entries_.rend()) return nullptr;
  std::unique_ptr<sql::PreparedStatement> statement = std::move(it->second);
  entries_.erase(std::next(it).base());
  return statement;
}

void StatementCache::Keep(std::string key, std::unique_ptr<sql::PreparedStatement> statement) {
  if (key.size() > kKeyBytesMax) return;
  if (entries_.size() == kCountMax) entries_.erase(entries_.begin());
  entries_.emplace_back(std::move(key), std::move(statement));
}

void StatementCache::Clear() { entries_.clear(); }

}  // namespace assent::adapters::mysql
