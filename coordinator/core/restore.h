// A group that begins anew from a backup of its state (docs/protocols.md 1.1, 4.3 and 16.9). Pure.
#pragma once

#include <cstdint>

#include "base/status.h"
#include "coordinator/core/decision_table.h"

namespace assent::coordinator {

// The state that the restored group begins with: what `backup` has decided, heuristic outcomes and
// client keys stay as they are, each under the incarnation that issued its gtrids; the group itself
// is `incarnation` from here on, and has decided nothing yet. Several restores in a row add up.
//
// FAILED_PRECONDITION: the backup is of no group. INVALID_ARGUMENT: `incarnation` is 0, or is the
// group's already.
Result<DecisionTable::State> RestoredState(DecisionTable::State backup, uint64_t incarnation);

// The committed transactions that are on record in `state`, of all incarnations, unfinished ones
// included.
uint64_t CountDecisions(const DecisionTable::State& state);

}  // namespace assent::coordinator
