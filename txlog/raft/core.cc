// What belongs to every role: the start, writes and what depends on them, commitment, application.
#include "txlog/raft/core.h"

#include <algorithm>
#include <string>

#include "base/check.h"
#include "base/mutant.h"

namespace assent::txlog::raft {

Raft::Core::Core(Options options)
    : options_(options), wanted_at_bytes_(options.snapshot_after_bytes), random_(options.seed) {
  ASSENT_CHECK(options_.id != kNobody && options_.election_ticks > options_.heartbeat_ticks);
}

std::vector<Action> Raft::Core::Step(Event event) {
  ASSENT_CHECK(started_ != std::holds_alternative<Start>(event));
  actions_.clear();
  if (broken_) return {};
  std::visit([this](auto& e) { On(e); }, event);
  if (hard_dirty_ && !broken_) SaveHard();
  return std::move(actions_);
}

void Raft::Core::Break(std::string why) {
  if (broken_) return;
  broken_ = true;
  Do(Halt{std::move(why)});
}

// ---- The start --------------------------------------------------------------------------------

void Raft::Core::On(Start& event) {
  started_ = true;
  hard_state_ = hard_forced_ = event.hard_state;
  snapshot_ = std::move(event.snapshot);
  log_.Reset(snapshot_.index, snapshot_.term);
  configs_ = {{snapshot_.index, snapshot_.config}};
  commit_ = applied_ = snapshot_.index;
  for (Entry& entry : event.entries) {
    // A log that parts from the snapshot holds nothing that was ever committed behind it.
    const bool parts = entry.index == snapshot_.index && entry.term != snapshot_.term;
    if (parts || entry.index > log_.last_index() + 1) {
      cut_next_ = true;
      break;
    }
    if (entry.index <= snapshot_.index) continue;
    if (entry.term < log_.last_term() || entry.term > hard_state_.term) {
      return Break("log entry " + std::to_string(entry.index) + " has term " +
                   std::to_string(entry.term) + ", which cannot be");
    }
    unapplied_bytes_ += LogView::Cost(entry);
    NoteConfig(entry);
    log_.Append(std::move(entry));
  }
  if (event.entries.empty() || log_.last_index() == snapshot_.index) cut_next_ = true;
  bytes_behind_snapshot_ = unapplied_bytes_;
  forced_ = log_.last_index();
  ResetElectionTimer();
  Do(MembersChanged{config()});
  // There is nobody to wait for.
  if (MayCampaign() && IsSoleVoter()) StartElection(false);
}

// ---- Writes -----------------------------------------------------------------------------------

void Raft::Core::SetHardState(HardState state) {
  if (state == hard_state_) return;
  hard_state_ = state;
  hard_write_ = 0;
  hard_dirty_ = true;
}

void Raft::Core::SaveHard() {
  hard_dirty_ = false;
  if (hard_state_ == hard_forced_) return;
  hard_write_ = next_write_++;
  writes_.push_back({.number = hard_write_, .hard_state = hard_state_});
  HardState saved = hard_state_;
  if (MutantOn(Mutant::kRaftVoteNotPersisted)) saved.vote = kNobody;
  Do(SaveHardState{hard_write_, saved});
}

void Raft::Core::SendTo(NodeId to, Body body, Index log_index) {
  uint64_t after = 0;
  if (hard_state_ != hard_forced_) {
    // Not written yet, or refused for lack of room: it is tried again whenever it is needed.
    if (hard_write_ == 0) SaveHard();
    after = hard_write_;
  }
  if (!MutantOn(Mutant::kRaftAckBeforeForced)) after = std::max(after, WriteThatForces(log_index));
  Do(Send{{options_.id, to, hard_state_.term, std::move(body)}, after});
}

uint64_t Raft::Core::WriteThatForces(Index index) const {
  if (index <= forced_) return 0;
  for (const Write& write : writes_) {
    if (write.last >= index) return write.number;
  }
  return next_write_ - 1;
}

void Raft::Core::AppendToLog(std::vector<Entry> entries, bool truncate) {
  // No entry stands on the disk whose term the hard state there does not know.
  if (hard_state_ != hard_forced_ && hard_write_ == 0) SaveHard();
  if (truncate) CutLog(entries.front().index - 1);
  if (broken_) return;
  for (const Entry& entry : entries) {
    const uint64_t cost = LogView::Cost(entry);
    unapplied_bytes_ += cost;
    bytes_behind_snapshot_ += cost;
    const size_t configs = configs_.size();
    NoteConfig(entry);
    if (configs_.size() > configs) Do(MembersChanged{config()});
    log_.Append(entry);
  }
  const uint64_t number = next_write_++;
  writes_.push_back({.number = number, .last = entries.back().index});
  Do(WriteEntries{number, truncate || std::exchange(cut_next_, false), std::move(entries)});
}

void Raft::Core::CutLog(Index last_kept) {
  if (last_kept >= log_.last_index()) return;
  if (last_kept < applied_) {
    return Break("entry " + std::to_string(last_kept + 1) + " was applied and would be cut off");
  }
  const uint64_t dropped = log_.TruncateAfter(last_kept);
  unapplied_bytes_ -= dropped;
  bytes_behind_snapshot_ -= std::min(bytes_behind_snapshot_, dropped);
  forced_ = std::min(forced_, last_kept);
  received_ = std::min(received_, last_kept);
  for (Write& write : writes_) write.last = std::min(write.last, last_kept);
  if (MutantOn(Mutant::kRaftKeepConfigAfterTruncate)) return;
  // A membership that was never committed is taken back with its entry (thesis 4.1).
  const size_t configs = configs_.size();
  while (configs_.size() > 1 && configs_.back().index > last_kept) configs_.pop_back();
  if (configs_.size() < configs) Do(MembersChanged{config()});
}

void Raft::Core::NoteConfig(const Entry& entry) {
  if (entry.type != EntryType::kConfig) return;
  Result<Config> decoded = DecodeConfig(entry.view());
  if (!decoded.ok()) {
    return Break("log entry " + std::to_string(entry.index) + ": " + decoded.status().message());
  }
  configs_.push_back({entry.index, std::move(*decoded)});
}

void Raft::Core::ForceUpTo(uint64_t number) {
  while (!writes_.empty() && writes_.front().number <= number) {
    const Write& write = writes_.front();
    if (write.hard_state) hard_forced_ = *write.hard_state;
    forced_ = std::max(forced_, write.last);
    writes_.pop_front();
  }
}

void Raft::Core::On(Forced& event) {
  ForceUpTo(event.write);
  if (role_ == Role::kCandidate && hard_forced_ == hard_state_) CountVote(options_.id, true);
  if (role_ == Role::kLeader) CountMatches();
  HandOver();
}

void Raft::Core::On(DiskFull& event) {
  ForceUpTo(event.write - 1);
  if (MutantOn(Mutant::kRaftDiskFullLeadsOn) && role_ == Role::kLeader) {
    ForceUpTo(next_write_);
    return;
  }
  disk_full_ = true;
  if (hard_write_ >= event.write) hard_write_ = 0;
  hard_dirty_ = false;
  // A snapshot takes force without needing room.
  std::erase_if(writes_, [](const Write& write) { return !write.install; });
  Index end = forced_;
  for (const Write& write : writes_) end = std::max(end, write.last);
  // As after a crash that loses what was not forced: of what this node promised nothing is lost,
  // and what it has merely sent out others may keep.
  if (role_ == Role::kLeader) LoseLeadership(end);
  CutLog(end);
  commit_ = std::min(commit_, log_.last_index());
  cut_next_ = true;
  if (role_ != Role::kFollower) BecomeFollower(hard_state_.term, kNobody);
}

void Raft::Core::On(DiskFine&) {
  disk_full_ = false;
  if (hard_state_ != hard_forced_ && hard_write_ == 0) SaveHard();
}

// ---- Commitment and application ---------------------------------------------------------------

void Raft::Core::AdvanceCommit(Index index) {
  if (index <= commit_) return;
  commit_ = index;
  HandOver();
}

void Raft::Core::HandOver() {
  // Only what is forced here too: a snapshot taken of it never runs ahead of this node's log.
  const Index limit = std::min({commit_, forced_, log_.last_index()});
  Apply apply;
  uint64_t bytes = 0;
  while (applied_ < limit) {
    const Entry& entry = log_.At(applied_ + 1);
    const uint64_t cost = LogView::Cost(entry);
    const bool first = applying_.empty() && apply.entries.empty();
    if (!first && applying_bytes_ + bytes + cost > options_.applying_bytes_max) break;
    bytes += cost;
    apply.entries.push_back(entry);
    ++applied_;
  }
  if (!apply.entries.empty()) {
    applying_.push_back({applied_, bytes});
    applying_bytes_ += bytes;
    unapplied_bytes_ -= bytes;
    Do(std::move(apply));
    log_.Evict(applied_, options_.cache_bytes_max);
    AskForSnapshot();
  }
  ReleaseReads();
}

void Raft::Core::On(Applied& event) {
  while (!applying_.empty() && applying_.front().last <= event.index) {
    applying_bytes_ -= applying_.front().bytes;
    applying_.pop_front();
  }
  HandOver();
}

void Raft::Core::AskForSnapshot() {
  if (snapshot_wanted_ || bytes_behind_snapshot_ < wanted_at_bytes_) return;
  snapshot_wanted_ = true;
  Do(SnapshotWanted{});
}

// ---- Proposals and reads ----------------------------------------------------------------------

void Raft::Core::On(Propose& event) {
  const bool takes = role_ == Role::kLeader && event.term == hard_state_.term && !transfer_;
  std::vector<uint64_t> refused;
  std::vector<Entry> entries;
  for (Proposal& proposal : event.proposals) {
    const uint64_t cost = proposal.record.size() + kEntryOverheadBytes;
    const bool fits =
        uncommitted_bytes_ == 0 || uncommitted_bytes_ + cost <= options_.uncommitted_bytes_max;
    if (!takes || !fits || proposal.record.empty() || proposal.record.size() > kRecordBytesMax) {
      refused.push_back(proposal.id);
      continue;
    }
    const Index index = log_.last_index() + 1 + entries.size();
    uncommitted_bytes_ += cost;
    pending_.push_back({index, proposal.id, cost});
    entries.push_back({.index = index,
                       .term = hard_state_.term,
                       .type = EntryType::kRecord,
                       .payload = std::make_shared<const std::string>(std::move(proposal.record))});
  }
  if (!refused.empty()) Do(ProposalFates{Fate::kRefused, std::move(refused)});
  if (entries.empty()) return;
  AppendToLog(std::move(entries), false);
  FeedAll();
}

void Raft::Core::On(ReadBarrier& event) {
  if (role_ != Role::kLeader || reads_.waiting() >= options_.reads_max) {
    return Do(ReadsRefused{{event.id}});
  }
  if (MutantOn(Mutant::kRaftStaleRead)) return Do(ReadReady{{event.id}});
  reads_.Add(event.id);
  StartReadRound();
}

void Raft::Core::ReleaseReads() {
  std::vector<uint64_t> ready = reads_.TakeReady(applied_);
  if (!ready.empty()) Do(ReadReady{std::move(ready)});
}

// ---- Messages and time ------------------------------------------------------------------------

void Raft::Core::On(Received& event) {
  if (event.message.to != options_.id || event.message.from == options_.id) return;
  if (!SettleTerm(event.message)) return;
  std::visit([&](auto& body) { Handle(event.message, body); }, event.message.body);
}

void Raft::Core::On(Tick&) {
  if (role_ == Role::kLeader) return LeaderTick();
  ++election_elapsed_;
  // Nobody to wait for, unless the leader that made it so still leads.
  const bool alone = IsSoleVoter() && role_ == Role::kFollower && leader_ == kNobody;
  if (!alone && election_elapsed_ < election_timeout_) return;
  if (MayCampaign()) return StartPreVote();
  if (election_elapsed_ < election_timeout_) return;
  leader_ = kNobody;
  role_ = Role::kFollower;
  ResetElectionTimer();
  Announce();
}

}  // namespace assent::txlog::raft
