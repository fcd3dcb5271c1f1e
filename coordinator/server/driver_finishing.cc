// Phase two and END: steps PhaseTwo and performs what it asks for.
#include <algorithm>
#include <string>
#include <utility>

#include "base/failpoint.h"
#include "base/log.h"
#include "coordinator/server/driver.h"

namespace assent::coordinator {

void Driver::BeginPhaseTwo(const Decision& decision, const std::vector<Heuristic>& known,
                           LiveTransaction* live) {
  const Gtrid gtrid = decision.gtrid;
  if (finishing_.contains(gtrid)) return;
  std::map<uint32_t, AppHeld> app_held;
  if (live != nullptr) {
    for (const TwoPhase::Branch& branch : live->core.branches()) {
      if (branch.app_held) app_held.emplace(branch.gid.bqual.branch, *branch.app_held);
    }
  }
  auto it = finishing_.emplace(gtrid, Finishing{.core = PhaseTwo(decision, app_held)}).first;
  Finishing& finishing = it->second;
  finishing.since = live != nullptr ? live->begun : now_;
  finishing.told_since = now_;
  finishing.resend = limits_.resend;
  finishing.recovering = live == nullptr;
  if (live != nullptr) {
    finishing.label = std::move(live->label);
    finishing.waiters = std::move(live->committers);
    for (Holder& holder : live->holders) finishing.agents.push_back(std::move(holder.agent_id));
  }
  for (const Heuristic& record : known) {
    Deliver(gtrid, PhaseTwoEvent{HeuristicLogged{record.gid, record.end, record.detail}});
  }
  Deliver(gtrid, PhaseTwoEvent{StartPhaseTwo{}});
  if (!finishing.waiters.empty()) {
    finishing.apply_timer = timers_.Add(now_ + limits_.apply_wait, {TimerKind::kApplyWait, gtrid});
  }
  if (finishing.core.AwaitsAgents()) {
    finishing.resend_timer = timers_.Add(now_ + finishing.resend, {TimerKind::kResend, gtrid});
  }
}

void Driver::Deliver(const Gtrid& gtrid, const PhaseTwoEvent& event) {
  auto it = finishing_.find(gtrid);
  if (it == finishing_.end()) return;  // Ended: a late message.
  for (const PhaseTwoAction& action : it->second.core.Step(event)) {
    std::visit([&](const auto& a) { Perform(it->second, a); }, action);
  }
  it->second.share.Update(it->second.core, metrics_);
}

void Driver::Perform(Finishing& finishing, const SendCommit& action) {
  AgentRegistry::Link* link = LinkFor(finishing, action.gid.bqual);
  // Without one, the agent is told as soon as it says hello.
  if (link == nullptr) return;
  link->gathered.finishes.push_back({.gid = action.gid,
                                     .commit = true,
                                     .evidence = action.evidence,
                                     .app_held = NewsOf(action.app_held)});
}

// Whoever held the session comes first: on MariaDB the branch may still be tied to it.
AgentRegistry::Link* Driver::LinkFor(const Finishing& finishing, const Bqual& bqual) {
  static const std::string kNobody;
  const bool known = bqual.branch < finishing.agents.size();
  return agents_.Serving(bqual.resource, known ? finishing.agents[bqual.branch] : kNobody);
}

void Driver::Perform(Finishing& finishing, const AwaitApplication&) {
  finishing.grace_timer = timers_.Add(now_ + limits_.finish_grace,
                                      {TimerKind::kFinishGrace, finishing.core.decision().gtrid});
  AnswerWaiters(finishing);
}

void Driver::Perform(Finishing&, const ProposeHeuristic& action) {
  Heuristic record{.gid = action.gid, .end = action.end, .detail = action.detail};
  Propose(record, term_, HeuristicProposal{record});
}

void Driver::Perform(Finishing& finishing, const ProposeEnd&) {
  ends_.push_back(finishing.core.decision().gtrid);
  if (ends_.size() >= limits_.end_batch_max && !ends_refused_) {
    FlushEnds();
  } else if (!flush_ends_timer_) {
    flush_ends_timer_ = timers_.Add(now_ + limits_.end_delay, {TimerKind::kFlushEnds, {}});
  }
}

void Driver::Perform(Finishing& finishing, const Applied& action) {
  if (action.applied) metrics_.apply_seconds.Observe(now_ - finishing.told_since);
  if (finishing.recovering) {
    LogInfo("recovered", {{"gtrid", ToString(finishing.core.decision().gtrid)},
                          {"outcome", "committed"},
                          {"heuristic", !action.applied}});
  }
  timers_.Cancel(std::exchange(finishing.grace_timer, std::nullopt));
  timers_.Cancel(std::exchange(finishing.resend_timer, std::nullopt));
  AnswerWaiters(finishing);
}

void Driver::Perform(Finishing& finishing, const ForgetAtAgent& action) {
  AgentRegistry::Link* link = LinkFor(finishing, action.gid.bqual);
  if (link != nullptr) link->gathered.forget.push_back(action.gid);
}

CommitAnswer Driver::CommittedAnswer(const Finishing& finishing) const {
  CommitAnswer answer{.outcome = Outcome::kCommitted,
                      .applied = finishing.core.AllDone(),
                      .heuristic = finishing.core.HasHeuristic()};
  for (const PhaseTwo::Branch& branch : finishing.core.branches()) {
    if (branch.phase != PhaseTwo::BranchPhase::kPending) continue;
    answer.pending.push_back({{finishing.core.decision().gtrid, branch.decided.bqual},
                              WaitsFor(finishing, branch),
                              branch.left_to_app});
  }
  return answer;
}

std::string Driver::WaitsFor(const Finishing& finishing, const PhaseTwo::Branch& branch) const {
  if (branch.left_to_app) {
    const Duration left = finishing.grace_timer ? finishing.grace_timer->first - now_ : Duration{};
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(left).count();
    return "left to the application, which commits and reports it, for " + std::to_string(ms) +
           " ms more";
  }
  const std::string& resource = branch.decided.bqual.resource;
  if (agents_.AgentsOf(resource) == 0) return "no agent of resource " + resource + " is connected";
  return branch.detail.empty() ? "told to commit, not answered yet" : branch.detail;
}

void Driver::AnswerWaiters(Finishing& finishing) {
  timers_.Cancel(std::exchange(finishing.apply_timer, std::nullopt));
  if (finishing.waiters.empty()) return;
  const CommitAnswer answer = CommittedAnswer(finishing);
  for (const CommitWaiter& waiter : std::exchange(finishing.waiters, {})) Say(waiter, answer);
}

// The application was silent for finish_grace: from here on its branches are the agents', as any.
void Driver::OnGrace(const Gtrid& gtrid) {
  auto it = finishing_.find(gtrid);
  if (it == finishing_.end()) return;
  Finishing& finishing = it->second;
  finishing.grace_timer.reset();
  LogDebug("application_silent", {{"gtrid", ToString(gtrid)}});
  Deliver(gtrid, PhaseTwoEvent{GracePassed{}});
  // Counted anew: who was told just now is not to be told again a moment later.
  timers_.Cancel(std::exchange(finishing.resend_timer, std::nullopt));
  if (!finishing.core.AwaitsAgents()) return;
  finishing.resend = limits_.resend;
  finishing.resend_timer = timers_.Add(now_ + finishing.resend, {TimerKind::kResend, gtrid});
}

void Driver::OnResend(const Gtrid& gtrid) {
  auto it = finishing_.find(gtrid);
  if (it == finishing_.end()) return;
  Finishing& finishing = it->second;
  finishing.resend_timer.reset();
  // What is left to the application alone is nobody's delay yet.
  if (!finishing.core.AwaitsAgents()) return;
  if (!std::exchange(finishing.recovering, true)) {
    CommitAnswer waits = CommittedAnswer(finishing);
    std::erase_if(waits.pending, [](const PendingBranch& branch) { return branch.yours; });
    LogWarning("commit_pending", {{"gtrid", ToString(gtrid)},
                                  {"branches", waits.pending.size()},
                                  {"first", ToString(waits.pending.front().gid.bqual)},
                                  {"reason", waits.pending.front().reason}});
  }
  finishing.resend = std::min<Duration>(finishing.resend * 2, limits_.resend_max);
  finishing.resend_timer = timers_.Add(now_ + finishing.resend, {TimerKind::kResend, gtrid});
  Deliver(gtrid, PhaseTwoEvent{TellAgain{}});
}

// ENDs that have waited for a while go behind the decision that is proposed next, and cost no
// forced write of their own. Not sooner: what is in one record is forgotten at the agents in one
// message.
void Driver::LetEndsRide() {
  if (!flush_ends_timer_ || ends_refused_) return;
  if (now_ >= flush_ends_timer_->first - limits_.end_delay / 2) FlushEnds(true);
}

void Driver::FlushEnds(bool with_next) {
  timers_.Cancel(std::exchange(flush_ends_timer_, std::nullopt));
  ends_refused_ = false;
  if (ends_.empty() || !Ready()) return;
  ASSENT_FAILPOINT("coord.end.before");
  // Many may have gathered while the log refused them; a record has a largest size.
  std::vector<Gtrid> all = std::exchange(ends_, {});
  for (size_t from = 0; from < all.size(); from += limits_.end_batch_max) {
    const size_t to = std::min(all.size(), from + limits_.end_batch_max);
    End record{.gtrids = {all.begin() + static_cast<ptrdiff_t>(from),
                          all.begin() + static_cast<ptrdiff_t>(to)}};
    Propose(record, term_, EndProposal{record.gtrids}, with_next);
  }
}

// END is on record: nothing is left to remember, here or at the agents.
void Driver::DropFinishing(const Gtrid& gtrid) {
  auto it = finishing_.find(gtrid);
  if (it == finishing_.end()) return;
  Finishing& finishing = it->second;
  for (const PhaseTwo::Branch& branch : finishing.core.branches()) {
    Perform(finishing, ForgetAtAgent{{gtrid, branch.decided.bqual}});
  }
  AnswerWaiters(finishing);
  CancelTimers(finishing);
  finishing_.erase(it);
}

void Driver::CancelTimers(const Finishing& finishing) {
  timers_.Cancel(finishing.grace_timer);
  timers_.Cancel(finishing.resend_timer);
  timers_.Cancel(finishing.heuristic_timer);
}

void Driver::DestroyFinishing() {
  for (auto& [gtrid, finishing] : finishing_) {
    AnswerWaiters(finishing);
    CancelTimers(finishing);
  }
  finishing_.clear();
  ends_.clear();
  timers_.Cancel(std::exchange(flush_ends_timer_, std::nullopt));
}

}  // namespace assent::coordinator
