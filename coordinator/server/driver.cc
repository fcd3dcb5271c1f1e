// The loop: drain, handle, fire timers, flush. What is handled stands in the driver_*.cc files.
#include "coordinator/server/driver.h"

#include <utility>

#include "base/failpoint.h"
#include "base/log.h"
#include "base/mutant.h"

namespace assent::coordinator {
namespace {

// How long the loop may sleep when no timer is set.
constexpr std::chrono::hours kIdle{1};

Refusal Stopping() {
  return {Unavailable("this coordinator is stopping: retry; Commit and Rollback with the same "
                      "gtrid"),
          Reason::kNotLeader,
          200,
          {}};
}

}  // namespace

Driver::Driver(const Limits& limits, const Clock& clock, const Codec& codec,
               std::function<void(Status)> on_fatal)
    : limits_(limits),
      clock_(clock),
      codec_(codec),
      on_fatal_(std::move(on_fatal)),
      inbox_(limits.queue_max),
      now_(clock.Now()),
      table_(limits.table),
      aborts_(limits.remembered_aborts_max),
      agents_(limits_) {}

Driver::~Driver() = default;

void Driver::Run() {
  inbox_.Run(
      [this](std::vector<DriverEvent> events) {
        Handle(std::move(events));
        return timers_.NextOr(clock_.Now() + kIdle);
      },
      [this] { ShutDown(); });
}

void Driver::HandlePending() {
  do {
    Handle(inbox_.TakeAll());
  } while (inbox_.size() > 0);
}

void Driver::Handle(std::vector<DriverEvent> events) {
  now_ = clock_.Now();
  for (DriverEvent& event : events) {
    if (dead_) return;
    std::visit([this](auto& e) { On(e); }, event);
  }
  if (dead_) return;
  FireTimers();
  if (transfer_) HandOverWhenDrained(/*in_time=*/true);
  agents_.Flush();
  PublishGauges();
}

void Driver::PublishGauges() {
  metrics_.live.Set(static_cast<int64_t>(live_.size()));
  metrics_.unfinished.Set(static_cast<int64_t>(finishing_.size()));
  metrics_.strays.Set(static_cast<int64_t>(table_.state().strays.size()));
  metrics_.agents.Set(static_cast<int64_t>(agents_.links().size()));
  metrics_.term.Set(static_cast<int64_t>(term_));
  metrics_.leading.Set(Ready() && !dead_ ? 1 : 0);
  metrics_.leader_reading.Set(leader_ && !Ready() ? 1 : 0);
  metrics_.following.Set(!leader_ && group_.leader != 0 ? 1 : 0);
}

void Driver::FireTimers() {
  while (std::optional<Timer> timer = timers_.PopDue(now_)) On(*timer);
}

void Driver::On(const Timer& timer) {
  switch (timer.kind) {
    case TimerKind::kDeadline:
      Deliver(timer.gtrid, DeadlinePassed{});
      break;
    case TimerKind::kPrepareTimeout:
      OnPrepareTimeout(timer.gtrid);
      break;
    case TimerKind::kApplyWait:
      if (auto it = finishing_.find(timer.gtrid); it != finishing_.end()) {
        AnswerWaiters(it->second);
      }
      break;
    case TimerKind::kFinishGrace:
      OnGrace(timer.gtrid);
      break;
    case TimerKind::kResend:
      OnResend(timer.gtrid);
      break;
    case TimerKind::kRetryHeuristic:
      if (auto it = finishing_.find(timer.gtrid); it != finishing_.end()) {
        it->second.heuristic_timer.reset();
        // Reports that are not on record are proposed again by the core itself.
        for (const PhaseTwo::Branch& branch : std::vector(it->second.core.branches())) {
          if (branch.phase != PhaseTwo::BranchPhase::kHeuristicUnlogged) continue;
          Deliver(timer.gtrid,
                  PhaseTwoEvent{
                      BranchEnded{{timer.gtrid, branch.decided.bqual}, branch.end, branch.detail}});
        }
      }
      break;
    case TimerKind::kFlushEnds:
      flush_ends_timer_.reset();
      FlushEnds();
      break;
    case TimerKind::kDrained:
      HandOverWhenDrained(/*in_time=*/false);
      break;
    case TimerKind::kDrawAgain:
      if (leader_ && drawing_ && !table_.group()) DrawIncarnation();
      break;
    case TimerKind::kTick:
      if (Ready()) Propose(Tick{}, term_, TickProposal{});
      timers_.Add(now_ + limits_.tick, {TimerKind::kTick, {}});
      break;
  }
}

void Driver::Propose(const Record& record, Term term, Proposal about, bool with_next) {
  metrics_.Proposed(record);
  auto done = [this, about = std::move(about)](txlog::Fate fate) {
    metrics_.proposals_waiting.Add(-1);
    // What happens next is what applying answers. Durable alone decides nothing, so it is not even
    // worth an event.
    if (fate == txlog::Fate::kDurable && !MutantOn(Mutant::kActOnDurability)) return;
    Post(ProposalAnswered{about, fate});
  };
  if (with_next) {
    log_->ProposeWithNext(codec_.Encode(record), term, std::move(done));
  } else {
    log_->Propose(codec_.Encode(record), term, std::move(done));
  }
}

NodeView Driver::View() const {
  return {.leader = leader_,
          .term = term_,
          .own_entry_applied = own_entry_applied_,
          .next_seq = next_seq_};
}

Live Driver::LiveOf(const Gid& gid) const {
  if (auto it = live_.find(gid.gtrid); it != live_.end()) {
    const TwoPhase& core = it->second.core;
    if (core.IsVoid(gid)) return Live::kVoid;
    return core.phase() == TwoPhase::Phase::kProposed ? Live::kProposed : Live::kActive;
  }
  auto it = finishing_.find(gid.gtrid);
  const bool left = it != finishing_.end() && it->second.core.IsLeftToApp(gid);
  return left ? Live::kLeftToApp : Live::kNone;
}

void Driver::ShutDown() {
  for (auto& [gtrid, live] : live_) {
    // A decision that is under way may still be written: the log stops after the driver.
    const bool proposed = live.core.phase() == TwoPhase::Phase::kProposed;
    for (CommitWaiter& waiter : live.committers) {
      if (proposed) {
        waiter.reply(CommitAnswer{.outcome = Outcome::kUnknown});
      } else {
        waiter.reply(Stopping());
      }
    }
    for (auto& reply : live.rollbackers) reply(Stopping());
  }
  live_.clear();
  live_keys_.clear();
  for (auto& [gtrid, finishing] : finishing_) AnswerWaiters(finishing);
  for (auto& [gtrid, replies] : forgetters_) {
    for (auto& reply : replies) reply(Stopping());
  }
  forgetters_.clear();
  for (BackupProved& waiting : std::exchange(waiting_backups_, {})) waiting.reply(Stopping());
  agents_.CloseAll(Unavailable("this coordinator is stopping"));
  PublishGauges();
}

void Driver::Die(Status why) {
  dead_ = true;
  LogError("fatal", {{"reason", why.message()}});
  ShutDown();
  on_fatal_(std::move(why));
}

}  // namespace assent::coordinator
