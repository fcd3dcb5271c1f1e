// The calls of clients: Begin, Commit, Rollback, and an operator's Forget.
#include <algorithm>
#include <string>
#include <utility>

#include "base/failpoint.h"
#include "base/log.h"
#include "base/mutant.h"
#include "coordinator/server/driver.h"

namespace assent::coordinator {
namespace {

constexpr uint32_t kLimitRetryMs = 200;
constexpr uint32_t kKeysRetryMs = 60'000;
constexpr uint32_t kHeuristicRetryMs = 1'000;

}  // namespace

std::optional<Refusal> Driver::RefuseBegin(const BeginCall& call) {
  if (!Ready()) return NotLeading();
  if (transfer_) {
    return NotLeader(Unavailable(
        "this coordinator is handing over the lead: retry, and the new leader answers"));
  }
  if (call.timeout > limits_.transaction_timeout_max) {
    auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(call.timeout).count();
    return Refusal{InvalidArgument(
        "timeout_ms " + std::to_string(ms) + " is more than transaction_timeout_max_ms (" +
        std::to_string(limits_.transaction_timeout_max.count()) + "): ask for less")};
  }
  if (live_.size() >= limits_.live_transactions_max) {
    return Refusal{ResourceExhausted("live_transactions_max (" +
                                     std::to_string(limits_.live_transactions_max) +
                                     ") transactions are alive: retry later"),
                   Reason::kLimit,
                   kLimitRetryMs,
                   {}};
  }
  if (call.branches.size() > kBranchesMax) {
    return Refusal{InvalidArgument("branches has " + std::to_string(call.branches.size()) +
                                   " entries, at most " + std::to_string(kBranchesMax) +
                                   " branches can make one transaction")};
  }
  for (const BranchAsked& asked : call.branches) {
    if (auto refusal = RefuseBranch(asked)) return refusal;
  }
  if (call.client_key.empty()) return std::nullopt;
  if (auto it = live_keys_.find(call.client_key);
      it != live_keys_.end() && !MutantOn(Mutant::kKeyTwice)) {
    return Refusal{
        AlreadyExists("client_key '" + call.client_key + "' is in use by the live transaction " +
                      ToString(it->second) + ": end that one, or wait for its deadline"),
        Reason::kKeyInUse, kLimitRetryMs, ToString(it->second)};
  }
  // Live ones count too: each of them may become a kept key.
  if (table_.KeysFull() ||
      table_.state().keys.size() + live_keys_.size() >= limits_.table.keys_max) {
    return Refusal{ResourceExhausted("client_keys_max (" + std::to_string(limits_.table.keys_max) +
                                     ") client keys are kept: retry when older ones have expired, "
                                     "or begin without a key"),
                   Reason::kLimit,
                   kKeysRetryMs,
                   {}};
  }
  return std::nullopt;
}

std::optional<Refusal> Driver::RefuseBranch(const BranchAsked& asked) const {
  const ServedResource* known = agents_.Known(asked.resource);
  if (known == nullptr) {
    return Refusal{NotFound("resource '" + asked.resource +
                            "': no agent has served it since this coordinator started; mend the "
                            "name, or start its agent"),
                   Reason::kUnknownResource,
                   0,
                   {}};
  }
  // Whether MySQL ties branches to sessions is a setting: its agent looks.
  if (asked.app_held && asked.app_held->connection_id.empty() && known->kind == "mariadb") {
    return Refusal{InvalidArgument("resource " + asked.resource +
                                   ": app_held needs connection_id, since MariaDB ties a prepared "
                                   "branch to its session: SELECT CONNECTION_ID() names it")};
  }
  return std::nullopt;
}

std::vector<BegunBranch> Driver::RegisterAtBegin(LiveTransaction& live, const BeginCall& call) {
  std::vector<BegunBranch> begun;
  coordinator::RegisterAtBegin event;
  std::vector<size_t> registered;  // Of `begun`, in the order of branch numbers.
  for (const BranchAsked& asked : call.branches) {
    begun.push_back({.resource = asked.resource,
                     .kind = KindOf(asked.resource),
                     .app_held = asked.app_held.has_value()});
    NewBranch branch{.resource = asked.resource, .app_held = AppHeldOf(asked.app_held)};
    Holder holder;
    if (!branch.app_held) {
      // Nobody can tell which of several agents will be asked to open it.
      const AgentRegistry::Link* link = agents_.OnlyOneServing(asked.resource);
      if (link == nullptr) continue;
      holder = {link->hello.agent_id, link->hello.incarnation};
      branch.holder = link->hello.incarnation;
      begun.back().holder = branch.holder;
    }
    registered.push_back(begun.size() - 1);
    live.holders.push_back(std::move(holder));
    event.branches.push_back(std::move(branch));
  }
  live.core.Step(event);
  for (const TwoPhase::Branch& branch : live.core.branches()) {
    begun[registered[branch.gid.bqual.branch]].gid = branch.gid;
  }
  return begun;
}

void Driver::On(BeginCall& call) {
  NoteReports(call.finished);
  if (Ready() && !call.client_key.empty()) {
    if (const DecisionTable::Key* known = table_.FindKey(call.client_key)) {
      call.reply(BeginAnswer{.gtrid = known->gtrid, .committed_before = true});
      return;
    }
  }
  if (auto refusal = RefuseBegin(call)) {
    call.reply(*std::move(refusal));
    return;
  }
  Duration timeout =
      call.timeout == Duration::zero() ? Duration(limits_.transaction_timeout) : call.timeout;
  const GroupStart& group = *table_.group();
  Gtrid gtrid{.cluster = group.cluster,
              .incarnation = group.incarnation,
              .group = group.group,
              .epoch = term_,
              .seq = next_seq_++};
  LiveTransaction live{.core = TwoPhase(gtrid, call.client_key), .label = std::move(call.label)};
  live.begun = now_;
  live.deadline = now_ + timeout;
  live.deadline_timer = timers_.Add(live.deadline, {TimerKind::kDeadline, gtrid});
  BeginAnswer answer{.gtrid = gtrid, .remaining = timeout};
  if (!call.branches.empty()) answer.branches = RegisterAtBegin(live, call);
  live_.emplace(gtrid, std::move(live));
  metrics_.begun.Add();
  if (!call.client_key.empty()) live_keys_.emplace(std::move(call.client_key), gtrid);
  ASSENT_FAILPOINT("coord.begin.before_reply");
  call.reply(std::move(answer));
}

// Only what is decided can have been committed by anybody who keeps the rules: a report about
// anything else says nothing, above all it is no vote.
void Driver::NoteReports(const std::vector<Gid>& gids) {
  for (const Gid& gid : gids) {
    if (MutantOn(Mutant::kEarlyReportCounts)) {
      Deliver(gid.gtrid, VoteReceived{.gid = gid, .vote = Vote::kYes});
    }
    Deliver(gid.gtrid, PhaseTwoEvent{ApplicationReported{gid}});
  }
}

void Driver::On(ReportCall& call) {
  if (!Ready()) {
    call.reply(NotLeading());
    return;
  }
  NoteReports(call.gids);
  call.reply(ReportAnswer{});
}

// Phase two of an app-held branch goes first to the agent that saw it prepared.
void Driver::NoteWhoLooked(LiveTransaction& live, const std::vector<Ticket>& tickets) {
  for (const Ticket& ticket : tickets) {
    const Bqual& bqual = ticket.gid.bqual;
    if (bqual.branch >= live.core.branches().size()) continue;
    const TwoPhase::Branch& branch = live.core.branches()[bqual.branch];
    if (!branch.app_held || branch.gid != ticket.gid) continue;
    const AgentRegistry::Link* link =
        agents_.FindIncarnation(bqual.resource, ticket.agent_incarnation);
    if (link != nullptr) {
      live.holders[bqual.branch] = {link->hello.agent_id, link->hello.incarnation};
    }
  }
}

void Driver::On(CommitCall& call) {
  NoteReports(call.finished);
  auto it = live_.find(call.gtrid);
  if (it == live_.end()) {
    CommitAgain(call);
    return;
  }
  LiveTransaction& live = it->second;
  if (live.committers.size() >= limits_.waiters_max) {
    call.reply(Refusal{
        ResourceExhausted(std::to_string(limits_.waiters_max) + " calls of Commit wait for " +
                          ToString(call.gtrid) + " already: retry later"),
        Reason::kLimit,
        kLimitRetryMs,
        {}});
    return;
  }
  const bool first = live.core.phase() == TwoPhase::Phase::kActive;
  if (first) live.prepare_deadline = now_ + limits_.prepare_timeout;
  if (first) live.commit_asked = now_;
  live.committers.push_back({call.wait_for_applied, std::move(call.reply)});
  NoteWhoLooked(live, call.tickets);
  Deliver(call.gtrid, CommitAsked{std::move(call.tickets)});
  // Settled at once if nothing was written; proposed at once if every vote was among the tickets.
  it = live_.find(call.gtrid);
  if (!first || it == live_.end()) return;
  if (it->second.core.phase() != TwoPhase::Phase::kPreparing) return;
  it->second.prepare_timer =
      timers_.Add(it->second.prepare_deadline, {TimerKind::kPrepareTimeout, call.gtrid});
}

// Commit of a transaction that is not alive: what the records say, whoever asks and how often.
void Driver::CommitAgain(CommitCall& call) {
  ClientAnswer answer = AnswerClient(call.gtrid, View(), Live::kNone, table_);
  switch (answer) {
    case ClientAnswer::kCommitted: {
      auto it = finishing_.find(call.gtrid);
      if (it == finishing_.end()) {
        call.reply(CommitAnswer{.outcome = Outcome::kCommitted,
                                .applied = true,
                                .heuristic = table_.FindStrays(call.gtrid) != nullptr});
        return;
      }
      Finishing& finishing = it->second;
      if (!call.wait_for_applied || finishing.core.Pending().empty() ||
          finishing.core.AwaitsApplication() || finishing.waiters.size() >= limits_.waiters_max) {
        call.reply(CommittedAnswer(finishing));
        return;
      }
      finishing.waiters.push_back({true, std::move(call.reply)});
      if (!finishing.apply_timer) {
        finishing.apply_timer =
            timers_.Add(now_ + limits_.apply_wait, {TimerKind::kApplyWait, call.gtrid});
      }
      return;
    }
    case ClientAnswer::kAborted:
      call.reply(CommitAnswer{.outcome = Outcome::kAborted,
                              .abort = aborts_.Of(call.gtrid),
                              .heuristic = table_.FindStrays(call.gtrid) != nullptr});
      return;
    case ClientAnswer::kPending:
    case ClientAnswer::kUnknown:
      call.reply(CommitAnswer{.outcome = Outcome::kUnknown});
      return;
    case ClientAnswer::kExpired:
      call.reply(CommitAnswer{.outcome = Outcome::kExpired});
      return;
    case ClientAnswer::kRetry:
    case ClientAnswer::kForeign:
    case ClientAnswer::kNeverIssued:
      call.reply(RefusalFor(answer, call.gtrid));
      return;
  }
}

void Driver::On(RollbackCall& call) {
  auto it = live_.find(call.gtrid);
  if (it != live_.end()) {
    it->second.rollbackers.push_back(std::move(call.reply));
    Deliver(call.gtrid, RollbackAsked{});
    it = live_.find(call.gtrid);
    if (it == live_.end()) return;  // Settled, and answered.
    // A decision is under way, and nothing but the log can tell it.
    for (auto& reply : std::exchange(it->second.rollbackers, {})) {
      reply(RollbackAnswer{.outcome = Outcome::kUnknown});
    }
    return;
  }
  ClientAnswer answer = AnswerClient(call.gtrid, View(), Live::kNone, table_);
  switch (answer) {
    case ClientAnswer::kCommitted:
      call.reply(RollbackAnswer{.outcome = Outcome::kCommitted});
      return;
    case ClientAnswer::kAborted:
      call.reply(RollbackAnswer{.outcome = Outcome::kAborted, .abort = aborts_.Of(call.gtrid)});
      return;
    case ClientAnswer::kPending:
    case ClientAnswer::kUnknown:
      call.reply(RollbackAnswer{.outcome = Outcome::kUnknown});
      return;
    case ClientAnswer::kExpired:
      call.reply(RollbackAnswer{.outcome = Outcome::kExpired});
      return;
    case ClientAnswer::kRetry:
    case ClientAnswer::kForeign:
    case ClientAnswer::kNeverIssued:
      call.reply(RefusalFor(answer, call.gtrid));
      return;
  }
}

void Driver::On(ForgetCall& call) {
  if (!Ready()) {
    call.reply(NotLeading());
    return;
  }
  const DecisionTable::Unfinished* entry = table_.Find(call.gtrid);
  auto it = finishing_.find(call.gtrid);
  if (entry == nullptr || it == finishing_.end()) {
    if (table_.FindStrays(call.gtrid) != nullptr) {
      ProposeForget(call);
      return;
    }
    call.reply(Refusal{NotFound("no unfinished transaction " + ToString(call.gtrid) +
                                " is on record: nothing to forget")});
    return;
  }
  if (entry->heuristics.empty()) {
    call.reply(Refusal{FailedPrecondition("transaction " + ToString(call.gtrid) +
                                          " has no heuristic outcome: it ends by itself, nothing "
                                          "to forget")});
    return;
  }
  if (!it->second.core.Pending().empty()) {
    call.reply(Refusal{
        FailedPrecondition("transaction " + ToString(call.gtrid) + " still has " +
                           std::to_string(it->second.core.Pending().size()) +
                           " branches to commit: wait until they are done, then forget it")});
    return;
  }
  // It would be forgotten without ever having been on record.
  const auto& branches = it->second.core.branches();
  if (std::any_of(branches.begin(), branches.end(), [](const PhaseTwo::Branch& branch) {
        return branch.phase == PhaseTwo::BranchPhase::kHeuristicUnlogged;
      })) {
    call.reply(Refusal{Unavailable("transaction " + ToString(call.gtrid) +
                                   " has a heuristic outcome that is not on record yet: repeat"),
                       Reason::kNone,
                       kHeuristicRetryMs,
                       {}});
    return;
  }
  ProposeForget(call);
}

void Driver::ProposeForget(ForgetCall& call) {
  auto& replies = forgetters_[call.gtrid];
  replies.push_back(std::move(call.reply));
  if (replies.size() == 1) {
    Propose(ForgetHeuristic{call.gtrid}, term_, ForgetProposal{call.gtrid});
  }
}

Refusal Driver::RefusalFor(ClientAnswer answer, const Gtrid& gtrid) const {
  switch (answer) {
    case ClientAnswer::kForeign: {
      std::string ours = table_.group() ? table_.group()->cluster + ", group " +
                                              std::to_string(table_.group()->group)
                                        : "(not known yet)";
      return {FailedPrecondition("gtrid " + ToString(gtrid) + " belongs to cluster " +
                                 gtrid.cluster + ", group " + std::to_string(gtrid.group) +
                                 "; this coordinator serves cluster " + ours +
                                 ": ask the one that began it"),
              Reason::kForeignGtrid,
              0,
              {}};
    }
    case ClientAnswer::kNeverIssued:
      return {NotFound("gtrid " + ToString(gtrid) +
                       " was never given out by this coordinator: use the gtrid that Begin "
                       "answered with")};
    case ClientAnswer::kRetry:
    case ClientAnswer::kCommitted:
    case ClientAnswer::kAborted:
    case ClientAnswer::kPending:
    case ClientAnswer::kUnknown:
    case ClientAnswer::kExpired:
      break;
  }
  if (Ready() && gtrid.epoch > term_) {
    return NotLeader(Unavailable("gtrid " + ToString(gtrid) + " is of term " +
                                 std::to_string(gtrid.epoch) + ", this coordinator leads in term " +
                                 std::to_string(term_) +
                                 ": ask the leader, or use the gtrid that Begin answered with"));
  }
  return NotLeading();
}

}  // namespace assent::coordinator
