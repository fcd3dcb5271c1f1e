// Branches that the agent holds: opening, work, streams, early prepare.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "client/branch.h"
#include "client/internal/agent_impl.h"
#include "client/internal/transaction_impl.h"

namespace assent::client::internal {

// Thread-safe.
class BranchImpl {
 public:
  struct Opened {
    std::string gid;
    std::string resource;
    std::vector<ResultSet> results;
    uint64_t next_seq = 1;
    bool prepared = false;
  };

  BranchImpl(std::shared_ptr<TransactionImpl> transaction, std::shared_ptr<AgentImpl> agent,
             Opened opened)
      : transaction_(std::move(transaction)),
        agent_(std::move(agent)),
        gid_(std::move(opened.gid)),
        resource_(std::move(opened.resource)),
        open_results_(std::move(opened.results)),
        next_seq_(opened.next_seq),
        prepared_(opened.prepared) {}

  // `last`: prepare the branch afterwards.
  WorkResult<std::vector<ResultSet>> Run(const std::vector<Statement>& statements, bool last)
      EXCLUDES(mutex_);
  WorkResult<StreamEnd> Stream(const Statement& statement, const RowSink& sink) EXCLUDES(mutex_);

  const std::string& gid() const { return gid_; }
  const std::string& resource() const { return resource_; }
  const std::vector<ResultSet>& open_results() const { return open_results_; }

 private:
  std::optional<WorkError> WhyNoWork() REQUIRES(mutex_);
  WorkError Fail(WorkFailure failure) REQUIRES(mutex_);
  // Reads the parts as they come. Sets `end` unless it answers why not.
  std::optional<WorkFailure> ReadStream(const v1::ExecuteRequest& request, const RowSink& sink,
                                        StreamEnd* end) REQUIRES(mutex_);

  const std::shared_ptr<TransactionImpl> transaction_;  // Shared with the Transaction.
  const std::shared_ptr<AgentImpl> agent_;              // Shared with the Agent.
  const std::string gid_;
  const std::string resource_;
  const std::vector<ResultSet> open_results_;
  Mutex mutex_;  // Held during a call: a branch does one thing at a time.
  uint64_t next_seq_ GUARDED_BY(mutex_);
  bool prepared_ GUARDED_BY(mutex_);  // Takes no more work.
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
