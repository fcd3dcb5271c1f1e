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
  auto [it, fresh] = finishing_.try_emplace(gtrid, Finishing{.core = PhaseTwo(decision)});
  if (!fresh) return;
  Finishing& finishing = it->second;
  finishing.since = live != nullptr ? live->begun : now_;
  finishing.told_since = now_;
  finishing.resend = limits_.resend;
  finishing.recovering = live == nullptr;
  if (live != nullptr) {
    finishing.label = std::move(live->label);
    finishing.waiters = std::move(live->committers);
    for (auto& [branch, holder] : live->holders) {
      finishing.agents.emplace(branch, std::move(holder.agent_id));
    }
  }
  if (!finishing.waiters.empty()) {
    finishing.apply_timer = timers_.Add(now_ + limits_.apply_wait, {TimerKind::kApplyWait, gtrid});
  }
  for (const Heuristic& record : known) {
    Deliver(gtrid, PhaseTwoEvent{HeuristicLogged{record.gid, record.end, record.detail}});
  }
  Deliver(gtrid, PhaseTwoEvent{StartPhaseTwo{}});
  if (!finishing.core.Pending().empty()) {
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
  // Whoever held the session is asked first: on MariaDB the branch may still be tied to it.
  const Bqual& bqual = action.gid.bqual;
  auto held = finishing.agents.find(bqual.branch);
  AgentRegistry::Link* link =
      agents_.Serving(bqual.resource, held == finishing.agents.end() ? "" : held->second);
  // Without one, the agent is told as soon as it says hello.
  if (link == nullptr) return;
  link->gathered.finishes.push_back(
      {.gid = action.gid, .commit = true, .evidence = action.evidence});
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
  timers_.Cancel(std::exchange(finishing.resend_timer, std::nullopt));
  AnswerWaiters(finishing);
}

void Driver::Perform(Finishing& finishing, const ForgetAtAgent& action) {
  const Bqual& bqual = action.gid.bqual;
  auto held = finishing.agents.find(bqual.branch);
  AgentRegistry::Link* link =
      agents_.Serving(bqual.resource, held == finishing.agents.end() ? "" : held->second);
  if (link != nullptr) link->gathered.forget.push_back(action.gid);
}

CommitAnswer Driver::CommittedAnswer(const Finishing& finishing) const {
  CommitAnswer answer{.outcome = Outcome::kCommitted,
                      .applied = finishing.core.AllDone(),
                      .heuristic = finishing.core.HasHeuristic()};
  for (const PhaseTwo::Branch& branch : finishing.core.branches()) {
    if (branch.phase != PhaseTwo::BranchPhase::kPending) continue;
    answer.pending.push_back(
        {{finishing.core.decision().gtrid, branch.decided.bqual}, WaitsFor(branch)});
  }
  return answer;
}

std::string Driver::WaitsFor(const PhaseTwo::Branch& branch) const {
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

void Driver::OnResend(const Gtrid& gtrid) {
  auto it = finishing_.find(gtrid);
  if (it == finishing_.end()) return;
  Finishing& finishing = it->second;
  finishing.resend_timer.reset();
  if (finishing.core.Pending().empty()) return;
  if (!std::exchange(finishing.recovering, true)) {
    const CommitAnswer waits = CommittedAnswer(finishing);
    LogWarning("commit_pending", {{"gtrid", ToString(gtrid)},
                                  {"branches", waits.pending.size()},
                                  {"first", ToString(waits.pending.front().gid.bqual)},
                                  {"reason", waits.pending.front().reason}});
  }
  finishing.resend = std::min<Duration>(finishing.resend * 2, limits_.resend_max);
  finishing.resend_timer = timers_.Add(now_ + finishing.resend, {TimerKind::kResend, gtrid});
  Deliver(gtrid, PhaseTwoEvent{TellAgain{}});
}

void Driver::FlushEnds() {
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
    Propose(record, term_, EndProposal{record.gtrids});
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
  timers_.Cancel(finishing.resend_timer);
  timers_.Cancel(finishing.heuristic_timer);
  finishing_.erase(it);
}

void Driver::DestroyFinishing() {
  for (auto& [gtrid, finishing] : finishing_) {
    AnswerWaiters(finishing);
    timers_.Cancel(finishing.resend_timer);
    timers_.Cancel(finishing.heuristic_timer);
  }
  finishing_.clear();
  ends_.clear();
  timers_.Cancel(std::exchange(flush_ends_timer_, std::nullopt));
}

}  // namespace assent::coordinator
