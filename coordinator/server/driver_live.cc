// From Begin to the decision: steps TwoPhase and performs what it asks for.
#include <string>
#include <utility>

#include "base/failpoint.h"
#include "base/log.h"
#include "base/mutant.h"
#include "coordinator/server/driver.h"

namespace assent::coordinator {
namespace {

constexpr size_t kUnsaidAbortsMax = 10'000;  // Of all agents.

std::string WhyRefused(RegistrationRefusal why, const Gtrid& gtrid) {
  switch (why) {
    case RegistrationRefusal::kNotActive:
      return "transaction " + ToString(gtrid) +
             " takes no more branches: Commit or Rollback has arrived";
    case RegistrationRefusal::kTooManyBranches:
      return "transaction " + ToString(gtrid) + " has " + std::to_string(kBranchesMax) +
             " branches, the most that are allowed";
    case RegistrationRefusal::kTooManyAttempts:
      return "a branch of transaction " + ToString(gtrid) + " has had " +
             std::to_string(kAttemptsMax) + " attempts, the most that are allowed";
    case RegistrationRefusal::kUnknownBranch:
      return "transaction " + ToString(gtrid) +
             " has given out no such gid for this resource: `again` names the one that was to be "
             "prepared";
  }
  return "";
}

void LogDecision(const TwoPhase& core, const Settle& settle) {
  if (!LogEnabled(LogLevel::kInfo)) return;
  if (settle.outcome == Outcome::kCommitted) {
    LogInfo("decision", {{"gtrid", ToString(core.gtrid())},
                         {"outcome", "committed"},
                         {"branches", core.branches().size()},
                         {"read_only", settle.read_only}});
    return;
  }
  const AbortReason reason = settle.abort.value_or(AbortReason{});
  LogInfo("decision", {{"gtrid", ToString(core.gtrid())},
                       {"outcome", "aborted"},
                       {"cause", AbortCauseName(reason.cause)},
                       {"branch", reason.gid ? ToString(reason.gid->bqual) : "-"},
                       {"message", reason.failure.message}});
}

}  // namespace

void Driver::Deliver(const Gtrid& gtrid, const Event& event, LinkId from) {
  auto it = live_.find(gtrid);
  if (it == live_.end()) return;  // Already forgotten: a late message.
  bool settled = false;
  for (const Action& action : it->second.core.Step(event)) {
    std::visit([&](const auto& a) { Perform(it->second, a, from); }, action);
    settled = settled || std::holds_alternative<Settle>(action);
  }
  if (settled) Bury(it);
}

void Driver::Perform(LiveTransaction& live, const AcknowledgeRegistration& action, LinkId from) {
  const uint32_t branch = action.gid.bqual.branch;
  if (live.holders.size() <= branch) live.holders.resize(branch + 1);
  AgentRegistry::Link* link = agents_.Find(from);
  if (link == nullptr) return;
  // Unless a repeated request is answered whose attempt somebody has replaced meanwhile.
  if (live.core.branches()[branch].gid == action.gid) {
    live.holders[branch] = {link->hello.agent_id, link->hello.incarnation};
  }
  ASSENT_FAILPOINT("coord.register.before_reply");
  link->gathered.registered.push_back({.request = action.id.request,
                                       .gid = action.gid,
                                       .remaining = live.deadline - now_,
                                       .refusal = {}});
}

void Driver::Perform(LiveTransaction& live, const RefuseRegistration& action, LinkId from) {
  AgentRegistry::Link* link = agents_.Find(from);
  if (link == nullptr) return;
  const bool limit = action.why == RegistrationRefusal::kTooManyBranches ||
                     action.why == RegistrationRefusal::kTooManyAttempts;
  std::string message = WhyRefused(action.why, live.core.gtrid());
  link->gathered.registered.push_back(
      {.request = action.id.request,
       .gid = std::nullopt,
       .refusal = {.status = limit ? ResourceExhausted(message) : FailedPrecondition(message),
                   .reason = limit ? Reason::kLimit : Reason::kNotActive}});
}

void Driver::Perform(LiveTransaction& live, const SendPrepare& action, LinkId) {
  TellPrepare(live, live.core.branches()[action.gid.bqual.branch]);
}

// An agent that has no link now is told when it dials again, if that is in time.
void Driver::TellPrepare(LiveTransaction& live, const TwoPhase::Branch& branch) {
  AgentRegistry::Link* link = LinkFor(live, branch);
  if (link == nullptr) return;
  if (branch.app_held) {
    live.holders[branch.gid.bqual.branch] = {link->hello.agent_id, link->hello.incarnation};
  }
  link->gathered.prepares.push_back(
      {branch.gid, live.prepare_deadline - now_, NewsOf(branch.app_held)});
}

std::optional<AppHeldNews> Driver::NewsOf(const std::optional<AppHeld>& app_held) const {
  if (!app_held) return std::nullopt;
  return AppHeldNews{app_held->connection_id, app_held->finisher, now_ - app_held->named};
}

std::optional<AppHeld> Driver::AppHeldOf(const std::optional<AppHeldNews>& news) const {
  if (!news) return std::nullopt;
  return AppHeld{news->connection_id, news->finisher, now_ - news->age};
}

void Driver::Perform(LiveTransaction& live, const ProposeCommit& action, LinkId) {
  // Meant for the term that issued the gtrid, and for no other.
  const Term term = MutantOn(Mutant::kLiveKeptAcrossTerms) ? term_ : live.core.gtrid().epoch;
  timers_.Cancel(std::exchange(live.prepare_timer, std::nullopt));
  ASSENT_FAILPOINT("coord.propose.before");
  LetEndsRide();
  Propose(action.decision, term, DecisionProposal{action.decision.gtrid});
}

void Driver::Perform(LiveTransaction& live, const SendAbort& action, LinkId) {
  const Gid& gid = action.gid;
  const std::string& holder = live.holders[gid.bqual.branch].agent_id;
  AgentRegistry::Link* link =
      action.app_held ? agents_.Serving(gid.bqual.resource, holder) : LinkOfHolder(live, gid);
  if (link == nullptr) {
    unsaid_aborts_.push_back({holder, gid, action.app_held});
    if (unsaid_aborts_.size() > kUnsaidAbortsMax) unsaid_aborts_.pop_front();
    // A prepared branch no longer needs the session that made it.
    const TwoPhase::Branch& branch = live.core.branches()[gid.bqual.branch];
    if (branch.phase == TwoPhase::BranchPhase::kYes) {
      link = agents_.Serving(gid.bqual.resource, "");
    }
  }
  if (link != nullptr) {
    link->gathered.finishes.push_back(
        {.gid = gid, .commit = false, .app_held = NewsOf(action.app_held)});
  }
}

void Driver::Perform(LiveTransaction& live, const Settle& action, LinkId) {
  LogDecision(live.core, action);
  metrics_.Settled(action, live.commit_asked, now_);
  if (action.outcome == Outcome::kAborted) {
    if (action.abort) aborts_.Remember(live.core.gtrid(), *action.abort);
    for (const CommitWaiter& waiter : live.committers) {
      Say(waiter, {.outcome = Outcome::kAborted, .abort = action.abort});
    }
    live.committers.clear();
  } else {
    CommitAnswer answer{.outcome = action.outcome, .applied = action.read_only};
    if (!action.read_only) {
      for (const TwoPhase::Branch& branch : live.core.branches()) {
        if (branch.phase != TwoPhase::BranchPhase::kYes) continue;
        const bool yours = branch.app_held && branch.app_held->finisher == Finisher::kApp;
        answer.pending.push_back(
            {branch.gid, yours ? "left to the application" : "told to commit", yours});
      }
    }
    // Who waits for APPLIED goes on to wait in phase two.
    std::vector<CommitWaiter> waiting;
    for (CommitWaiter& waiter : live.committers) {
      if (waiter.for_applied && !action.read_only) {
        waiting.push_back(std::move(waiter));
      } else {
        Say(waiter, answer);
      }
    }
    live.committers = std::move(waiting);
  }
  for (auto& reply : std::exchange(live.rollbackers, {})) {
    reply(RollbackAnswer{.outcome = action.outcome, .abort = action.abort});
  }
}

void Driver::Say(const CommitWaiter& waiter, CommitAnswer answer) {
  ASSENT_FAILPOINT("coord.reply.before");
  waiter.reply(std::move(answer));
  ASSENT_FAILPOINT("coord.reply.after");
}

// Takes a settled transaction out of the live table, and a committed one on to phase two.
void Driver::Bury(LiveMap::iterator it) {
  LiveTransaction live = std::move(it->second);
  live_.erase(it);
  timers_.Cancel(live.deadline_timer);
  timers_.Cancel(live.prepare_timer);
  if (!live.core.client_key().empty()) live_keys_.erase(live.core.client_key());
  if (live.core.phase() != TwoPhase::Phase::kCommitted) return;
  if (const DecisionTable::Unfinished* entry = table_.Find(live.core.gtrid())) {
    BeginPhaseTwo(entry->decision, entry->heuristics, &live);
    return;
  }
  // Without a record: it wrote nothing (or a seeded bug told it too early).
  for (const CommitWaiter& waiter : live.committers) Say(waiter, {.outcome = Outcome::kCommitted});
}

// A later term must never find a transaction of an older one alive: another leader may have
// answered ABORT for it meanwhile.
void Driver::DestroyLive(const std::string& why) {
  metrics_.unknown.Add(live_.size());
  for (auto& [gtrid, live] : live_) {
    const bool proposed = live.core.phase() == TwoPhase::Phase::kProposed;
    for (CommitWaiter& waiter : live.committers) {
      if (proposed) {
        waiter.reply(CommitAnswer{.outcome = Outcome::kUnknown});
      } else {
        waiter.reply(NotLeader(Unavailable(why)));
      }
    }
    for (auto& reply : live.rollbackers) {
      reply(NotLeader(Unavailable(why)));
    }
    timers_.Cancel(live.deadline_timer);
    timers_.Cancel(live.prepare_timer);
  }
  live_.clear();
  live_keys_.clear();
  unsaid_aborts_.clear();
}

// The link of the agent that holds the branch's session; null if it has none now.
AgentRegistry::Link* Driver::LinkOfHolder(const LiveTransaction& live, const Gid& gid) {
  const Holder& holder = live.holders[gid.bqual.branch];
  AgentRegistry::Link* link = agents_.FindAgent(holder.agent_id);
  if (link == nullptr || link->hello.incarnation != holder.incarnation) return nullptr;
  return link;
}

// Who can be asked for the branch's vote now. An app-held branch stands in its database for every
// agent of the resource to see.
AgentRegistry::Link* Driver::LinkFor(const LiveTransaction& live, const TwoPhase::Branch& branch) {
  if (!branch.app_held) return LinkOfHolder(live, branch.gid);
  const Bqual& bqual = branch.gid.bqual;
  return agents_.Serving(bqual.resource, live.holders[bqual.branch].agent_id);
}

void Driver::OnPrepareTimeout(const Gtrid& gtrid) {
  auto it = live_.find(gtrid);
  if (it == live_.end()) return;
  it->second.prepare_timer.reset();
  PrepareTimedOut event;
  const LiveTransaction& live = it->second;
  for (const Gid& gid : live.core.Awaited()) {
    const TwoPhase::Branch& branch = live.core.branches()[gid.bqual.branch];
    if (LinkFor(live, branch) == nullptr) event.unreachable.push_back(gid);
  }
  Deliver(gtrid, event);
}

}  // namespace assent::coordinator
