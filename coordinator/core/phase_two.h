// Phase two of a committed transaction: COMMIT to every listed branch until each is done, then END
// (docs/protocols.md sections 4.1 and 10). Begins from a DECIDE-C that was applied, by the leader
// that proposed it or by any later one: it needs nothing but the decision.
//
// The leader that proposed it also knows the app-held branches. One that the application ends by
// itself (Finisher::kApp) is left to it at first (section 5): its agent is told only when
// finish_grace has passed without a report. A later leader tells every agent at once; what a
// finisher must know of the application's session stands in the evidence.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "coordinator/core/types.h"

namespace assent::coordinator {

// ---- What can happen --------------------------------------------------------------------------

// This node leads and has applied the decision; also after a restart.
struct StartPhaseTwo {};
// finish_grace has passed since the decision.
struct GracePassed {};
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
// The application says that it has committed this branch by itself. Counts only for one that is its
// own to end.
struct ApplicationReported {
  Gid gid;
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
using PhaseTwoEvent = std::variant<StartPhaseTwo, GracePassed, TellAgain, BranchEnded,
                                   ApplicationReported, BranchWaits, HeuristicLogged>;

// ---- What must happen next --------------------------------------------------------------------

struct SendCommit {
  Gid gid;
  std::string evidence;
  std::optional<AppHeld> app_held;
};
// Some branches are the application's to commit: answer it at once, and start finish_grace.
struct AwaitApplication {};
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
using PhaseTwoAction = std::variant<SendCommit, AwaitApplication, ProposeHeuristic, ProposeEnd,
                                    Applied, ForgetAtAgent>;

// ---- The core ---------------------------------------------------------------------------------

class PhaseTwo {
 public:
  enum class BranchPhase { kPending, kDone, kHeuristicUnlogged, kHeuristic };
  struct Branch {
    DecidedBranch decided;
    std::optional<AppHeld> app_held;
    bool left_to_app = false;  // Its agent is not told for now.
    BranchPhase phase = BranchPhase::kPending;
    BranchEnd end = BranchEnd::kCommitted;
    std::string detail;
  };

  // `app_held`: by branch number, as far as this node knows.
  explicit PhaseTwo(Decision decision, const std::map<uint32_t, AppHeld>& app_held = {});

  // As TwoPhase::Step. A repeated BranchEnded is answered with ForgetAtAgent once it is on record.
  std::vector<PhaseTwoAction> Step(const PhaseTwoEvent& event);

  const Decision& decision() const { return decision_; }
  const std::vector<Branch>& branches() const { return branches_; }
  bool AllDone() const;       // Every branch committed.
  bool HasHeuristic() const;  // At least one did not, or can't be accounted for.
  std::vector<Gid> Pending() const;
  bool AwaitsAgents() const;       // A branch is pending and not left to the application.
  bool AwaitsApplication() const;  // A branch is pending and left to the application.
  bool IsLeftToApp(const Gid& gid) const;

 private:
  std::vector<PhaseTwoAction> On(const StartPhaseTwo& event);
  std::vector<PhaseTwoAction> On(const GracePassed& event);
  std::vector<PhaseTwoAction> On(const TellAgain& event);
  std::vector<PhaseTwoAction> On(const BranchEnded& event);
  std::vector<PhaseTwoAction> On(const ApplicationReported& event);
  std::vector<PhaseTwoAction> On(const BranchWaits& event);
  std::vector<PhaseTwoAction> On(const HeuristicLogged& event);

  static bool EndedByApp(const Branch& branch);
  const Branch* Find(const Gid& gid) const;
  Branch* Find(const Gid& gid);
  Gid GidOf(const Branch& branch) const { return {decision_.gtrid, branch.decided.bqual}; }
  // Adds Applied, and ProposeEnd if all is well, once nothing is pending. Only once.
  void FinishIfNothingPending(std::vector<PhaseTwoAction>& actions);

  const Decision decision_;
  std::vector<Branch> branches_;
  bool finished_ = false;
};

}  // namespace assent::coordinator
