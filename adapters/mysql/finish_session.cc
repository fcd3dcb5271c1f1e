#include "adapters/mysql/finish_session.h"

#include <utility>

#include "adapters/common/xid.h"
#include "adapters/mysql/finish.h"
#include "base/mutant.h"

namespace assent::adapters::mysql {

MysqlFinishSession::MysqlFinishSession(const ConnectOptions& options,
                                       std::unique_ptr<Connection> connection,
                                       std::shared_ptr<OwnRollbacks> own_rollbacks)
    : options_(options),
      connection_(std::move(connection)),
      identity_(options_),
      own_rollbacks_(std::move(own_rollbacks)) {}

FinishAnswer MysqlFinishSession::Commit(const Gid& gid, const Evidence& evidence,
                                        JournalWord journal) {
  return FinishBranch(
      {*connection_, identity_, *own_rollbacks_}, Finisher::kAnother,
      {.decision = Decision::kCommit, .gid = gid, .evidence = evidence, .journal = journal});
}

FinishAnswer MysqlFinishSession::Rollback(const Gid& gid, const Evidence& evidence) {
  return FinishBranch({*connection_, identity_, *own_rollbacks_}, Finisher::kAnother,
                      {.decision = Decision::kAbort, .gid = gid, .evidence = evidence});
}

Result<std::vector<PreparedBranch>> MysqlFinishSession::Recover() {
  if (!MutantOn(Mutant::kStandbyTrusted)) {
    auto standby = WhyNotPrimary(*connection_);
    if (auto* error = std::get_if<SqlError>(&standby)) {
      return Unavailable("asking whether this is the primary: " + TextOf(*error));
    }
    if (auto& why = std::get<std::optional<std::string>>(standby)) return Unavailable(*why);
  }
  auto evidence = identity_.ReadEvidence(*connection_);
  if (!evidence.ok()) return evidence.status();
  auto listed = ListPrepared(*connection_);
  if (auto* error = std::get_if<SqlError>(&listed)) {
    if (error->number == kErXaRecoverPrivilege) {
      return PermissionDenied("XA RECOVER: " + TextOf(*error) +
                              "; MySQL says so when the privilege XA_RECOVER_ADMIN is missing: "
                              "grant it to \"" +
                              options_.user + "\"");
    }
    return Unavailable("XA RECOVER: " + TextOf(*error));
  }
  std::vector<PreparedBranch> branches;
  for (Gid& gid : std::get<std::vector<Gid>>(listed)) {
    // XA RECOVER is server-wide: other programs, clusters and resources have branches here too.
    if (!IsOurs(gid, options_.cluster, options_.resource)) continue;
    branches.push_back({.gid = std::move(gid), .evidence = *evidence});
  }
  return branches;
}

}  // namespace assent::adapters::mysql
