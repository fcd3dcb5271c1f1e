#include "participant-agent/server/measured_manager.h"

#include <chrono>
#include <utility>

namespace assent::agent {
namespace {

using adapters::Evidence;
using adapters::FinishAnswer;
using adapters::PrepareAnswer;
using adapters::WorkError;

AnswerClass ClassOf(const WorkError& error) {
  switch (error.cause) {
    case adapters::Cause::kDeadlock:
    case adapters::Cause::kSerialization:
    case adapters::Cause::kLockTimeout:
      return AnswerClass::kConflict;
    case adapters::Cause::kConnectionLost:
    case adapters::Cause::kUnavailable:
    case adapters::Cause::kNotPrimary:
      return AnswerClass::kTransient;
    case adapters::Cause::kPermission:
    case adapters::Cause::kConfiguration:
    case adapters::Cause::kPreparedLimit:
      return AnswerClass::kRefused;
    case adapters::Cause::kNone:
    case adapters::Cause::kStatementFailed:
    case adapters::Cause::kTransactionFailed:
    case adapters::Cause::kReadOnlyViolation:
    case adapters::Cause::kNotPreparable:
    case adapters::Cause::kDuplicateGid:
    case adapters::Cause::kMisuse:
    case adapters::Cause::kNotPrepared:
    case adapters::Cause::kWrongDatabase:
      break;
  }
  return error.session_lost ? AnswerClass::kTransient : AnswerClass::kFailed;
}

AnswerClass ClassOf(const std::optional<WorkError>& error) {
  return error.has_value() ? ClassOf(*error) : AnswerClass::kDone;
}

// Of an opened session, or a result set.
template <typename T>
AnswerClass ClassOf(const std::variant<T, WorkError>& answer) {
  const auto* error = std::get_if<WorkError>(&answer);
  return error != nullptr ? ClassOf(*error) : AnswerClass::kDone;
}

AnswerClass ClassOf(const PrepareAnswer& answer) {
  switch (answer.vote) {
    case adapters::Vote::kYes:
      return AnswerClass::kDone;
    case adapters::Vote::kReadOnly:
      return AnswerClass::kReadOnly;
    case adapters::Vote::kNo:
      break;
  }
  return ClassOf(answer.error);
}

AnswerClass ClassOf(const FinishAnswer& answer) {
  switch (answer.finish) {
    case adapters::Finish::kDone:
      return AnswerClass::kDone;
    case adapters::Finish::kTransient:
      return AnswerClass::kTransient;
    case adapters::Finish::kRefused:
      return AnswerClass::kRefused;
    case adapters::Finish::kHeuristicRollback:
    case adapters::Finish::kHeuristicCommit:
      return AnswerClass::kHeuristic;
    case adapters::Finish::kHazard:
      break;
  }
  return AnswerClass::kHazard;
}

AnswerClass ClassOf(const Status& status) {
  if (status.ok()) return AnswerClass::kDone;
  const bool refused = status.code() == Code::kPermissionDenied ||
                       status.code() == Code::kFailedPrecondition ||
                       status.code() == Code::kInvalidArgument;
  return refused ? AnswerClass::kRefused : AnswerClass::kTransient;
}

template <typename T>
AnswerClass ClassOf(const Result<T>& result) {
  return ClassOf(result.ok() ? Ok() : result.status());
}

AnswerClass ClassOf(bool done) { return done ? AnswerClass::kDone : AnswerClass::kTransient; }

// Calls `ask`, counts its answer, and returns it.
template <typename Ask>
auto Measure(ResourceMetrics& metrics, Verb verb, Ask&& ask) {
  const auto begin = std::chrono::steady_clock::now();
  auto answer = ask();
  metrics.Count(verb, ClassOf(answer), std::chrono::steady_clock::now() - begin);
  return answer;
}

class MeasuredWorkSession final : public adapters::WorkSession {
 public:
  MeasuredWorkSession(std::unique_ptr<WorkSession> session, ResourceMetrics& metrics)
      : session_(std::move(session)), metrics_(metrics) {}

  std::optional<WorkError> Start(const Gid& gid, const adapters::StartOptions& options) override {
    return Measure(metrics_, Verb::kStart, [&] { return session_->Start(gid, options); });
  }
  std::variant<adapters::ResultSet, WorkError> Execute(
      const std::string& sql, const std::vector<adapters::Value>& parameters,
      bool keep_on_error) override {
    return Measure(metrics_, Verb::kExecute,
                   [&] { return session_->Execute(sql, parameters, keep_on_error); });
  }
  Result<adapters::StatementResult> ExecuteStreamed(const adapters::Statement& statement,
                                                    adapters::RowSink& sink) override {
    return Measure(metrics_, Verb::kExecute,
                   [&] { return session_->ExecuteStreamed(statement, sink); });
  }
  PrepareAnswer Prepare() override {
    return Measure(metrics_, Verb::kPrepare, [&] { return session_->Prepare(); });
  }
  bool Rollback() override {
    return Measure(metrics_, Verb::kRollback, [&] { return session_->Rollback(); });
  }
  void Cancel() override { session_->Cancel(); }
  bool AttachedWhenPrepared() const override { return session_->AttachedWhenPrepared(); }
  FinishAnswer FinishPrepared(adapters::Decision decision, const Evidence& evidence,
                              adapters::JournalWord journal) override {
    return Measure(metrics_,
                   decision == adapters::Decision::kCommit ? Verb::kCommit : Verb::kRollback,
                   [&] { return session_->FinishPrepared(decision, evidence, journal); });
  }

 private:
  const std::unique_ptr<WorkSession> session_;
  ResourceMetrics& metrics_;
};

class MeasuredFinishSession final : public adapters::FinishSession {
 public:
  MeasuredFinishSession(std::unique_ptr<FinishSession> session, ResourceMetrics& metrics)
      : session_(std::move(session)), metrics_(metrics) {}

  FinishAnswer Commit(const Gid& gid, const Evidence& evidence,
                      adapters::JournalWord journal) override {
    return Measure(metrics_, Verb::kCommit,
                   [&] { return session_->Commit(gid, evidence, journal); });
  }
  FinishAnswer Rollback(const Gid& gid, const Evidence& evidence) override {
    return Measure(metrics_, Verb::kRollback, [&] { return session_->Rollback(gid, evidence); });
  }
  Result<std::vector<adapters::PreparedBranch>> Recover() override {
    return Measure(metrics_, Verb::kRecover, [&] { return session_->Recover(); });
  }
  Result<std::vector<PrepareAnswer>> LookUp(
      const std::vector<adapters::AppHeldBranch>& branches) override {
    return Measure(metrics_, Verb::kLookUp, [&] { return session_->LookUp(branches); });
  }
  Evidence SessionEvidence(const adapters::AppHeldBranch& branch) override {
    return session_->SessionEvidence(branch);
  }
  Status CheckRole(const std::string& role) override { return session_->CheckRole(role); }

 private:
  const std::unique_ptr<FinishSession> session_;
  ResourceMetrics& metrics_;
};

class MeasuredManager final : public adapters::ResourceManager {
 public:
  MeasuredManager(std::unique_ptr<ResourceManager> manager, ResourceMetrics& metrics)
      : manager_(std::move(manager)), metrics_(metrics) {}

  std::variant<std::unique_ptr<adapters::WorkSession>, WorkError> OpenWorkSession() override {
    return Opened<MeasuredWorkSession, adapters::WorkSession>(
        Measure(metrics_, Verb::kConnect, [&] { return manager_->OpenWorkSession(); }));
  }
  std::variant<std::unique_ptr<adapters::FinishSession>, WorkError> OpenFinishSession() override {
    return Opened<MeasuredFinishSession, adapters::FinishSession>(
        Measure(metrics_, Verb::kConnect, [&] { return manager_->OpenFinishSession(); }));
  }
  Result<std::string> Identity() override { return manager_->Identity(); }
  Result<adapters::ProbeReport> Probe() override {
    return Measure(metrics_, Verb::kProbe, [&] { return manager_->Probe(); });
  }
  ManualSql HandSql(const Gid& gid) const override { return manager_->HandSql(gid); }

 private:
  template <typename MeasuredSession, typename Session>
  std::variant<std::unique_ptr<Session>, WorkError> Opened(
      std::variant<std::unique_ptr<Session>, WorkError> opened) {
    auto* session = std::get_if<std::unique_ptr<Session>>(&opened);
    if (session == nullptr) return opened;
    return std::make_unique<MeasuredSession>(std::move(*session), metrics_);
  }

  const std::unique_ptr<ResourceManager> manager_;
  ResourceMetrics& metrics_;
};

}  // namespace

std::unique_ptr<adapters::ResourceManager> Measured(
    std::unique_ptr<adapters::ResourceManager> manager, ResourceMetrics& metrics) {
  return std::make_unique<MeasuredManager>(std::move(manager), metrics);
}

}  // namespace assent::agent
