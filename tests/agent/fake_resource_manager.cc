#include "tests/agent/fake_resource_manager.h"

#include <algorithm>
#include <sstream>
#include <utility>

#include "adapters/common/xid.h"

namespace assent::agent {

using adapters::Cause;
using adapters::Decision;
using adapters::Evidence;
using adapters::Finish;
using adapters::FinishAnswer;
using adapters::JournalWord;
using adapters::PrepareAnswer;
using adapters::ResultSet;
using adapters::StartOptions;
using adapters::Value;
using adapters::WorkError;

namespace {

WorkError Lost() {
  return {.cause = Cause::kConnectionLost,
          .code = "08006",
          .detail = "the connection was lost",
          .session_lost = true};
}

WorkError Down() {
  return {.cause = Cause::kUnavailable, .code = "08001", .detail = "connection refused"};
}

PrepareAnswer No(WorkError error) {
  return {.vote = adapters::Vote::kNo, .evidence = "", .error = std::move(error)};
}

}  // namespace

class FakeWorkSession final : public adapters::WorkSession {
 public:
  FakeWorkSession(FakeDatabase& db, uint64_t restarts) : db_(db), restarts_(restarts) {}
  ~FakeWorkSession() override {
    MutexLock lock(db_.mutex_);
    --db_.sessions_;
    for (auto& [gid, prepared] : db_.prepared_) {
      if (prepared.session == this) prepared.session = nullptr;
    }
  }

  std::optional<WorkError> Start(const Gid& gid, const StartOptions& options) override {
    MutexLock lock(db_.mutex_);
    if (IsLost()) return Lost();
    ++db_.counts_[gid].starts;
    if (db_.fail_starts_ > 0) {
      --db_.fail_starts_;
      return db_.start_error_;
    }
    gid_ = gid;
    read_only_ = options.read_only;
    failed_ = false;
    effects_.clear();
    cancelled_ = false;
    return std::nullopt;
  }

  std::variant<ResultSet, WorkError> Execute(const std::string& sql, const std::vector<Value>&,
                                             bool keep_on_error) override {
    MutexLock lock(db_.mutex_);
    if (sql == "lose") restarts_ = UINT64_MAX;
    if (IsLost()) return Lost();
    if (sql == "block") return Block();
    if (sql == "fail" || sql == "deadlock") {
      failed_ = failed_ || !keep_on_error || sql == "deadlock";
      return WorkError{.cause = sql == "fail" ? Cause::kStatementFailed : Cause::kDeadlock,
                       .code = sql == "fail" ? "42601" : "40P01",
                       .detail = "told to " + sql};
    }
    if (sql == "select") return ResultSet{{{"n", "int4"}}, {{int64_t{42}}}, 1};
    if (sql == "bulk") return ResultSet{{{"text", "text"}}, {{std::string(4 << 20, 'x')}}, 0};
    if (sql.starts_with("write ")) effects_.push_back(sql.substr(6));
    ResultSet result;
    result.rows_affected = 1;
    return result;
  }

  // "stream <rows> <bytes of each>"; all else comes at once.
  Result<adapters::StatementResult> ExecuteStreamed(const adapters::Statement& statement,
                                                    adapters::RowSink& sink) override {
    uint64_t rows = 0;
    size_t bytes = 0;
    std::istringstream words(statement.sql);
    std::string verb;
    words >> verb >> rows >> bytes;
    if (verb != "stream") return WorkSession::ExecuteStreamed(statement, sink);
    {
      MutexLock lock(db_.mutex_);
      cancelled_ = false;
    }
    adapters::StatementResult result;
    if (!sink.Columns({{"n", "int8"}, {"text", "text"}})) return result;
    for (uint64_t n = 0; n < rows; ++n) {
      {
        MutexLock lock(db_.mutex_);
        ++db_.rows_given_;
        if (cancelled_) {
          result.error =
              WorkError{.cause = Cause::kStatementFailed, .code = "57014", .detail = "cancelled"};
          return result;
        }
      }
      if (!sink.Row({static_cast<int64_t>(n), std::string(bytes, 'x')})) break;
      ++result.rows_affected;
    }
    return result;
  }

  PrepareAnswer Prepare() override {
    MutexLock lock(db_.mutex_);
    if (IsLost()) return No(Lost());
    ++db_.counts_[gid_].prepares;
    if (db_.fail_prepares_ > 0) {
      --db_.fail_prepares_;
      return No(db_.prepare_error_);
    }
    if (failed_) return No({.cause = Cause::kTransactionFailed, .code = "", .detail = "failed"});
    if (read_only_) return {.vote = adapters::Vote::kReadOnly, .evidence = "", .error = {}};
    db_.prepared_[gid_] = {.effects = effects_, .session = db_.attached_ ? this : nullptr};
    return {.vote = adapters::Vote::kYes, .evidence = "fake=1", .error = {}};
  }

  bool Rollback() override {
    MutexLock lock(db_.mutex_);
    effects_.clear();
    return !IsLost();
  }

  void Cancel() override {
    MutexLock lock(db_.mutex_);
    if (db_.lose_cancels_ > 0) {
      --db_.lose_cancels_;
      return;
    }
    cancelled_ = true;
    db_.changed_.NotifyAll();
  }

  bool AttachedWhenPrepared() const override {
    MutexLock lock(db_.mutex_);
    return db_.attached_;
  }

  FinishAnswer FinishPrepared(Decision decision, const Evidence& evidence,
                              JournalWord word) override {
    {
      MutexLock lock(db_.mutex_);
      if (IsLost()) return {.finish = Finish::kTransient, .detail = "lost", .session_lost = true};
    }
    return db_.Finish(gid_, decision == Decision::kCommit, this, evidence, word);
  }

 private:
  bool IsLost() REQUIRES(db_.mutex_) { return db_.down_ || restarts_ != db_.restarts_; }

  std::variant<ResultSet, WorkError> Block() REQUIRES(db_.mutex_) {
    const uint64_t before = db_.let_go_;
    ++db_.blocked_;
    db_.changed_.NotifyAll();
    while (!cancelled_ && db_.let_go_ == before && !IsLost()) db_.changed_.Wait(db_.mutex_);
    --db_.blocked_;
    if (IsLost()) return Lost();
    if (!cancelled_) return ResultSet{};
    failed_ = true;
    return WorkError{.cause = Cause::kStatementFailed, .code = "57014", .detail = "cancelled"};
  }

  FakeDatabase& db_;
  uint64_t restarts_;
  Gid gid_;
  bool read_only_ = false;
  bool failed_ = false;
  bool cancelled_ = false;
  std::vector<std::string> effects_;
};

class FakeFinishSession final : public adapters::FinishSession {
 public:
  FakeFinishSession(FakeDatabase& db, uint64_t restarts, std::string cluster, std::string resource)
      : db_(db),
        restarts_(restarts),
        cluster_(std::move(cluster)),
        resource_(std::move(resource)) {}

  FinishAnswer Commit(const Gid& gid, const Evidence& evidence, JournalWord word) override {
    return Finished(gid, true, evidence, word);
  }
  FinishAnswer Rollback(const Gid& gid, const Evidence& evidence) override {
    return Finished(gid, false, evidence, JournalWord::kNothing);
  }
  Result<std::vector<adapters::PreparedBranch>> Recover() override {
    MutexLock lock(db_.mutex_);
    if (IsLost()) return Unavailable("connection refused");
    std::vector<adapters::PreparedBranch> listed;
    for (const auto& [gid, prepared] : db_.prepared_) {
      if (adapters::IsOurs(gid, cluster_, resource_)) listed.push_back({gid, "fake=1", {}});
    }
    return listed;
  }
  Result<std::vector<PrepareAnswer>> LookUp(
      const std::vector<adapters::AppHeldBranch>& branches) override {
    MutexLock lock(db_.mutex_);
    ++db_.look_counts_.looks;
    db_.look_counts_.largest = std::max(db_.look_counts_.largest, branches.size());
    db_.looking_ = true;
    db_.changed_.NotifyAll();
    while (db_.hold_looks_ && !IsLost()) db_.changed_.Wait(db_.mutex_);
    db_.looking_ = false;
    if (IsLost()) return Unavailable("connection refused");
    if (db_.fail_looks_ > 0) {
      --db_.fail_looks_;
      return db_.look_error_;
    }
    std::vector<PrepareAnswer> votes;
    for (const adapters::AppHeldBranch& branch : branches) {
      if (db_.prepared_.contains(branch.gid)) {
        votes.push_back({.vote = adapters::Vote::kYes,
                         .evidence = "fake=1 " + FakeDatabase::EvidenceOf(branch),
                         .error = {}});
      } else {
        votes.push_back(No({.cause = Cause::kNotPrepared, .code = "", .detail = "not listed"}));
      }
    }
    return votes;
  }
  Evidence SessionEvidence(const adapters::AppHeldBranch& branch) override {
    return FakeDatabase::EvidenceOf(branch);
  }
  Status CheckRole(const std::string& role) override {
    MutexLock lock(db_.mutex_);
    ++db_.look_counts_.role_checks;
    if (IsLost()) return Unavailable("connection refused");
    if (db_.roles_.contains(role)) return Ok();
    return InvalidArgument("not a member: GRANT " + role + " TO assent");
  }

 private:
  bool IsLost() REQUIRES(db_.mutex_) { return db_.down_ || restarts_ != db_.restarts_; }
  FinishAnswer Finished(const Gid& gid, bool commit, const Evidence& evidence, JournalWord word) {
    {
      MutexLock lock(db_.mutex_);
      if (IsLost()) {
        return {.finish = Finish::kTransient, .detail = "connection lost", .session_lost = true};
      }
    }
    return db_.Finish(gid, commit, nullptr, evidence, word);
  }

  FakeDatabase& db_;
  const uint64_t restarts_;
  const std::string cluster_;
  const std::string resource_;
};

class FakeManager final : public adapters::ResourceManager {
 public:
  FakeManager(FakeDatabase& db, std::string cluster, std::string resource)
      : db_(db), cluster_(std::move(cluster)), resource_(std::move(resource)) {}

  std::variant<std::unique_ptr<adapters::WorkSession>, WorkError> OpenWorkSession() override {
    MutexLock lock(db_.mutex_);
    if (db_.down_) return Down();
    ++db_.sessions_;
    return std::make_unique<FakeWorkSession>(db_, db_.restarts_);
  }
  std::variant<std::unique_ptr<adapters::FinishSession>, WorkError> OpenFinishSession() override {
    MutexLock lock(db_.mutex_);
    if (db_.down_) return Down();
    return std::make_unique<FakeFinishSession>(db_, db_.restarts_, cluster_, resource_);
  }
  Result<std::string> Identity() override {
    MutexLock lock(db_.mutex_);
    if (db_.down_) return Unavailable("connection refused");
    return db_.report_.identity;
  }
  Result<adapters::ProbeReport> Probe() override {
    MutexLock lock(db_.mutex_);
    if (db_.down_) return Unavailable("connection refused");
    return db_.report_;
  }
  ManualSql HandSql(const Gid& gid) const override {
    return {"inspect " + ToString(gid), "commit " + ToString(gid), "rollback " + ToString(gid)};
  }

 private:
  FakeDatabase& db_;
  const std::string cluster_;
  const std::string resource_;
};

// Who holds it, and whether it may end it by itself: "conn=7 app=finishes".
Evidence FakeDatabase::EvidenceOf(const adapters::AppHeldBranch& branch) {
  return "conn=" + branch.connection_id + (branch.finished_by_app ? " app=finishes" : " app=holds");
}

FinishAnswer FakeDatabase::Finish(const Gid& gid, bool commit, const void* session,
                                  const Evidence& evidence, JournalWord word) {
  MutexLock lock(mutex_);
  if (commit && fail_commits_ > 0) {
    --fail_commits_;
    return commit_answer_;
  }
  auto it = prepared_.find(gid);
  if (it == prepared_.end()) {
    if (commit && word != JournalWord::kNothing) return {.finish = Finish::kDone};
    if (evidence.find("app=finishes") != std::string::npos) return {.finish = Finish::kDone};
    return {.finish = Finish::kHazard, .code = "42704", .detail = "no such prepared branch"};
  }
  PreparedState& prepared = it->second;
  if (prepared.app != 0 &&
      evidence.find("conn=" + std::to_string(prepared.app) + " ") != std::string::npos) {
    connected_.erase(prepared.app);
    prepared.app = 0;
  }
  if (prepared.app != 0 || (prepared.session != nullptr && prepared.session != session)) {
    return {.finish = Finish::kTransient, .code = "1397", .detail = "attached to its session"};
  }
  ++(commit ? counts_[gid].commits : counts_[gid].rollbacks);
  if (commit) effects_.insert(prepared.effects.begin(), prepared.effects.end());
  prepared_.erase(it);
  if (commit && lose_commit_answers_ > 0) {
    --lose_commit_answers_;
    return {.finish = Finish::kTransient, .detail = "answer lost", .session_lost = true};
  }
  return {.finish = Finish::kDone};
}

uint64_t FakeDatabase::AppConnect() {
  MutexLock lock(mutex_);
  connected_.insert(++apps_);
  return apps_;
}

bool FakeDatabase::AppConnected(uint64_t id) {
  MutexLock lock(mutex_);
  return connected_.contains(id);
}

void FakeDatabase::AppPrepare(uint64_t id, const Gid& gid, const std::string& effect) {
  MutexLock lock(mutex_);
  ++counts_[gid].prepares;
  prepared_[gid] = {.effects = {effect}, .app = attached_ ? id : 0};
}

bool FakeDatabase::AppFinish(uint64_t id, const Gid& gid, bool commit) {
  MutexLock lock(mutex_);
  auto it = prepared_.find(gid);
  if (it == prepared_.end() || !connected_.contains(id)) return false;
  if (commit) effects_.insert(it->second.effects.begin(), it->second.effects.end());
  prepared_.erase(it);
  return true;
}

FakeDatabase::LookCounts FakeDatabase::look_counts() {
  MutexLock lock(mutex_);
  return look_counts_;
}

void FakeDatabase::HoldLooks(bool hold) {
  MutexLock lock(mutex_);
  hold_looks_ = hold;
  changed_.NotifyAll();
}

bool FakeDatabase::looking() {
  MutexLock lock(mutex_);
  return looking_;
}

void FakeDatabase::FailLooks(int count, Status status) {
  MutexLock lock(mutex_);
  fail_looks_ = count;
  look_error_ = std::move(status);
}

void FakeDatabase::AllowRole(const std::string& role) {
  MutexLock lock(mutex_);
  roles_.insert(role);
}

uint64_t FakeDatabase::rows_given() {
  MutexLock lock(mutex_);
  return rows_given_;
}

void FakeDatabase::SetAttached(bool attached) {
  MutexLock lock(mutex_);
  attached_ = attached;
  report_.ties_prepared = attached;
}

void FakeDatabase::SetDown(bool down) {
  MutexLock lock(mutex_);
  down_ = down;
  if (down) {
    ++restarts_;
    for (auto& [gid, prepared] : prepared_) prepared = {.effects = std::move(prepared.effects)};
    connected_.clear();
  }
  changed_.NotifyAll();
}

void FakeDatabase::FailPrepares(int count, WorkError error) {
  MutexLock lock(mutex_);
  fail_prepares_ = count;
  prepare_error_ = std::move(error);
}

void FakeDatabase::FailStarts(int count, WorkError error) {
  MutexLock lock(mutex_);
  fail_starts_ = count;
  start_error_ = std::move(error);
}

void FakeDatabase::FailCommits(int count, FinishAnswer answer) {
  MutexLock lock(mutex_);
  fail_commits_ = count;
  commit_answer_ = std::move(answer);
}

void FakeDatabase::LoseCommitAnswers(int count) {
  MutexLock lock(mutex_);
  lose_commit_answers_ = count;
}

void FakeDatabase::LoseCancels(int count) {
  MutexLock lock(mutex_);
  lose_cancels_ = count;
}

void FakeDatabase::SetReport(adapters::ProbeReport report) {
  MutexLock lock(mutex_);
  report_ = std::move(report);
}

void FakeDatabase::LetGo() {
  MutexLock lock(mutex_);
  ++let_go_;
  changed_.NotifyAll();
}

void FakeDatabase::PutPrepared(const Gid& gid) {
  MutexLock lock(mutex_);
  prepared_[gid] = {.effects = {ToString(gid)}, .session = nullptr};
}

void FakeDatabase::TakePrepared(const Gid& gid) {
  MutexLock lock(mutex_);
  prepared_.erase(gid);
}

std::set<std::string> FakeDatabase::Effects() {
  MutexLock lock(mutex_);
  return effects_;
}

std::vector<Gid> FakeDatabase::Prepared() {
  MutexLock lock(mutex_);
  std::vector<Gid> gids;
  for (const auto& [gid, prepared] : prepared_) gids.push_back(gid);
  return gids;
}

FakeDatabase::Counts FakeDatabase::CountsOf(const Gid& gid) {
  MutexLock lock(mutex_);
  return counts_[gid];
}

int FakeDatabase::blocked() {
  MutexLock lock(mutex_);
  return blocked_;
}

int FakeDatabase::sessions() {
  MutexLock lock(mutex_);
  return sessions_;
}

std::unique_ptr<adapters::ResourceManager> FakeDatabase::MakeManager(const std::string& cluster,
                                                                     const std::string& resource) {
  return std::make_unique<FakeManager>(*this, cluster, resource);
}

}  // namespace assent::agent
