#include "adapters/postgres/work_session.h"

#include <cstdlib>
#include <utility>

#include "adapters/common/xid.h"
#include "adapters/postgres/classify.h"
#include "adapters/postgres/statement.h"
#include "adapters/postgres/values.h"
#include "base/mutant.h"

namespace assent::adapters::postgres {
namespace {

// What one branch may leave behind in the session for the next: settings, prepared statements,
// cursors WITH HOLD, LISTEN, session-level advisory locks. Rides on a round trip that is made
// anyway.
constexpr char kForget[] =
    "RESET ALL; DEALLOCATE ALL; CLOSE ALL; UNLISTEN *; SELECT pg_advisory_unlock_all()";

// As in kForget, and undone for SET ROLE too. Before PREPARE, since the role of that moment becomes
// the owner, and only the owner may finish the branch.
constexpr char kOwnRole[] = "SET SESSION AUTHORIZATION DEFAULT; ";

std::string BeginText(const StartOptions& options) {
  std::string text = "BEGIN";
  switch (options.isolation) {
    case Isolation::kDefault:
      break;
    case Isolation::kReadCommitted:
      text += " ISOLATION LEVEL READ COMMITTED";
      break;
    case Isolation::kRepeatableRead:
      text += " ISOLATION LEVEL REPEATABLE READ";
      break;
    case Isolation::kSerializable:
      text += " ISOLATION LEVEL SERIALIZABLE";
      break;
  }
  if (options.read_only) text += " READ ONLY";
  if (options.lock_timeout) {
    text += "; SET LOCAL lock_timeout = " + std::to_string(options.lock_timeout->count());
  }
  return text;
}

}  // namespace

PostgresWorkSession::PostgresWorkSession(const ConnectOptions& options,
                                         std::unique_ptr<Connection> connection,
                                         const ServerFacts& server)
    : cluster_(options.cluster),
      resource_(options.resource),
      server_(server),
      connection_(std::move(connection)) {}

WorkError PostgresWorkSession::LostBefore(const std::string& what) const {
  return {.cause = Cause::kConnectionLost,
          .detail = what + " on " + resource_ + ": the session was lost before; open another",
          .session_lost = true};
}

WorkError PostgresWorkSession::Misuse(const std::string& detail) const {
  return {.cause = Cause::kMisuse, .detail = detail, .session_lost = connection_->lost()};
}

WorkError PostgresWorkSession::Error(Cause cause, const Failure& failure,
                                     const std::string& what) const {
  return {.cause = failure.lost ? Cause::kConnectionLost : cause,
          .code = failure.code,
          .detail = what + " on " + resource_ + ": " + failure.Text(),
          .session_lost = failure.lost};
}

bool PostgresWorkSession::Clean() {
  gid_.reset();
  failed_.reset();
  if (connection_->lost()) return false;
  auto answer = connection_->Run(std::string("ROLLBACK; ") + kOwnRole + kForget);
  // A session that can't be cleaned (a cancel that came late, say) must not carry another branch.
  if (std::holds_alternative<Failure>(answer)) connection_->Drop();
  return !connection_->lost();
}

std::optional<WorkError> PostgresWorkSession::Start(const Gid& gid, const StartOptions& options) {
  if (connection_->lost()) return LostBefore("BEGIN");
  std::string what = "BEGIN of " + ToString(gid);
  if (gid_) return Misuse(what + ": the session still holds " + ToString(*gid_));
  if (!IsOurs(gid, cluster_, resource_)) {
    return Misuse(what + ": not a branch of cluster " + cluster_ + ", resource " + resource_);
  }
  if (options.lock_timeout && options.lock_timeout->count() < 1) {
    return Misuse(what + ": lock_timeout of " + std::to_string(options.lock_timeout->count()) +
                  " ms: give at least 1 ms, or none");
  }
  auto answer = connection_->Run(BeginText(options));
  if (auto* failure = std::get_if<Failure>(&answer)) {
    Clean();
    WorkError error = Error(CauseOfStatement(failure->code), *failure, what);
    error.session_lost = connection_->lost();
    return error;
  }
  gid_ = gid;
  failed_.reset();
  wrote_ = false;
  unsure_ = false;
  connection_->ForgetReports();
  return std::nullopt;
}

WorkError PostgresWorkSession::FailStatement(WorkError error, bool keep_on_error) {
  if (!keep_on_error || error.session_lost) failed_ = error;
  return error;
}

std::optional<WorkError> PostgresWorkSession::Refuse(const std::string& sql,
                                                     const Parameters& texts, bool keep_on_error,
                                                     std::string* what) {
  if (connection_->lost()) return LostBefore("statement");
  if (!gid_) return Misuse("statement without a branch: Start comes first");
  *what = "statement of " + ToString(*gid_);
  if (failed_) {
    return WorkError{.cause = Cause::kTransactionFailed,
                     .code = failed_->code,
                     .detail = *what + " refused: the branch can only roll back, since before: " +
                               failed_->detail};
  }
  if (std::string why = WhyRefused(sql); !why.empty()) {
    return FailStatement(Misuse(*what + " refused: " + why), keep_on_error);
  }
  if (texts.number_with_nul() != 0 || sql.find('\0') != std::string::npos) {
    std::string where = texts.number_with_nul() != 0
                            ? "parameter $" + std::to_string(texts.number_with_nul())
                            : "the statement";
    return FailStatement({.cause = Cause::kStatementFailed,
                          .code = "22021",
                          .detail = *what + ": " + where +
                                    " holds a NUL byte, which PostgreSQL's text can't: use bytes"},
                         keep_on_error);
  }
  return std::nullopt;
}

bool PostgresWorkSession::UndoToSavepoint() {
  auto undone =
      connection_->Run(std::string("ROLLBACK TO ") + kSavepoint + "; RELEASE " + kSavepoint);
  return std::holds_alternative<pqxx::result>(undone);
}

WorkError PostgresWorkSession::Failed(const Failure& failure, const std::string& what,
                                      bool marked) {
  const bool kept = marked && !failure.lost && UndoToSavepoint();
  WorkError error = Error(CauseOfStatement(failure.code), failure, what);
  error.session_lost = connection_->lost();
  return FailStatement(std::move(error), kept);
}

std::variant<ResultSet, WorkError> PostgresWorkSession::Execute(
    const std::string& sql, const std::vector<Value>& parameters, bool keep_on_error) {
  const Parameters texts(parameters);
  std::string what;
  if (auto refused = Refuse(sql, texts, keep_on_error, &what)) return *std::move(refused);
  if (keep_on_error) {
    auto marked = connection_->Run(std::string("SAVEPOINT ") + kSavepoint);
    if (auto* failure = std::get_if<Failure>(&marked)) {
      return FailStatement(Error(CauseOfStatement(failure->code), *failure, what), false);
    }
  }
  auto answer = connection_->RunOne(sql, texts.pointers());
  if (auto* failure = std::get_if<Failure>(&answer)) return Failed(*failure, what, keep_on_error);
  if (keep_on_error) {
    auto released = connection_->Run(std::string("RELEASE ") + kSavepoint);
    if (auto* failure = std::get_if<Failure>(&released)) {
      return FailStatement(Error(CauseOfStatement(failure->code), *failure, what), false);
    }
  }

  const pqxx::result& result = std::get<pqxx::result>(answer);
  if (result.affected_rows() > 0 && (result.columns() == 0 || IsChange(sql))) wrote_ = true;
  if (MayHoldWithoutXid(sql)) unsure_ = true;
  auto set = ToResultSet(result, /*count_rows=*/result.columns() == 0 || !IsRead(sql));
  if (!set) {
    // The statement did its work; only its answer is too large. So the branch lives.
    return WorkError{.cause = Cause::kStatementFailed,
                     .code = "OUT_OF_RANGE",
                     .detail = what + ": the result has more than " +
                               std::to_string(kResultRowsMax) + " rows or " +
                               std::to_string(kResultBytesMax) +
                               " bytes: read it in parts (LIMIT, or DECLARE CURSOR and FETCH)"};
  }
  return *std::move(set);
}

PrepareAnswer PostgresWorkSession::No(WorkError error) {
  Clean();
  error.session_lost = error.session_lost || connection_->lost();
  return {.vote = Vote::kNo, .error = std::move(error)};
}

PrepareAnswer PostgresWorkSession::Prepare() {
  if (connection_->lost()) return {.vote = Vote::kNo, .error = LostBefore("PREPARE")};
  if (!gid_) return {.vote = Vote::kNo, .error = Misuse("PREPARE without a branch")};
  if (MutantOn(Mutant::kFailedTransactionVotesYes)) {
    // Seeded bug: believes that PREPARE TRANSACTION prepares whatever it answers OK to.
    auto answer = connection_->Run("PREPARE TRANSACTION " + PostgresLiteral(*gid_));
    gid_.reset();
    failed_.reset();
    if (std::holds_alternative<Failure>(answer)) return {.vote = Vote::kNo};
    return {.vote = Vote::kYes, .evidence = ToString(server_.identity)};
  }
  if (failed_) {
    return No({.cause = Cause::kTransactionFailed,
               .code = failed_->code,
               .detail = "PREPARE of " + ToString(*gid_) + " on " + resource_ +
                         ": an earlier statement failed: " + failed_->detail});
  }
  if (!wrote_) {
    if (auto answer = TryReadOnly()) return *std::move(answer);
  }
  return PrepareWriter();
}

// Two round trips. A branch without a transaction id changed nothing in this database, but may have
// done what only COMMIT carries out: NOTIFY (PREPARE refuses it), or work on another server through
// a foreign table; or hold locks that must outlast the vote. In each such doubt it is prepared.
std::optional<PrepareAnswer> PostgresWorkSession::TryReadOnly() {
  if (unsure_ || connection_->reports().notified) return std::nullopt;
  std::string what = "end of the read-only branch " + ToString(*gid_);
  auto answer = connection_->Run(
      "SELECT pg_catalog.pg_current_xact_id_if_assigned() IS NULL"
      " AND NOT EXISTS (SELECT FROM pg_catalog.pg_foreign_table)");
  if (auto* failure = std::get_if<Failure>(&answer)) {
    return No(Error(CauseOfStatement(failure->code), *failure, what));
  }
  if (std::string_view(std::get<pqxx::result>(answer)[0][0].c_str()) != "t") return std::nullopt;
  // COMMIT and not ROLLBACK: under SERIALIZABLE what was read counts only if COMMIT succeeds.
  answer = connection_->Run(std::string("COMMIT; ") + kOwnRole + kForget);
  if (auto* failure = std::get_if<Failure>(&answer)) {
    return No(Error(CauseOfStatement(failure->code), *failure, what));
  }
  gid_.reset();
  return PrepareAnswer{.vote = Vote::kReadOnly};
}

// One round trip for all of it, in the simple protocol:
//  - SET SESSION AUTHORIZATION fails in a failed transaction, so that PREPARE is not even reached;
//    PREPARE itself would "succeed" there with the tag ROLLBACK, which libpqxx does not show.
//  - RESET client_min_messages, so that the one warning that counts is heard (Connection::Reports).
//  - PREPARE TRANSACTION may stand in the middle: it ends the explicit transaction, and what
//  follows
//    runs in a new one. If it fails, the rest is skipped.
//  - The look-up is the proof that the branch is prepared: whatever the tag said, YES is voted only
//    for what the server lists. It also tells the transaction id.
PrepareAnswer PostgresWorkSession::PrepareWriter() {
  const Gid gid = *gid_;
  const std::string what = "PREPARE of " + ToString(gid);
  const std::string look_up =
      "SELECT transaction::text, pg_snapshot_xmax(pg_current_snapshot())::text,"
      " pg_advisory_unlock_all()"
      " FROM pg_prepared_xacts"
      " WHERE gid = " +
      PostgresLiteral(gid);
  auto answer = connection_->Run(std::string(kOwnRole) + "RESET client_min_messages; " +
                                 "PREPARE TRANSACTION " + PostgresLiteral(gid) +
                                 "; RESET ALL; DEALLOCATE ALL; " + look_up);
  std::optional<WorkError> error;
  if (auto* failure = std::get_if<Failure>(&answer)) {
    error = Error(CauseOfPrepare(failure->code), *failure, what);
    if (failure->lost || error->cause == Cause::kDuplicateGid) return No(*std::move(error));
    // A time-out or a cancel may have hit the look-up, behind a PREPARE that was done. Ask again.
    if (!Clean()) {
      error->session_lost = true;
      return {.vote = Vote::kNo, .error = *std::move(error)};
    }
    answer = connection_->Run(look_up);
    if (auto* again = std::get_if<Failure>(&answer)) {
      // Not known. session_lost says so, and the recovery scan will find out.
      connection_->Drop();
      error = Error(CauseOfStatement(again->code), *again, what + ", look-up");
      error->session_lost = true;
      return {.vote = Vote::kNo, .error = *std::move(error)};
    }
  }
  gid_.reset();
  const pqxx::result& listed = std::get<pqxx::result>(answer);
  if (listed.empty()) {
    if (error) return {.vote = Vote::kNo, .error = *std::move(error)};
    return No({.cause = Cause::kMisuse,
               .detail = what + " on " + resource_ +
                         ": the server said yes, but does not list the branch: the transaction had "
                         "failed or ended before"});
  }
  if (connection_->reports().unreplicated) {
    // Prepared, but a failover would lose it. To roll it back means to wait for the same standby:
    // that is left to the recovery scan.
    connection_->Drop();
    return {.vote = Vote::kNo,
            .error = {.cause = Cause::kUnavailable,
                      .detail = what + " on " + resource_ +
                                ": broken off while it waited for the synchronous standby",
                      .session_lost = true}};
  }
  uint64_t next_xid = std::strtoull(listed[0][1].c_str(), nullptr, 10);
  auto xid = static_cast<uint32_t>(std::strtoull(listed[0][0].c_str(), nullptr, 10));
  return {.vote = Vote::kYes,
          .evidence = ToString(XidEvidence{.xid = WidenXid(xid, next_xid),
                                           .identity = server_.identity,
                                           .timeline = server_.timeline})};
}

bool PostgresWorkSession::Rollback() {
  if (connection_->lost()) {
    gid_.reset();
    return false;
  }
  if (!gid_) return true;
  return Clean();
}

FinishAnswer PostgresWorkSession::FinishPrepared(Decision, const Evidence&, JournalWord) {
  return {.finish = Finish::kRefused,
          .detail = "PostgreSQL detaches a prepared branch from its session: finish " + resource_ +
                    "'s branches on a finish session",
          .session_lost = connection_->lost()};
}

}  // namespace assent::adapters::postgres
