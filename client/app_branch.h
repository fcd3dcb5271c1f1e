// A branch that the application holds on a session of its own (docs/client.md, "With your own
// drivers").
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "base/status.h"
#include "client/branch.h"
#include "client/outcome.h"

namespace assent::client {

namespace internal {
class AppBranchImpl;
class TransactionImpl;
}  // namespace internal

// From the moment that the application gets one of these, its session stands in the branch: what
// it executes there belongs to the global transaction. Usually that is all: Commit prepares the
// session, and, after the outcome, commits or rolls back there. A Transaction that goes out of
// scope uncommitted gives up the work of its sessions too.
//
// A handle; the branch belongs to the Transaction. Not thread-safe: each call uses the session, and
// so do Commit, Rollback and the destructor of the Transaction.
class AppBranch {
 public:
  const std::string& gid() const;
  const std::string& resource() const;
  // "postgresql", "mariadb" or "mysql".
  const std::string& kind() const;

  // Ends the work and prepares the session. Only for those who want it earlier than Commit, which
  // does so for all sessions at the same time. Afterwards the session takes no work of this
  // transaction.
  //
  // After an error the transaction can only roll back, unless the work is done anew: open another
  // session, call Enlist with EnlistOptions::again = gid(), repeat all of its statements.
  // (OK does not promise a yes: PostgreSQL answers it also where an earlier statement failed. The
  // vote at Commit finds out.)
  WorkStatus Prepare();

  // Has the agent look the prepared branch up in the database, which Commit would do otherwise, and
  // keeps its vote for Commit. An error with `doomed` is a vote of no, and what holds after an
  // error of Prepare holds then; any other error leaves the question to Commit. Idempotent.
  WorkStatus Vote(const Agent& agent);

  // Ends the prepared session as `result` says, for a Finisher::kApp of a *joined* transaction,
  // which hears the outcome by Client::Resolve. (Elsewhere Commit and Rollback do so.) Does nothing
  // for other outcomes than kCommitted and kAborted. An error is for logs: the agent ends the
  // branch then.
  Status Finish(const CommitResult& result);

 private:
  friend class Transaction;
  AppBranch(std::shared_ptr<internal::AppBranchImpl> impl,
            std::shared_ptr<internal::TransactionImpl> transaction)
      : impl_(std::move(impl)), transaction_(std::move(transaction)) {}
  std::shared_ptr<internal::AppBranchImpl> impl_;           // Shared with the Transaction.
  std::shared_ptr<internal::TransactionImpl> transaction_;  // Shared with the Transaction.
};

}  // namespace assent::client
