#include "participant-agent/server/work_session.h"

#include <utility>

#include "base/failpoint.h"
#include "participant-agent/server/convert.h"

namespace assent::agent {
namespace {

constexpr size_t kTasksMax = 16;  // The driver gives one at a time; the rest is for closing.

// Whether a failure that the caller wanted to survive ends the branch all the same: these undo the
// whole transaction in at least one of the databases, so they do everywhere.
bool EndsTransaction(const adapters::WorkError& error) {
  return error.session_lost || error.cause == adapters::Cause::kDeadlock ||
         error.cause == adapters::Cause::kSerialization ||
         error.cause == adapters::Cause::kTransactionFailed ||
         error.cause == adapters::Cause::kConnectionLost;
}

// Fills in what a failed statement left.
void Failed(const adapters::WorkError& error, bool doomed, v1::StatementResult* result,
            WorkDone* done) {
  v1::StatementError* out = result->mutable_error();
  out->set_cause(ToProto(FromAdapter(error.cause)));
  out->set_database_code(error.code);
  out->set_message(error.detail);
  out->set_branch_doomed(doomed);
  if (doomed) done->failure = FromAdapter(error);
  done->session_lost = error.session_lost;
}

}  // namespace

SessionThread::SessionThread(adapters::ResourceManager& manager, EventInbox& driver)
    : manager_(manager), driver_(driver), tasks_(kTasksMax), thread_([this] { Run(); }) {}

SessionThread::~SessionThread() {
  Stop();
  thread_.join();
}

void SessionThread::Stop() {
  tasks_.Close();
  MutexLock lock(mutex_);
  stopping_ = true;
  if (running_.has_value()) CancelWork();
}

bool SessionThread::Interrupt(const Gid& gid) {
  // The lock keeps the task from ending, and with it the next branch from beginning, until the
  // cancel has been delivered: it must never hit another branch.
  MutexLock lock(mutex_);
  if (running_ != gid) return false;
  CancelWork();
  return true;
}

void SessionThread::CancelWork() {
  if (session_ != nullptr) session_->Cancel();
  if (stream_ != nullptr) stream_->Abandon();  // It may wait for its reader.
}

void SessionThread::SetRunning(const std::optional<Gid>& gid, std::shared_ptr<RowStream> stream) {
  MutexLock lock(mutex_);
  running_ = gid;
  stream_ = std::move(stream);
}

void SessionThread::CloseSession() {
  std::unique_ptr<adapters::WorkSession> closing;
  {
    MutexLock lock(mutex_);
    closing = std::move(session_);
  }
}

void SessionThread::Run() {
  while (true) {
    std::vector<Task> tasks = tasks_.Drain();
    if (tasks.empty()) break;
    for (const Task& task : tasks) {
      {
        MutexLock lock(mutex_);
        if (stopping_) break;
      }
      std::visit([this](const auto& t) { Perform(t); }, task);
    }
  }
  CloseSession();
}

std::optional<adapters::WorkError> SessionThread::Begin(const StartTask& task) {
  // A connection that waited idle may be dead without knowing it; a fresh one is worth one try,
  // since nothing was done yet.
  for (bool fresh = session_ == nullptr;; fresh = true) {
    if (session_ == nullptr) {
      auto opened = manager_.OpenWorkSession();
      if (auto* error = std::get_if<adapters::WorkError>(&opened)) return *error;
      MutexLock lock(mutex_);
      session_ = std::get<std::unique_ptr<adapters::WorkSession>>(std::move(opened));
    }
    auto error = session_->Start(task.gid, task.options);
    if (!error.has_value()) return std::nullopt;
    if (error->session_lost) CloseSession();
    if (!error->session_lost || fresh) return error;
  }
}

bool SessionThread::RunStatements(const Statements& statements, WorkDone* done) {
  std::vector<adapters::Value> parameters;
  size_t bytes = 0;
  bool all_succeeded = true;
  for (const v1::Statement& statement : statements) {
    parameters.clear();
    for (const v1::Value& value : statement.parameters()) parameters.push_back(FromProto(value));
    auto answer = session_->Execute(statement.sql(), parameters, statement.keep_on_error());
    v1::StatementResult& result = done->results.emplace_back();
    if (auto* rows = std::get_if<adapters::ResultSet>(&answer)) {
      ToProto(std::move(*rows), &result);
      bytes += result.ByteSizeLong();
      if (bytes <= kReplyBytesMax) continue;
      result.Clear();
      answer = adapters::WorkError{.cause = adapters::Cause::kStatementFailed,
                                   .code = std::string(CodeName(Code::kOutOfRange)),
                                   .detail = "the results of this call have more than " +
                                             std::to_string(kReplyBytesMax) +
                                             " bytes together: send the statements one by one"};
    }
    const auto& error = std::get<adapters::WorkError>(answer);
    Failed(error, !statement.keep_on_error() || EndsTransaction(error), &result, done);
    all_succeeded = false;
    break;
  }
  ASSENT_FAILPOINT("agent.execute.after");
  return all_succeeded;
}

void SessionThread::RunStreamed(RowStream& stream, WorkDone* done) {
  const v1::Statement& asked = stream.request().statements(0);
  adapters::Statement statement{.sql = asked.sql(), .keep_on_error = asked.keep_on_error()};
  for (const v1::Value& value : asked.parameters()) {
    statement.parameters.push_back(FromProto(value));
  }
  auto answer = session_->ExecuteStreamed(statement, stream);
  v1::StatementResult& result = done->results.emplace_back();
  std::optional<adapters::WorkError> error;
  if (answer.ok()) {
    result.set_rows_affected(answer->rows_affected);
    error = std::move(answer->error);
  } else {
    error = adapters::WorkError{.cause = adapters::Cause::kStatementFailed,
                                .code = std::string(CodeName(answer.status().code())),
                                .detail = answer.status().message()};
  }
  if (error.has_value()) {
    Failed(*error, !asked.keep_on_error() || EndsTransaction(*error), &result, done);
  }
  // Whatever became of the statement: who wanted its rows did not get them, nor will.
  if (auto stopped = stream.WhyStopped()) {
    Failed({.cause = adapters::Cause::kStatementFailed,
            .code = stopped->code,
            .detail = stopped->message,
            .session_lost = done->session_lost},
           true, &result, done);
  }
  ASSENT_FAILPOINT("agent.execute.after");
}

PrepareAnswered SessionThread::Prepare() {
  ASSENT_FAILPOINT("agent.prepare.before");
  adapters::PrepareAnswer answer = session_->Prepare();
  ASSENT_FAILPOINT("agent.prepare.after");
  PrepareAnswered prepared{.vote = FromAdapter(answer.vote),
                           .evidence = std::move(answer.evidence),
                           .refusal = FromAdapter(answer.error),
                           .session_lost = answer.error.session_lost,
                           .attached = session_->AttachedWhenPrepared()};
  if (prepared.session_lost) CloseSession();
  return prepared;
}

void SessionThread::Perform(const StartTask& task) {
  WorkDone done{.gid = task.gid, .starting = true};
  bool succeeded = true;
  SetRunning(task.gid);
  if (auto error = Begin(task)) {
    done.start_refusal = FromAdapter(*error);
    done.failure = done.start_refusal;
    done.session_lost = session_ == nullptr;
    succeeded = false;
  } else if (!task.statements->empty()) {
    succeeded = RunStatements(*task.statements, &done);
  }
  SetRunning(std::nullopt);  // A prepare is not interrupted.
  if (done.session_lost) CloseSession();
  if (task.prepare && succeeded) done.prepared = Prepare();
  driver_.Post(std::move(done));
}

void SessionThread::Perform(const RunTask& task) {
  WorkDone done{.gid = task.gid};
  SetRunning(task.gid);
  const bool succeeded = RunStatements(*task.statements, &done);
  SetRunning(std::nullopt);
  if (done.session_lost) CloseSession();
  if (task.prepare && succeeded) done.prepared = Prepare();
  driver_.Post(std::move(done));
}

void SessionThread::Perform(const StreamTask& task) {
  WorkDone done{.gid = task.gid};
  SetRunning(task.gid, task.stream);
  RunStreamed(*task.stream, &done);
  SetRunning(std::nullopt);
  if (done.session_lost) CloseSession();
  driver_.Post(std::move(done));
}

void SessionThread::Perform(const PrepareTask& task) {
  driver_.Post(PrepareDone{.gid = task.gid, .answer = Prepare()});
}

void SessionThread::Perform(const RollBackTask& task) {
  const bool kept = session_ != nullptr && session_->Rollback();
  if (!kept) CloseSession();
  driver_.Post(RollbackDone{.gid = task.gid, .session_lost = !kept});
}

void SessionThread::Perform(const FinishTask& task) {
  const bool commit = task.action.decision == Decision::kCommit;
  if (commit) ASSENT_FAILPOINT("agent.commit.before");
  adapters::FinishAnswer answer = session_->FinishPrepared(
      ToAdapter(task.action.decision), task.action.evidence, ToAdapter(task.action.word));
  if (commit) ASSENT_FAILPOINT("agent.commit.after");
  // Unless it is done, the connection is closed: that is what lets another session finish it.
  const bool lost = answer.session_lost || answer.finish != adapters::Finish::kDone;
  if (lost) CloseSession();
  driver_.Post(FinishDone{.gid = task.gid,
                          .answer = {.finish = FromAdapter(answer.finish),
                                     .detail = std::move(answer.detail),
                                     .on_session = true,
                                     .session_lost = lost,
                                     .no_effect = answer.no_effect}});
}

void SessionThread::Perform(const CloseTask&) { CloseSession(); }

SessionPool::SessionPool(adapters::ResourceManager& manager, EventInbox& driver,
                         size_t sessions_max)
    : manager_(manager), driver_(driver), sessions_max_(sessions_max), interrupts_(sessions_max) {
  interrupter_ = std::thread([this] { RunInterrupts(); });
}

void SessionPool::RunInterrupts() {
  std::vector<InterruptTask> owed;
  while (true) {
    std::vector<InterruptTask> tasks =
        owed.empty() ? interrupts_.Drain()
                     : interrupts_.DrainUntil(std::chrono::steady_clock::now() + kInterruptAgain);
    if (tasks.empty() && interrupts_.closed()) return;
    owed.insert(owed.end(), tasks.begin(), tasks.end());
    std::erase_if(owed,
                  [](const InterruptTask& task) { return !task.session->Interrupt(task.gid); });
  }
}

SessionPool::~SessionPool() {
  interrupts_.Close();
  interrupter_.join();
  Stop();  // All at once, so that their ends are awaited together.
}

void SessionPool::Stop() {
  for (auto& session : all_) session->Stop();
}

SessionThread* SessionPool::Acquire() {
  if (!idle_.empty()) {
    SessionThread* session = idle_.back();
    idle_.pop_back();
    return session;
  }
  if (all_.size() >= sessions_max_) return nullptr;
  return all_.emplace_back(std::make_unique<SessionThread>(manager_, driver_)).get();
}

void SessionPool::Interrupt(SessionThread* session, const Gid& gid) {
  interrupts_.Post({.session = session, .gid = gid});
}

}  // namespace assent::agent
