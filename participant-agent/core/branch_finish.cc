// A branch from its vote to its end.
#include <utility>

#include "base/mutant.h"
#include "participant-agent/core/branch.h"

namespace assent::agent {

Branch::Actions Branch::On(const CommitTold& event) {
  Actions actions;
  if (held_ && (phase_ == Phase::kOpen || phase_ == Phase::kPreparing || phase_ == Phase::kGone)) {
    // Another agent of this resource looked and voted, or this one before it was restarted.
    vote_ = Vote::kYes;
    voted_ = true;
    evidence_ = event.evidence.empty() ? event.listed : event.evidence;
    asked_by_link_ = false;
    AnswerCaller(actions);
    StartFinish(Decision::kCommit, actions);
    return actions;
  }
  switch (phase_) {
    case Phase::kOpen:
    case Phase::kPreparing:
    case Phase::kRollingBack:
      break;  // It never voted yes: not meant, or too early. The coordinator repeats what it means.
    case Phase::kPrepared:
      if (!event.evidence.empty()) evidence_ = event.evidence;
      StartFinish(Decision::kCommit, actions);
      break;
    case Phase::kFinishing:
      break;  // Under way.
    case Phase::kFinished:
      actions.push_back(SendFinished{.report = report_, .detail = detail_});
      break;
    case Phase::kGone:
      // We voted no, and yet it is committed: only the database can say what is there now.
      evidence_ = event.evidence.empty() ? event.listed : event.evidence;
      StartFinish(Decision::kCommit, actions);
      break;
  }
  return actions;
}

Branch::Actions Branch::On(const AbortTold& event) {
  Actions actions;
  const bool news = !std::exchange(told_abort_, true);
  if (news && refusal_.cause == Cause::kNone) {
    refusal_ = {
        .cause = Cause::kUnknownBranch, .code = "", .message = "the transaction was rolled back"};
  }
  switch (phase_) {
    case Phase::kOpen:
      if (held_) {
        AbortAppHeld(event, actions);
        break;
      }
      phase_ = Phase::kRollingBack;
      if (working_) {
        actions.push_back(InterruptWork{});
      } else {
        actions.push_back(RollBackSession{});
      }
      break;
    case Phase::kPreparing:
      grace_ = event.grace;
      break;
    case Phase::kRollingBack:
      break;
    case Phase::kPrepared:
      if (held_) {
        AbortAppHeld(event, actions);
        break;
      }
      if (!event.evidence.empty()) {
        evidence_ = event.evidence;
        voted_ = true;
      }
      StartFinish(Decision::kAbort, actions);
      break;
    case Phase::kFinishing:
      break;
    case Phase::kFinished:
      actions.push_back(SendFinished{.report = report_, .detail = detail_});
      break;
    case Phase::kGone:
      if (held_) {
        AbortAppHeld(event, actions);
      } else {
        Over(actions);
      }
      break;
  }
  return actions;
}

Branch::Actions Branch::On(const FinishAnswered& event) {
  Actions actions;
  if (phase_ != Phase::kFinishing) return actions;
  if (event.on_session && has_session_) {
    has_session_ = false;
    attached_ = false;
    actions.push_back(ReleaseSession{.lost = event.session_lost});
  }
  // From now on an absent branch may be our own work.
  if (!event.no_effect && decision_ == Decision::kCommit && word_ == JournalWord::kNothing) {
    word_ = JournalWord::kWill;
  }
  switch (event.finish) {
    case FinishClass::kDone:
      if (decision_ == Decision::kCommit) {
        actions.push_back(WriteDone{});
        Finished(Report::kCommitted, "", actions);
      } else {
        Finished(Report::kRolledBack, "", actions);
      }
      break;
    case FinishClass::kTransient:
    case FinishClass::kRefused:
      if (decision_ == Decision::kCommit && event.detail != detail_) {
        detail_ = event.detail;
        actions.push_back(SendFinished{.report = Report::kCommitting, .detail = detail_});
      }
      ++attempt_;
      if (looking_) {
        actions.push_back(LookUp{.attempt = attempt_});
        break;
      }
      actions.push_back(FinishInPool{.decision = decision_,
                                     .evidence = evidence_,
                                     .word = word_,
                                     .attempt = attempt_,
                                     .slowly = event.finish == FinishClass::kRefused});
      break;
    case FinishClass::kHeuristicRollback:
      Finished(Report::kHeuristicRollback, event.detail, actions);
      break;
    case FinishClass::kHeuristicCommit:
      Finished(Report::kHeuristicCommit, event.detail, actions);
      break;
    case FinishClass::kHazard:
      if (decision_ == Decision::kAbort && (evidence_.empty() || !voted_)) {
        // Nothing is listed on a proven primary, and no yes was ever counted for it: state GONE of
        // protocols.md 4.2, where an abort is a no-op. With a yes there would be its evidence.
        Finished(Report::kRolledBack, "", actions);
      } else {
        Finished(Report::kHazard, event.detail, actions);
      }
      break;
  }
  return actions;
}

Branch::Actions Branch::On(const Vanished&) {
  Actions actions;
  if (phase_ != Phase::kPrepared || vanished_ || absent_) return actions;
  refusal_ = {.cause = Cause::kConnectionLost,
              .code = "",
              .message = "the database does not list this prepared branch any more"};
  if (app_finishes() && !MutantOn(Mutant::kAppsCommitIsLoss)) {
    absent_ = true;  // Most likely its own application has committed it. The coordinator is asked.
    return actions;
  }
  vanished_ = true;
  actions.push_back(SendLost{refusal_});
  return actions;
}

Branch::Actions Branch::On(const LeaderCame&) {
  Actions actions;
  if (phase_ == Phase::kPrepared && vanished_) actions.push_back(SendLost{refusal_});
  if (heuristic()) actions.push_back(SendFinished{.report = report_, .detail = detail_});
  return actions;
}

void Branch::Over(Actions& actions) {
  phase_ = Phase::kGone;
  if (!told_abort_) return;
  if (unclear_) {
    StartFinish(Decision::kAbort, actions);
  } else {
    Finished(Report::kRolledBack, "", actions);
  }
}

void Branch::StartFinish(Decision decision, Actions& actions) {
  phase_ = Phase::kFinishing;
  decision_ = decision;
  attempt_ = 0;
  detail_.clear();
  // What was known before this verb; the WILL written now says nothing about the past.
  const JournalWord word = word_;
  if (decision == Decision::kCommit && word == JournalWord::kNothing) {
    actions.push_back(WriteWill{});
  }
  if (attached_ && has_session_) {
    actions.push_back(FinishOnSession{.decision = decision, .evidence = evidence_, .word = word});
  } else {
    actions.push_back(FinishInPool{.decision = decision, .evidence = evidence_, .word = word});
  }
}

void Branch::Finished(Report report, std::string detail, Actions& actions) {
  phase_ = Phase::kFinished;
  report_ = report;
  if (decision_ == Decision::kCommit && heuristic()) actions.push_back(EraseWill{});
  detail_ = std::move(detail);
  actions.push_back(SendFinished{.report = report_, .detail = detail_});
}

}  // namespace assent::agent
