// A branch on its way to the vote, on a session of this agent.
#include "participant-agent/core/branch.h"

#include <utility>

#include "base/mutant.h"

namespace assent::agent {

Branch Branch::Adopted(std::string evidence, JournalWord word, std::string listed) {
  Branch branch;
  branch.phase_ = Phase::kPrepared;
  branch.has_session_ = false;
  branch.vote_ = Vote::kYes;
  branch.voted_ = !evidence.empty();
  branch.evidence_ = branch.voted_ ? std::move(evidence) : std::move(listed);
  branch.word_ = word;
  return branch;
}

std::vector<BranchAction> Branch::Step(const BranchEvent& event) {
  return std::visit([this](const auto& e) { return On(e); }, event);
}

Branch::Actions Branch::On(const WorkBegan& event) {
  if (phase_ != Phase::kOpen || held_) return {};
  working_ = true;
  asked_by_call_ = event.prepares;
  return {};
}

Branch::Actions Branch::On(const WorkEnded& event) {
  Actions actions;
  working_ = false;
  if (held_ || (phase_ != Phase::kOpen && phase_ != Phase::kRollingBack)) return actions;
  if (event.prepared.has_value() && asked_by_call_) {
    phase_ = Phase::kPreparing;
    return On(*event.prepared);
  }
  if (phase_ == Phase::kRollingBack) {
    // The statement that had to be interrupted is over.
    AnswerCaller(actions);
    if (event.session_lost) {
      actions.push_back(ReleaseSession{.lost = true});
      has_session_ = false;
      Over(actions);
    } else {
      actions.push_back(RollBackSession{});
    }
    return actions;
  }
  if (event.session_lost) {
    // The database rolls an unprepared branch back by itself when its session ends.
    phase_ = Phase::kRollingBack;
    refusal_ = event.failure.value_or(Refusal{.cause = Cause::kConnectionLost});
    TellVote(actions);
    actions.push_back(ReleaseSession{.lost = true});
    has_session_ = false;
    Over(actions);
  } else if (expired_.has_value()) {
    GiveUp(*expired_, actions);
  } else if (event.failure.has_value() && !MutantOn(Mutant::kFailedTransactionVotesYes)) {
    // Doomed on every database alike; holding its locks any longer helps nobody.
    GiveUp(*event.failure, actions);
  } else if (asked_by_link_) {
    GiveUp(
        {.cause = Cause::kStatementFailed,
         .code = "",
         .message = "Commit arrived before the statements that were to be prepared had succeeded"},
        actions);
  } else {
    asked_by_call_ = false;  // A failure that the branch survived kept it from being prepared.
  }
  return actions;
}

Branch::Actions Branch::On(const PrepareAsked& event) {
  Actions actions;
  asked_by_link_ = true;
  switch (phase_) {
    case Phase::kOpen:
      if (held_) {
        Look(actions);
      } else if (working_ && asked_by_call_) {
        // The session prepares it by itself; the vote is then told.
      } else if (working_) {
        // Work that is not finished can't be part of what the service asked to commit.
        GiveUp({.cause = Cause::kStatementRunning,
                .code = "",
                .message = "a statement was still running when Commit arrived"},
               actions);
      } else if (!event.room) {
        GiveUp({.cause = Cause::kPreparedLimit,
                .code = "",
                .message = "no slot left for a prepared branch in the database; retry later, or "
                           "raise its limit"},
               actions);
      } else {
        phase_ = Phase::kPreparing;
        actions.push_back(RunPrepare{});
      }
      break;
    case Phase::kPreparing:
      break;  // The answer is on its way.
    case Phase::kPrepared:
      if (vanished_ || absent_) {
        // Whoever asks for the vote has not decided, so it is not the decision that ended it.
        asked_by_link_ = false;
        vanished_ = true;
        actions.push_back(SendLost{refusal_});
      } else {
        TellVote(actions);
      }
      break;
    case Phase::kGone:
      if (held_) {
        Look(actions);
        break;
      }
      [[fallthrough]];
    case Phase::kFinishing:
    case Phase::kFinished:
    case Phase::kRollingBack:
      // From memory: the database sees each verb of a gid once.
      TellVote(actions);
      break;
  }
  return actions;
}

Branch::Actions Branch::On(const PrepareAnswered& event) {
  Actions actions;
  if (phase_ != Phase::kPreparing || held_) return actions;
  vote_ = event.vote;
  switch (event.vote) {
    case Vote::kYes:
      phase_ = Phase::kPrepared;
      evidence_ = event.evidence;
      attached_ = event.attached;
      if (!attached_) {
        actions.push_back(ReleaseSession{});
        has_session_ = false;
      }
      if (told_abort_) {
        AnswerCaller(actions);
        StartFinish(Decision::kAbort, actions);
      } else {
        TellVote(actions);
      }
      break;
    case Vote::kReadOnly:
      phase_ = Phase::kRollingBack;
      TellVote(actions);
      actions.push_back(ReleaseSession{});
      has_session_ = false;
      Over(actions);
      break;
    case Vote::kNo:
      phase_ = Phase::kRollingBack;
      refusal_ = event.refusal;
      // A lost session may leave a prepared branch behind. The no stands: the transaction aborts,
      // and the decision to roll back then reaches whatever is there.
      unclear_ = event.session_lost;
      TellVote(actions);
      actions.push_back(ReleaseSession{.lost = event.session_lost});
      has_session_ = false;
      Over(actions);
      break;
  }
  return actions;
}

Branch::Actions Branch::On(const SessionRolledBack& event) {
  Actions actions;
  if (phase_ != Phase::kRollingBack) return actions;
  actions.push_back(ReleaseSession{.lost = event.session_lost});
  has_session_ = false;
  Over(actions);
  return actions;
}

Branch::Actions Branch::On(const DeadlinePassed&) {
  Actions actions;
  Expired("the transaction's deadline passed before Commit", actions);
  return actions;
}

Branch::Actions Branch::On(const LaterEpochAnnounced&) {
  Actions actions;
  Expired("the coordinator that began the transaction restarted or lost leadership", actions);
  return actions;
}

void Branch::Expired(std::string why, Actions& actions) {
  if (phase_ == Phase::kPrepared && MutantOn(Mutant::kRolledBackByAge)) {
    return StartFinish(Decision::kAbort, actions);
  }
  if (phase_ != Phase::kOpen || expired_.has_value())
    return;  // Once prepared, time decides nothing.
  if (held_) {
    phase_ = Phase::kGone;  // Nobody's session to end. Its coordinator tells what becomes of it.
    return;
  }
  Refusal refusal{.cause = Cause::kUnknownBranch, .code = "", .message = std::move(why)};
  if (working_ && asked_by_call_) {
    // Its prepare may be under way already: the session knows which came first.
    expired_ = std::move(refusal);
    actions.push_back(InterruptWork{});
    return;
  }
  GiveUp(std::move(refusal), actions);
}

void Branch::GiveUp(Refusal refusal, Actions& actions) {
  phase_ = Phase::kRollingBack;
  refusal_ = std::move(refusal);
  TellVote(actions);
  if (working_) {
    actions.push_back(InterruptWork{});
  } else {
    actions.push_back(RollBackSession{});
  }
}

void Branch::TellVote(Actions& actions) {
  if (asked_by_link_) {
    actions.push_back(SendVote{.vote = vote_, .evidence = evidence_, .refusal = refusal_});
  } else if (vote_ == Vote::kNo && !held_ && !told_abort_) {
    actions.push_back(SendLost{refusal_});
  }
  asked_by_link_ = false;
  AnswerCaller(actions);
}

void Branch::AnswerCaller(Actions& actions) {
  if (!std::exchange(asked_by_call_, false)) return;
  if (told_abort_ || absent_ || vanished_) {
    actions.push_back(AnswerVote{.vote = Vote::kNo, .evidence = "", .refusal = refusal_});
  } else {
    actions.push_back(AnswerVote{.vote = vote_, .evidence = evidence_, .refusal = refusal_});
  }
}

}  // namespace assent::agent
