#include "participant-agent/core/branch.h"

#include <utility>

#include "base/mutant.h"

namespace assent::agent {

std::string_view CauseName(Cause cause) {
  switch (cause) {
    case Cause::kNone:
      return "NONE";
    case Cause::kStatementFailed:
      return "STATEMENT_FAILED";
    case Cause::kDeadlock:
      return "DEADLOCK";
    case Cause::kSerialization:
      return "SERIALIZATION";
    case Cause::kLockTimeout:
      return "LOCK_TIMEOUT";
    case Cause::kTransactionFailed:
      return "TRANSACTION_FAILED";
    case Cause::kReadOnlyViolation:
      return "READ_ONLY_VIOLATION";
    case Cause::kNotPreparable:
      return "NOT_PREPARABLE";
    case Cause::kPreparedLimit:
      return "PREPARED_LIMIT";
    case Cause::kDuplicateGid:
      return "DUPLICATE_GID";
    case Cause::kPermission:
      return "PERMISSION";
    case Cause::kConnectionLost:
      return "CONNECTION_LOST";
    case Cause::kUnavailable:
      return "UNAVAILABLE";
    case Cause::kNotPrimary:
      return "NOT_PRIMARY";
    case Cause::kConfiguration:
      return "CONFIGURATION";
    case Cause::kMisuse:
      return "MISUSE";
    case Cause::kStatementRunning:
      return "STATEMENT_RUNNING";
    case Cause::kUnknownBranch:
      return "UNKNOWN_BRANCH";
    case Cause::kNotPrepared:
      return "NOT_PREPARED";
    case Cause::kWrongDatabase:
      return "WRONG_DATABASE";
  }
  return "NONE";
}

std::string_view PhaseName(Branch::Phase phase) {
  switch (phase) {
    case Branch::Phase::kOpen:
      return "OPEN";
    case Branch::Phase::kPreparing:
      return "PREPARING";
    case Branch::Phase::kPrepared:
      return "PREPARED";
    case Branch::Phase::kFinishing:
      return "FINISHING";
    case Branch::Phase::kRollingBack:
      return "ROLLING_BACK";
    case Branch::Phase::kFinished:
      return "FINISHED";
    case Branch::Phase::kGone:
      return "GONE";
  }
  return "GONE";
}

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

Branch::Actions Branch::On(const WorkBegan&) {
  if (phase_ == Phase::kOpen) working_ = true;
  return {};
}

Branch::Actions Branch::On(const WorkEnded& event) {
  Actions actions;
  working_ = false;
  if (phase_ == Phase::kRollingBack) {
    // The statement that had to be interrupted is over.
    if (event.session_lost) {
      actions.push_back(ReleaseSession{.lost = true});
      has_session_ = false;
      Over(actions);
    } else {
      actions.push_back(RollBackSession{});
    }
    return actions;
  }
  if (phase_ != Phase::kOpen) return actions;
  if (event.session_lost) {
    // The database rolls an unprepared branch back by itself when its session ends.
    phase_ = Phase::kRollingBack;
    refusal_ = event.failure.value_or(Refusal{.cause = Cause::kConnectionLost});
    actions.push_back(SendLost{refusal_});
    actions.push_back(ReleaseSession{.lost = true});
    has_session_ = false;
    Over(actions);
    return actions;
  }
  if (event.failure.has_value() && !MutantOn(Mutant::kFailedTransactionVotesYes)) {
    // Doomed on every database alike; holding its locks any longer helps nobody.
    GiveUp(*event.failure, actions);
  }
  return actions;
}

Branch::Actions Branch::On(const PrepareAsked& event) {
  Actions actions;
  switch (phase_) {
    case Phase::kOpen:
      if (working_) {
        // Work that is not finished can't be part of what the service asked to commit.
        phase_ = Phase::kRollingBack;
        refusal_ = {.cause = Cause::kStatementRunning,
                    .code = "",
                    .message = "a statement was still running when Commit arrived"};
        actions.push_back(SendVote{.vote = Vote::kNo, .evidence = "", .refusal = refusal_});
        actions.push_back(InterruptWork{});
      } else if (!event.room) {
        phase_ = Phase::kRollingBack;
        refusal_ = {.cause = Cause::kPreparedLimit,
                    .code = "",
                    .message =
                        "no slot left for a prepared branch in the database; retry later, or "
                        "raise its limit"};
        actions.push_back(SendVote{.vote = Vote::kNo, .evidence = "", .refusal = refusal_});
        actions.push_back(RollBackSession{});
      } else {
        phase_ = Phase::kPreparing;
        actions.push_back(RunPrepare{});
      }
      break;
    case Phase::kPreparing:
      break;  // The answer is on its way.
    case Phase::kPrepared:
      if (vanished_) {
        actions.push_back(SendLost{refusal_});
        break;
      }
      [[fallthrough]];
    case Phase::kFinishing:
    case Phase::kFinished:
    case Phase::kRollingBack:
    case Phase::kGone:
      // From memory: the database sees each verb of a gid once.
      actions.push_back(SendVote{.vote = vote_, .evidence = evidence_, .refusal = refusal_});
      break;
  }
  return actions;
}

Branch::Actions Branch::On(const PrepareAnswered& event) {
  Actions actions;
  if (phase_ != Phase::kPreparing) return actions;
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
        StartFinish(Decision::kAbort, actions);
      } else {
        actions.push_back(SendVote{.vote = Vote::kYes, .evidence = evidence_, .refusal = {}});
      }
      break;
    case Vote::kReadOnly:
      phase_ = Phase::kRollingBack;
      actions.push_back(SendVote{.vote = Vote::kReadOnly, .evidence = "", .refusal = {}});
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
      actions.push_back(SendVote{.vote = Vote::kNo, .evidence = "", .refusal = refusal_});
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
  if (phase_ != Phase::kOpen) return actions;  // Once prepared, time decides nothing.
  GiveUp({.cause = Cause::kUnknownBranch,
          .code = "",
          .message = "the transaction's deadline passed before Commit"},
         actions);
  return actions;
}

Branch::Actions Branch::On(const LaterEpochAnnounced&) {
  Actions actions;
  if (phase_ != Phase::kOpen) return actions;
  GiveUp({.cause = Cause::kUnknownBranch,
          .code = "",
          .message = "the coordinator that began the transaction restarted or lost leadership"},
         actions);
  return actions;
}

Branch::Actions Branch::On(const CommitTold& event) {
  Actions actions;
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
      evidence_ = event.evidence;
      StartFinish(Decision::kCommit, actions);
      break;
  }
  return actions;
}

Branch::Actions Branch::On(const AbortTold& event) {
  Actions actions;
  switch (phase_) {
    case Phase::kOpen:
      told_abort_ = true;
      refusal_ = {
          .cause = Cause::kUnknownBranch, .code = "", .message = "the transaction was rolled back"};
      phase_ = Phase::kRollingBack;
      if (working_) {
        actions.push_back(InterruptWork{});
      } else {
        actions.push_back(RollBackSession{});
      }
      break;
    case Phase::kPreparing:
    case Phase::kRollingBack:
      told_abort_ = true;
      break;
    case Phase::kPrepared:
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
      told_abort_ = true;
      Over(actions);
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
  if (phase_ != Phase::kPrepared || vanished_) return actions;
  vanished_ = true;
  refusal_ = {.cause = Cause::kConnectionLost,
              .code = "",
              .message = "the database does not list this prepared branch any more"};
  actions.push_back(SendLost{refusal_});
  return actions;
}

Branch::Actions Branch::On(const LeaderCame&) {
  Actions actions;
  if (phase_ == Phase::kPrepared && vanished_) actions.push_back(SendLost{refusal_});
  if (heuristic()) actions.push_back(SendFinished{.report = report_, .detail = detail_});
  return actions;
}

void Branch::GiveUp(Refusal refusal, Actions& actions) {
  phase_ = Phase::kRollingBack;
  refusal_ = std::move(refusal);
  actions.push_back(SendLost{refusal_});
  if (working_) {
    actions.push_back(InterruptWork{});
  } else {
    actions.push_back(RollBackSession{});
  }
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
