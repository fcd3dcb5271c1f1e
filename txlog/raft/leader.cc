// A leader's work: feeding each peer what it lacks, counting what a majority has, proving by rounds
// of heartbeats that it still leads (paper 5.3, 5.4; thesis 6.4, 10.2).
#include <algorithm>
#include <array>
#include <functional>
#include <utility>

#include "base/mutant.h"
#include "txlog/raft/core.h"

namespace assent::txlog::raft {

Peer* Raft::Core::PeerOf(NodeId id) {
  auto it = std::find_if(peers_.begin(), peers_.end(), [id](const Peer& p) { return p.id == id; });
  return it == peers_.end() ? nullptr : &*it;
}

// The own node fits, if it has a vote.
template <typename Fits>
bool Raft::Core::MajorityOfVoters(Fits fits) const {
  size_t count = config().IsVoter(options_.id) ? 1 : 0;
  for (const Peer& peer : peers_) {
    if (config().IsVoter(peer.id) && fits(peer)) ++count;
  }
  return count >= config().majority();
}

// ---- Sending ----------------------------------------------------------------------------------

void Raft::Core::FeedAll() {
  for (Peer& peer : peers_) Feed(peer);
}

void Raft::Core::Feed(Peer& peer) {
  if (peer.mode == Peer::Mode::kSnapshot) return FeedSnapshot(peer);
  for (;;) {
    const bool probing = peer.mode == Peer::Mode::kProbe;
    // An empty probe asks one of whom nothing is known, even if there is nothing new to send.
    if (peer.next > log_.last_index() && !(probing && peer.match < log_.last_index())) return;
    if (probing ? peer.probe_sent
                : peer.in_flight.size() >= options_.in_flight_messages_max ||
                      peer.in_flight_bytes >= options_.in_flight_bytes_max) {
      return;
    }
    if (peer.next < log_.available_from()) return StartSnapshot(peer);
    // Nothing heavy for one that may be dead.
    if (probing && peer.silent_ticks >= options_.election_ticks) return SendEntries(peer, {});
    if (peer.next < log_.cached_from()) {
      if (peer.reading) return;
      peer.reading = true;
      return Do(ReadEntries{peer.id, peer.next, log_.cached_from() - 1, options_.append_bytes_max});
    }
    SendEntries(peer, log_.Slice(peer.next, options_.append_bytes_max));
  }
}

void Raft::Core::SendEntries(Peer& peer, std::vector<Entry> entries) {
  const Index prev = peer.next - 1;
  if (peer.mode == Peer::Mode::kProbe) peer.probe_sent = true;
  if (!entries.empty()) {
    const Index last = entries.back().index;
    sent_ = std::max(sent_, last);
    if (peer.mode == Peer::Mode::kReplicate) {
      uint64_t bytes = 0;
      for (const Entry& entry : entries) bytes += LogView::Cost(entry);
      peer.in_flight.push_back({last, bytes});
      peer.in_flight_bytes += bytes;
      peer.next = last + 1;
    }
  }
  SendTo(peer.id, AppendEntries{prev, *log_.TermAt(prev), commit_, std::move(entries)});
}

void Raft::Core::On(EntriesRead& event) {
  Peer* peer = PeerOf(event.peer);
  if (role_ != Role::kLeader || peer == nullptr) return;
  peer->reading = false;
  if (peer->mode == Peer::Mode::kSnapshot || event.from != peer->next) return Feed(*peer);
  if (event.gone) return StartSnapshot(*peer);
  // What was read for an earlier leadership may have been replaced since.
  std::vector<Entry> entries;
  for (Entry& entry : event.entries) {
    if (entry.index != peer->next + entries.size()) break;
    if (log_.TermAt(entry.index) != entry.term) break;
    entries.push_back(std::move(entry));
  }
  const bool may = peer->mode == Peer::Mode::kReplicate || !peer->probe_sent;
  if (may && !entries.empty() && log_.TermAt(peer->next - 1)) {
    SendEntries(*peer, std::move(entries));
  }
  Feed(*peer);
}

// ---- Time -------------------------------------------------------------------------------------

void Raft::Core::LeaderTick() {
  for (Peer& peer : peers_) {
    ++peer.silent_ticks;
    ++peer.snapshot.idle_ticks;
  }
  if (transfer_ && ++transfer_->ticks >= options_.transfer_ticks &&
      !MutantOn(Mutant::kRaftTransferUnbounded)) {
    EndTransfer(false);
  }
  if (++quorum_elapsed_ >= options_.election_ticks) {
    quorum_elapsed_ = 0;
    CheckQuorum();
    if (role_ != Role::kLeader) return;
  }
  if (++heartbeat_elapsed_ < options_.heartbeat_ticks) return;
  heartbeat_elapsed_ = 0;
  BroadcastHeartbeat();
  for (Peer& peer : peers_) {
    if (peer.mode == Peer::Mode::kReplicate && peer.silent_ticks >= options_.election_ticks) {
      peer.Probe(peer.match + 1);
    }
    peer.probe_sent = false;
    Feed(peer);
  }
  HurryTransfer();
}

void Raft::Core::BroadcastHeartbeat() {
  for (const Peer& peer : peers_) {
    SendTo(peer.id, Heartbeat{.commit = std::min(peer.match, commit_),
                              .read_round = reads_.round(),
                              .sent = peer.mode == Peer::Mode::kReplicate ? peer.next - 1 : 0});
  }
}

void Raft::Core::CheckQuorum() {
  const bool heard = MajorityOfVoters([](const Peer& peer) { return peer.active; });
  for (Peer& peer : peers_) peer.active = false;
  if (!heard) BecomeFollower(hard_state_.term, kNobody);
}

// ---- Counting ---------------------------------------------------------------------------------

void Raft::Core::CountMatches() {
  std::array<Index, kMembersMax + 1> matches;
  size_t count = 0;
  if (config().IsVoter(options_.id)) {
    matches[count++] = MutantOn(Mutant::kRaftCountUnforcedSelf) ? log_.last_index() : forced_;
  }
  for (const Peer& peer : peers_) {
    if (config().IsVoter(peer.id) || MutantOn(Mutant::kRaftLearnerCounts)) {
      matches[count++] = peer.match;
    }
  }
  const size_t majority = config().majority();
  if (count < majority) return;
  std::sort(matches.begin(), matches.begin() + count, std::greater<>());
  const Index index = matches[majority - 1];
  if (index <= commit_) return;
  // Entries of older terms on a majority may still be replaced: only one of the own term commits,
  // and all before it with it (paper, figure 8).
  if (log_.TermAt(index) != hard_state_.term && !MutantOn(Mutant::kRaftCommitOldTermByCount)) {
    return;
  }
  AdvanceCommit(index);
  SettleCommitted();
}

// May end the leadership.
void Raft::Core::SettleCommitted() {
  if (log_.TermAt(commit_) == hard_state_.term) own_term_committed_ = true;
  std::vector<uint64_t> durable;
  while (!pending_.empty() && pending_.front().index <= commit_) {
    durable.push_back(pending_.front().id);
    uncommitted_bytes_ -= pending_.front().cost;
    pending_.pop_front();
  }
  if (!durable.empty()) Do(ProposalFates{Fate::kDurable, std::move(durable)});
  while (!changes_.empty() && changes_.front().index <= commit_) {
    Do(MembershipAnswered{changes_.front().id, MembershipAnswer::kDone});
    changes_.pop_front();
  }
  if (!config().IsVoter(options_.id) && configs_.back().index <= commit_) {
    // Removed, and that is final: the most advanced of those who stay should lead at once.
    const Peer* best = nullptr;
    for (const Peer& peer : peers_) {
      if (!config().IsVoter(peer.id)) continue;
      if (best == nullptr || peer.match > best->match) best = &peer;
    }
    if (best != nullptr) SendTo(best->id, TimeoutNow{});
    return BecomeFollower(hard_state_.term, kNobody);
  }
  StartReadRound();
}

void Raft::Core::Acknowledge(Peer& peer, Index match) {
  peer.Acknowledged(match);
  switch (peer.mode) {
    case Peer::Mode::kProbe:
      break;
    case Peer::Mode::kReplicate:
      peer.next = std::max(peer.next, peer.match + 1);
      break;
    case Peer::Mode::kSnapshot:
      if (peer.match >= peer.snapshot.meta.index) peer.Probe(peer.match + 1);
      break;
  }
}

void Raft::Core::Handle(const Message& message, const AppendReply& body) {
  Peer* peer = PeerOf(message.from);
  if (role_ != Role::kLeader || peer == nullptr) return;
  peer->active = true;
  peer->silent_ticks = 0;
  if (body.success) {
    if (body.match > log_.last_index()) return;
    Acknowledge(*peer, body.match);
    if (body.no_room && peer->mode != Peer::Mode::kSnapshot) {
      peer->Probe(peer->match + 1);
      peer->probe_sent = true;  // Until the next heartbeat.
    } else if (peer->mode == Peer::Mode::kProbe) {
      peer->Replicate();
    }
    CountMatches();
    peer = PeerOf(message.from);
    if (peer == nullptr) return;
    Feed(*peer);
    return HurryTransfer();
  }
  switch (peer->mode) {
    case Peer::Mode::kSnapshot:
      return;
    case Peer::Mode::kReplicate:
      if (body.prev_index <= peer->match) return;  // An old one.
      peer->Probe(peer->match + 1);
      break;
    case Peer::Mode::kProbe: {
      if (body.prev_index != peer->next - 1) return;
      // Whole terms are skipped (paper 5.3): everything of the follower's conflicting term, unless
      // we know that term ourselves.
      Index next = body.conflict_index;
      if (body.conflict_term != 0) {
        const Index last = log_.LastOfTermAtMost(body.conflict_term, body.prev_index);
        next = log_.TermAt(last) == body.conflict_term ? last + 1 : std::min(last + 1, next);
      }
      next = std::min(next, body.prev_index);
      // It lacks what it had forced: it has lost its log. Nothing of it counts any more.
      if (body.prev_index <= peer->match) peer->match = 0;
      peer->Probe(std::max(next, peer->match + 1));
      break;
    }
  }
  Feed(*peer);
}

void Raft::Core::Handle(const Message& message, const HeartbeatReply& body) {
  Peer* peer = PeerOf(message.from);
  if (role_ != Role::kLeader || peer == nullptr) return;
  peer->active = true;
  peer->silent_ticks = 0;
  peer->read_round = std::max(peer->read_round, body.read_round);
  if (body.match <= log_.last_index()) Acknowledge(*peer, body.match);
  // What was sent before the heartbeat came not: it is lost, or was overtaken.
  if (peer->mode == Peer::Mode::kReplicate && body.sent > peer->match &&
      body.received < body.sent) {
    peer->Probe(std::max(peer->match, body.received) + 1);
  }
  CountMatches();
  CountReadRound();
  peer = PeerOf(message.from);
  if (peer == nullptr) return;
  Feed(*peer);
  HurryTransfer();
}

// ---- Reads ------------------------------------------------------------------------------------

void Raft::Core::StartReadRound() {
  // Before an entry of its own term is committed, a leader may not know all that is.
  if (role_ != Role::kLeader || !own_term_committed_) return;
  if (!reads_.StartRound(commit_)) return;
  BroadcastHeartbeat();
  CountReadRound();
}

void Raft::Core::CountReadRound() {
  if (!reads_.round_under_way()) return;
  if (!MajorityOfVoters([&](const Peer& p) { return p.read_round >= reads_.round(); })) return;
  reads_.RoundConfirmed();
  ReleaseReads();
  StartReadRound();
}

}  // namespace assent::txlog::raft
