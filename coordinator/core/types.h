// Words that the coordinator's pure cores share. Values only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"

namespace assent::coordinator {

// Term of the decision log (Raft paper). The term inside a gtrid is called its epoch.
using Term = uint64_t;

// What a client may be told. COMMITTED and ABORTED are never wrong and never change (I8).
enum class Outcome { kCommitted = 1, kAborted = 2, kUnknown = 3, kExpired = 4 };

// Why a transaction was aborted; the numbers are those of assent.v1.AbortCause.
enum class AbortCause {
  kClientRollback = 1,
  kDeadlinePassed = 2,
  kPrepareTimeout = 3,
  kAgentUnreachable = 4,
  kBranchVotedNo = 5,
  kBranchLost = 6,
  kPresumed = 7,
  kLogRefused = 8,
  kKeyConflict = 9,
};
std::string_view AbortCauseName(AbortCause cause);

// Why a branch failed. The core only carries it: `cause` is a number of assent.v1.BranchCause.
struct BranchFailure {
  uint32_t cause = 0;
  std::string database_code;
  std::string message;

  bool operator==(const BranchFailure&) const = default;
};

struct AbortReason {
  AbortCause cause = AbortCause::kPresumed;
  std::optional<Gid> gid;  // The branch that caused it.
  BranchFailure failure;

  bool operator==(const AbortReason&) const = default;
};

enum class Vote { kYes, kReadOnly, kNo };

// Who ends an app-held branch once it is decided; the numbers are those of assent.v1.Finisher.
enum class Finisher { kAgent = 1, kApp = 2 };

// What makes a branch app-held: the application's own session works on it and prepares it
// (docs/protocols.md section 5). The core looks at the finisher only; the rest it carries to the
// agent, which need not remember anything of such a branch.
struct AppHeld {
  std::string connection_id;  // As the database counts its sessions; may be empty.
  Finisher finisher = Finisher::kAgent;
  MonotonicTime named{};  // The session had this id then, or before.

  bool operator==(const AppHeld&) const = default;
};

// A branch of a commit decision: exactly the gid that voted yes, and what its vote carried.
struct DecidedBranch {
  Bqual bqual;
  std::string evidence;

  bool operator==(const DecidedBranch&) const = default;
};

// DECIDE-C.
struct Decision {
  Gtrid gtrid;
  std::vector<DecidedBranch> branches;
  std::string client_key;  // Empty: none.
  // Numbers of branches that voted read-only after an earlier attempt of theirs was voided: that
  // one may be prepared somewhere, and no attempt of theirs is ever to be committed.
  std::vector<uint32_t> voided_readers{};

  bool operator==(const Decision&) const = default;
};

// How a branch ended. The numbers are those of assent.v1.BranchState.
enum class BranchEnd {
  kCommitted = 7,
  kHeuristicRollback = 9,  // Rolled back, although the decision was commit.
  kHeuristicCommit = 10,   // Committed, although the decision was abort.
  kHazard = 11,            // Nobody can tell.
};

}  // namespace assent::coordinator
