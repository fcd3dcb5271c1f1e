#include "participant-agent/core/branch.h"

namespace assent::agent {

std::string_view CauseName(Cause cause) {
  switch (cause) {
    case Cause::kNone:
      return "NONE";
    case Cause::kStatementFailed:
      return "STATEMENT_FAILED";
    case Cause::kDeadlock:
      return "DEADLOCK";
    case Cause::kSerialization:
      return "SERIALIZATION";
    case Cause::kLockTimeout:
      return "LOCK_TIMEOUT";
    case Cause::kTransactionFailed:
      return "TRANSACTION_FAILED";
    case Cause::kReadOnlyViolation:
      return "READ_ONLY_VIOLATION";
    case Cause::kNotPreparable:
      return "NOT_PREPARABLE";
    case Cause::kPreparedLimit:
      return "PREPARED_LIMIT";
    case Cause::kDuplicateGid:
      return "DUPLICATE_GID";
    case Cause::kPermission:
      return "PERMISSION";
    case Cause::kConnectionLost:
      return "CONNECTION_LOST";
    case Cause::kUnavailable:
      return "UNAVAILABLE";
    case Cause::kNotPrimary:
      return "NOT_PRIMARY";
    case Cause::kConfiguration:
      return "CONFIGURATION";
    case Cause::kMisuse:
      return "MISUSE";
    case Cause::kStatementRunning:
      return "STATEMENT_RUNNING";
    case Cause::kUnknownBranch:
      return "UNKNOWN_BRANCH";
    case Cause::kNotPrepared:
      return "NOT_PREPARED";
    case Cause::kWrongDatabase:
      return "WRONG_DATABASE";
  }
  return "NONE";
}

std::string_view PhaseName(Branch::Phase phase) {
  switch (phase) {
    case Branch::Phase::kOpen:
      return "OPEN";
    case Branch::Phase::kPreparing:
      return "PREPARING";
    case Branch::Phase::kPrepared:
      return "PREPARED";
    case Branch::Phase::kFinishing:
      return "FINISHING";
    case Branch::Phase::kRollingBack:
      return "ROLLING_BACK";
    case Branch::Phase::kFinished:
      return "FINISHED";
    case Branch::Phase::kGone:
      return "GONE";
  }
  return "GONE";
}

}  // namespace assent::agent
