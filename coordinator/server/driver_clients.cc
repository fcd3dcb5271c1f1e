// The calls of clients: Begin, Commit, Rollback, and an operator's Forget.
#include <algorithm>
#include <string>
#include <utility>

#include "base/failpoint.h"
#include "base/log.h"
#include "coordinator/server/driver.h"

namespace assent::coordinator {
namespace {

constexpr uint32_t kLeaderRetryMs = 100;
constexpr uint32_t kLimitRetryMs = 200;
constexpr uint32_t kKeysRetryMs = 60'000;
constexpr uint32_t kHeuristicRetryMs = 1'000;

Refusal NotLeading() {
  return {Unavailable("this coordinator does not lead, or has not read its log yet: retry"),
          Reason::kNotLeader,
          kLeaderRetryMs,
          {}};
}

}  // namespace

std::optional<Refusal> Driver::RefuseBegin(const BeginCall& call) {
  if (!Ready()) return NotLeading();
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
  if (call.client_key.empty()) return std::nullopt;
  if (auto it = live_keys_.find(call.client_key); it != live_keys_.end()) {
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

void Driver::On(BeginCall& call) {
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
  live_.emplace(gtrid, std::move(live));
  metrics_.begun.Add();
  if (!call.client_key.empty()) live_keys_.emplace(std::move(call.client_key), gtrid);
  ASSENT_FAILPOINT("coord.begin.before_reply");
  call.reply(BeginAnswer{.gtrid = std::move(gtrid), .remaining = timeout});
}

void Driver::On(CommitCall& call) {
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
  Deliver(call.gtrid, CommitAsked{});
  // Settled at once if it had no branches.
  it = live_.find(call.gtrid);
  if (!first || it == live_.end()) return;
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
          finishing.waiters.size() >= limits_.waiters_max) {
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
    return {Unavailable("gtrid " + ToString(gtrid) + " is of term " + std::to_string(gtrid.epoch) +
                        ", this coordinator leads in term " + std::to_string(term_) +
                        ": ask the leader, or use the gtrid that Begin answered with"),
            Reason::kNotLeader,
            kLeaderRetryMs,
            {}};
  }
  return NotLeading();
}

}  // namespace assent::coordinator
