#include "client/outcome.h"

namespace assent::client {

std::string_view OutcomeName(Outcome outcome) {
  switch (outcome) {
    case Outcome::kUnknown:
      return "UNKNOWN";
    case Outcome::kCommitted:
      return "COMMITTED";
    case Outcome::kAborted:
      return "ABORTED";
    case Outcome::kExpired:
      return "EXPIRED";
  }
  return "UNKNOWN";
}

std::string_view AbortCauseName(AbortCause cause) {
  switch (cause) {
    case AbortCause::kUnspecified:
      return "UNSPECIFIED";
    case AbortCause::kClientRollback:
      return "CLIENT_ROLLBACK";
    case AbortCause::kDeadlinePassed:
      return "DEADLINE_PASSED";
    case AbortCause::kPrepareTimeout:
      return "PREPARE_TIMEOUT";
    case AbortCause::kAgentUnreachable:
      return "AGENT_UNREACHABLE";
    case AbortCause::kBranchVotedNo:
      return "BRANCH_VOTED_NO";
    case AbortCause::kBranchLost:
      return "BRANCH_LOST";
    case AbortCause::kPresumed:
      return "PRESUMED";
    case AbortCause::kLogRefused:
      return "LOG_REFUSED";
    case AbortCause::kKeyConflict:
      return "KEY_CONFLICT";
  }
  return "UNSPECIFIED";
}

std::string_view BranchCauseName(BranchCause cause) {
  switch (cause) {
    case BranchCause::kUnspecified:
      return "UNSPECIFIED";
    case BranchCause::kStatementFailed:
      return "STATEMENT_FAILED";
    case BranchCause::kDeadlock:
      return "DEADLOCK";
    case BranchCause::kSerialization:
      return "SERIALIZATION";
    case BranchCause::kLockTimeout:
      return "LOCK_TIMEOUT";
    case BranchCause::kTransactionFailed:
      return "TRANSACTION_FAILED";
    case BranchCause::kReadOnlyViolation:
      return "READ_ONLY_VIOLATION";
    case BranchCause::kNotPreparable:
      return "NOT_PREPARABLE";
    case BranchCause::kPreparedLimit:
      return "PREPARED_LIMIT";
    case BranchCause::kDuplicateGid:
      return "DUPLICATE_GID";
    case BranchCause::kPermission:
      return "PERMISSION";
    case BranchCause::kConnectionLost:
      return "CONNECTION_LOST";
    case BranchCause::kUnavailable:
      return "UNAVAILABLE";
    case BranchCause::kNotPrimary:
      return "NOT_PRIMARY";
    case BranchCause::kConfiguration:
      return "CONFIGURATION";
    case BranchCause::kMisuse:
      return "MISUSE";
    case BranchCause::kStatementRunning:
      return "STATEMENT_RUNNING";
    case BranchCause::kUnknownBranch:
      return "UNKNOWN_BRANCH";
    case BranchCause::kNotPrepared:
      return "NOT_PREPARED";
    case BranchCause::kWrongDatabase:
      return "WRONG_DATABASE";
  }
  return "UNSPECIFIED";
}

bool IsRetryable(BranchCause cause) {
  switch (cause) {
    case BranchCause::kDeadlock:
    case BranchCause::kSerialization:
    case BranchCause::kLockTimeout:
    case BranchCause::kPreparedLimit:
    case BranchCause::kConnectionLost:
    case BranchCause::kUnavailable:
    case BranchCause::kNotPrimary:
    case BranchCause::kUnknownBranch:
      return true;
    case BranchCause::kUnspecified:
    case BranchCause::kStatementFailed:
    case BranchCause::kTransactionFailed:
    case BranchCause::kReadOnlyViolation:
    case BranchCause::kNotPreparable:
    case BranchCause::kDuplicateGid:
    case BranchCause::kPermission:
    case BranchCause::kConfiguration:
    case BranchCause::kMisuse:
    case BranchCause::kStatementRunning:
    case BranchCause::kNotPrepared:
    case BranchCause::kWrongDatabase:
      return false;
  }
  return false;
}

bool Abort::retryable() const {
  switch (cause) {
    case AbortCause::kDeadlinePassed:
    case AbortCause::kPrepareTimeout:
    case AbortCause::kAgentUnreachable:
    case AbortCause::kBranchLost:
    case AbortCause::kPresumed:
    case AbortCause::kLogRefused:
      return true;
    case AbortCause::kBranchVotedNo:
      return IsRetryable(branch_cause);
    case AbortCause::kUnspecified:
    case AbortCause::kClientRollback:
    case AbortCause::kKeyConflict:
      return false;
  }
  return false;
}

bool WorkError::retryable() const {
  if (cause != BranchCause::kUnspecified) return IsRetryable(cause);
  return status.code() == Code::kAborted || status.code() == Code::kResourceExhausted ||
         status.code() == Code::kUnavailable;
}

std::string CommitResult::ToString() const {
  std::string text(OutcomeName(outcome));
  if (outcome == Outcome::kCommitted && !applied) {
    text += ", not yet applied";
    for (const PendingBranch& branch : pending) {
      text += "; " + branch.resource + ": " + branch.reason;
    }
  }
  if (outcome == Outcome::kAborted) {
    text += " cause=" + std::string(AbortCauseName(abort.cause));
    if (!abort.resource.empty()) text += " resource=" + abort.resource;
    if (abort.branch_cause != BranchCause::kUnspecified) {
      text += " branch_cause=" + std::string(BranchCauseName(abort.branch_cause));
    }
    if (!abort.database_code.empty()) text += " code=" + abort.database_code;
    if (!abort.message.empty()) text += ": " + abort.message;
  }
  if (outcome == Outcome::kUnknown && !why_unknown.ok()) text += ": " + why_unknown.ToString();
  if (heuristic) text += " (heuristic outcome: an operator must look)";
  return text;
}

}  // namespace assent::client
