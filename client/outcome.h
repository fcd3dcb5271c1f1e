// What became of a transaction, and why: the answers that a service must look at.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"

namespace assent::client {

// kCommitted and kAborted are never wrong and never change.
enum class Outcome : uint8_t {
  // Not known: the coordinator could not be asked in time, or does not know yet. Neither success
  // nor failure: keep the gtrid and ask again (Transaction::Commit, Client::Resolve).
  kUnknown,
  // Every database keeps the change, or will as soon as it can be reached: the decision is durable.
  kCommitted,
  // No database keeps the change.
  kAborted,
  // Older than what the coordinator remembers: nothing more can be learned; look into the
  // databases.
  kExpired,
};
// "COMMITTED" and so on, as the protocol spells it; so for all names below.
std::string_view OutcomeName(Outcome outcome);

// Why a transaction was aborted. Numbers and names are those of proto/assent/v1/common.proto.
enum class AbortCause : uint8_t {
  kUnspecified = 0,
  kClientRollback = 1,
  kDeadlinePassed = 2,
  kPrepareTimeout = 3,
  kAgentUnreachable = 4,
  kBranchVotedNo = 5,
  kBranchLost = 6,
  kPresumed = 7,  // The coordinator that began it restarted before a decision.
  kLogRefused = 8,
  kKeyConflict = 9,  // Another transaction with the same client key committed first.
};
std::string_view AbortCauseName(AbortCause cause);

// Why a statement or a prepare failed at a database. Numbers and names as in common.proto.
enum class BranchCause : uint8_t {
  kUnspecified = 0,
  kStatementFailed = 1,
  kDeadlock = 2,
  kSerialization = 3,
  kLockTimeout = 4,
  kTransactionFailed = 5,
  kReadOnlyViolation = 6,
  kNotPreparable = 7,
  kPreparedLimit = 8,
  kDuplicateGid = 9,
  kPermission = 10,
  kConnectionLost = 11,
  kUnavailable = 12,
  kNotPrimary = 13,
  kConfiguration = 14,
  kMisuse = 15,
  kStatementRunning = 16,
  kUnknownBranch = 17,
  kNotPrepared = 18,
  kWrongDatabase = 19,
};
std::string_view BranchCauseName(BranchCause cause);

// True for causes that pass by themselves (deadlock victim, lock time-out, lost connection, ...):
// the same work, begun anew as a new transaction, may well succeed.
bool IsRetryable(BranchCause cause);

struct Abort {
  AbortCause cause = AbortCause::kUnspecified;
  std::string resource;  // The branch that caused it, if one did.
  BranchCause branch_cause = BranchCause::kUnspecified;
  std::string database_code;  // SQLSTATE, or errno/SQLSTATE; may be empty.
  std::string message;        // For people.

  // Doing the whole work again as a new transaction may well succeed. (It is always safe: an
  // aborted transaction left nothing behind.)
  bool retryable() const;
};

// A branch of a committed transaction that its database has still to commit.
struct PendingBranch {
  std::string gid;
  std::string resource;
  std::string reason;  // What it waits for, for people.
  // App-held, and left to the session that prepared it. Commit ends those of its own Transaction
  // before it answers, so this is one of another service, or one whose commit failed there; after
  // finish_grace (2 s) the agent ends it.
  bool yours = false;
};

// The answer of Commit, Rollback and Resolve.
struct [[nodiscard]] CommitResult {
  Outcome outcome = Outcome::kUnknown;
  // With kCommitted: every database is known to have committed.
  bool applied = false;
  // With kCommitted and not applied: what is still to come, without help.
  std::vector<PendingBranch> pending;
  // With kAborted.
  Abort abort;
  // A database, or a person, ended a branch on its own: an operator must look (`assentctl show`).
  bool heuristic = false;
  // With kUnknown: why, for logs.
  Status why_unknown;

  bool committed() const { return outcome == Outcome::kCommitted; }
  bool aborted() const { return outcome == Outcome::kAborted; }
  bool unknown() const { return outcome == Outcome::kUnknown; }
  // One line for logs and people.
  std::string ToString() const;
};

// Why an Open or an Execute did not succeed.
struct WorkError {
  // ABORTED              the transaction can only roll back now; begin anew if retryable().
  // RESOURCE_EXHAUSTED   no free session for a while: roll back, try later. Nothing was done.
  // UNAVAILABLE          the coordinator or the database could not be reached. Nothing was done.
  // FAILED_PRECONDITION  the statement failed and was undone (keep_on_error); or Commit or Rollback
  //                      came before.
  // NOT_FOUND            the agent serves no such resource; the message lists those it serves.
  // INVALID_ARGUMENT     mend the request.
  Status status;
  std::string resource;
  BranchCause cause = BranchCause::kUnspecified;  // Set when a database refused.
  std::string database_code;
  // Index of the statement that failed, when several were sent.
  size_t statement = 0;
  // The transaction is roll-back-only: Commit will roll it back and answer kAborted.
  bool doomed = false;

  // Beginning the whole work anew may well succeed.
  bool retryable() const;
};

// Either a value or a WorkError.
template <typename T>
class [[nodiscard]] WorkResult {
 public:
  WorkResult(T value) : result_(std::move(value)) {}
  WorkResult(WorkError error) : result_(error.status), error_(std::move(error)) {}

  bool ok() const { return result_.ok(); }
  const Status& status() const { return result_.status(); }
  const WorkError& error() const { return error_; }

  T& value() & { return result_.value(); }
  const T& value() const& { return result_.value(); }
  T&& value() && { return std::move(result_).value(); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

 private:
  Result<T> result_;
  WorkError error_;
};

// Of work that answers nothing but whether it was done.
struct Done {};
using WorkStatus = WorkResult<Done>;

}  // namespace assent::client
