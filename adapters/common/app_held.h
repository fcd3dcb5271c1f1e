// What is common to the votes of app-held branches (docs/protocols.md 5), whatever the database.
// Pure.
#pragma once

#include <string>
#include <vector>

#include "adapters/resource_manager.h"

namespace assent::adapters {

// Who works on a branch, as its evidence says.
enum class Holder {
  kAgent,
  kApp,          // The application's session prepared it; the agent ends it.
  kAppFinishes,  // The application's session also commits it, once it has heard the decision.
};

// Evidence of app-held branches ends in " app=holds" or " app=finishes".
Evidence WithHolder(Evidence evidence, Holder holder);
// Cuts that end off.
Holder TakeHolder(Evidence* evidence);

Holder HolderOf(const AppHeldBranch& branch);

PrepareAnswer VoteNo(Cause cause, std::string detail);

// The vote for a branch that the server does not list. `others`: what it lists of the same
// transaction and resource; one of them may be what the application took for this branch.
PrepareAnswer NotPrepared(const Gid& gid, const std::vector<Gid>& others);

}  // namespace assent::adapters
