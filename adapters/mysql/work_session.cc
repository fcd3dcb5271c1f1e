#include "adapters/mysql/work_session.h"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "adapters/common/xid.h"
#include "adapters/mysql/finish.h"
#include "adapters/mysql/screening.h"
#include "adapters/mysql/statement.h"
#include "base/mutant.h"

namespace assent::adapters::mysql {
namespace {

constexpr char kKeepSavepoint[] = "assent_keep";

WorkError Misuse(std::string detail) {
  return {.cause = Cause::kMisuse, .detail = std::move(detail)};
}

WorkError SessionLost() {
  return {.cause = Cause::kConnectionLost,
          .detail = "the session was lost before; open another",
          .session_lost = true};
}

std::string IsolationName(Isolation isolation) {
  switch (isolation) {
    case Isolation::kDefault:
      return "";
    case Isolation::kReadCommitted:
      return "ISOLATION LEVEL READ COMMITTED";
    case Isolation::kRepeatableRead:
      return "ISOLATION LEVEL REPEATABLE READ";
    case Isolation::kSerializable:
      return "ISOLATION LEVEL SERIALIZABLE";
  }
  return "";
}

// SET TRANSACTION for the next transaction; empty if the defaults do.
std::string Characteristics(const StartOptions& options) {
  std::string text = IsolationName(options.isolation);
  if (options.read_only) text += text.empty() ? "READ ONLY" : ", READ ONLY";
  return text.empty() ? "" : "SET TRANSACTION " + text;
}

// The server undoes a failed statement by itself, all or nothing, except where one statement is
// many.
bool UndoneByServer(const std::string& sql) {
  std::string verb = FirstWord(sql);
  return verb == "SELECT" || verb == "INSERT" || verb == "UPDATE" || verb == "DELETE" ||
         verb == "REPLACE";
}

}  // namespace

MysqlWorkSession::MysqlWorkSession(const ConnectOptions& options,
                                   std::unique_ptr<Connection> connection,
                                   std::shared_ptr<OwnRollbacks> own_rollbacks)
    : options_(options),
      connection_(std::move(connection)),
      identity_(options_),
      own_rollbacks_(std::move(own_rollbacks)) {}

std::variant<std::unique_ptr<MysqlWorkSession>, WorkError> MysqlWorkSession::Open(
    const ConnectOptions& options, std::shared_ptr<OwnRollbacks> own_rollbacks) {
  auto opened = Connection::Open(options, Purpose::kWork);
  if (auto* error = std::get_if<WorkError>(&opened)) return std::move(*error);
  std::unique_ptr<MysqlWorkSession> session(new MysqlWorkSession(
      options, std::move(std::get<std::unique_ptr<Connection>>(opened)), std::move(own_rollbacks)));
  // The client library sets REPEATABLE READ whatever the server's default is.
  const char* isolation =
      session->facts().flavour == Flavour::kMariadb ? "tx_isolation" : "transaction_isolation";
  // The server would give up on the reader of a streamed result after a minute. No transaction
  // lives longer than this.
  constexpr char kPatience[] = "net_write_timeout=3600";
  if (auto error =
          session->connection_->Run("SET SESSION " + std::string(isolation) + "=DEFAULT, " +
                                    SelectLimitSetting() + ", " + kPatience)) {
    WorkError work = ToWorkError(*error, "setting up a session");
    work.session_lost = true;
    return work;
  }
  auto evidence = session->identity_.ReadEvidence(*session->connection_);
  if (!evidence.ok()) {
    // Without it a vote would carry no evidence, and an absence could never be judged.
    Code code = evidence.status().code();
    return WorkError{.cause = code == Code::kUnavailable        ? Cause::kUnavailable
                              : code == Code::kPermissionDenied ? Cause::kPermission
                                                                : Cause::kConfiguration,
                     .detail = evidence.status().message(),
                     .session_lost = true};
  }
  session->evidence_ = *std::move(evidence);
  if (session->AttachedWhenPrepared()) {
    session->evidence_ =
        WithPreparer(session->evidence_, {.connection_id = session->facts().connection_id,
                                          .server_started = session->facts().server_started});
  }
  return session;
}

std::string MysqlWorkSession::LiteralOf() const { return XaLiteral(gid_); }

bool MysqlWorkSession::AttachedWhenPrepared() const {
  return !connection_->facts().detaches_on_prepare;
}

std::optional<SqlError> MysqlWorkSession::ApplyTimeouts(const StartOptions& options) {
  std::string assignments;
  auto assign = [&assignments](const std::string& text) {
    assignments += (assignments.empty() ? "" : ", ") + text;
  };
  std::optional<int64_t> seconds;
  if (options.lock_timeout) {
    constexpr int64_t kSecondsMax = 31'536'000;  // The greatest lock_wait_timeout.
    seconds = std::clamp<int64_t>((options.lock_timeout->count() + 999) / 1000, 1, kSecondsMax);
  }
  if (seconds != lock_timeout_seconds_) {
    std::string value = seconds ? std::to_string(*seconds) : "DEFAULT";
    assign("innodb_lock_wait_timeout=" + value);
    assign("lock_wait_timeout=" + value);  // Metadata locks, as of ALTER TABLE elsewhere.
  }
  if (options_.statement_timeout.count() > 0 && !statement_timeout_set_) {
    if (facts().flavour == Flavour::kMariadb) {
      char value[32];
      std::snprintf(value, sizeof value, "%.3f",
                    static_cast<double>(options_.statement_timeout.count()) / 1000);
      assign(std::string("max_statement_time=") + value);
    } else {
      // Ends SELECT only; for others there is the read time-out of the connection.
      assign("max_execution_time=" + std::to_string(options_.statement_timeout.count()));
    }
  }
  if (assignments.empty()) return std::nullopt;
  if (auto error = connection_->Run("SET SESSION " + assignments)) return error;
  lock_timeout_seconds_ = seconds;
  statement_timeout_set_ = options_.statement_timeout.count() > 0;
  return std::nullopt;
}

std::optional<WorkError> MysqlWorkSession::Start(const Gid& gid, const StartOptions& options) {
  if (connection_->lost()) return SessionLost();
  if (state_ != State::kIdle) {
    return Misuse("XA START of " + ToString(gid) + " while the session still has branch " +
                  ToString(gid_) + (state_ == State::kPrepared ? ", prepared" : ", active"));
  }
  gid_ = gid;
  read_only_ = options.read_only;
  doom_.reset();
  std::optional<SqlError> error;
  if (took_user_locks_) {
    // Locks of GET_LOCK belong to the session, and would outlive their branch.
    error = connection_->Run("DO RELEASE_ALL_LOCKS()");
    took_user_locks_ = error.has_value();
  }
  if (!error) error = ApplyTimeouts(options);
  std::string characteristics = Characteristics(options);
  if (!error && !characteristics.empty()) error = connection_->Run(characteristics);
  if (!error) error = connection_->Run("XA START " + LiteralOf());
  if (!error) {
    state_ = State::kActive;
    return std::nullopt;
  }
  WorkError work = ToWorkError(*error, "XA START " + LiteralOf());
  // Outside of a transaction this does nothing but forget the one-shot SET TRANSACTION, which must
  // not hit the next branch.
  if (!connection_->lost() && connection_->Run("ROLLBACK")) connection_->MarkLost();
  work.session_lost = connection_->lost();
  return work;
}

WorkError MysqlWorkSession::StatementFailed(const std::string& sql, WorkError error, bool dooms) {
  error.session_lost = connection_->lost();
  if ((dooms || error.session_lost) && !doom_) {
    constexpr size_t kShownMax = 200;
    doom_ = Doom{.code = error.code,
                 .detail = "\"" + sql.substr(0, kShownMax) + "\" failed before with " +
                           std::string(CauseName(error.cause)) + ": " + error.detail};
  }
  return error;
}

std::optional<WorkError> MysqlWorkSession::Refuse(const std::string& sql, bool keep_on_error) {
  if (connection_->lost()) return SessionLost();
  if (state_ != State::kActive) return Misuse("no branch is open on this session");
  if (doom_) {
    return WorkError{.cause = Cause::kTransactionFailed,
                     .code = doom_->code,
                     .detail = "the branch can only roll back: " + doom_->detail};
  }
  if (auto refusal = Screen(sql)) {
    return StatementFailed(sql, {.cause = refusal->cause, .detail = refusal->why}, !keep_on_error);
  }
  if (Mentions(sql, "get_lock") || FirstWord(sql) == "CALL") took_user_locks_ = true;
  return std::nullopt;
}

std::optional<WorkError> MysqlWorkSession::Mark(const std::string& sql, bool keep_on_error,
                                                bool* savepoint) {
  *savepoint = keep_on_error && !UndoneByServer(sql);
  if (!*savepoint) return std::nullopt;
  auto error = connection_->Run(std::string("SAVEPOINT ") + kKeepSavepoint);
  if (!error) return std::nullopt;
  return StatementFailed(sql, ToWorkError(*error, "SAVEPOINT"), true);
}

WorkError MysqlWorkSession::Failed(const std::string& sql, const StatementFailure& failure,
                                   bool keep_on_error, bool savepoint) {
  WorkError error = ToWorkError(failure.error, "statement failed");
  // The server goes on after most failures; we don't, so that all databases behave alike.
  bool dooms = !keep_on_error || EndsBranch(failure.error, facts().rollback_on_timeout) ||
               (failure.took_effect && !savepoint);
  if (!dooms && savepoint && !connection_->lost()) {
    dooms = connection_->Run(std::string("ROLLBACK TO SAVEPOINT ") + kKeepSavepoint).has_value();
  }
  return StatementFailed(sql, std::move(error), dooms);
}

void MysqlWorkSession::SetExecuting(bool executing) {
  MutexLock lock(cancel_mutex_);
  executing_ = executing;
}

std::variant<ResultSet, WorkError> MysqlWorkSession::Execute(const std::string& sql,
                                                             const std::vector<Value>& parameters,
                                                             bool keep_on_error) {
  bool savepoint = false;
  if (auto error = Refuse(sql, keep_on_error)) return *std::move(error);
  if (auto error = Mark(sql, keep_on_error, &savepoint)) return *std::move(error);
  std::variant<ResultSet, StatementFailure> answer;
  {
    Executing executing(*this);
    answer = RunStatement(*connection_, sql, parameters);
  }
  if (auto* result = std::get_if<ResultSet>(&answer)) return std::move(*result);
  auto& failure = std::get<StatementFailure>(answer);
  if (failure.too_large) {
    return WorkError{.cause = Cause::kStatementFailed,
                     .code = std::string(CodeName(Code::kOutOfRange)),
                     .detail = failure.error.message};
  }
  return Failed(sql, failure, keep_on_error, savepoint);
}

PrepareAnswer MysqlWorkSession::VoteNo(WorkError error) {
  if (!connection_->lost()) Rollback();
  error.session_lost = connection_->lost();
  return PrepareAnswer{.vote = Vote::kNo, .error = std::move(error)};
}

PrepareAnswer MysqlWorkSession::Prepare() {
  if (connection_->lost()) return VoteNo(SessionLost());
  if (state_ != State::kActive) {
    return PrepareAnswer{.vote = Vote::kNo, .error = Misuse("no branch is open on this session")};
  }
  // The server would prepare a branch with a failed statement and say OK.
  if (doom_ && !MutantOn(Mutant::kFailedTransactionVotesYes)) {
    return VoteNo({.cause = Cause::kTransactionFailed,
                   .code = doom_->code,
                   .detail = "PREPARE of " + ToString(gid_) + ": " + doom_->detail});
  }
  if (statement_timeout_set_ && facts().flavour == Flavour::kMariadb) {
    // A limit for statements must not cut short what follows.
    if (auto error = connection_->Run("SET SESSION max_statement_time=0")) {
      return VoteNo(ToWorkError(*error, "SET SESSION max_statement_time"));
    }
    statement_timeout_set_ = false;
  }
  if (auto error = connection_->Run("XA END " + LiteralOf())) {
    return VoteNo(ToWorkError(*error, "XA END " + LiteralOf()));
  }
  if (read_only_) {
    // Only branches that the server itself kept from writing may vote so (docs/protocols.md, 16).
    // Not prepared at all: a read-only branch would vanish with its session or at a crash.
    if (auto error = connection_->Run("XA ROLLBACK " + LiteralOf())) {
      return VoteNo(ToWorkError(*error, "XA ROLLBACK " + LiteralOf() + " of a read-only branch"));
    }
    state_ = State::kIdle;
    return PrepareAnswer{.vote = Vote::kReadOnly};
  }
  if (auto error = connection_->Run("XA PREPARE " + LiteralOf())) {
    // If the connection was lost, nobody knows; if the branch is prepared, the scan finds it.
    return VoteNo(ToWorkError(*error, "XA PREPARE " + LiteralOf()));
  }
  // OK is the whole proof: unlike PostgreSQL, which answers the PREPARE of a failed transaction
  // with success, these servers answer OK only for a branch that is in the list now. (Tried: a
  // failed statement undone, a victim of a deadlock, another gid, no branch at all.) Asking XA
  // RECOVER would add a privilege and a round trip, and no knowledge.
  state_ = AttachedWhenPrepared() ? State::kPrepared : State::kIdle;
  return PrepareAnswer{.vote = Vote::kYes, .evidence = evidence_};
}

bool MysqlWorkSession::Rollback() {
  if (connection_->lost()) return false;
  if (state_ != State::kActive) return true;
  // XA END fails where it stands ended already, or where the server has rolled the branch back
  // (MariaDB 1399, MySQL 1614 but ended all the same); XA ROLLBACK then tells.
  (void)connection_->Run("XA END " + LiteralOf());
  if (connection_->Run("XA ROLLBACK " + LiteralOf())) {
    // What state the session is in can't be told; closing it rolls back.
    connection_->MarkLost();
    return false;
  }
  state_ = State::kIdle;
  return true;
}

void MysqlWorkSession::Cancel() {
  MutexLock lock(cancel_mutex_);
  if (!executing_) return;
  auto opened = Connection::Open(options_, Purpose::kFinish);
  if (auto* connection = std::get_if<std::unique_ptr<Connection>>(&opened)) {
    (void)(*connection)->Run("KILL QUERY " + std::to_string(facts().connection_id));
  }
}

FinishAnswer MysqlWorkSession::FinishPrepared(Decision decision, const Evidence& evidence,
                                              JournalWord journal) {
  if (connection_->lost()) {
    return FinishAnswer{.finish = Finish::kTransient,
                        .detail = "the session was lost before; use a finish session",
                        .session_lost = true,
                        .no_effect = true};
  }
  if (state_ != State::kPrepared) {
    return FinishAnswer{.finish = Finish::kTransient,
                        .detail =
                            "no prepared branch is attached to this session; use a finish "
                            "session",
                        .no_effect = true};
  }
  FinishAnswer answer =
      FinishBranch({*connection_, identity_, *own_rollbacks_}, Finisher::kPreparer,
                   {.decision = decision, .gid = gid_, .evidence = evidence, .journal = journal});
  bool over = answer.finish != Finish::kTransient && answer.finish != Finish::kRefused;
  if (over) state_ = State::kIdle;
  return answer;
}

}  // namespace assent::adapters::mysql
