#include "adapters/mysql/finish.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "adapters/common/xid.h"
#include "adapters/mysql/app_session.h"
#include "adapters/mysql/detached.h"
#include "base/mutant.h"

namespace assent::adapters::mysql {
namespace {

using Rows = std::variant<std::vector<Row>, SqlError>;

// Columns: formatID, gtrid_length, bqual_length, data. All programs' branches of the server.
constexpr char kListPrepared[] = "XA RECOVER";
constexpr char kReadOnly[] = "SELECT @@global.read_only";
constexpr char kReplica[] = "SHOW REPLICA STATUS";

std::vector<Gid> GidsOf(const std::vector<Row>& listed) {
  std::vector<Gid> gids;
  for (const Row& row : listed) {
    auto number = [&row](size_t i) {
      return std::strtoll(row[i].value_or("-1").c_str(), nullptr, 10);
    };
    if (number(1) < 0 || number(2) < 0) continue;
    auto gid = GidFromXaRecover(number(0), static_cast<size_t>(number(1)),
                                static_cast<size_t>(number(2)), row[3].value_or(""));
    if (gid) gids.push_back(*std::move(gid));
  }
  return gids;
}

Why WhyReadOnly(Rows answer) {
  if (auto* error = std::get_if<SqlError>(&answer)) return std::move(*error);
  if (std::get<std::vector<Row>>(answer).at(0)[0].value_or("0") == "0") return std::nullopt;
  return "this server is read-only: a standby, or a primary under maintenance";
}

Why WhyReplicaBy(const Connection& connection, Rows answer) {
  if (auto* error = std::get_if<SqlError>(&answer)) {
    // Servers of old don't know the words, and users seldom have the privilege; read_only and the
    // identity must do then.
    if (connection.lost()) return std::move(*error);
    return std::nullopt;
  }
  constexpr size_t kIoRunning = 10;  // Slave_IO_Running, Replica_IO_Running: Yes, Connecting, No.
  for (const Row& row : std::get<std::vector<Row>>(answer)) {
    if (row.size() > kIoRunning && row[kIoRunning].value_or("No") != "No") {
      return "this server replicates from " + row[1].value_or("another");
    }
  }
  return std::nullopt;
}

// Nothing speaks against it.
bool IsPrimary(const Why& why) {
  const auto* reason = std::get_if<std::optional<std::string>>(&why);
  return reason != nullptr && !reason->has_value();
}

FinishAnswer Unanswered(const SqlError& error, const std::string& what) {
  FinishAnswer answer{.finish = Finish::kTransient,
                      .code = CodeOf(error),
                      .detail = what + ": " + error.message,
                      .session_lost = MeansConnectionLost(error) || error.number == 0};
  if (error.number == kErXaRecoverPrivilege) {
    answer.finish = Finish::kRefused;
    answer.detail += "; MySQL says so when the privilege XA_RECOVER_ADMIN is missing: grant it";
  }
  return answer;
}

FinishAnswer Lose(Connection& connection, FinishAnswer answer) {
  if (answer.session_lost) connection.MarkLost();
  return answer;
}

// Why the absence seen here proves nothing; nothing if this is the server that prepared the branch.
// An answer of its own if that can't be found out.
std::variant<std::optional<std::string>, FinishAnswer> WhyWrongPlace(Connection& connection,
                                                                     IdentityReader& identity,
                                                                     const Evidence& evidence) {
  if (MutantOn(Mutant::kStandbyTrusted)) return std::nullopt;
  auto standby = WhyNotPrimary(connection);
  if (auto* error = std::get_if<SqlError>(&standby)) {
    return Unanswered(*error, "asking whether this is the primary");
  }
  if (auto& why = std::get<std::optional<std::string>>(standby)) return why;
  const Evidence there = ParseEvidence(evidence).server;
  if (there.empty()) return std::nullopt;
  auto here = identity.ReadEvidence(connection);
  if (!here.ok()) return here.status().ToString();
  if (*here != there) return "the branch was prepared on " + there + ", this is " + *here;
  return std::nullopt;
}

// The server does not list the branch. That is settled by the identity of the server, then by
// evidence; when both are silent the branch is a hazard.
FinishAnswer JudgeAbsence(const FinishTools& tools, const FinishRequest& request,
                          FinishAnswer answer) {
  answer.finish = Finish::kTransient;
  auto wrong_place = WhyWrongPlace(tools.connection, tools.identity, request.evidence);
  if (auto* unanswered = std::get_if<FinishAnswer>(&wrong_place)) return std::move(*unanswered);
  if (auto& why = std::get<std::optional<std::string>>(wrong_place)) {
    answer.detail = "not listed here, but that proves nothing: " + *why;
    return answer;
  }

  answer.finish = Finish::kDone;
  const VoteEvidence evidence = ParseEvidence(request.evidence);
  if (request.decision == Decision::kCommit) {
    if (request.journal != JournalWord::kNothing) {
      answer.detail = "not listed any more; by our journal it was committed by us";
      return answer;
    }
    if (evidence.holder == Holder::kAppFinishes) {
      answer.detail = "not listed any more; its application was to commit it";
      return answer;
    }
  } else {
    if (evidence.server.empty()) {
      // Nobody ever saw it prepared, so nothing is missing.
      answer.detail = "not listed, and no vote said that it was ever prepared";
      return answer;
    }
    if (tools.own_rollbacks.Contains(request.gid)) {
      answer.detail = "not listed any more; we sent its rollback ourselves";
      return answer;
    }
    if (evidence.holder != Holder::kAgent) {
      answer.detail = "not listed any more; its application may roll it back by itself";
      return answer;
    }
  }
  answer.finish = Finish::kHazard;
  answer.detail =
      "prepared before, not listed any more, and neither the journal nor the server can tell "
      "whether it was committed or rolled back";
  return answer;
}

// Nothing if the server can't be asked; then `unanswered` says why.
std::optional<bool> IsListed(Connection& connection, const Gid& gid, const std::string& why,
                             FinishAnswer* unanswered) {
  auto listed = ListPrepared(connection);
  if (auto* error = std::get_if<SqlError>(&listed)) {
    *unanswered = Unanswered(*error, why);
    return std::nullopt;
  }
  auto& gids = std::get<std::vector<Gid>>(listed);
  return std::find(gids.begin(), gids.end(), gid) != gids.end();
}

// XAER_NOTA is a question: is it listed all the same?
FinishAnswer JudgeUnknownGid(const FinishTools& tools, const FinishRequest& request,
                             const SqlError& nota) {
  FinishAnswer answer{.finish = Finish::kTransient, .code = CodeOf(nota)};
  if (MutantOn(Mutant::kUnknownIdIsSuccess)) {
    answer.finish = Finish::kDone;
    return answer;
  }
  FinishAnswer unanswered;
  auto listed =
      IsListed(tools.connection, request.gid,
               "the gid is unknown, and listing the prepared branches failed", &unanswered);
  if (!listed) return unanswered;
  if (!*listed) return JudgeAbsence(tools, request, std::move(answer));
  // MariaDB, and MySQL with detach off: it belongs to a session that is still open, or to one that
  // closed some milliseconds ago and is not quite gone.
  answer.detail =
      "listed as prepared but attached to another session; it can be finished there, or as soon as "
      "that session is closed";
  return answer;
}

// The answer to give instead of sending the verb from a session that did not prepare the branch, on
// a server that ties branches to sessions. Nothing: send it.
std::optional<FinishAnswer> WhyNotYet(const FinishTools& tools, const FinishRequest& request) {
  const VoteEvidence evidence = ParseEvidence(request.evidence);
  FinishAnswer answer{.finish = Finish::kTransient};
  if (evidence.holder != Holder::kAgent) {
    if (MutantOn(Mutant::kAppSessionKept)) return std::nullopt;
    auto listed = IsListed(tools.connection, request.gid, "before it is sent", &answer);
    if (!listed) return answer;
    // Nobody's session is closed for a branch that is not there.
    if (!*listed && !MutantOn(Mutant::kUnlistedSessionClosed)) {
      return JudgeAbsence(tools, request, std::move(answer));
    }
    return CloseAppSession(tools, evidence);
  }
  auto detached = IsDetached(tools.connection, evidence.preparer);
  if (auto* error = std::get_if<SqlError>(&detached)) {
    return Unanswered(*error, "before it is sent");
  }
  if (std::get<bool>(detached)) return std::nullopt;
  answer.detail =
      "not sent yet: the branch is still attached to the session that prepared it; it can be "
      "finished there, or as soon as that session is closed and gone";
  return answer;
}

}  // namespace

void OwnRollbacks::Add(const Gid& gid) {
  MutexLock lock(mutex_);
  if (!gids_.insert(gid).second) return;
  oldest_first_.push_back(gid);
  if (oldest_first_.size() <= kCountMax) return;
  gids_.erase(oldest_first_.front());
  oldest_first_.pop_front();
}

bool OwnRollbacks::Contains(const Gid& gid) const {
  MutexLock lock(mutex_);
  return gids_.contains(gid);
}

FinishAnswer FinishBranch(const FinishTools& tools, Finisher finisher,
                          const FinishRequest& request) {
  Connection& connection = tools.connection;
  // Rule: never XA COMMIT ... ONE PHASE. MySQL accepts it for a prepared branch, and may then
  // refuse to start after a crash.
  const std::string sql = (request.decision == Decision::kCommit ? "XA COMMIT " : "XA ROLLBACK ") +
                          XaLiteral(request.gid);
  if (finisher == Finisher::kAnother && !connection.facts().detaches_on_prepare) {
    if (auto answer = WhyNotYet(tools, request)) {
      answer->detail = sql + ": " + answer->detail;
      answer->no_effect = true;
      return Lose(connection, *std::move(answer));
    }
  }
  FinishAnswer answer{.finish = Finish::kDone};
  const bool sent = !connection.lost();
  auto error = connection.Run(sql);
  if (request.decision == Decision::kAbort && sent && (!error || connection.lost())) {
    tools.own_rollbacks.Add(request.gid);
  }
  if (error) {
    auto classified = ClassifyFinish(request.decision, *error);
    if (classified) {
      answer = *std::move(classified);
    } else {
      answer = JudgeUnknownGid(tools, request, *error);
      answer.no_effect = true;
    }
  }
  answer.detail = sql + ": " + answer.detail;
  return Lose(connection, std::move(answer));
}

std::variant<std::vector<Gid>, SqlError> ListPrepared(Connection& connection) {
  auto listed = connection.Query(kListPrepared);
  if (auto* error = std::get_if<SqlError>(&listed)) return std::move(*error);
  return GidsOf(std::get<std::vector<Row>>(listed));
}

std::variant<Listing, SqlError> ListAndProve(Connection& connection) {
  auto answers = connection.QueryEach({kListPrepared, kReadOnly, kReplica});
  auto answer = [&](size_t i) -> Rows {
    if (i < answers.size()) return std::move(answers[i]);
    return SqlError{.number = 0, .state = "", .message = "the server left a query unanswered"};
  };
  Rows listed = answer(0);
  if (auto* error = std::get_if<SqlError>(&listed)) return std::move(*error);
  Listing listing{.gids = GidsOf(std::get<std::vector<Row>>(listed))};
  listing.why_not_primary = WhyReadOnly(answer(1));
  if (IsPrimary(listing.why_not_primary)) {
    listing.why_not_primary = WhyReplicaBy(connection, answer(2));
  }
  return listing;
}

Why WhyNotPrimary(Connection& connection) {
  Why why = WhyReadOnly(connection.Query(kReadOnly));
  return IsPrimary(why) ? WhyReplica(connection) : why;
}

Why WhyReplica(Connection& connection) {
  return WhyReplicaBy(connection, connection.Query(kReplica));
}

}  // namespace assent::adapters::mysql
