#include "adapters/mysql/finish_session.h"

#include <algorithm>
#include <utility>

#include "adapters/common/xid.h"
#include "adapters/mysql/finish.h"
#include "adapters/mysql/look_up.h"
#include "base/mutant.h"

namespace assent::adapters::mysql {

MysqlFinishSession::MysqlFinishSession(const ConnectOptions& options,
                                       std::unique_ptr<Connection> connection,
                                       std::shared_ptr<OwnRollbacks> own_rollbacks)
    : options_(options),
      connection_(std::move(connection)),
      identity_(options_),
      own_rollbacks_(std::move(own_rollbacks)) {}

FinishTools MysqlFinishSession::Tools() {
  return {.connection = *connection_,
          .identity = identity_,
          .own_rollbacks = *own_rollbacks_,
          .rights = &rights_,
          .user = options_.user};
}

FinishAnswer MysqlFinishSession::Commit(const Gid& gid, const Evidence& evidence,
                                        JournalWord journal) {
  return FinishBranch(
      Tools(), Finisher::kAnother,
      {.decision = Decision::kCommit, .gid = gid, .evidence = evidence, .journal = journal});
}

FinishAnswer MysqlFinishSession::Rollback(const Gid& gid, const Evidence& evidence) {
  return FinishBranch(Tools(), Finisher::kAnother,
                      {.decision = Decision::kAbort, .gid = gid, .evidence = evidence});
}

Status MysqlFinishSession::Proven(const Why& why_not_primary) {
  if (MutantOn(Mutant::kStandbyTrusted)) return Ok();
  if (auto* error = std::get_if<SqlError>(&why_not_primary)) {
    return Unavailable("asking whether this is the primary: " + TextOf(*error));
  }
  auto& why = std::get<std::optional<std::string>>(why_not_primary);
  return why ? Unavailable(*why) : Ok();
}

Status MysqlFinishSession::NotListed(const SqlError& error) const {
  if (error.number == kErXaRecoverPrivilege) {
    return PermissionDenied("XA RECOVER: " + TextOf(error) +
                            "; MySQL says so when the privilege XA_RECOVER_ADMIN is missing: "
                            "grant it to \"" +
                            options_.user + "\"");
  }
  return Unavailable("XA RECOVER: " + TextOf(error));
}

// XA RECOVER is server-wide: other programs, clusters and resources have branches here too.
void MysqlFinishSession::KeepOurs(std::vector<Gid>* gids) const {
  std::erase_if(
      *gids, [this](const Gid& gid) { return !IsOurs(gid, options_.cluster, options_.resource); });
}

Result<std::vector<PreparedBranch>> MysqlFinishSession::Recover() {
  if (Status primary = Proven(WhyNotPrimary(*connection_)); !primary.ok()) return primary;
  auto evidence = identity_.ReadEvidence(*connection_);
  if (!evidence.ok()) return evidence.status();
  auto listed = ListPrepared(*connection_);
  if (auto* error = std::get_if<SqlError>(&listed)) return NotListed(*error);
  auto& gids = std::get<std::vector<Gid>>(listed);
  KeepOurs(&gids);
  std::vector<PreparedBranch> branches;
  for (Gid& gid : gids) branches.push_back({.gid = std::move(gid), .evidence = *evidence});
  return branches;
}

Result<std::vector<PrepareAnswer>> MysqlFinishSession::LookUp(
    const std::vector<AppHeldBranch>& branches) {
  const ServerFacts& facts = connection_->facts();
  Look look{.cluster = options_.cluster, .resource = options_.resource};
  auto answer = ListAndProve(*connection_);
  if (auto* error = std::get_if<SqlError>(&answer)) return NotListed(*error);
  auto& listing = std::get<Listing>(answer);
  // Asked after the listing: a primary may have become read-only at any time before it.
  if (Status primary = Proven(listing.why_not_primary); !primary.ok()) return primary;
  KeepOurs(&listing.gids);
  for (Gid& gid : listing.gids) look.listed[gid.gtrid].push_back(gid);
  auto server = identity_.ReadEvidence(*connection_);
  if (!server.ok()) return server.status();
  look.server = *std::move(server);
  if (!facts.detaches_on_prepare) {
    auto missing = rights_.Missing(*connection_);
    if (auto* error = std::get_if<SqlError>(&missing)) {
      return Unavailable("reading privileges: " + TextOf(*error));
    }
    if (const auto& text = std::get<std::string>(missing); !text.empty()) {
      look.rights_remedy = RightsRemedy(text, options_.user);
    }
  }
  std::vector<PrepareAnswer> votes;
  for (const AppHeldBranch& branch : branches) votes.push_back(VoteOf(branch, look, facts));
  if (std::any_of(votes.begin(), votes.end(),
                  [](const PrepareAnswer& vote) { return vote.error.session_lost; })) {
    connection_->MarkLost();
  }
  return votes;
}

Evidence MysqlFinishSession::SessionEvidence(const AppHeldBranch& branch) {
  return SessionPart(branch, connection_->facts());
}

Status MysqlFinishSession::CheckRole(const std::string&) { return Ok(); }

}  // namespace assent::adapters::mysql
