// The group: its members, who leads it, handing the lead over, and backups of its state.
#include <string>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/mutant.h"
#include "coordinator/core/restore.h"
#include "coordinator/server/driver.h"

namespace assent::coordinator {

// ---- Who leads ----------------------------------------------------------------------------------

// Whoever is refused for this goes on at once where the leader is, if that is known.
Refusal Driver::NotLeader(Status why, uint32_t retry_delay_ms) const {
  Refusal refusal{std::move(why), Reason::kNotLeader, retry_delay_ms, {}, {}};
  // This node may hold itself for the leader still, or again; then the hint would lead in a circle.
  const txlog::Member* leader = leader_ ? nullptr : group_.Leader();
  if (leader != nullptr) {
    refusal.leader = leader->address;
    if (!refusal.leader.empty()) refusal.retry_delay_ms = 0;
  }
  return refusal;
}

Refusal Driver::NotLeading() const {
  if (leader_) {
    return NotLeader(Unavailable("this coordinator has not read its log yet: retry"));
  }
  const txlog::Member* leader = group_.Leader();
  if (leader == nullptr) {
    return NotLeader(Unavailable(
        "this coordinator does not lead, and knows of no leader: retry, or see assentctl status"));
  }
  return NotLeader(Unavailable("this coordinator does not lead: ask node " +
                               std::to_string(leader->id) + " at " + leader->address));
}

void Driver::On(LogGroup& event) {
  const bool changed = group_.members != event.group.members;
  group_ = std::move(event.group);
  if (!changed) return;
  for (auto& [id, link] : agents_.links()) link.gathered.members = group_.members;
}

// ---- Members ------------------------------------------------------------------------------------

void Driver::On(MembersCall& call) {
  log_->ListMembers([reply = std::move(call.reply)](txlog::GroupProgress progress) {
    reply(std::move(progress));
  });
}

void Driver::On(ChangeCall& call) {
  if (!leader_) {
    call.reply(NotLeading());
    return;
  }
  // No word of another leader, even where the lead was lost meanwhile: the change may be done, and
  // whoever follows such a word would ask for it once more.
  log_->ChangeMembership(std::move(call.change), [reply = std::move(call.reply)](Status status) {
    if (status.ok()) {
      reply(MembershipAnswer{});
    } else {
      reply(Refusal{std::move(status), Reason::kNone, 0, {}, {}});
    }
  });
}

// ---- Handing over -------------------------------------------------------------------------------

// What lives at this leader would abort under the next one: it gets time to end first.
void Driver::On(TransferCall& call) {
  if (!leader_) {
    call.reply(NotLeading());
    return;
  }
  if (transfer_) {
    if (transfer_->to != call.to) {
      call.reply(Refusal{
          FailedPrecondition("the lead is being handed over to " +
                             (transfer_->to == 0 ? std::string("another node")
                                                 : "node " + std::to_string(transfer_->to)) +
                             " already: wait for that")});
      return;
    }
    transfer_->replies.push_back(std::move(call.reply));
    return;
  }
  LogInfo("transfer_begins", {{"to", call.to}, {"live", live_.size()}});
  transfer_.emplace(Transfer{
      .to = call.to, .drain_timer = timers_.Add(now_ + call.drain, {TimerKind::kDrained, {}})});
  transfer_->replies.push_back(std::move(call.reply));
}

void Driver::HandOverWhenDrained(bool in_time) {
  if (!transfer_ || transfer_->asked || (in_time && !live_.empty())) return;
  timers_.Cancel(transfer_->drain_timer);
  transfer_->asked = true;
  log_->TransferLeadership(transfer_->to,
                           [this](Status status) { Post(TransferAnswered{std::move(status)}); });
}

void Driver::On(TransferAnswered& event) { EndTransfer(event.status); }

void Driver::EndTransfer(const Status& status) {
  if (!transfer_) return;
  if (status.ok()) {
    LogInfo("transfer_done", {{"to", transfer_->to}});
  } else {
    LogWarning("transfer_failed", {{"to", transfer_->to}, {"reason", status.message()}});
  }
  timers_.Cancel(transfer_->drain_timer);
  for (auto& reply : transfer_->replies) {
    if (status.ok()) {
      reply(MembershipAnswer{});
    } else {
      reply(Refusal{status});
    }
  }
  transfer_.reset();
}

// ---- Backups ------------------------------------------------------------------------------------

// What is done in the databases should be over in the backup too: a restored group would tell the
// agents to commit it again, and where a branch that is gone leaves no evidence they would have to
// call that a hazard.
//
// A leader that is over may lack the newest decisions without knowing it: the log proves the lead
// first, and by then has handed over all that was committed before the call.
void Driver::On(BackupCall& call) {
  if (!Ready()) {
    call.reply(NotLeading());
    return;
  }
  std::vector<Gtrid> ends;
  for (const auto& [gtrid, finishing] : finishing_) {
    if (finishing.core.AllDone()) ends.push_back(gtrid);
  }
  FlushEnds();
  auto proved = [this, reply = std::move(call.reply), term = term_,
                 ends = std::move(ends)](Status status) {
    // Encoding a large state takes long: not on the log's thread.
    if (PostAndWake(BackupProved{std::move(status), reply, term, ends})) return;
    reply(Refusal{Unavailable("this coordinator is stopping: repeat the backup"),
                  Reason::kNotLeader,
                  200,
                  {},
                  {}});
  };
  if (MutantOn(Mutant::kBackupUnproved)) {
    proved(Ok());
  } else {
    log_->ReadBarrier(std::move(proved));
  }
}

void Driver::On(BackupProved& event) {
  if (!event.status.ok()) {
    event.reply(NotLeader(std::move(event.status)));
    return;
  }
  if (!Ready() || event.term != term_) {
    event.reply(NotLeader(Unavailable("this coordinator lost leadership: ask the new leader")));
    return;
  }
  std::erase_if(event.ends, [this](const Gtrid& gtrid) { return !finishing_.contains(gtrid); });
  if (!event.ends.empty()) {
    waiting_backups_.push_back(std::move(event));
    return;
  }
  const DecisionTable::State& state = table_.state();
  BackupAnswer answer{.group = *table_.group(),
                      .term = term_,
                      .index = applied_index_,
                      .decisions = CountDecisions(state),
                      .unfinished = state.unfinished.size(),
                      .state = codec_.EncodeState(state)};
  LogInfo("backup", {{"index", answer.index},
                     {"decisions", answer.decisions},
                     {"unfinished", answer.unfinished},
                     {"bytes", answer.state.size()}});
  event.reply(std::move(answer));
}

void Driver::GiveWaitingBackups() {
  for (BackupProved& waiting : std::exchange(waiting_backups_, {})) On(waiting);
}

}  // namespace assent::coordinator
