#include "coordinator/core/phase_two.h"

#include <algorithm>
#include <utility>

#include "base/mutant.h"

namespace assent::coordinator {

PhaseTwo::PhaseTwo(Decision decision, const std::map<uint32_t, AppHeld>& app_held)
    : decision_(std::move(decision)) {
  for (const DecidedBranch& decided : decision_.branches) {
    Branch branch{.decided = decided};
    if (auto known = app_held.find(decided.bqual.branch); known != app_held.end()) {
      branch.app_held = known->second;
      branch.left_to_app = EndedByApp(branch) && !MutantOn(Mutant::kGraceSkipped);
    }
    branches_.push_back(std::move(branch));
  }
}

bool PhaseTwo::EndedByApp(const Branch& branch) {
  return branch.app_held && branch.app_held->finisher == Finisher::kApp;
}

std::vector<PhaseTwoAction> PhaseTwo::Step(const PhaseTwoEvent& event) {
  return std::visit([this](const auto& e) { return On(e); }, event);
}

bool PhaseTwo::AllDone() const {
  return std::all_of(branches_.begin(), branches_.end(),
                     [](const Branch& b) { return b.phase == BranchPhase::kDone; });
}

bool PhaseTwo::HasHeuristic() const {
  return std::any_of(branches_.begin(), branches_.end(), [](const Branch& b) {
    return b.phase == BranchPhase::kHeuristic || b.phase == BranchPhase::kHeuristicUnlogged;
  });
}

std::vector<Gid> PhaseTwo::Pending() const {
  std::vector<Gid> gids;
  for (const Branch& branch : branches_) {
    if (branch.phase == BranchPhase::kPending) gids.push_back(GidOf(branch));
  }
  return gids;
}

bool PhaseTwo::AwaitsAgents() const {
  return std::any_of(branches_.begin(), branches_.end(), [](const Branch& b) {
    return b.phase == BranchPhase::kPending && !b.left_to_app;
  });
}

bool PhaseTwo::AwaitsApplication() const {
  return std::any_of(branches_.begin(), branches_.end(), [](const Branch& b) {
    return b.phase == BranchPhase::kPending && b.left_to_app;
  });
}

bool PhaseTwo::IsLeftToApp(const Gid& gid) const {
  const Branch* branch = Find(gid);
  return branch != nullptr && branch->phase == BranchPhase::kPending && branch->left_to_app;
}

std::vector<PhaseTwoAction> PhaseTwo::On(const StartPhaseTwo&) {
  std::vector<PhaseTwoAction> actions = On(TellAgain{});
  if (AwaitsApplication()) actions.push_back(AwaitApplication{});
  return actions;
}

std::vector<PhaseTwoAction> PhaseTwo::On(const GracePassed&) {
  std::vector<PhaseTwoAction> actions;
  for (Branch& branch : branches_) {
    if (!std::exchange(branch.left_to_app, false) || branch.phase != BranchPhase::kPending) {
      continue;
    }
    actions.push_back(SendCommit{GidOf(branch), branch.decided.evidence, branch.app_held});
  }
  return actions;
}

std::vector<PhaseTwoAction> PhaseTwo::On(const TellAgain& event) {
  std::vector<PhaseTwoAction> actions;
  for (const Branch& branch : branches_) {
    if (branch.phase != BranchPhase::kPending || branch.left_to_app) continue;
    if (!event.resource.empty() && branch.decided.bqual.resource != event.resource) continue;
    actions.push_back(SendCommit{GidOf(branch), branch.decided.evidence, branch.app_held});
  }
  return actions;
}

std::vector<PhaseTwoAction> PhaseTwo::On(const BranchEnded& event) {
  Branch* branch = Find(event.gid);
  if (branch == nullptr) return {};
  std::vector<PhaseTwoAction> actions;
  switch (branch->phase) {
    case BranchPhase::kPending:
      branch->end = event.end;
      branch->detail = event.detail;
      if (event.end == BranchEnd::kCommitted) {
        branch->phase = BranchPhase::kDone;
        FinishIfNothingPending(actions);
      } else {
        branch->phase = BranchPhase::kHeuristicUnlogged;
        actions.push_back(ProposeHeuristic{event.gid, event.end, event.detail});
      }
      break;
    case BranchPhase::kHeuristicUnlogged:
      // The agent repeats itself until the report is on record; the first proposal may have been
      // refused.
      actions.push_back(ProposeHeuristic{event.gid, branch->end, branch->detail});
      break;
    case BranchPhase::kHeuristic:
      actions.push_back(ForgetAtAgent{event.gid});
      break;
    case BranchPhase::kDone:
      break;
  }
  return actions;
}

std::vector<PhaseTwoAction> PhaseTwo::On(const ApplicationReported& event) {
  const Branch* branch = Find(event.gid);
  // What an agent has reported stands: it has looked.
  if (branch == nullptr || branch->phase != BranchPhase::kPending) return {};
  if (!EndedByApp(*branch) && !MutantOn(Mutant::kAnyReportCounts)) return {};
  return On(BranchEnded{event.gid, BranchEnd::kCommitted, "committed by the application"});
}

std::vector<PhaseTwoAction> PhaseTwo::On(const BranchWaits& event) {
  Branch* branch = Find(event.gid);
  if (branch != nullptr && branch->phase == BranchPhase::kPending) branch->detail = event.detail;
  return {};
}

std::vector<PhaseTwoAction> PhaseTwo::On(const HeuristicLogged& event) {
  Branch* branch = Find(event.gid);
  if (branch == nullptr || branch->phase == BranchPhase::kDone ||
      branch->phase == BranchPhase::kHeuristic) {
    return {};
  }
  branch->phase = BranchPhase::kHeuristic;
  branch->end = event.end;
  branch->detail = event.detail;
  std::vector<PhaseTwoAction> actions{ForgetAtAgent{event.gid}};
  FinishIfNothingPending(actions);
  return actions;
}

const PhaseTwo::Branch* PhaseTwo::Find(const Gid& gid) const {
  if (gid.gtrid != decision_.gtrid) return nullptr;
  for (const Branch& branch : branches_) {
    if (branch.decided.bqual == gid.bqual) return &branch;
  }
  return nullptr;
}

PhaseTwo::Branch* PhaseTwo::Find(const Gid& gid) {
  return const_cast<Branch*>(std::as_const(*this).Find(gid));
}

void PhaseTwo::FinishIfNothingPending(std::vector<PhaseTwoAction>& actions) {
  if (finished_) return;
  bool heuristic = false;
  for (const Branch& branch : branches_) {
    if (MutantOn(Mutant::kEndTooEarly)) continue;
    if (branch.phase == BranchPhase::kPending || branch.phase == BranchPhase::kHeuristicUnlogged) {
      return;
    }
    if (branch.phase == BranchPhase::kHeuristic) heuristic = true;
  }
  finished_ = true;
  actions.push_back(Applied{.applied = !heuristic});
  // With a heuristic outcome END waits until an operator forgets it.
  if (!heuristic) actions.push_back(ProposeEnd{});
}

}  // namespace assent::coordinator
