// What the log says: entries that took effect, leadership, the fate of proposals, snapshots.
#include <string>
#include <utility>

#include "base/failpoint.h"
#include "base/log.h"
#include "base/mutant.h"
#include "coordinator/server/driver.h"

namespace assent::coordinator {
namespace {

constexpr std::chrono::seconds kRefusedRetry{1};

AbortCause CauseOf(ApplyAnswer answer) {
  return answer == ApplyAnswer::kKeyConflict ? AbortCause::kKeyConflict : AbortCause::kPresumed;
}

}  // namespace

void Driver::OnSnapshot(txlog::Index index, txlog::Term term, std::string state) {
  Post(LogSnapshot{index, term, std::move(state)});
}
void Driver::OnApplied(std::vector<txlog::Applied> entries) {
  Post(LogApplied{std::move(entries)});
}
void Driver::OnLeadership(txlog::Term term, bool leader) { Post(LogLeadership{term, leader}); }
// Encoding a large state takes long: not on the log's thread.
void Driver::OnSnapshotWanted() { PostAndWake(SnapshotWanted{}); }
void Driver::OnGroup(txlog::Group group) { Post(LogGroup{std::move(group)}); }

void Driver::On(LogSnapshot& event) {
  Result<DecisionTable::State> state = codec_.DecodeState(event.state);
  if (!state.ok()) {
    Die({state.status().code(), "snapshot of the log up to entry " + std::to_string(event.index) +
                                    ": " + state.status().message()});
    return;
  }
  table_.Restore(std::move(*state));
  applied_index_ = event.index;
  // What was proposed here may be among the entries that the snapshot stands for.
  std::vector<Gtrid> decided;
  for (const auto& [gtrid, live] : live_) {
    if (live.core.phase() != TwoPhase::Phase::kProposed) continue;
    const DecisionTable::Word word = table_.Look(gtrid);
    if (word == DecisionTable::Word::kUnfinished || word == DecisionTable::Word::kEnded) {
      decided.push_back(gtrid);
    }
  }
  for (const Gtrid& gtrid : decided) Deliver(gtrid, DecisionApplied{true, {}});
  SettleOlderThan(event.term);
}

void Driver::On(LogApplied& event) {
  for (const txlog::Applied& entry : event.entries) {
    ApplyEntry(entry);
    if (dead_) return;
  }
}

void Driver::ApplyEntry(const txlog::Applied& entry) {
  applied_index_ = entry.index;
  if (entry.record.empty()) {
    SettleOlderThan(entry.term);
    if (leader_ && entry.term == term_ && !own_entry_applied_) BecomeReady();
    return;
  }
  Result<Record> record = codec_.Decode(entry.record);
  if (!record.ok()) {
    Die({record.status().code(), "log entry " + std::to_string(entry.index) + " of term " +
                                     std::to_string(entry.term) + ": " +
                                     record.status().message()});
    return;
  }
  // Not while the past is replayed: a step belongs to the transaction that takes it.
  const bool deciding = Ready() && std::holds_alternative<Decision>(*record);
  if (deciding) ASSENT_FAILPOINT("coord.apply.before");
  const ApplyAnswer answer = table_.Apply(entry.term, *record);
  if (deciding) ASSENT_FAILPOINT("coord.apply.after");
  std::visit([&](const auto& r) { AfterApply(r, answer); }, *record);
  SettleOlderThan(entry.term);
}

void Driver::AfterApply(const GroupStart& record, ApplyAnswer answer) {
  if (answer == ApplyAnswer::kAccepted) {
    if (leader_ && drawing_ && table_.group()) BecomeReady();
    return;
  }
  LogError("group_start_ignored", {{"cluster", record.cluster}, {"uuid", record.cluster_uuid}});
}

void Driver::AfterApply(const Decision& record, ApplyAnswer answer) {
  const bool accepted = answer == ApplyAnswer::kAccepted;
  if (live_.contains(record.gtrid)) {
    // A first record that was accepted stands, also when it is seen twice.
    if (answer == ApplyAnswer::kAlreadyDecided) return;
    Deliver(record.gtrid, DecisionApplied{accepted, CauseOf(answer)});
    return;
  }
  if (accepted && Ready()) BeginPhaseTwo(record, {}, nullptr);
}

void Driver::AfterApply(const End& record, ApplyAnswer) {
  for (const Gtrid& gtrid : record.gtrids) {
    if (table_.Find(gtrid) == nullptr) DropFinishing(gtrid);
  }
  GiveWaitingBackups();
  if (Ready()) ASSENT_FAILPOINT("coord.end.after");
}

void Driver::AfterApply(const Heuristic& record, ApplyAnswer answer) {
  if (answer == ApplyAnswer::kAccepted) {
    if (Ready()) metrics_.heuristics[static_cast<size_t>(record.end)].Add();
    LogWarning("heuristic", {{"gtrid", ToString(record.gid.gtrid)},
                             {"branch", ToString(record.gid.bqual)},
                             {"state", record.end == BranchEnd::kHazard            ? "hazard"
                                       : record.end == BranchEnd::kHeuristicCommit ? "committed"
                                                                                   : "rolled_back"},
                             {"detail", record.detail}});
  }
  if (table_.ListsCommit(record.gid)) {
    Deliver(record.gid.gtrid,
            PhaseTwoEvent{HeuristicLogged{record.gid, record.end, record.detail}});
  } else if (AgentRegistry::Link* link = agents_.Serving(record.gid.bqual.resource, "")) {
    // It is on record: whoever reported it need not repeat it. If another agent did, its next
    // report is answered so.
    link->gathered.forget.push_back(record.gid);
  }
}

void Driver::AfterApply(const ForgetHeuristic& record, ApplyAnswer answer) {
  if (answer == ApplyAnswer::kAccepted) {
    LogInfo("heuristic_forgotten", {{"gtrid", ToString(record.gtrid)}});
  }
  if (table_.Find(record.gtrid) == nullptr) DropFinishing(record.gtrid);
  auto waiting = forgetters_.extract(record.gtrid);
  if (waiting.empty()) return;
  for (auto& reply : waiting.mapped()) reply(ForgetAnswer{});
}

void Driver::AfterApply(const Tick&, ApplyAnswer) {}

// An entry of `term` took effect: proposals of older terms that were not among those before it
// never will.
void Driver::SettleOlderThan(Term term) {
  if (live_.empty() || term <= live_.begin()->first.epoch) return;
  std::vector<Gtrid> lost;
  for (const auto& [gtrid, live] : live_) {
    if (gtrid.epoch < term && live.core.phase() == TwoPhase::Phase::kProposed) {
      lost.push_back(gtrid);
    }
  }
  for (const Gtrid& gtrid : lost) Deliver(gtrid, LaterTermApplied{});
}

// ---- Leadership ---------------------------------------------------------------------------------

void Driver::On(LogLeadership& event) {
  if (event.term == term_ && event.leader == leader_) return;
  if (leader_) LoseLeadership();
  term_ = event.term;
  leader_ = event.leader;
  own_entry_applied_ = false;
  drawing_ = false;
  next_seq_ = 0;
  if (!leader_) AnnounceLeadership();
}

void Driver::LoseLeadership() {
  LogWarning("leadership_lost",
             {{"term", term_}, {"live", live_.size()}, {"unfinished", finishing_.size()}});
  tell_serving_(false);
  if (!MutantOn(Mutant::kLiveKeptAcrossTerms)) {
    DestroyLive("this coordinator lost leadership: retry with the same gtrid at the new leader");
  }
  DestroyFinishing();
  for (BackupProved& waiting : std::exchange(waiting_backups_, {})) {
    waiting.reply(NotLeader(Unavailable("this coordinator lost leadership: ask the new leader")));
  }
  if (transfer_ && !transfer_->asked) {
    EndTransfer(
        Unavailable("this coordinator lost the lead before it could hand it over: see "
                    "assentctl member list for who has it"));
  }
  for (auto& [gtrid, replies] : std::exchange(forgetters_, {})) {
    for (auto& reply : replies) {
      reply(NotLeader(Unavailable("this coordinator lost leadership: ask the new leader")));
    }
  }
}

// The no-op of our own term is applied: every decision of older terms is in the table, and what is
// not there never will be.
void Driver::BecomeReady() {
  if (!table_.state().group) {
    Die(
        FailedPrecondition("the log has no group start record: the data directory was not made by "
                           "assentd --bootstrap"));
    return;
  }
  if (!table_.group()) {
    DrawIncarnation();
    return;
  }
  own_entry_applied_ = true;
  LogInfo("leading", {{"term", term_},
                      {"applied_index", applied_index_},
                      {"unfinished", table_.state().unfinished.size()}});
  AnnounceLeadership();
  for (const auto& [gtrid, entry] : table_.state().unfinished) {
    if (MutantOn(Mutant::kPhaseTwoNotResumed)) break;
    BeginPhaseTwo(entry.decision, entry.heuristics, nullptr);
  }
  if (!tick_set_) {
    tick_set_ = true;
    timers_.Add(now_ + limits_.tick, {TimerKind::kTick, {}});
  }
  tell_serving_(true);
}

// Anew for every group, also for one that is set up with the same options after all its disks were
// lost: nothing else keeps it from answering for the one before (docs/protocols.md 1.1, 16.9).
void Driver::DrawIncarnation() {
  drawing_ = true;
  GroupStart start = *table_.state().group;
  while (start.incarnation == 0) start.incarnation = limits_.draw();
  Propose(start, term_, StartProposal{});
}

void Driver::AnnounceLeadership() {
  for (auto& [id, link] : agents_.links()) {
    link.gathered.leadership = LeadershipNews{term_, Ready()};
  }
}

// ---- Proposals and snapshots
// ----------------------------------------------------------------------

void Driver::On(ProposalAnswered& event) {
  std::visit([&](const auto& about) { Answered(about, event.fate); }, event.about);
}

void Driver::Answered(const DecisionProposal& about, txlog::Fate fate) {
  switch (fate) {
    case txlog::Fate::kDurable:
      // Only with this seeded bug does anybody listen to durability.
      if (MutantOn(Mutant::kActOnDurability)) Deliver(about.gtrid, DecisionApplied{true, {}});
      return;
    case txlog::Fate::kRefused:
      LogWarning("proposal_refused", {{"gtrid", ToString(about.gtrid)}});
      Deliver(about.gtrid, ProposalRefused{});
      return;
    case txlog::Fate::kInDoubt:
      Deliver(about.gtrid, ProposalInDoubt{});
      return;
  }
}

void Driver::Answered(const HeuristicProposal& about, txlog::Fate fate) {
  if (fate != txlog::Fate::kRefused || !Ready()) return;
  auto it = finishing_.find(about.record.gid.gtrid);
  if (it == finishing_.end() || it->second.heuristic_timer) return;
  it->second.heuristic_timer =
      timers_.Add(now_ + kRefusedRetry, {TimerKind::kRetryHeuristic, it->first});
}

void Driver::Answered(const EndProposal& about, txlog::Fate fate) {
  if (fate != txlog::Fate::kRefused || !Ready()) return;
  // A full log must not keep backups back, least of all.
  for (BackupProved& waiting : waiting_backups_) waiting.ends.clear();
  GiveWaitingBackups();
  ends_.insert(ends_.end(), about.gtrids.begin(), about.gtrids.end());
  ends_refused_ = true;
  if (!flush_ends_timer_) {
    flush_ends_timer_ = timers_.Add(now_ + kRefusedRetry, {TimerKind::kFlushEnds, {}});
  }
}

void Driver::Answered(const ForgetProposal& about, txlog::Fate fate) {
  if (fate == txlog::Fate::kDurable) return;
  auto waiting = forgetters_.extract(about.gtrid);
  if (waiting.empty()) return;
  // As for members: nobody shall repeat it unasked.
  for (auto& reply : waiting.mapped()) {
    reply(Refusal{Unavailable("the log did not take the record; ask whether " +
                              ToString(about.gtrid) + " is still listed, and repeat"),
                  Reason::kNone,
                  1000,
                  {},
                  {}});
  }
}

void Driver::Answered(const TickProposal&, txlog::Fate) {}

void Driver::Answered(const StartProposal&, txlog::Fate fate) {
  if (fate != txlog::Fate::kRefused || !leader_ || table_.group()) return;
  LogWarning("group_start_refused", {{"term", term_}});
  timers_.Add(now_ + kRefusedRetry, {TimerKind::kDrawAgain, {}});
}

void Driver::On(SnapshotWanted&) {
  log_->SaveSnapshot(applied_index_, codec_.EncodeState(table_.state()));
}

}  // namespace assent::coordinator
