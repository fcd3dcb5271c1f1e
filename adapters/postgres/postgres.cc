// The PostgreSQL resource: opens sessions, names the database, tells people the SQL.
#include "adapters/common/xid.h"
#include "adapters/postgres/connection.h"
#include "adapters/postgres/finish_session.h"
#include "adapters/postgres/probe.h"
#include "adapters/postgres/work_session.h"

namespace assent::adapters {
namespace postgres {
namespace {

Status ToStatus(const WorkError& error) {
  switch (error.cause) {
    case Cause::kPermission:
      return PermissionDenied(error.detail);
    case Cause::kConfiguration:
      return FailedPrecondition(error.detail);
    default:
      return Unavailable(error.detail);
  }
}

class PostgresResource final : public ResourceManager {
 public:
  explicit PostgresResource(ConnectOptions options)
      : options_(std::move(options)), dog_(std::make_shared<Watchdog>()) {}

  std::variant<std::unique_ptr<WorkSession>, WorkError> OpenWorkSession() override {
    auto opened = Connection::Open(options_, Purpose::kWork, dog_);
    if (auto* error = std::get_if<WorkError>(&opened)) return *error;
    auto connection = std::get<std::unique_ptr<Connection>>(std::move(opened));
    auto facts = connection->Facts();
    auto error = WhyUnfit(facts);
    if (error) return *error;
    return std::make_unique<PostgresWorkSession>(options_, std::move(connection),
                                                 std::get<ServerFacts>(facts));
  }

  std::variant<std::unique_ptr<FinishSession>, WorkError> OpenFinishSession() override {
    auto opened = Connection::Open(options_, Purpose::kFinish, dog_);
    if (auto* error = std::get_if<WorkError>(&opened)) return *error;
    return std::make_unique<PostgresFinishSession>(
        options_, std::get<std::unique_ptr<Connection>>(std::move(opened)));
  }

  Result<std::string> Identity() override {
    auto opened = Connection::Open(options_, Purpose::kFinish, dog_);
    if (auto* error = std::get_if<WorkError>(&opened)) return ToStatus(*error);
    auto facts = std::get<std::unique_ptr<Connection>>(opened)->Facts();
    if (auto* failure = std::get_if<Failure>(&facts)) return ToStatus(FactsError(*failure));
    return ToString(std::get<ServerFacts>(facts).identity);
  }

  Result<ProbeReport> Probe() override {
    // A finish session: bounded by finish_timeout, where work may wait for ever.
    auto opened = Connection::Open(options_, Purpose::kFinish, dog_);
    if (auto* error = std::get_if<WorkError>(&opened)) return ToStatus(*error);
    return ProbeServer(*std::get<std::unique_ptr<Connection>>(opened), options_);
  }

  ManualSql HandSql(const Gid& gid) const override {
    std::string literal = PostgresLiteral(gid);
    return {.inspect = "SELECT * FROM pg_prepared_xacts WHERE gid = " + literal + ";",
            .commit = "COMMIT PREPARED " + literal + ";",
            .rollback = "ROLLBACK PREPARED " + literal + ";"};
  }

 private:
  WorkError FactsError(const Failure& failure) const {
    return {.cause = failure.code == "42501" ? Cause::kPermission : Cause::kUnavailable,
            .code = failure.code,
            .detail = "identity of " + options_.resource + ": " + failure.Text(),
            .session_lost = true};
  }

  std::optional<WorkError> WhyUnfit(const Outcome<ServerFacts>& facts) const {
    if (auto* failure = std::get_if<Failure>(&facts)) return FactsError(*failure);
    const ServerFacts& server = std::get<ServerFacts>(facts);
    if (server.version < kVersionMin) {
      return WorkError{.cause = Cause::kConfiguration,
                       .detail = options_.resource + ": server version " +
                                 std::to_string(server.version) +
                                 "; PostgreSQL 13 or later is needed",
                       .session_lost = true};
    }
    if (server.in_recovery) {
      return WorkError{.cause = Cause::kNotPrimary,
                       .detail = options_.resource + ": " + options_.host +
                                 " is a standby: give the primary's address",
                       .session_lost = true};
    }
    return std::nullopt;
  }

  const ConnectOptions options_;
  const std::shared_ptr<Watchdog> dog_;  // Shared with the sessions, which may outlive this.
};

}  // namespace
}  // namespace postgres

std::unique_ptr<ResourceManager> MakePostgres(ConnectOptions options) {
  return std::make_unique<postgres::PostgresResource>(std::move(options));
}

}  // namespace assent::adapters
