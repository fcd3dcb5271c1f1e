// Calls to one agent, repeated under the same open_id or seq, and the reading of what failed.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "assent/v1/branch_service.grpc.pb.h"
#include "base/mutex.h"
#include "client/internal/rpc.h"
#include "client/internal/transaction_impl.h"
#include "client/options.h"
#include "client/outcome.h"

namespace assent::client::internal {

// A failed piece of work, and the cause that Commit will name if it dooms the transaction.
struct WorkFailure {
  WorkError error;
  AbortCause as = AbortCause::kUnspecified;
};

// Thread-safe.
class AgentImpl {
 public:
  using Stub = v1::BranchService::StubInterface;
  template <typename Request, typename Reply>
  using Method = grpc::Status (Stub::*)(grpc::ClientContext*, const Request&, Reply*);

  AgentImpl(AgentOptions options, std::unique_ptr<Stub> stub)
      : options_(std::move(options)), stub_(std::move(stub)) {}

  // Calls, and repeats the very same request while the answer is unclear or says to wait, for
  // options().retry_for since the first failure. `first`: what the first try answered, if it was
  // made already.
  template <typename Request, typename Reply>
  std::optional<WorkFailure> Call(const std::string& doing, Method<Request, Reply> method,
                                  const Request& request, Reply* reply, MonotonicTime deadline,
                                  const grpc::Status* first = nullptr);

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

// Reads the answers of statements: their results, or the first that failed.
std::variant<std::vector<ResultSet>, WorkFailure> ReadResults(
    const google::protobuf::RepeatedPtrField<v1::StatementResult>& results, size_t expected,
    const std::string& doing, const std::string& resource);

// Thread-safe.
class BranchImpl {
 public:
  BranchImpl(std::shared_ptr<TransactionImpl> transaction, std::shared_ptr<AgentImpl> agent,
             std::string gid, std::string resource, std::vector<ResultSet> open_results,
             uint64_t next_seq)
      : transaction_(std::move(transaction)),
        agent_(std::move(agent)),
        gid_(std::move(gid)),
        resource_(std::move(resource)),
        open_results_(std::move(open_results)),
        next_seq_(next_seq) {}

  WorkResult<std::vector<ResultSet>> Run(const std::vector<Statement>& statements) EXCLUDES(mutex_);

  const std::string& gid() const { return gid_; }
  const std::string& resource() const { return resource_; }
  const std::vector<ResultSet>& open_results() const { return open_results_; }

 private:
  const std::shared_ptr<TransactionImpl> transaction_;  // Shared with the Transaction.
  const std::shared_ptr<AgentImpl> agent_;              // Shared with the Agent.
  const std::string gid_;
  const std::string resource_;
  const std::vector<ResultSet> open_results_;
  Mutex mutex_;  // Held during a call: a branch does one thing at a time.
  uint64_t next_seq_ GUARDED_BY(mutex_);
};

struct BranchToOpen {
  std::shared_ptr<AgentImpl> agent;  // Shared with the Agent.
  std::string resource;
  OpenOptions options;
};

WorkResult<std::shared_ptr<BranchImpl>> OpenBranch(
    const std::shared_ptr<TransactionImpl>& transaction, const BranchToOpen& wanted);

// All of them at once; see Transaction::OpenAll.
WorkResult<std::vector<std::shared_ptr<BranchImpl>>> OpenBranches(
    const std::shared_ptr<TransactionImpl>& transaction, std::vector<BranchToOpen> wanted);

}  // namespace assent::client::internal
