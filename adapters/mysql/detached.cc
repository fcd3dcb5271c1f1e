#include "adapters/mysql/detached.h"

#include <cstdlib>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/mutant.h"

namespace assent::adapters::mysql {

bool StartedWithin(const ServerFacts& facts, std::chrono::milliseconds age) {
  using std::chrono::steady_clock;
  constexpr std::chrono::seconds kRounded{1};
  const auto up_at_most = facts.uptime + kRounded + (steady_clock::now() - facts.asked_at);
  return up_at_most < age;
}

bool IsOfEarlierStart(const ServerFacts& facts, const Preparer& preparer) {
  constexpr int64_t kRoundingSeconds = 2;
  if (MutantOn(Mutant::kEarlierSessionClosed)) return false;
  return std::abs(facts.server_started - preparer.server_started) > kRoundingSeconds;
}

std::variant<bool, SqlError> IsInProcessList(Connection& connection, uint64_t connection_id) {
  auto listed = connection.Query("SELECT id FROM information_schema.processlist WHERE id = " +
                                 std::to_string(connection_id));
  if (auto* error = std::get_if<SqlError>(&listed)) return std::move(*error);
  return !std::get<std::vector<Row>>(listed).empty();
}

std::variant<bool, SqlError> IsDetached(Connection& connection,
                                        const std::optional<Preparer>& preparer) {
  if (preparer) {
    if (IsOfEarlierStart(connection.facts(), *preparer)) return true;
    auto listed = IsInProcessList(connection, preparer->connection_id);
    if (auto* error = std::get_if<SqlError>(&listed)) return std::move(*error);
    if (std::get<bool>(listed)) return false;
  }
  std::this_thread::sleep_for(kGrace);
  return true;
}

}  // namespace assent::adapters::mysql
