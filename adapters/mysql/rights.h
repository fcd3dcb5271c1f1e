// Whether this user may see and end the sessions of others. Where a prepared branch stays tied to
// its session, an app-held branch can't be finished by an agent that may not: it would take a
// session that it can't see for gone, and its verb would answer OK and do nothing (detached.h).
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "adapters/mysql/connection.h"

namespace assent::adapters::mysql {

// One for each connection; reads once, since a connection keeps the global privileges that it began
// with: a GRANT is felt by the next one. Not thread-safe.
class RightsReader {
 public:
  // What is missing, as GRANT writes it ("PROCESS, CONNECTION ADMIN"); empty: nothing is.
  std::variant<std::string, SqlError> Missing(Connection& connection);

 private:
  std::optional<std::string> missing_;
};

// Whether rows of SHOW GRANTS allow KILL of other users' sessions. Pure.
bool AllowsKill(const std::vector<std::string>& grants);

// "GRANT PROCESS ON *.* TO <user>, and ...", for people.
std::string RightsRemedy(const std::string& missing, const std::string& user);

}  // namespace assent::adapters::mysql
