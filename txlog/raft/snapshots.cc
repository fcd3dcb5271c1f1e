// Snapshots: this node's own, and both ends of one on its way (paper 7, thesis 5).
#include <algorithm>
#include <string>
#include <utility>

#include "base/mutant.h"
#include "txlog/raft/core.h"

namespace assent::txlog::raft {

// ---- The own one ------------------------------------------------------------------------------

std::optional<SnapshotMeta> Raft::Core::MetaAt(Index index) const {
  if (index > applied_ || index < configs_.front().index) return std::nullopt;
  const std::optional<Term> term = log_.TermAt(index);
  if (!term) return std::nullopt;
  auto after = std::find_if(configs_.begin(), configs_.end(),
                            [index](const ConfigAt& c) { return c.index > index; });
  return SnapshotMeta{index, *term, std::prev(after)->config};
}

void Raft::Core::On(SnapshotSaved& event) {
  snapshot_wanted_ = false;
  if (!event.ok) {
    // Everything is still in the log. Not asked for again at once, since the disk is likely full.
    wanted_at_bytes_ = bytes_behind_snapshot_ + options_.snapshot_after_bytes / 4;
    return;
  }
  if (event.index <= snapshot_.index) return;
  std::optional<SnapshotMeta> meta = MetaAt(event.index);
  if (!meta)
    return Break("a snapshot of entry " + std::to_string(event.index) + ", which is not applied");
  snapshot_ = std::move(*meta);
  while (configs_.size() > 1 && configs_[1].index <= snapshot_.index) {
    configs_.erase(configs_.begin());
  }
  log_.Compact(snapshot_.index);
  wanted_at_bytes_ = options_.snapshot_after_bytes;
  // Entries that came meanwhile and are not in memory any more go uncounted: the next snapshot is
  // asked for a little late.
  bytes_behind_snapshot_ = 0;
  for (Index i = std::max(log_.cached_from(), snapshot_.index + 1); i <= log_.last_index(); ++i) {
    bytes_behind_snapshot_ += LogView::Cost(log_.At(i));
  }
  Do(Compact{snapshot_.index, snapshot_.term});
}

// ---- Sending ----------------------------------------------------------------------------------

void Raft::Core::StartSnapshot(Peer& peer) {
  peer.Probe(peer.match + 1);
  peer.mode = Peer::Mode::kSnapshot;
  peer.snapshot = {.meta = snapshot_};
  FeedSnapshot(peer);
}

// Goes on from `offset`: what was sent behind it seems lost.
void Raft::Core::RewindSnapshot(Peer& peer, uint64_t offset) {
  Peer::Snapshot& snapshot = peer.snapshot;
  snapshot.acknowledged = snapshot.next = offset;
  snapshot.in_flight.clear();
  snapshot.all_sent = false;
  snapshot.reading = false;
  snapshot.idle_ticks = 0;
  snapshot.doubted = false;
}

void Raft::Core::FeedSnapshot(Peer& peer) {
  Peer::Snapshot& snapshot = peer.snapshot;
  if (snapshot.idle_ticks >= options_.election_ticks) {
    RewindSnapshot(peer, snapshot.acknowledged);
    snapshot.doubted = true;
  }
  const bool silent = peer.silent_ticks >= options_.election_ticks;
  const size_t in_flight_max = silent ? 1 : options_.snapshot_chunks_in_flight_max;
  if (snapshot.reading || snapshot.all_sent || snapshot.in_flight.size() >= in_flight_max) return;
  snapshot.reading = true;
  Do(ReadSnapshotChunk{peer.id, snapshot.meta.index, snapshot.next, options_.snapshot_chunk_bytes});
}

void Raft::Core::On(SnapshotChunkRead& event) {
  Peer* peer = PeerOf(event.peer);
  if (role_ != Role::kLeader || peer == nullptr || peer->mode != Peer::Mode::kSnapshot) return;
  Peer::Snapshot& snapshot = peer->snapshot;
  if (event.index != snapshot.meta.index) return;
  if (event.gone) return StartSnapshot(*peer);
  if (!snapshot.reading || event.offset != snapshot.next) return;
  snapshot.reading = false;
  snapshot.all_sent = event.last;
  snapshot.next += event.data == nullptr ? 0 : event.data->size();
  snapshot.in_flight.push_back(snapshot.next);
  SendTo(peer->id, InstallSnapshot{snapshot.meta, event.offset, std::move(event.data), event.last});
  FeedSnapshot(*peer);
}

void Raft::Core::Handle(const Message& message, const InstallSnapshotReply& body) {
  Peer* peer = PeerOf(message.from);
  if (role_ != Role::kLeader || peer == nullptr) return;
  peer->active = true;
  peer->silent_ticks = 0;
  if (body.installed) {
    if (body.index > log_.last_index()) return;
    Acknowledge(*peer, body.index);
    CountMatches();
    peer = PeerOf(message.from);
    if (peer != nullptr) Feed(*peer);
    return;
  }
  if (peer->mode != Peer::Mode::kSnapshot || body.index != peer->snapshot.meta.index) return;
  Peer::Snapshot& snapshot = peer->snapshot;
  if (body.next_offset > snapshot.acknowledged) {
    snapshot.acknowledged = body.next_offset;
    snapshot.idle_ticks = 0;
    snapshot.doubted = false;
    while (!snapshot.in_flight.empty() && snapshot.in_flight.front() <= body.next_offset) {
      snapshot.in_flight.pop_front();
    }
    // A piece of an earlier attempt was the one that it had waited for.
    if (snapshot.next < body.next_offset) RewindSnapshot(*peer, body.next_offset);
  } else if (body.next_offset < snapshot.acknowledged && snapshot.doubted) {
    // It has begun anew: it was restarted, or had no room for the whole.
    RewindSnapshot(*peer, body.next_offset);
  }
  FeedSnapshot(*peer);
}

// ---- Receiving --------------------------------------------------------------------------------

void Raft::Core::Handle(const Message& message, const InstallSnapshot& body) {
  FollowLeader(message.from);
  if (broken_) return;
  const Index index = body.meta.index;
  if (index <= commit_) {
    // Everything in it is here, and the same.
    received_ = std::max(received_, index);
    return SendTo(message.from, InstallSnapshotReply{.index = index, .installed = true}, index);
  }
  if (!receiving_ || receiving_->meta.index != index) {
    if (body.offset != 0) return SendTo(message.from, InstallSnapshotReply{.index = index});
    receiving_ = Receiving{.meta = body.meta};
  }
  if (!receiving_->complete && body.offset == receiving_->next) {
    receiving_->next += body.data == nullptr ? 0 : body.data->size();
    receiving_->complete = body.last;
    Do(StageSnapshotChunk{receiving_->meta, body.offset, body.data, body.last});
  }
  SendTo(message.from, InstallSnapshotReply{.index = index, .next_offset = receiving_->next});
}

void Raft::Core::On(SnapshotStaged& event) {
  if (!receiving_ || !receiving_->complete || receiving_->meta.index != event.index) return;
  SnapshotMeta meta = std::move(receiving_->meta);
  receiving_.reset();
  // Without room the leader, asking again, hears that nothing is here, and begins anew.
  if (!event.ok || meta.index <= commit_) return;
  Config before = config();
  // Entries behind it stay if the log runs through it; otherwise they are of another history.
  const bool keep_tail =
      log_.TermAt(meta.index) == meta.term ||
      (MutantOn(Mutant::kRaftTailKeptUnderSnapshot) && log_.last_index() > meta.index);
  if (keep_tail) {
    // Handed over or not, it is the owner's with the snapshot.
    uint64_t unapplied = 0;
    for (Index i = meta.index + 1; i <= log_.last_index(); ++i) {
      unapplied += LogView::Cost(log_.At(i));
    }
    unapplied_bytes_ = bytes_behind_snapshot_ = unapplied;
    std::vector<ConfigAt> tail = {{meta.index, meta.config}};
    for (ConfigAt& c : configs_) {
      if (c.index > meta.index) tail.push_back(std::move(c));
    }
    configs_ = std::move(tail);
    log_.Compact(meta.index);
  } else {
    unapplied_bytes_ = bytes_behind_snapshot_ = 0;
    configs_ = {{meta.index, meta.config}};
    log_.Reset(meta.index, meta.term);
    // Of what stands on the disk nothing agrees with the snapshot but what was committed: until the
    // install is forced, no more than that may be acknowledged.
    forced_ = std::min(forced_, commit_);
    for (Write& write : writes_) write.last = 0;
  }
  snapshot_ = meta;
  snapshot_wanted_ = false;
  wanted_at_bytes_ = options_.snapshot_after_bytes;
  commit_ = applied_ = meta.index;
  applying_.clear();
  applying_bytes_ = 0;
  received_ = std::max(received_, meta.index);
  // No log stands on the disk whose term the hard state there does not know.
  if (hard_state_ != hard_forced_ && hard_write_ == 0) SaveHard();
  const uint64_t number = next_write_++;
  writes_.push_back({.number = number, .install = true, .last = meta.index});
  Do(InstallFromStaged{number, std::move(meta), keep_tail});
  if (!(config() == before)) Do(MembersChanged{config()});
  if (leader_ != kNobody) {
    SendTo(leader_, InstallSnapshotReply{.index = commit_, .installed = true}, commit_);
  }
}

}  // namespace assent::txlog::raft
