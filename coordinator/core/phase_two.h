// Phase two of a committed transaction: COMMIT to every listed branch until each is done, then END
// (docs/protocols.md sections 4.1 and 10). Begins from a DECIDE-C that was applied, by the leader
// that proposed it or by any later one: it needs nothing but the decision.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "coordinator/core/types.h"

namespace assent::coordinator {

// ---- What can happen --------------------------------------------------------------------------

// This node leads and has applied the decision; also after a restart.
struct StartPhaseTwo {};
// Time to tell again whoever has not answered: `resource` has an agent (again), or the resend timer
// of the driver fired (empty: all).
struct TellAgain {
  std::string resource;
};
struct BranchEnded {
  Gid gid;
  BranchEnd end = BranchEnd::kCommitted;
  std::string detail;
};
// Not done yet; for people.
struct BranchWaits {
  Gid gid;
  std::string detail;
};
// HEUR is on record: applied now, or found in the table after a restart.
struct HeuristicLogged {
  Gid gid;
  BranchEnd end = BranchEnd::kHazard;
  std::string detail;
};
using PhaseTwoEvent =
    std::variant<StartPhaseTwo, TellAgain, BranchEnded, BranchWaits, HeuristicLogged>;

// ---- What must happen next --------------------------------------------------------------------

struct SendCommit {
  Gid gid;
  std::string evidence;
};
struct ProposeHeuristic {
  Gid gid;
  BranchEnd end = BranchEnd::kHazard;
  std::string detail;
};
// Every branch is done: END may be written, lazily, batched with others.
struct ProposeEnd {};
// Nothing is left to wait for: `applied`, or a branch ended heuristically.
struct Applied {
  bool applied = true;
};
// The report is on record: the agent may stop repeating it.
struct ForgetAtAgent {
  Gid gid;
};
using PhaseTwoAction =
    std::variant<SendCommit, ProposeHeuristic, ProposeEnd, Applied, ForgetAtAgent>;

// ---- The core ---------------------------------------------------------------------------------

class PhaseTwo {
 public:
  enum class BranchPhase { kPending, kDone, kHeuristicUnlogged, kHeuristic };
  struct Branch {
    DecidedBranch decided;
    BranchPhase phase = BranchPhase::kPending;
    BranchEnd end = BranchEnd::kCommitted;
    std::string detail;
  };

  explicit PhaseTwo(Decision decision);

  // As TwoPhase::Step. A repeated BranchEnded is answered with ForgetAtAgent once it is on record.
  std::vector<PhaseTwoAction> Step(const PhaseTwoEvent& event);

  const Decision& decision() const { return decision_; }
  const std::vector<Branch>& branches() const { return branches_; }
  bool AllDone() const;       // Every branch committed.
  bool HasHeuristic() const;  // At least one did not, or can't be accounted for.
  std::vector<Gid> Pending() const;

 private:
  std::vector<PhaseTwoAction> On(const StartPhaseTwo& event);
  std::vector<PhaseTwoAction> On(const TellAgain& event);
  std::vector<PhaseTwoAction> On(const BranchEnded& event);
  std::vector<PhaseTwoAction> On(const BranchWaits& event);
  std::vector<PhaseTwoAction> On(const HeuristicLogged& event);

  Branch* Find(const Gid& gid);
  Gid GidOf(const Branch& branch) const { return {decision_.gtrid, branch.decided.bqual}; }
  // Adds Applied, and ProposeEnd if all is well, once nothing is pending. Only once.
  void FinishIfNothingPending(std::vector<PhaseTwoAction>& actions);

  const Decision decision_;
  std::vector<Branch> branches_;
  bool finished_ = false;
};

}  // namespace assent::coordinator
