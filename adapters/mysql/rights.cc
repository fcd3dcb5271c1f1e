#include "adapters/mysql/rights.h"

#include <string_view>
#include <utility>

namespace assent::adapters::mysql {
namespace {

constexpr int kErSpecificAccessDenied = 1227;

// Asks by using it: SHOW GRANTS would tell of a privilege that this connection does not have yet.
std::variant<bool, SqlError> MaySeeSessions(Connection& connection) {
  auto answer = connection.Query("SELECT COUNT(*) FROM information_schema.innodb_cmp");
  auto* error = std::get_if<SqlError>(&answer);
  if (error == nullptr) return true;
  if (error->number == kErSpecificAccessDenied) return false;
  return std::move(*error);
}

}  // namespace

bool AllowsKill(const std::vector<std::string>& grants) {
  for (std::string_view grant : grants) {
    size_t end = grant.find(" ON *.* TO ");
    if (!grant.starts_with("GRANT ") || end == std::string_view::npos) continue;
    std::string_view privileges = grant.substr(0, end);
    for (std::string_view enough :
         {"ALL PRIVILEGES", "SUPER", "CONNECTION ADMIN", "CONNECTION_ADMIN"}) {
      if (privileges.find(enough) != std::string_view::npos) return true;
    }
  }
  return false;
}

std::variant<std::string, SqlError> RightsReader::Missing(Connection& connection) {
  if (missing_) return *missing_;
  auto may_see = MaySeeSessions(connection);
  if (auto* error = std::get_if<SqlError>(&may_see)) return std::move(*error);
  auto answer = connection.Query("SHOW GRANTS");
  if (auto* error = std::get_if<SqlError>(&answer)) return std::move(*error);
  std::vector<std::string> grants;
  for (const Row& row : std::get<std::vector<Row>>(answer)) grants.push_back(row[0].value_or(""));

  std::string missing = std::get<bool>(may_see) ? "" : "PROCESS";
  if (!AllowsKill(grants)) {
    missing += missing.empty() ? "" : ", ";
    missing +=
        connection.facts().flavour == Flavour::kMariadb ? "CONNECTION ADMIN" : "CONNECTION_ADMIN";
  }
  missing_ = std::move(missing);
  return *missing_;
}

std::string RightsRemedy(const std::string& missing, const std::string& user) {
  return "GRANT " + missing + " ON *.* TO the user \"" + user +
         "\": this server ties a prepared branch to its session, and an agent can only end an "
         "app-held branch safely after it has seen and closed that session";
}

}  // namespace assent::adapters::mysql
