#include "adapters/mysql/detached.h"

#include <charconv>
#include <cstdlib>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace assent::adapters::mysql {
namespace {

constexpr int kErSpecificAccessDenied = 1227;

// The sessions of the process list that are alive: one that is being closed says "Killed", even if
// its client closed it, and it says so before it lets go of its branch.
std::variant<std::set<uint64_t>, SqlError> LivingSessions(Connection& connection) {
  auto listed =
      connection.Query("SELECT id FROM information_schema.processlist WHERE command <> 'Killed'");
  if (auto* error = std::get_if<SqlError>(&listed)) return *std::move(error);
  std::set<uint64_t> living;
  for (const Row& row : std::get<std::vector<Row>>(listed)) {
    living.insert(std::strtoull(row[0].value_or("0").c_str(), nullptr, 10));
  }
  return living;
}

// In the process list at all, dying or not.
std::variant<bool, SqlError> IsListed(Connection& connection, uint64_t id) {
  auto listed = connection.Query("SELECT id FROM information_schema.processlist WHERE id = " +
                                 std::to_string(id));
  if (auto* error = std::get_if<SqlError>(&listed)) return *std::move(error);
  return !std::get<std::vector<Row>>(listed).empty();
}

std::variant<bool, SqlError> ByProcessList(Connection& connection,
                                           std::optional<uint64_t> preparer) {
  if (preparer) {
    auto listed = IsListed(connection, *preparer);
    if (auto* error = std::get_if<SqlError>(&listed)) return *std::move(error);
    if (std::get<bool>(listed)) return false;
  }
  std::this_thread::sleep_for(kGrace);
  return true;
}

}  // namespace

std::optional<std::set<uint64_t>> HoldersOfPrepared(std::string_view status) {
  // ---TRANSACTION 18308, ACTIVE (PREPARED) 0 sec            "... recovered trx" without a session
  // 2 lock struct(s), heap size 1128, 1 row lock(s), undo log entries 1
  // MariaDB thread id 9013, OS thread handle 140402809280192, query id 122412 localhost root
  // UPDATE ...                                               whatever the user wrote
  //
  // The text of a user can look like any of these lines. It comes last in its own transaction, so
  // it can invent a holder, which costs a retry, but hide none.
  std::set<uint64_t> holders;
  bool prepared = false;
  while (!status.empty()) {
    size_t end = status.find('\n');
    std::string_view line = status.substr(0, end);
    status.remove_prefix(end == std::string_view::npos ? status.size() : end + 1);
    if (line.find("... truncated...") != std::string_view::npos) return std::nullopt;
    if (line.starts_with("---TRANSACTION")) {
      prepared = line.find("(PREPARED)") != std::string_view::npos;
      continue;
    }
    constexpr std::string_view kThread = " thread id ";
    size_t at = line.find(kThread);
    if (!prepared || (at != 5 && at != 7)) continue;  // Behind "MySQL" or "MariaDB".
    line.remove_prefix(at + kThread.size());
    uint64_t id = 0;
    std::from_chars(line.data(), line.data() + line.size(), id);
    holders.insert(id);
    prepared = false;
  }
  return holders;
}

std::variant<bool, SqlError> IsDetached(Connection& connection, std::optional<uint64_t> preparer) {
  auto status = connection.Query("SHOW ENGINE INNODB STATUS");
  if (auto* error = std::get_if<SqlError>(&status)) {
    if (error->number != kErSpecificAccessDenied) return *std::move(error);
    return ByProcessList(connection, preparer);
  }
  auto& rows = std::get<std::vector<Row>>(status);
  if (rows.size() != 1 || rows[0].size() != 3) return ByProcessList(connection, preparer);
  auto holders = HoldersOfPrepared(rows[0][2].value_or(""));
  if (!holders) return ByProcessList(connection, preparer);
  if (preparer) return !holders->contains(*preparer);
  if (holders->empty()) return true;
  auto living = LivingSessions(connection);
  if (auto* error = std::get_if<SqlError>(&living)) return *std::move(error);
  for (uint64_t holder : *holders) {
    if (!std::get<std::set<uint64_t>>(living).contains(holder)) return false;
  }
  return true;
}

}  // namespace assent::adapters::mysql
