#include "coordinator/core/types.h"

namespace assent::coordinator {

std::string_view AbortCauseName(AbortCause cause) {
  switch (cause) {
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
  return "PRESUMED";
}

}  // namespace assent::coordinator
