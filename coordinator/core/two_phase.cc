#include "coordinator/core/two_phase.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
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

bool TwoPhase::IsVoid(const Gid& gid) const {
  return WasGivenOut(gid) && gid.bqual.attempt < branches_[gid.bqual.branch].gid.bqual.attempt;
}

bool TwoPhase::WasGivenOut(const Gid& gid) const {
  if (gid.gtrid != gtrid_ || gid.bqual.branch >= branches_.size()) return false;
  Bqual newest = branches_[gid.bqual.branch].gid.bqual;
  if (gid.bqual.attempt == 0 || gid.bqual.attempt > newest.attempt) return false;
  newest.attempt = gid.bqual.attempt;
  return newest == gid.bqual;
}

std::vector<Action> TwoPhase::On(const RegisterAtBegin& event) {
  ASSENT_CHECK(branches_.empty() && event.branches.size() <= kBranchesMax);
  for (const NewBranch& asked : event.branches) Add(asked);
  return {};
}

std::vector<Action> TwoPhase::On(const Register& event) {
  if (auto known = registrations_.find(event.id); known != registrations_.end()) {
    return {AcknowledgeRegistration{event.id, known->second}};
  }
  if (phase_ != Phase::kActive) {
    return {RefuseRegistration{event.id, RegistrationRefusal::kNotActive}};
  }
  if (event.again) return RegisterAgain(event);
  if (branches_.size() >= kBranchesMax) {
    return {RefuseRegistration{event.id, RegistrationRefusal::kTooManyBranches}};
  }
  const Gid& gid = Add(event.branch);
  registrations_.emplace(event.id, gid);
  return {AcknowledgeRegistration{event.id, gid}};
}

const Gid& TwoPhase::Add(const NewBranch& asked) {
  branches_.push_back({.gid = {.gtrid = gtrid_,
                               .bqual = {.mode = Mode::kTwoPhase,
                                         .resource = asked.resource,
                                         .branch = static_cast<uint32_t>(branches_.size()),
                                         .attempt = 1}},
                       .app_held = asked.app_held,
                       .holder = asked.holder});
  return branches_.back().gid;
}

// A gid is never prepared twice: nobody knows whether the old one is. Its vote is void, so it can
// be rolled back at once, and has to be: it may hold the locks that the same work needs again. If
// its PREPARE comes later still, the scan finds it.
std::vector<Action> TwoPhase::RegisterAgain(const Register& event) {
  if (!WasGivenOut(*event.again) || event.again->bqual.resource != event.branch.resource) {
    return {RefuseRegistration{event.id, RegistrationRefusal::kUnknownBranch}};
  }
  Branch& branch = branches_[event.again->bqual.branch];
  if (branch.gid.bqual.attempt >= kAttemptsMax) {
    return {RefuseRegistration{event.id, RegistrationRefusal::kTooManyAttempts}};
  }
  SendAbort abort{branch.gid, std::move(branch.app_held)};
  Gid gid = branch.gid;
  if (!MutantOn(Mutant::kGidReused)) ++gid.bqual.attempt;
  branch = {.gid = gid, .app_held = event.branch.app_held, .holder = event.branch.holder};
  registrations_.emplace(event.id, gid);
  return {std::move(abort), AcknowledgeRegistration{event.id, gid}};
}

std::vector<Action> TwoPhase::On(const CommitAsked& event) {
  const bool first = phase_ == Phase::kActive;
  if (!first && phase_ != Phase::kPreparing) return {};
  phase_ = Phase::kPreparing;
  if (first) {
    for (Branch& branch : branches_) branch.phase = BranchPhase::kPreparing;
  }
  for (const Ticket& ticket : event.tickets) Count(ticket);
  std::vector<Action> actions = DecideIfAllVoted();
  if (!first || !actions.empty()) return actions;
  for (const Branch& branch : branches_) {
    if (branch.phase != BranchPhase::kPreparing) continue;
    actions.push_back(SendPrepare{branch.gid, branch.app_held});
  }
  return actions;
}

void TwoPhase::Count(const Ticket& ticket) {
  Branch* branch = Find(ticket.gid);
  if (branch == nullptr && MutantOn(Mutant::kVoidTicketCounts) && IsVoid(ticket.gid)) {
    branch = &branches_[ticket.gid.bqual.branch];
    branch->gid = ticket.gid;
  }
  if (branch == nullptr && MutantOn(Mutant::kTicketMakesBranch)) {
    branches_.push_back({.gid = ticket.gid, .phase = BranchPhase::kYes});
  }
  if (branch == nullptr || branch->phase != BranchPhase::kPreparing) return;
  if (!MayVote(*branch, ticket.agent_incarnation)) return;
  branch->phase = ticket.read_only ? BranchPhase::kReadOnly : BranchPhase::kYes;
  branch->evidence = ticket.evidence;
}

// The session of an agent-held branch is its holder's, and dies with it: what another agent, or
// another life of it, has prepared under this gid is not the work that was asked for. An app-held
// branch stands in the database for every agent to see.
bool TwoPhase::MayVote(const Branch& branch, uint64_t agent_incarnation) {
  return branch.app_held || branch.holder == agent_incarnation || MutantOn(Mutant::kStrangerVotes);
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
  if (!MayVote(*branch, event.agent_incarnation)) return {};
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

std::vector<Action> TwoPhase::On(const HolderRestarted& event) {
  Branch* branch = Find(event.gid);
  if (branch == nullptr) return {};
  // The application's session does not die with an agent; and what voted yes is in the database.
  if (branch->app_held && !MutantOn(Mutant::kAppHeldLost)) return {};
  const bool unprepared =
      branch->phase == BranchPhase::kOpen || branch->phase == BranchPhase::kPreparing;
  if (!unprepared) return {};
  return On(BranchLost{event.gid, event.failure});
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
    // Who voted read-only or no, or is lost, has rolled back already and waits for nothing. Except
    // an application: its PREPARE may still be under way.
    if (branch.phase == BranchPhase::kReadOnly) continue;
    if (branch.phase == BranchPhase::kFailed && !branch.app_held) continue;
    actions.push_back(SendAbort{branch.gid, branch.app_held});
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
    } else if (branch.gid.bqual.attempt > 1) {
      decision.voided_readers.push_back(branch.gid.bqual.branch);
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
