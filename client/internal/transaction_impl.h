// The state of one transaction, shared by the Transaction and its branches. The rules of safety of
// the library live here: when Commit may be sent at all.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/status.h"
#include "client/internal/app_branch_impl.h"
#include "client/internal/coordinators.h"
#include "client/options.h"
#include "client/outcome.h"

namespace assent::client::internal {

// An agent-held branch that Begin registered.
struct RegisteredBranch {
  std::string resource;
  std::string gid;
  uint64_t agent_incarnation = 0;  // Of the agent that may open it.
};

// Thread-safe, but for the sessions of the application, which one thread at a time may use.
class TransactionImpl {
 public:
  // How this process came to it.
  enum class Origin : uint8_t {
    kBegun,
    kCommittedBefore,  // Begin found its client key committed.
    kJoined,           // Another process began it, and ends it.
  };

  TransactionImpl(std::shared_ptr<Coordinators> coordinators, std::string gtrid,
                  MonotonicTime deadline, Origin origin)
      : coordinators_(std::move(coordinators)),
        gtrid_(std::move(gtrid)),
        deadline_(deadline),
        origin_(origin) {}

  const std::string& gtrid() const { return gtrid_; }
  MonotonicTime deadline() const { return deadline_; }
  bool already_committed() const { return origin_ == Origin::kCommittedBefore; }
  bool joined() const { return origin_ == Origin::kJoined; }

  // FAILED_PRECONDITION once Commit or Rollback was called; ABORTED when roll-back-only.
  Status TakesWork() EXCLUDES(mutex_);

  // An id for the next Open or Enlist, unique among all processes that work for this transaction.
  std::string NextOpenId() EXCLUDES(mutex_);

  // The agent-held branches that Begin registered and nobody has opened yet.
  void AddRegistered(RegisteredBranch branch) EXCLUDES(mutex_);
  std::optional<RegisteredBranch> TakeRegistered(const std::string& resource) EXCLUDES(mutex_);

  // A vote, to be handed in with Commit.
  void KeepTicket(v1::Ticket ticket) EXCLUDES(mutex_);

  // Takes an app-held branch in. It replaces the one with the gid `again`, if we hold that: its
  // vote is void by now, so its session is cleaned.
  void Hold(std::shared_ptr<AppBranchImpl> branch, const std::string& again = {}) EXCLUDES(mutex_);
  AppBranches held() EXCLUDES(mutex_);
  std::optional<WorkFailure> Prepare(const AppBranches& branches);
  // Ends those of a joined transaction.
  Status Finish(const AppBranches& branches, Outcome outcome);

  // Makes the transaction roll-back-only. The first reason is kept: `as` is the cause that Commit
  // will name.
  void Doom(AbortCause as, const WorkError& error) EXCLUDES(mutex_);
  std::optional<WorkError> failure() EXCLUDES(mutex_);
  // See Transaction::RollbackOnly.
  void RollbackOnly(std::string why) EXCLUDES(mutex_);

  CommitResult Commit(const CommitOptions& options) EXCLUDES(mutex_);
  CommitResult Rollback(milliseconds retry_for) EXCLUDES(mutex_);
  // See Transaction's destructor.
  void Abandon() EXCLUDES(mutex_);

 private:
  struct DoomReason {
    AbortCause as;
    WorkError error;
  };

  // What holds for a result that no coordinator has to be asked for.
  std::optional<CommitResult> Settled() REQUIRES(mutex_);
  CommitResult SendCommit(Acknowledgement ack, MonotonicTime give_up_at) EXCLUDES(mutex_);
  CommitResult SendRollback(milliseconds retry_for);
  // Gives up the sessions' work and sends Rollback; then rolls back what is prepared.
  CommitResult EndByRollback(milliseconds retry_for) EXCLUDES(mutex_);
  // Ends our own branches, and asks once more for the others.
  CommitResult EndOwn(CommitResult result, Acknowledgement ack, MonotonicTime give_up_at);
  CommitResult Keep(CommitResult result) EXCLUDES(mutex_);

  const std::shared_ptr<Coordinators> coordinators_;  // Shared with every transaction of a client.
  const std::string gtrid_;
  const MonotonicTime deadline_;
  const Origin origin_;

  Mutex mutex_;
  bool ended_ GUARDED_BY(mutex_) = false;       // Commit or Rollback was called.
  bool rolls_back_ GUARDED_BY(mutex_) = false;  // Rollback was called, or had to be sent.
  std::optional<DoomReason> doom_ GUARDED_BY(mutex_);
  std::optional<CommitResult> final_ GUARDED_BY(mutex_);
  std::vector<RegisteredBranch> registered_ GUARDED_BY(mutex_);
  std::vector<v1::Ticket> tickets_ GUARDED_BY(mutex_);
  AppBranches held_ GUARDED_BY(mutex_);
  std::string open_id_prefix_ GUARDED_BY(mutex_);
  uint64_t opens_ GUARDED_BY(mutex_) = 0;
};

// Failures after which asking for the outcome again can't help: the request itself is at fault.
bool MayAskAgain(const Failure& failure);

}  // namespace assent::client::internal
