#include "adapters/resource_manager.h"

namespace assent::adapters {

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
    case Cause::kNotPrepared:
      return "NOT_PREPARED";
    case Cause::kWrongDatabase:
      return "WRONG_DATABASE";
  }
  return "NONE";
}

std::string_view FinishName(Finish finish) {
  switch (finish) {
    case Finish::kDone:
      return "DONE";
    case Finish::kTransient:
      return "TRANSIENT";
    case Finish::kRefused:
      return "REFUSED";
    case Finish::kHeuristicRollback:
      return "HEURISTIC_ROLLBACK";
    case Finish::kHeuristicCommit:
      return "HEURISTIC_COMMIT";
    case Finish::kHazard:
      return "HAZARD";
  }
  return "HAZARD";
}

}  // namespace assent::adapters
