#include "coordinator/core/two_phase.h"

#include <algorithm>
#include <utility>

#include "base/mutant.h"

namespace assent::coordinator {

TwoPhase::TwoPhase(Gtrid gtrid, std::string client_key)
    : gtrid_(std::move(gtrid)), client_key_(std::move(client_key)) {}

std::vector<Action> TwoPhase::Step(const Event& event) {
  return std::visit([this](const auto& e) { return On(e); }, event);
}

std::vector<Gid> TwoPhase::Awaited() const {
  std::vector<Gid> gids;
  for (const Branch& branch : branches_) {
    if (branch.phase == BranchPhase::kPreparing) gids.push_back(branch.gid);
  }
  return gids;
}

std::vector<Action> TwoPhase::On(const Register& event) {
  if (auto known = registrations_.find(event.id); known != registrations_.end()) {
    return {AcknowledgeRegistration{event.id, known->second}};
  }
  if (phase_ != Phase::kActive) {
    return {RefuseRegistration{event.id, RegistrationRefusal::kNotActive}};
  }
  if (event.again) {
    if (*event.again >= branches_.size() ||
        branches_[*event.again].gid.bqual.resource != event.resource) {
      return {RefuseRegistration{event.id, RegistrationRefusal::kUnknownBranch}};
    }
    // A gid is never prepared twice: nobody knows whether the old one is, so its vote is void and
    // whatever is prepared under it becomes a stray that the next scan rolls back.
    Branch& branch = branches_[*event.again];
    Gid gid = branch.gid;
    if (!MutantOn(Mutant::kGidReused)) ++gid.bqual.attempt;
    branch = Branch{.gid = gid};
    registrations_.emplace(event.id, gid);
    return {AcknowledgeRegistration{event.id, gid}};
  }
  if (branches_.size() >= kBranchesMax) {
    return {RefuseRegistration{event.id, RegistrationRefusal::kTooManyBranches}};
  }
  Gid gid{.gtrid = gtrid_,
          .bqual = {.mode = Mode::kTwoPhase,
                    .resource = event.resource,
                    .branch = static_cast<uint32_t>(branches_.size()),
                    .attempt = 1}};
  branches_.push_back(Branch{.gid = gid});
  registrations_.emplace(event.id, gid);
  return {AcknowledgeRegistration{event.id, gid}};
}

std::vector<Action> TwoPhase::On(const CommitAsked&) {
  if (phase_ != Phase::kActive) return {};
  phase_ = Phase::kPreparing;
  std::vector<Action> actions;
  for (Branch& branch : branches_) {
    branch.phase = BranchPhase::kPreparing;
    actions.push_back(SendPrepare{branch.gid});
  }
  // Without any branch there is nothing to wait for, and nothing to remember.
  if (actions.empty()) return DecideIfAllVoted();
  return actions;
}

std::vector<Action> TwoPhase::On(const RollbackAsked&) {
  if (!MayStillAbort()) return {};
  return Abort({.cause = AbortCause::kClientRollback});
}

std::vector<Action> TwoPhase::On(const DeadlinePassed&) {
  if (phase_ != Phase::kActive) return {};
  return Abort({.cause = AbortCause::kDeadlinePassed});
}

std::vector<Action> TwoPhase::On(const PrepareTimedOut& event) {
  if (phase_ == Phase::kActive || !MayStillAbort()) return {};
  std::vector<Gid> awaited = Awaited();
  for (const Gid& gid : awaited) {
    if (std::find(event.unreachable.begin(), event.unreachable.end(), gid) !=
        event.unreachable.end()) {
      return Abort({.cause = AbortCause::kAgentUnreachable, .gid = gid});
    }
  }
  AbortReason reason{.cause = AbortCause::kPrepareTimeout};
  if (!awaited.empty()) reason.gid = awaited.front();
  return Abort(std::move(reason));
}

std::vector<Action> TwoPhase::On(const VoteReceived& event) {
  Branch* branch = Find(event.gid);
  if (branch == nullptr || !MayStillAbort()) return {};
  if (event.vote == Vote::kNo) {
    branch->phase = BranchPhase::kFailed;
    branch->failure = event.failure;
    return Abort({.cause = AbortCause::kBranchVotedNo, .gid = event.gid, .failure = event.failure});
  }
  // A yes that nobody asked for yet does not count: its branch may still take work.
  if (branch->phase != BranchPhase::kPreparing) return {};
  branch->phase = event.vote == Vote::kYes ? BranchPhase::kYes : BranchPhase::kReadOnly;
  branch->evidence = event.evidence;
  return DecideIfAllVoted();
}

std::vector<Action> TwoPhase::On(const BranchLost& event) {
  Branch* branch = Find(event.gid);
  if (branch == nullptr || branch->phase == BranchPhase::kReadOnly || !MayStillAbort()) return {};
  branch->phase = BranchPhase::kFailed;
  branch->failure = event.failure;
  return Abort({.cause = AbortCause::kBranchLost, .gid = event.gid, .failure = event.failure});
}

std::vector<Action> TwoPhase::On(const DecisionApplied& event) {
  if (phase_ != Phase::kProposed) return {};
  if (!event.accepted) return Abort({.cause = event.why_not});
  phase_ = Phase::kCommitted;
  return {Settle{.outcome = Outcome::kCommitted}};
}

std::vector<Action> TwoPhase::On(const ProposalRefused&) {
  if (phase_ != Phase::kProposed) return {};
  return Abort({.cause = AbortCause::kLogRefused});
}

std::vector<Action> TwoPhase::On(const ProposalInDoubt&) {
  // The record may live on at another node and win, or be lost: only what is applied later tells,
  // through DecisionApplied or LaterTermApplied.
  return {};
}

std::vector<Action> TwoPhase::On(const LaterTermApplied&) {
  if (phase_ != Phase::kProposed) return {};
  return Abort({.cause = AbortCause::kPresumed});
}

TwoPhase::Branch* TwoPhase::Find(const Gid& gid) {
  if (gid.gtrid != gtrid_ || gid.bqual.branch >= branches_.size()) return nullptr;
  Branch& branch = branches_[gid.bqual.branch];
  return branch.gid == gid ? &branch : nullptr;  // Not a vote of an attempt that was voided.
}

std::vector<Action> TwoPhase::Abort(AbortReason reason) {
  phase_ = Phase::kAborted;
  abort_ = std::move(reason);
  std::vector<Action> actions;
  for (const Branch& branch : branches_) {
    // Who voted read-only or no, or is lost, has rolled back already and waits for nothing.
    if (branch.phase == BranchPhase::kReadOnly || branch.phase == BranchPhase::kFailed) continue;
    actions.push_back(SendAbort{branch.gid});
  }
  actions.push_back(Settle{.outcome = Outcome::kAborted, .abort = abort_});
  return actions;
}

std::vector<Action> TwoPhase::DecideIfAllVoted() {
  if (phase_ != Phase::kPreparing) return {};
  Decision decision{.gtrid = gtrid_, .client_key = client_key_};
  for (const Branch& branch : branches_) {
    if (branch.phase == BranchPhase::kPreparing) return {};
    if (branch.phase == BranchPhase::kYes) {
      decision.branches.push_back({branch.gid.bqual, branch.evidence});
    }
  }
  if (decision.branches.empty()) {
    phase_ = Phase::kCommitted;
    return {Settle{.outcome = Outcome::kCommitted, .read_only = true}};
  }
  phase_ = Phase::kProposed;
  return {ProposeCommit{std::move(decision)}};
}

bool TwoPhase::MayStillAbort() const {
  if (MutantOn(Mutant::kAbortWhileProposing) && phase_ == Phase::kProposed) return true;
  return phase_ == Phase::kActive || phase_ == Phase::kPreparing;
}

}  // namespace assent::coordinator
