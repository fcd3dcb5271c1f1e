// Calls to one agent, repeated under the same open_id or seq.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "assent/v1/branch_service.grpc.pb.h"
#include "client/internal/rpc.h"
#include "client/internal/work_failure.h"
#include "client/options.h"

namespace assent::client::internal {

// Thread-safe.
class AgentImpl {
 public:
  using Stub = v1::BranchService::StubInterface;
  template <typename Request, typename Reply>
  using Method = grpc::Status (Stub::*)(grpc::ClientContext*, const Request&, Reply*);

  // The agent ends a branch at the deadline and says so: calls give it time to.
  static constexpr milliseconds kDeadlineSlack{2'000};
  // What an agent takes in one message is 16 MiB, wrapping included.
  static constexpr size_t kRequestBytesMax = (16 << 20) - (64 << 10);

  AgentImpl(AgentOptions options, std::unique_ptr<Stub> stub)
      : options_(std::move(options)), stub_(std::move(stub)) {}

  // Calls, and repeats the very same request while the answer is unclear or says to wait, for
  // options().retry_for since the first failure. `first`: what the first try answered, if it was
  // made already.
  template <typename Request, typename Reply>
  std::optional<FailedCall> Call(const std::string& doing, Method<Request, Reply> method,
                                 const Request& request, Reply* reply, MonotonicTime deadline,
                                 const grpc::Status* first = nullptr);

  // As Call, and what its failure means for the transaction.
  template <typename Request, typename Reply>
  std::optional<WorkFailure> Work(const std::string& doing, Method<Request, Reply> method,
                                  const Request& request, Reply* reply, MonotonicTime deadline,
                                  const grpc::Status* first = nullptr) {
    auto failed = Call(doing, method, request, reply, deadline, first);
    if (!failed) return std::nullopt;
    return Read(*failed, options_.retry_for);
  }

  // gRPC would only say so after the sending, and then nobody could tell what was done.
  Status CheckSize(const std::string& doing, size_t bytes) const;

  Stub& stub() { return *stub_; }
  const AgentOptions& options() const { return options_; }

 private:
  // What a try's failure asks for.
  struct Tries {
    bool unclear = false;  // Some try may have had its effect.
    std::optional<MonotonicTime> give_up_at;
    Backoff backoff;
  };
  // True: waited, try again.
  bool TryAgain(const Failure& failure, MonotonicTime deadline, Tries* tries) const;

  const AgentOptions options_;
  const std::unique_ptr<Stub> stub_;
};

template <typename Request, typename Reply>
std::optional<FailedCall> AgentImpl::Call(const std::string& doing, Method<Request, Reply> method,
                                          const Request& request, Reply* reply,
                                          MonotonicTime deadline, const grpc::Status* first) {
  if (first == nullptr) {
    if (Status size = CheckSize(doing, request.ByteSizeLong()); !size.ok()) {
      return FailedCall{.last = {.status = std::move(size), .answered = true}};
    }
  }
  Tries tries;
  for (;;) {
    grpc::Status answer;
    if (first != nullptr) {
      answer = *std::exchange(first, nullptr);
    } else {
      grpc::ClientContext context;
      context.set_deadline(GrpcDeadline(Left(deadline) + kDeadlineSlack));
      reply->Clear();
      answer = (stub_.get()->*method)(&context, request, reply);
    }
    if (answer.ok()) return std::nullopt;
    Failure failure = ToFailure(answer, doing + " at agent " + options_.endpoint);
    if (!TryAgain(failure, deadline, &tries)) return FailedCall{std::move(failure), tries.unclear};
  }
}

}  // namespace assent::client::internal
