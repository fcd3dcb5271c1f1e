// The state of one transaction, shared by the Transaction and its branches. The rules of safety of
// the library live here: when Commit may be sent at all.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/status.h"
#include "client/internal/coordinators.h"
#include "client/options.h"
#include "client/outcome.h"

namespace assent::client::internal {

// Thread-safe.
class TransactionImpl {
 public:
  TransactionImpl(std::shared_ptr<Coordinators> coordinators, std::string gtrid,
                  MonotonicTime deadline, bool already_committed);

  const std::string& gtrid() const { return gtrid_; }
  MonotonicTime deadline() const { return deadline_; }
  bool already_committed() const { return already_committed_; }

  // FAILED_PRECONDITION once Commit or Rollback was called; ABORTED when roll-back-only.
  Status TakesWork() EXCLUDES(mutex_);

  // An id for the next Open, unique among all processes that work for this transaction.
  std::string NextOpenId() EXCLUDES(mutex_);

  // Makes the transaction roll-back-only. The first reason is kept: `as` is the cause that Commit
  // will name.
  void Doom(AbortCause as, const WorkError& error) EXCLUDES(mutex_);
  std::optional<WorkError> failure() EXCLUDES(mutex_);

  CommitResult Commit(const CommitOptions& options) EXCLUDES(mutex_);
  CommitResult Rollback(milliseconds retry_for) EXCLUDES(mutex_);
  // Rolls back, once and briefly, unless Commit or Rollback was called.
  void Abandon() EXCLUDES(mutex_);

 private:
  struct DoomReason {
    AbortCause as;
    WorkError error;
  };

  CommitResult SendCommit(const CommitOptions& options);
  CommitResult SendRollback(milliseconds retry_for);
  CommitResult Keep(CommitResult result) EXCLUDES(mutex_);

  const std::shared_ptr<Coordinators> coordinators_;  // Shared with every transaction of a client.
  const std::string gtrid_;
  const MonotonicTime deadline_;
  const bool already_committed_;

  Mutex mutex_;
  bool ended_ GUARDED_BY(mutex_) = false;       // Commit or Rollback was called.
  bool rolls_back_ GUARDED_BY(mutex_) = false;  // Rollback was called, or had to be sent.
  std::optional<DoomReason> doom_ GUARDED_BY(mutex_);
  std::optional<CommitResult> final_ GUARDED_BY(mutex_);
  std::string open_id_prefix_ GUARDED_BY(mutex_);
  uint64_t opens_ GUARDED_BY(mutex_) = 0;
};

// Failures after which asking for the outcome again can't help: the request itself is at fault.
bool MayAskAgain(const Failure& failure);

}  // namespace assent::client::internal
