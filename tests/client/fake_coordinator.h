// A coordinator that misbehaves on request. It asks no agent: whatever is prepared or not, Commit
// commits unless a test says otherwise.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "assent/v1/transaction_service.grpc.pb.h"
#include "tests/client/fake_services.h"

namespace assent::client {

// The SQL of an app-held branch: of PostgreSQL, or of MariaDB for resources that end in "_my".
inline v1::BranchStatements FakeStatements(const std::string& resource, const std::string& gid) {
  v1::BranchStatements sql;
  if (resource.ends_with("_my")) {
    sql.add_begin("XA START " + gid);
    sql.add_prepare("XA END " + gid);
    sql.add_prepare("XA PREPARE " + gid);
    sql.add_abandon("XA END " + gid);
    sql.add_abandon("XA ROLLBACK " + gid);
    sql.set_commit("XA COMMIT " + gid);
    sql.set_rollback("XA ROLLBACK " + gid);
  } else {
    sql.add_begin("BEGIN");
    sql.add_prepare("PREPARE " + gid);
    sql.add_abandon("ROLLBACK");
    sql.set_commit("COMMIT " + gid);
    sql.set_rollback("ROLLBACK " + gid);
  }
  return sql;
}

// Of the agent that may open the branches of Begin.
inline constexpr uint64_t kFakeIncarnation = 4711;

inline std::string FakeKind(const std::string& resource) {
  return resource.ends_with("_my") ? "mariadb" : "postgresql";
}

class FakeCoordinator final : public v1::TransactionService::Service {
 public:
  Script script;

  grpc::Status Begin(grpc::ServerContext* context, const v1::BeginRequest* request,
                     v1::BeginReply* reply) override {
    Step step = script.Next("Begin", request->client_key());
    if (auto refusal = Refusal(step, script, context); !refusal.ok()) return refusal;
    MutexLock lock(mutex_);
    if (committed_keys_.contains(request->client_key())) {
      reply->set_gtrid(committed_keys_[request->client_key()]);
      reply->set_outcome(v1::OUTCOME_COMMITTED);
      return grpc::Status::OK;
    }
    reply->set_gtrid("g-" + std::to_string(++begun_));
    reply->set_remaining_ms(request->timeout_ms() == 0 ? 60'000 : request->timeout_ms());
    if (step == Step::kServe) Finished(request->finished());
    for (const v1::BranchRequest& wanted : request->branches()) {
      v1::RegisteredBranch* branch = reply->add_branches();
      branch->set_resource(wanted.resource());
      if (wanted.resource() == "served_twice") continue;
      branch->set_gid(reply->gtrid() + "/" + std::to_string(reply->branches_size()));
      branch->set_kind(FakeKind(wanted.resource()));
      if (!wanted.has_app_held()) {
        branch->set_agent_incarnation(kFakeIncarnation);
        continue;
      }
      *branch->mutable_statements() = FakeStatements(wanted.resource(), branch->gid());
      if (wanted.app_held().finisher() == v1::FINISHER_APP) {
        left_to_app_[reply->gtrid()][branch->gid()] = branch->resource();
      }
      app_held_.push_back(wanted.app_held());
    }
    if (!request->client_key().empty()) keys_[reply->gtrid()] = request->client_key();
    return step == Step::kLoseReply ? Lost() : grpc::Status::OK;
  }

  grpc::Status Commit(grpc::ServerContext* context, const v1::CommitRequest* request,
                      v1::CommitReply* reply) override {
    Step step = script.Next("Commit", request->gtrid());
    if (auto refusal = Refusal(step, script, context); !refusal.ok()) return refusal;
    if (step == Step::kSayUnknown) {
      reply->set_outcome(v1::OUTCOME_UNKNOWN);
      return grpc::Status::OK;
    }
    MutexLock lock(mutex_);
    commits_.push_back(*request);
    if (step == Step::kServe) Finished(request->finished());
    v1::Outcome outcome = Settle(request->gtrid(), v1::OUTCOME_COMMITTED, step);
    reply->set_outcome(outcome);
    if (outcome == v1::OUTCOME_COMMITTED) FillPending(*request, reply);
    if (outcome == v1::OUTCOME_ABORTED) *reply->mutable_abort() = aborts_[request->gtrid()];
    if (keys_.contains(request->gtrid()))
      committed_keys_[keys_[request->gtrid()]] = request->gtrid();
    return step == Step::kLoseReply ? Lost() : grpc::Status::OK;
  }

  grpc::Status Rollback(grpc::ServerContext* context, const v1::RollbackRequest* request,
                        v1::RollbackReply* reply) override {
    Step step = script.Next("Rollback", request->gtrid());
    if (auto refusal = Refusal(step, script, context); !refusal.ok()) return refusal;
    if (step == Step::kSayUnknown) {
      reply->set_outcome(v1::OUTCOME_UNKNOWN);
      return grpc::Status::OK;
    }
    MutexLock lock(mutex_);
    reply->set_outcome(Settle(request->gtrid(), v1::OUTCOME_ABORTED, step));
    *reply->mutable_abort() = aborts_[request->gtrid()];
    return step == Step::kLoseReply ? Lost() : grpc::Status::OK;
  }

  grpc::Status Get(grpc::ServerContext* context, const v1::GetRequest* request,
                   v1::GetReply* reply) override {
    Step step = script.Next("Get", request->gtrid());
    if (auto refusal = Refusal(step, script, context); !refusal.ok()) return refusal;
    MutexLock lock(mutex_);
    auto it = outcomes_.find(request->gtrid());
    v1::Transaction* transaction = reply->mutable_transaction();
    transaction->set_gtrid(request->gtrid());
    bool known = it != outcomes_.end() && step != Step::kSayUnknown;
    transaction->set_outcome(known ? it->second : v1::OUTCOME_UNKNOWN);
    transaction->set_state(known ? v1::STATE_ENDED : v1::STATE_ACTIVE);
    return grpc::Status::OK;
  }

  grpc::Status ReportFinished(grpc::ServerContext* context,
                              const v1::ReportFinishedRequest* request,
                              v1::ReportFinishedReply*) override {
    Step step = script.Next("ReportFinished", std::to_string(request->gids_size()));
    if (auto refusal = Refusal(step, script, context); !refusal.ok()) return refusal;
    MutexLock lock(mutex_);
    Finished(request->gids());
    return step == Step::kLoseReply ? Lost() : grpc::Status::OK;
  }

  // An app-held branch that an agent registered.
  void LeaveToApp(const std::string& gtrid, const std::string& gid, const std::string& resource) {
    MutexLock lock(mutex_);
    left_to_app_[gtrid][gid] = resource;
  }
  // Until then, Commit answers that this resource is pending too; it does not wait for it.
  void StayPending(const std::string& resource, size_t commits) {
    MutexLock lock(mutex_);
    other_pending_ = {resource, commits};
  }

  std::vector<v1::CommitRequest> commits() {
    MutexLock lock(mutex_);
    return commits_;
  }
  // What Begin said of app-held branches.
  std::vector<v1::AppHeld> app_held() {
    MutexLock lock(mutex_);
    return app_held_;
  }
  // What was reported, by whatever way, each once.
  std::set<std::string> finished() {
    MutexLock lock(mutex_);
    return finished_;
  }

  // What the coordinator has decided; unspecified if it has not.
  v1::Outcome Decided(const std::string& gtrid) {
    MutexLock lock(mutex_);
    return outcomes_.contains(gtrid) ? outcomes_[gtrid] : v1::OUTCOME_UNSPECIFIED;
  }
  // As if the transaction had timed out, or another had decided.
  void Decide(const std::string& gtrid, v1::Outcome outcome, v1::AbortCause cause) {
    MutexLock lock(mutex_);
    outcomes_[gtrid] = outcome;
    aborts_[gtrid].set_cause(cause);
  }

 private:
  v1::Outcome Settle(const std::string& gtrid, v1::Outcome wanted, Step step) REQUIRES(mutex_) {
    if (step == Step::kLostMemory) {
      outcomes_[gtrid] = v1::OUTCOME_ABORTED;
      aborts_[gtrid].set_cause(v1::ABORT_CAUSE_PRESUMED);
    } else if (!outcomes_.contains(gtrid)) {
      outcomes_[gtrid] = wanted;
      if (wanted == v1::OUTCOME_ABORTED) {
        aborts_[gtrid].set_cause(v1::ABORT_CAUSE_CLIENT_ROLLBACK);
      }
    }
    return outcomes_[gtrid];
  }

  void Finished(const google::protobuf::RepeatedPtrField<std::string>& gids) REQUIRES(mutex_) {
    finished_.insert(gids.begin(), gids.end());
    for (auto& [gtrid, branches] : left_to_app_) {
      for (const std::string& gid : gids) branches.erase(gid);
    }
  }

  void FillPending(const v1::CommitRequest& request, v1::CommitReply* reply) REQUIRES(mutex_) {
    for (const auto& [gid, resource] : left_to_app_[request.gtrid()]) {
      v1::PendingBranch* pending = reply->add_pending();
      pending->set_gid(gid);
      pending->set_resource(resource);
      pending->set_yours(true);
    }
    if (other_pending_.commits > 0) {
      --other_pending_.commits;
      v1::PendingBranch* pending = reply->add_pending();
      pending->set_gid("another");
      pending->set_resource(other_pending_.resource);
      pending->set_reason("agent not connected");
    }
    reply->set_applied(reply->pending().empty());
  }

  struct OtherPending {
    std::string resource;
    size_t commits = 0;
  };

  Mutex mutex_;
  uint64_t begun_ GUARDED_BY(mutex_) = 0;
  std::map<std::string, v1::Outcome> outcomes_ GUARDED_BY(mutex_);
  std::map<std::string, v1::Abort> aborts_ GUARDED_BY(mutex_);
  std::map<std::string, std::string> keys_ GUARDED_BY(mutex_);  // By gtrid.
  std::map<std::string, std::string> committed_keys_ GUARDED_BY(mutex_);
  // By gtrid, then gid: the resource.
  std::map<std::string, std::map<std::string, std::string>> left_to_app_ GUARDED_BY(mutex_);
  OtherPending other_pending_ GUARDED_BY(mutex_);
  std::set<std::string> finished_ GUARDED_BY(mutex_);
  std::vector<v1::CommitRequest> commits_ GUARDED_BY(mutex_);
  std::vector<v1::AppHeld> app_held_ GUARDED_BY(mutex_);
};

}  // namespace assent::client
