#include "adapters/mysql/detached.h"

#include <cstdlib>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace assent::adapters::mysql {

std::variant<bool, SqlError> IsDetached(Connection& connection,
                                        const std::optional<Preparer>& preparer) {
  if (preparer) {
    constexpr int64_t kRoundingSeconds = 2;
    int64_t apart = connection.facts().server_started - preparer->server_started;
    if (std::abs(apart) > kRoundingSeconds) return true;  // Restarted: no session survived.
    auto listed = connection.Query("SELECT id FROM information_schema.processlist WHERE id = " +
                                   std::to_string(preparer->connection_id));
    if (auto* error = std::get_if<SqlError>(&listed)) return std::move(*error);
    if (!std::get<std::vector<Row>>(listed).empty()) return false;
  }
  std::this_thread::sleep_for(kGrace);
  return true;
}

}  // namespace assent::adapters::mysql
