#include "coordinator/core/restore.h"

#include <string>
#include <utility>

#include "base/mutant.h"

namespace assent::coordinator {

Result<DecisionTable::State> RestoredState(DecisionTable::State backup, uint64_t incarnation) {
  if (!backup.group) {
    return FailedPrecondition("the backup holds the state of no group: it was never bootstrapped");
  }
  const uint64_t before = backup.group->incarnation;
  if (incarnation == 0 || incarnation == before || backup.older.contains(incarnation)) {
    return InvalidArgument("group incarnation " + std::to_string(incarnation) +
                           " is none that a restored group may have: it is 0, or was had before");
  }
  if (MutantOn(Mutant::kRestoreKeepsIncarnation)) return backup;
  EndedTransactions ended = std::exchange(backup.ended, {});
  if (!ended.Spent() && !MutantOn(Mutant::kRestoreDropsEnded)) {
    backup.older.emplace(before, std::move(ended));
  }
  if (MutantOn(Mutant::kRestoreDropsUnfinished)) backup.unfinished.clear();
  backup.group->incarnation = incarnation;
  return backup;
}

uint64_t CountDecisions(const DecisionTable::State& state) {
  uint64_t count = state.unfinished.size() + state.ended.Count();
  for (const auto& [incarnation, ended] : state.older) count += ended.Count();
  return count;
}

}  // namespace assent::coordinator
