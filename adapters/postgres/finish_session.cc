#include "adapters/postgres/finish_session.h"

#include <cstdlib>
#include <utility>

#include "adapters/common/xid.h"
#include "adapters/postgres/classify.h"
#include "adapters/postgres/evidence.h"
#include "adapters/postgres/look_up.h"
#include "adapters/postgres/owner.h"
#include "base/mutant.h"

namespace assent::adapters::postgres {
namespace {

constexpr char kDenied[] = "42501";

FinishAnswer NoEffect(FinishAnswer answer) {
  answer.no_effect = true;
  return answer;
}

Status ToStatus(const std::string& what, const Failure& failure) {
  std::string text = what + failure.Text();
  return failure.code == kDenied ? PermissionDenied(std::move(text)) : Unavailable(std::move(text));
}

}  // namespace

PostgresFinishSession::PostgresFinishSession(const ConnectOptions& options,
                                             std::unique_ptr<Connection> connection)
    : cluster_(options.cluster), resource_(options.resource), connection_(std::move(connection)) {}

FinishAnswer PostgresFinishSession::Commit(const Gid& gid, const Evidence& evidence,
                                           JournalWord journal) {
  return Do({.decision = Decision::kCommit,
             .gid = gid,
             .evidence = evidence,
             .journal = journal,
             .what = "COMMIT PREPARED of " + ToString(gid) + " on " + resource_});
}

FinishAnswer PostgresFinishSession::Rollback(const Gid& gid, const Evidence& evidence) {
  return Do({.decision = Decision::kAbort,
             .gid = gid,
             .evidence = evidence,
             .journal = JournalWord::kNothing,
             .what = "ROLLBACK PREPARED of " + ToString(gid) + " on " + resource_});
}

FinishAnswer PostgresFinishSession::Answer(const Task& task, Finish finish,
                                           const std::string& detail,
                                           const std::string& code) const {
  return {.finish = finish,
          .code = code,
          .detail = task.what + ": " + detail,
          .session_lost = connection_->lost()};
}

FinishAnswer PostgresFinishSession::AskAgain(const Task& task, const Failure& failure) const {
  return Answer(task, Finish::kTransient, failure.Text(), failure.code);
}

FinishAnswer PostgresFinishSession::Do(const Task& task) {
  if (!IsOurs(task.gid, cluster_, resource_)) {
    return NoEffect(Answer(task, Finish::kRefused,
                           "not a branch of cluster " + cluster_ + ", resource " + resource_ +
                               ", and others' are never touched"));
  }
  if (connection_->lost()) {
    return NoEffect(Answer(task, Finish::kTransient, "the session was lost before; open another"));
  }
  const std::string verb =
      (task.decision == Decision::kCommit ? "COMMIT PREPARED " : "ROLLBACK PREPARED ") +
      PostgresLiteral(task.gid);
  auto answer = connection_->Run(verb);
  if (auto* denied = std::get_if<Failure>(&answer); denied && denied->code == kDenied) {
    auto missing = BecomeOwner(task.gid);
    if (auto* failure = std::get_if<Failure>(&missing)) return NoEffect(AskAgain(task, *failure));
    if (const std::string& grant = std::get<std::string>(missing); !grant.empty()) {
      return NoEffect(Answer(task, Finish::kRefused, denied->Text() + "; " + grant, kDenied));
    }
    answer = connection_->Run(verb);
  }
  if (std::holds_alternative<pqxx::result>(answer)) {
    return Answer(task, Finish::kDone, "done");
  }
  const Failure& failure = std::get<Failure>(answer);
  if (failure.lost) return AskAgain(task, failure);
  switch (ReplyOfFinish(failure.code)) {
    case FinishReply::kAbsent:
      if (MutantOn(Mutant::kUnknownIdIsSuccess)) return Answer(task, Finish::kDone, "not there");
      return NoEffect(ExplainAbsence(task));
    case FinishReply::kReadOnlyServer:
      // Nothing but recovery makes a server refuse this verb as read-only.
      if (MutantOn(Mutant::kStandbyTrusted)) return ExplainAbsence(task);
      connection_->Drop();
      return NoEffect(AskAgain(task, failure));
    case FinishReply::kUncleanSession:
      connection_->Drop();
      return NoEffect(AskAgain(task, failure));
    case FinishReply::kAskAgain:
      return AskAgain(task, failure);
    case FinishReply::kRefused:
      return NoEffect(Answer(task, Finish::kRefused, failure.Text(), failure.code));
  }
  return AskAgain(task, failure);
}

Outcome<std::string> PostgresFinishSession::BecomeOwner(const Gid& gid) {
  auto answer =
      connection_->Run("SELECT quote_ident(owner), owner = session_user, " + MayBecome("owner") +
                       ", " + GrantNeeded("owner") +
                       " FROM pg_prepared_xacts WHERE database = current_database() AND gid = " +
                       PostgresLiteral(gid));
  if (auto* failure = std::get_if<Failure>(&answer)) return *failure;
  const pqxx::result& owner = std::get<pqxx::result>(answer);
  if (owner.empty()) return std::string();
  const auto text = [&owner](int column) { return std::string(owner[0][column].c_str()); };
  if (text(2) != "t") {
    return text(3).empty() ? "its owner is a role that was dropped: a superuser must end it"
                           : "its owner is a role that this user is no member of: " + text(3);
  }
  if (text(1) == "t") {
    if (auto failure = BecomeSelf()) return *failure;
    return std::string();
  }
  if (MutantOn(Mutant::kOwnerIgnored)) return std::string();
  const std::string role = text(0);
  auto became = connection_->Run("SET ROLE " + role);
  if (auto* failure = std::get_if<Failure>(&became)) return *failure;
  role_ = role;
  return std::string();
}

std::optional<Failure> PostgresFinishSession::BecomeSelf() {
  if (role_.empty()) return std::nullopt;
  auto answer = connection_->Run("RESET ROLE");
  if (auto* failure = std::get_if<Failure>(&answer)) return *failure;
  role_.clear();
  return std::nullopt;
}

Outcome<std::string> PostgresFinishSession::WhyNotPrimary() {
  if (auto failure = BecomeSelf()) return *failure;
  auto facts = connection_->Facts();
  if (auto* failure = std::get_if<Failure>(&facts)) return *failure;
  server_ = std::get<ServerFacts>(facts);
  return WhyStandby();
}

// A standby lists nothing, whatever its primary holds. A primary never turns into a standby under a
// live session, so what is asked after this is the primary's word.
std::string PostgresFinishSession::WhyStandby() const {
  if (!server_.in_recovery || MutantOn(Mutant::kStandbyTrusted)) return "";
  return "the server (" + ToString(server_.identity) +
         ") is a standby: what it lacks proves nothing";
}

FinishAnswer PostgresFinishSession::ExplainAbsence(const Task& task) {
  auto why = WhyNotPrimary();
  if (auto* failure = std::get_if<Failure>(&why)) return AskAgain(task, *failure);
  std::optional<XidEvidence> evidence = ParseEvidence(task.evidence);
  std::string problem = std::get<std::string>(why);
  if (evidence && evidence->identity != server_.identity && !MutantOn(Mutant::kStandbyTrusted)) {
    problem = "the branch was prepared on " + ToString(evidence->identity) + ", but this is " +
              ToString(server_.identity) +
              ": mend the resource's address, or restore that database";
  }
  if (!problem.empty()) {
    connection_->Drop();
    return Answer(task, Finish::kTransient, problem, "42704");
  }

  auto listed =
      connection_->Run("SELECT FROM pg_prepared_xacts WHERE gid = " + PostgresLiteral(task.gid));
  if (auto* failure = std::get_if<Failure>(&listed)) return AskAgain(task, *failure);
  if (!std::get<pqxx::result>(listed).empty()) {
    return Answer(task, Finish::kTransient, "it was not there, but is listed now", "42704");
  }

  if (!evidence) {
    return WithoutStatus(task, task.evidence.empty()
                                   ? "no evidence was given"
                                   : "evidence \"" + task.evidence + "\" is none of PostgreSQL's");
  }
  // A transaction leaves the listing only after its end is recorded, so this word is the last one.
  auto status =
      connection_->Run("SELECT pg_xact_status('" + std::to_string(evidence->xid) + "'::xid8)");
  if (auto* failure = std::get_if<Failure>(&status)) {
    // 22023: this server has not reached the xid, so its data holds nothing of it.
    if (failure->code == "22023") return FromStatus(task, *evidence, "aborted");
    return AskAgain(task, *failure);
  }
  const pqxx::result& row = std::get<pqxx::result>(status);
  if (row[0][0].is_null()) {
    return WithoutStatus(task, "the server has forgotten the transaction " +
                                   std::to_string(evidence->xid) + ", it is too old");
  }
  return FromStatus(task, *evidence, row[0][0].c_str());
}

FinishAnswer PostgresFinishSession::FromStatus(const Task& task, const XidEvidence& evidence,
                                               const std::string& status) {
  std::string detail = "not there, and pg_xact_status of " + task.evidence + " says " + status;
  bool commit = task.decision == Decision::kCommit;
  if (status == "committed" && evidence.timeline != server_.timeline) {
    return WithoutStatus(task, "the server says that " + task.evidence +
                                   " committed, but its timeline is " +
                                   std::to_string(server_.timeline) +
                                   " now, where the xid may be another transaction's");
  }
  if (status == "committed") {
    return Answer(task, commit ? Finish::kDone : Finish::kHeuristicCommit, detail, "42704");
  }
  if (status == "aborted") {
    return Answer(task, commit ? Finish::kHeuristicRollback : Finish::kDone, detail, "42704");
  }
  return Answer(task, Finish::kTransient, detail, "42704");
}

FinishAnswer PostgresFinishSession::WithoutStatus(const Task& task, const std::string& why) {
  std::string detail = "not there; " + why;
  if (task.decision == Decision::kCommit && task.journal != JournalWord::kNothing) {
    return Answer(task, Finish::kDone,
                  detail + "; the journal says that it was " +
                      (task.journal == JournalWord::kDone ? "done" : "about to be done") + " here",
                  "42704");
  }
  if (task.decision == Decision::kAbort && task.evidence.empty()) {
    return Answer(task, Finish::kDone, detail + "; so it never voted yes", "42704");
  }
  const auto evidence = ParseEvidence(task.evidence);
  const Holder holder = evidence ? evidence->holder : Holder::kAgent;
  if (task.decision == Decision::kCommit && holder == Holder::kAppFinishes) {
    return Answer(task, Finish::kDone, detail + "; its application was to commit it", "42704");
  }
  if (task.decision == Decision::kAbort && holder != Holder::kAgent) {
    return Answer(task, Finish::kDone, detail + "; its application may roll it back by itself",
                  "42704");
  }
  return Answer(task, Finish::kHazard, detail + "; nothing tells whether it was committed",
                "42704");
}

Result<std::vector<PreparedBranch>> PostgresFinishSession::Recover() {
  const std::string what = "listing of prepared branches on " + resource_ + ": ";
  if (connection_->lost()) return Unavailable(what + "the session was lost before; open another");
  auto why = WhyNotPrimary();
  if (auto* failure = std::get_if<Failure>(&why)) {
    return ToStatus(what, *failure);
  }
  if (const std::string& problem = std::get<std::string>(why); !problem.empty()) {
    connection_->Drop();  // Its name may lead to the new primary.
    return Unavailable(what + problem);
  }

  auto answer = connection_->Run(
      "SELECT gid, transaction::text, pg_snapshot_xmax(pg_current_snapshot())::text,"
      " greatest(0, floor(extract(epoch FROM clock_timestamp() - prepared)))::bigint::text"
      " FROM pg_prepared_xacts"
      " WHERE database = current_database() AND starts_with(gid, 'assent:" +
      cluster_ + ".')");
  if (auto* failure = std::get_if<Failure>(&answer)) return ToStatus(what, *failure);
  std::vector<PreparedBranch> branches;
  for (const pqxx::row& row : std::get<pqxx::result>(answer)) {
    auto gid = ParseGid(row[0].c_str());
    if (!gid.ok() || !IsOurs(*gid, cluster_, resource_)) continue;
    auto xid = static_cast<uint32_t>(std::strtoull(row[1].c_str(), nullptr, 10));
    uint64_t next_xid = std::strtoull(row[2].c_str(), nullptr, 10);
    branches.push_back({.gid = *gid,
                        .evidence = ToString(XidEvidence{.xid = WidenXid(xid, next_xid),
                                                         .identity = server_.identity,
                                                         .timeline = server_.timeline}),
                        .age = std::chrono::seconds(std::strtoll(row[3].c_str(), nullptr, 10))});
  }
  return branches;
}

Result<std::vector<PrepareAnswer>> PostgresFinishSession::LookUp(
    const std::vector<AppHeldBranch>& branches) {
  const std::string what = "look-up of prepared branches on " + resource_ + ": ";
  if (connection_->lost()) return Unavailable(what + "the session was lost before; open another");
  if (auto failure = BecomeSelf()) return ToStatus(what, *failure);
  if (!look_up_prepared_) {
    auto prepared = connection_->Run(PrepareLookUp());
    if (auto* failure = std::get_if<Failure>(&prepared)) return ToStatus(what, *failure);
    look_up_prepared_ = true;
  }
  auto answer = connection_->Run(RunLookUp(branches));
  if (auto* failure = std::get_if<Failure>(&answer)) return ToStatus(what, *failure);
  const Look look = ReadLook(std::get<pqxx::result>(answer));
  server_ = look.server;
  if (std::string why = WhyStandby(); !why.empty()) {
    connection_->Drop();  // Its name may lead to the new primary.
    return Unavailable(what + why);
  }
  if (look.synchronous) {
    if (Status confirmed = ConfirmReplicated(); !confirmed.ok()) return confirmed;
  }
  std::vector<PrepareAnswer> votes;
  for (const AppHeldBranch& branch : branches) {
    votes.push_back(VoteOf(branch, look, cluster_, resource_));
  }
  return votes;
}

// A branch is listed before its PREPARE has waited for the standby, and stays listed when that wait
// was broken off, which its application hears as a warning only. So we write something behind it
// and wait for that. (An empty transaction would not wait.)
Status PostgresFinishSession::ConfirmReplicated() {
  const std::string what = "waiting for the synchronous standby of " + resource_ + ": ";
  connection_->ForgetReports();
  auto answer = connection_->Run("SELECT pg_logical_emit_message(true, 'assent', '')");
  if (auto* failure = std::get_if<Failure>(&answer)) return ToStatus(what, *failure);
  if (!connection_->reports().unreplicated) return Ok();
  connection_->Drop();
  return Unavailable(what + "broken off; what was prepared may be lost by a failover");
}

Evidence PostgresFinishSession::SessionEvidence(const AppHeldBranch&) {
  return {};  // A prepared branch has left its session.
}

Status PostgresFinishSession::CheckRole(const std::string& role) {
  const std::string what = "role \"" + role + "\" on " + resource_ + ": ";
  if (role.empty()) return Ok();
  if (connection_->lost()) return Unavailable(what + "the session was lost before; open another");
  if (auto failure = BecomeSelf()) return ToStatus(what, *failure);
  auto answer =
      connection_->RunOne("SELECT " + MayBecome("rolname") + ", " + GrantNeeded("rolname") +
                              " FROM pg_roles WHERE rolname = $1",
                          {role.c_str()});
  if (auto* failure = std::get_if<Failure>(&answer)) return ToStatus(what, *failure);
  const pqxx::result& found = std::get<pqxx::result>(answer);
  if (found.empty()) return InvalidArgument(what + "there is none");
  if (std::string_view(found[0][0].c_str()) == "t") return Ok();
  return InvalidArgument(what +
                         "only its members can end what it prepares: " + found[0][1].c_str());
}

}  // namespace assent::adapters::postgres
