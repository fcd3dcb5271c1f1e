// The nodes of a group of coordinators: finds the one that leads, and repeats calls that may be
// repeated.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "assent/v1/transaction_service.grpc.pb.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "client/internal/finished_reports.h"
#include "client/internal/rpc.h"
#include "client/options.h"

namespace assent::client::internal {

// Thread-safe.
class Coordinators {
 public:
  using Stub = v1::TransactionService::StubInterface;
  template <typename Request, typename Reply>
  using Method = grpc::Status (Stub::*)(grpc::ClientContext*, const Request&, Reply*);

  // How long, and after which failures, a call is repeated.
  struct Patience {
    MonotonicTime give_up_at;
    bool (*may_repeat)(const Failure&);
    size_t tries_max = SIZE_MAX;
  };

  // INVALID_ARGUMENT: see Client::Connect.
  static Result<std::shared_ptr<Coordinators>> Make(ClientOptions options);

  // Calls until the answer is settled, or a failure may not be repeated, or patience ends; then
  // answers the last failure. A status that is OK means settled. At least one try is made.
  template <typename Request, typename Reply>
  Failure Call(const char* verb, Method<Request, Reply> method, const Request& request,
               Reply* reply, const Patience& patience, bool (*settled)(const Reply&));

  // Of the branches that this process committed by itself.
  FinishedReports& reports() { return reports_; }

  const ClientOptions& options() const { return options_; }
  size_t node_count() EXCLUDES(mutex_);

 private:
  struct Node {
    std::string endpoint;
    std::unique_ptr<Stub> stub;
  };

  Coordinators(ClientOptions options, std::shared_ptr<grpc::ChannelCredentials> credentials);
  std::shared_ptr<const Node> Current() EXCLUDES(mutex_);
  // Chooses another node after a failure of `node`; false if there is no other to try.
  bool MoveFrom(const Node* node, const Failure& failure) EXCLUDES(mutex_);
  size_t Find(const std::string& endpoint) REQUIRES(mutex_);
  void SendReports(const FinishedReports::Gids& gids);

  const ClientOptions options_;
  const std::shared_ptr<grpc::ChannelCredentials> credentials_;  // Shared with gRPC.
  Mutex mutex_;
  // Those of the options, then leaders that others named; of those, the oldest makes room.
  std::vector<std::shared_ptr<const Node>> nodes_ GUARDED_BY(mutex_);
  size_t configured_ GUARDED_BY(mutex_) = 0;
  size_t oldest_named_ GUARDED_BY(mutex_) = 0;
  size_t current_ GUARDED_BY(mutex_) = 0;
  // Last, since its thread makes calls until it is destroyed.
  FinishedReports reports_{[this](const FinishedReports::Gids& gids) { SendReports(gids); }};
};

template <typename Request, typename Reply>
Failure Coordinators::Call(const char* verb, Method<Request, Reply> method, const Request& request,
                           Reply* reply, const Patience& patience, bool (*settled)(const Reply&)) {
  // A try that begins at the very end still gets a chance to be answered.
  constexpr milliseconds kTryMin{100};
  // A group without a leader has one within a second, and many wait for it.
  constexpr milliseconds kPauseMax{100};
  Backoff backoff(kPauseMax);
  size_t hops = 0;
  for (size_t tries = 1;; ++tries) {
    const std::shared_ptr<const Node> node = Current();
    grpc::ClientContext context;
    milliseconds wait = std::min(options_.try_timeout, Left(patience.give_up_at));
    context.set_deadline(GrpcDeadline(std::max(wait, kTryMin)));
    reply->Clear();
    grpc::Status answer = (node->stub.get()->*method)(&context, request, reply);
    if (answer.ok() && settled(*reply)) return {};

    const std::string doing = std::string(verb) + " at coordinator " + node->endpoint;
    Failure failure;
    bool moved = false;
    if (answer.ok()) {
      failure.status = Unavailable(doing + ": the outcome is not known yet; ask again");
    } else {
      failure = ToFailure(answer, doing);
      if (!patience.may_repeat(failure)) return failure;
      moved = MoveFrom(node.get(), failure);
    }
    milliseconds left = Left(patience.give_up_at);
    if (tries >= patience.tries_max || left == milliseconds(0) || failure.retry_delay > left) {
      return failure;
    }
    // Another node is asked at once; when all have been asked, time must pass.
    if (moved && ++hops < node_count()) continue;
    hops = 0;
    std::this_thread::sleep_for(std::min(backoff.Next(failure.retry_delay), left));
  }
}

}  // namespace assent::client::internal
