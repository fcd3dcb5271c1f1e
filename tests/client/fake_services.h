// A coordinator and an agent on loopback gRPC that misbehave on request: the other half of the
// tests of libassent. They keep the promises of the doors (idempotent by gtrid, open_id and seq),
// so that what is tested is the library.
#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "assent/v1/branch_service.grpc.pb.h"
#include "assent/v1/transaction_service.grpc.pb.h"
#include "base/check.h"
#include "base/mutex.h"
#include "base/rpc/status.h"

namespace assent::client {

// What becomes of one call.
enum class Step {
  kServe,
  kLoseReply,   // Does the work; the answer is lost, as when the connection breaks.
  kRefuse,      // UNAVAILABLE from the server itself: nothing was done.
  kBusy,        // RESOURCE_EXHAUSTED, retry after Script::busy_delay_ms.
  kNotLeader,   // UNAVAILABLE, NOT_LEADER, with Script::leader as the hint.
  kHang,        // Never answers.
  kSayUnknown,  // Answers OUTCOME_UNKNOWN and does nothing.
  kLostMemory,  // ABORTED, PRESUMED: restarted since Begin.
  kForeign,     // FAILED_PRECONDITION, FOREIGN_GTRID.
  kBranchLost,  // NOT_FOUND, BRANCH_LOST.
  kNoResource,  // NOT_FOUND, UNKNOWN_RESOURCE.
};

// The steps to come, per verb, and what has come. Thread-safe.
class Script {
 public:
  void Then(const std::string& verb, std::vector<Step> steps) {
    MutexLock lock(mutex_);
    for (Step step : steps) steps_[verb].push_back(step);
  }
  // From now on, whenever no step is left.
  void Always(const std::string& verb, Step step) {
    MutexLock lock(mutex_);
    always_[verb] = step;
  }
  Step Next(const std::string& verb, const std::string& about) {
    MutexLock lock(mutex_);
    calls_.push_back(verb + " " + about);
    auto& steps = steps_[verb];
    if (steps.empty()) return always_.contains(verb) ? always_[verb] : Step::kServe;
    Step step = steps.front();
    steps.pop_front();
    return step;
  }
  // "Commit g-1", "Open g-1 orders_pg <open id>", "Execute b-1 1", in order of arrival.
  std::vector<std::string> calls() {
    MutexLock lock(mutex_);
    return calls_;
  }
  size_t Count(const std::string& verb) {
    size_t count = 0;
    for (const std::string& call : calls()) count += call.starts_with(verb + " ") ? 1 : 0;
    return count;
  }

  uint32_t busy_delay_ms = 0;  // Set before the first call.
  std::string leader;

 private:
  Mutex mutex_;
  std::map<std::string, std::deque<Step>> steps_ GUARDED_BY(mutex_);
  std::map<std::string, Step> always_ GUARDED_BY(mutex_);
  std::vector<std::string> calls_ GUARDED_BY(mutex_);
};

// The error of a step that has one. kLoseReply has none: the work comes first.
inline grpc::Status Refusal(Step step, const Script& script, grpc::ServerContext* context) {
  v1::ErrorDetail detail;
  switch (step) {
    case Step::kRefuse:
      detail.set_retry_delay_ms(5);
      return rpc::ToGrpc(Unavailable("starting"), detail);
    case Step::kBusy:
      detail.set_reason(v1::REASON_LIMIT);
      detail.set_retry_delay_ms(script.busy_delay_ms);
      return rpc::ToGrpc(ResourceExhausted("live_transactions_max is reached"), detail);
    case Step::kNotLeader:
      detail.set_reason(v1::REASON_NOT_LEADER);
      detail.set_leader(script.leader);
      return rpc::ToGrpc(Unavailable("not the leader"), detail);
    case Step::kForeign:
      detail.set_reason(v1::REASON_FOREIGN_GTRID);
      return rpc::ToGrpc(FailedPrecondition("the gtrid is of another cluster"), detail);
    case Step::kBranchLost:
      detail.set_reason(v1::REASON_BRANCH_LOST);
      return rpc::ToGrpc(NotFound("no such branch: the agent restarted"), detail);
    case Step::kNoResource:
      detail.set_reason(v1::REASON_UNKNOWN_RESOURCE);
      return rpc::ToGrpc(NotFound("no such resource; served here: orders_pg"), detail);
    case Step::kHang:
      while (!context->IsCancelled()) std::this_thread::sleep_for(std::chrono::milliseconds(2));
      return grpc::Status::CANCELLED;
    case Step::kServe:
    case Step::kLoseReply:
    case Step::kSayUnknown:
    case Step::kLostMemory:
      return grpc::Status::OK;
  }
  return grpc::Status::OK;
}

// What the client sees when the connection breaks: UNAVAILABLE without a word from the server.
inline grpc::Status Lost() { return {grpc::StatusCode::UNAVAILABLE, "Socket closed"}; }

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
    v1::Outcome outcome = Settle(request->gtrid(), v1::OUTCOME_COMMITTED, step);
    reply->set_outcome(outcome);
    reply->set_applied(outcome == v1::OUTCOME_COMMITTED);
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

  Mutex mutex_;
  uint64_t begun_ GUARDED_BY(mutex_) = 0;
  std::map<std::string, v1::Outcome> outcomes_ GUARDED_BY(mutex_);
  std::map<std::string, v1::Abort> aborts_ GUARDED_BY(mutex_);
  std::map<std::string, std::string> keys_ GUARDED_BY(mutex_);  // By gtrid.
  std::map<std::string, std::string> committed_keys_ GUARDED_BY(mutex_);
};

// Runs a statement by noting it. "fail <CAUSE number> <doom 0|1>" fails.
class FakeAgent final : public v1::BranchService::Service {
 public:
  Script script;

  grpc::Status Open(grpc::ServerContext* context, const v1::OpenRequest* request,
                    v1::OpenReply* reply) override {
    Step step = script.Next(
        "Open", request->gtrid() + " " + request->resource() + " " + request->open_id());
    if (auto refusal = Refusal(step, script, context); !refusal.ok()) return refusal;
    MutexLock lock(mutex_);
    auto [it, fresh] = opens_.try_emplace(request->gtrid() + " " + request->open_id());
    if (fresh) {
      it->second.set_gid("b-" + std::to_string(opens_.size()));
      uint64_t& last = last_seq_[it->second.gid()];
      last = request->statements().empty() ? 0 : 1;
      RunAll(request->statements(), it->second.mutable_results());
    }
    *reply = it->second;
    return step == Step::kLoseReply ? Lost() : grpc::Status::OK;
  }

  grpc::Status Execute(grpc::ServerContext* context, const v1::ExecuteRequest* request,
                       v1::ExecuteReply* reply) override {
    Step step = script.Next("Execute", request->gid() + " " + std::to_string(request->seq()));
    if (auto refusal = Refusal(step, script, context); !refusal.ok()) return refusal;
    MutexLock lock(mutex_);
    uint64_t& last = last_seq_[request->gid()];
    if (request->seq() == last + 1) {
      last = request->seq();
      stored_[request->gid()].Clear();
      RunAll(request->statements(), stored_[request->gid()].mutable_results());
    } else if (request->seq() != last) {
      v1::ErrorDetail detail;
      detail.set_reason(v1::REASON_SEQUENCE_GAP);
      return rpc::ToGrpc(FailedPrecondition("seq " + std::to_string(request->seq())), detail);
    }
    *reply = stored_[request->gid()];
    return step == Step::kLoseReply ? Lost() : grpc::Status::OK;
  }

  // Every statement that ran, in order.
  std::vector<std::string> ran() {
    MutexLock lock(mutex_);
    return ran_;
  }
  size_t opened() {
    MutexLock lock(mutex_);
    return opens_.size();
  }

 private:
  using Statements = google::protobuf::RepeatedPtrField<v1::Statement>;
  using Results = google::protobuf::RepeatedPtrField<v1::StatementResult>;

  void RunAll(const Statements& statements, Results* results) REQUIRES(mutex_) {
    for (const v1::Statement& statement : statements) {
      ran_.push_back(statement.sql());
      v1::StatementResult* result = results->Add();
      if (statement.sql().starts_with("fail ")) {
        int cause = std::stoi(statement.sql().substr(5));
        result->mutable_error()->set_cause(static_cast<v1::BranchCause>(cause));
        result->mutable_error()->set_database_code("40P01");
        result->mutable_error()->set_message("as told");
        result->mutable_error()->set_branch_doomed(!statement.keep_on_error());
        return;
      }
      // Echoes the parameters as one row.
      v1::Row* row = result->add_rows();
      for (const v1::Value& value : statement.parameters()) {
        result->add_columns()->set_name("p" + std::to_string(row->values_size()));
        *row->add_values() = value;
      }
      result->set_rows_affected(1);
    }
  }

  Mutex mutex_;
  std::map<std::string, v1::OpenReply> opens_ GUARDED_BY(mutex_);  // By gtrid and open_id.
  std::map<std::string, uint64_t> last_seq_ GUARDED_BY(mutex_);
  std::map<std::string, v1::ExecuteReply> stored_ GUARDED_BY(mutex_);
  std::vector<std::string> ran_ GUARDED_BY(mutex_);
};

// Serves one service on a loopback port; may be stopped and started again on the same port, which
// is what a client sees of a restart.
class FakeServer {
 public:
  explicit FakeServer(grpc::Service* service) : service_(service) { Start(); }
  ~FakeServer() { Stop(); }

  void Start() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort(endpoint(), grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(service_);
    server_ = builder.BuildAndStart();
    ASSENT_CHECK(server_ != nullptr && port_ != 0);
  }
  void Stop() {
    if (server_) server_->Shutdown(std::chrono::system_clock::now());
    server_.reset();
  }
  std::string endpoint() const { return "127.0.0.1:" + std::to_string(port_); }

 private:
  grpc::Service* const service_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace assent::client
