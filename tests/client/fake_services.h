// What the fakes of a coordinator and an agent share: servers on loopback gRPC that misbehave on
// request, the other half of the tests of libassent. They keep the promises of the doors
// (idempotent by gtrid, open_id and seq), so that what is tested is the library.
#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "assent/v1/common.pb.h"
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
