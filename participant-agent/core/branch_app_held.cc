// A branch on its way to the vote, on a session of the application (docs/protocols.md 5).
#include <utility>

#include "base/mutant.h"
#include "participant-agent/core/branch.h"

namespace assent::agent {

Branch Branch::AppHeld(HeldByApp held, JournalWord word) {
  Branch branch;
  branch.held_ = held;
  branch.has_session_ = false;
  branch.voted_ = false;
  branch.word_ = word;
  return branch;
}

void Branch::Hold(HeldByApp held) {
  if (held_ || has_session_ || phase_ != Phase::kFinishing) return;
  held_ = held;
  // What is tried now does not know the session that the branch may be tied to; a look tells it.
  looking_ = decision_ == Decision::kAbort && !voted_;
}

Branch::Actions Branch::On(const VoteAsked&) {
  Actions actions;
  if (!held_) return actions;
  asked_by_call_ = true;
  switch (phase_) {
    case Phase::kOpen:
    case Phase::kGone:
      Look(actions);
      break;
    case Phase::kPreparing:
    case Phase::kRollingBack:
      break;
    case Phase::kPrepared:
    case Phase::kFinishing:
    case Phase::kFinished:
      AnswerCaller(actions);
      break;
  }
  return actions;
}

void Branch::Look(Actions& actions) {
  phase_ = Phase::kPreparing;
  attempt_ = 0;
  if (MutantOn(Mutant::kVoteWithoutLook)) {
    actions = On(LookedUp{.prepared = true, .evidence = "", .refusal = {}});
    return;
  }
  actions.push_back(LookUp{});
}

Branch::Actions Branch::On(const LookedUp& event) {
  Actions actions;
  if (!held_) return actions;
  if (phase_ == Phase::kPreparing && !told_abort_) {
    vote_ = event.prepared ? Vote::kYes : Vote::kNo;
    if (event.prepared) {
      phase_ = Phase::kPrepared;
      evidence_ = event.evidence;
      voted_ = true;
    } else {
      phase_ = Phase::kGone;
      refusal_ = event.refusal;
    }
    TellVote(actions);
    return actions;
  }
  if (phase_ == Phase::kPreparing) {
    // Nobody has heard of a yes, so it does not count.
    AnswerCaller(actions);
    phase_ = Phase::kFinishing;
    decision_ = Decision::kAbort;
    looking_ = true;
  }
  if (phase_ != Phase::kFinishing || !std::exchange(looking_, false)) return actions;
  // Any other no does not say that it is not there.
  const bool absent = !event.prepared && (event.refusal.cause == Cause::kNotPrepared ||
                                          event.refusal.cause == Cause::kWrongDatabase);
  if (event.prepared) evidence_ = event.evidence;
  if (absent && evidence_.empty()) {
    Finished(Report::kRolledBack, "", actions);
  } else if (!absent && grace_) {
    actions.push_back(AwaitApplication{});
  } else {
    // If it is absent, a listing once had it, and the database may tell how it ended.
    StartFinish(Decision::kAbort, actions);
  }
  return actions;
}

Branch::Actions Branch::On(const LookFailed& event) {
  Actions actions;
  if (phase_ == Phase::kPreparing && held_) {
    if (event.refusal.has_value() && !told_abort_) {
      // Nobody can tell in time whether it is prepared.
      return On(LookedUp{.prepared = false, .evidence = "", .refusal = *event.refusal});
    }
    asked_by_call_ = false;  // Whoever called is told to try again.
    if (!asked_by_link_ && !told_abort_) {
      phase_ = Phase::kGone;
      return actions;
    }
  } else if (phase_ != Phase::kFinishing || !looking_) {
    return actions;
  }
  actions.push_back(LookUp{.attempt = ++attempt_});
  return actions;
}

// There may be nothing to roll back, and then no session must be taken from anybody.
void Branch::AbortAppHeld(const AbortTold& event, Actions& actions) {
  phase_ = Phase::kFinishing;
  decision_ = Decision::kAbort;
  attempt_ = 0;
  if (!event.evidence.empty()) {
    evidence_ = event.evidence;
    voted_ = true;
  } else if (evidence_.empty()) {
    evidence_ = event.listed;
  }
  looking_ = !voted_ && !MutantOn(Mutant::kKillWithoutLook);
  grace_ = event.grace;
  if (grace_) {
    actions.push_back(AwaitApplication{});
  } else if (looking_) {
    actions.push_back(LookUp{});
  } else {
    StartFinish(Decision::kAbort, actions);
  }
}

Branch::Actions Branch::On(const GracePassed&) {
  Actions actions;
  if (phase_ != Phase::kFinishing || !std::exchange(grace_, false)) return actions;
  if (looking_) {
    actions.push_back(LookUp{});
  } else {
    StartFinish(Decision::kAbort, actions);
  }
  return actions;
}

Branch::Actions Branch::On(const StillUndecided&) {
  Actions actions;
  // So it was not its application, which ends it only once it has heard the decision. (An answer
  // that was overtaken by the decision does no harm: a lost branch is no news any more.)
  if (phase_ != Phase::kPrepared || !absent_ || vanished_) return actions;
  vanished_ = true;
  actions.push_back(SendLost{refusal_});
  return actions;
}

}  // namespace assent::agent
