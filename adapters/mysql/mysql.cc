// MySQL and MariaDB behind the door of adapters/resource_manager.h. Start here: sessions are in
// work_session.cc and finish_session.cc, what an unknown gid means in finish.cc.
#include <atomic>
#include <memory>
#include <utility>

#include "adapters/common/xid.h"
#include "adapters/mysql/connection.h"
#include "adapters/mysql/finish.h"
#include "adapters/mysql/finish_session.h"
#include "adapters/mysql/identity.h"
#include "adapters/mysql/probe.h"
#include "adapters/mysql/work_session.h"
#include "adapters/resource_manager.h"

namespace assent::adapters {
namespace {

using mysql::Connection;
using mysql::Flavour;
using mysql::IdentityReader;
using mysql::MysqlFinishSession;
using mysql::MysqlWorkSession;
using mysql::OwnRollbacks;
using mysql::Purpose;

Status ToStatus(const WorkError& error) {
  std::string text = error.detail + (error.code.empty() ? "" : " (" + error.code + ")");
  switch (error.cause) {
    case Cause::kPermission:
      return PermissionDenied(std::move(text));
    case Cause::kConfiguration:
      return FailedPrecondition(std::move(text));
    case Cause::kNone:
    case Cause::kStatementFailed:
    case Cause::kDeadlock:
    case Cause::kSerialization:
    case Cause::kLockTimeout:
    case Cause::kTransactionFailed:
    case Cause::kReadOnlyViolation:
    case Cause::kNotPreparable:
    case Cause::kPreparedLimit:
    case Cause::kDuplicateGid:
    case Cause::kConnectionLost:
    case Cause::kUnavailable:
    case Cause::kNotPrimary:
    case Cause::kMisuse:
    case Cause::kNotPrepared:
    case Cause::kWrongDatabase:
      break;
  }
  return Unavailable(std::move(text));
}

class MysqlResourceManager final : public ResourceManager {
 public:
  explicit MysqlResourceManager(ConnectOptions options) : options_(std::move(options)) {}

  std::variant<std::unique_ptr<WorkSession>, WorkError> OpenWorkSession() override {
    auto opened = MysqlWorkSession::Open(options_, own_rollbacks_);
    if (auto* error = std::get_if<WorkError>(&opened)) return std::move(*error);
    auto& session = std::get<std::unique_ptr<MysqlWorkSession>>(opened);
    Note(session->facts());
    return std::unique_ptr<WorkSession>(std::move(session));
  }

  std::variant<std::unique_ptr<FinishSession>, WorkError> OpenFinishSession() override {
    auto opened = Open();
    if (auto* error = std::get_if<WorkError>(&opened)) return std::move(*error);
    // No identity is asked for here: a branch that the server lists can be finished without one.
    return std::unique_ptr<FinishSession>(std::make_unique<MysqlFinishSession>(
        options_, std::move(std::get<std::unique_ptr<Connection>>(opened)), own_rollbacks_));
  }

  Result<std::string> Identity() override {
    auto opened = Open();
    if (auto* error = std::get_if<WorkError>(&opened)) return ToStatus(*error);
    IdentityReader reader(options_);
    return reader.Read(*std::get<std::unique_ptr<Connection>>(opened));
  }

  Result<ProbeReport> Probe() override {
    auto opened = Open();
    if (auto* error = std::get_if<WorkError>(&opened)) return ToStatus(*error);
    IdentityReader reader(options_);
    return RunProbe(*std::get<std::unique_ptr<Connection>>(opened), reader, options_);
  }

  ManualSql HandSql(const Gid& gid) const override {
    ManualSql sql;
    sql.commit = "XA COMMIT " + XaLiteral(gid);
    sql.rollback = "XA ROLLBACK " + XaLiteral(gid);
    switch (server_.load()) {
      case Server::kUnknown:
        sql.inspect = "XA RECOVER";
        break;
      case Server::kMysql:
        sql.inspect = "XA RECOVER CONVERT XID";
        break;
      case Server::kMariadb:
        sql.inspect = "XA RECOVER FORMAT='SQL'";  // Shows gids as commit and rollback want them.
        break;
    }
    return sql;
  }

 private:
  enum class Server { kUnknown, kMysql, kMariadb };

  std::variant<std::unique_ptr<Connection>, WorkError> Open() {
    auto opened = Connection::Open(options_, Purpose::kFinish);
    if (auto* connection = std::get_if<std::unique_ptr<Connection>>(&opened)) {
      Note((*connection)->facts());
    }
    return opened;
  }
  void Note(const mysql::ServerFacts& facts) {
    server_ = facts.flavour == Flavour::kMariadb ? Server::kMariadb : Server::kMysql;
  }

  const ConnectOptions options_;
  // Shared, since sessions may outlive this object.
  const std::shared_ptr<OwnRollbacks> own_rollbacks_ = std::make_shared<OwnRollbacks>();
  std::atomic<Server> server_ = Server::kUnknown;
};

}  // namespace

std::unique_ptr<ResourceManager> MakeMysql(ConnectOptions options) {
  return std::make_unique<MysqlResourceManager>(std::move(options));
}

}  // namespace assent::adapters
