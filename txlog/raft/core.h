// The inside of Raft (raft.h). Its parts: core.cc what belongs to every role (writes, commitment,
// the start), election.cc, leader.cc sending and counting, follower.cc receiving, snapshots.cc both
// ends of a snapshot, membership.cc with transfer.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "txlog/raft/log_view.h"
#include "txlog/raft/peer.h"
#include "txlog/raft/raft.h"
#include "txlog/raft/read_barriers.h"

namespace assent::txlog::raft {

class Raft::Core {
 public:
  explicit Core(Options options);

  std::vector<Action> Step(Event event);

 private:
  friend class Raft;

  // A write that is not forced yet.
  struct Write {
    uint64_t number = 0;
    bool install = false;
    std::optional<HardState> hard_state;
    Index last = 0;  // Once forced, so is the log up to here: as far as it still is that log.
  };
  struct ConfigAt {
    Index index = 0;
    Config config;
  };
  struct Pending {
    Index index = 0;
    uint64_t id = 0;
    uint64_t cost = 0;
  };
  struct PendingChange {
    Index index = 0;
    uint64_t id = 0;
  };
  struct Transfer {
    uint64_t id = 0;
    NodeId to = kNobody;
    uint32_t ticks = 0;
  };
  struct Receiving {
    SnapshotMeta meta;
    uint64_t next = 0;
    bool complete = false;  // Waits for SnapshotStaged.
  };
  struct Applying {
    Index last = 0;
    uint64_t bytes = 0;
  };

  // ---- core.cc ----
  void On(Start& event);
  void On(Tick& event);
  void On(Received& event);
  void On(Propose& event);
  void On(Forced& event);
  void On(DiskFull& event);
  void On(DiskFine& event);
  void On(EntriesRead& event);
  void On(SnapshotSaved& event);
  void On(SnapshotChunkRead& event);
  void On(SnapshotStaged& event);
  void On(ReadBarrier& event);
  void On(ChangeMembership& event);
  void On(TransferLeadership& event);
  void On(Applied& event);

  void Do(Action action) { actions_.push_back(std::move(action)); }
  void Break(std::string why);
  // Sends once the hard state is forced, and the log up to `log_index`.
  void SendTo(NodeId to, Body body, Index log_index = 0);
  void SetHardState(HardState state);
  void SaveHard();
  void ForceUpTo(uint64_t number);
  uint64_t WriteThatForces(Index index) const;
  // Appends to the log and has it written. The first one follows the log, or, with `truncate`,
  // replaces what stands there.
  void AppendToLog(std::vector<Entry> entries, bool truncate);
  void CutLog(Index last_kept);
  void NoteConfig(const Entry& entry);
  void AdvanceCommit(Index index);
  void HandOver();
  void AskForSnapshot();
  void ReleaseReads();
  const Config& config() const { return configs_.back().config; }
  bool IsSoleVoter() const { return config().voters() == 1 && config().IsVoter(options_.id); }

  // ---- election.cc ----
  void ResetElectionTimer();
  uint64_t Random();
  bool MayCampaign() const;
  bool HearsLeader() const;
  void StartPreVote();
  void StartElection(bool transfer);
  void AskForVotes(bool pre_vote, bool transfer);
  void CountVote(NodeId from, bool granted);
  void Announce();
  void BecomeFollower(Term term, NodeId leader);
  void BecomeLeader();
  void LoseLeadership(Index maybe_kept);
  void Handle(const Message& message, const RequestVote& body);
  void Handle(const Message& message, const VoteReply& body);
  void Handle(const Message& message, const TimeoutNow& body);
  bool SettleTerm(const Message& message);

  // ---- leader.cc ----
  void Feed(Peer& peer);
  void FeedAll();
  void SendEntries(Peer& peer, std::vector<Entry> entries);
  void LeaderTick();
  void BroadcastHeartbeat();
  void CheckQuorum();
  void CountMatches();
  void Acknowledge(Peer& peer, Index match);
  void CountReadRound();
  void StartReadRound();
  void Handle(const Message& message, const AppendReply& body);
  void Handle(const Message& message, const HeartbeatReply& body);
  void SettleCommitted();
  Peer* PeerOf(NodeId id);
  template <typename Fits>
  bool MajorityOfVoters(Fits fits) const;

  // ---- follower.cc ----
  bool HasRoom() const;
  void FollowLeader(NodeId leader);
  void Refuse(const Message& message, const AppendEntries& body);
  void Handle(const Message& message, AppendEntries& body);
  void Handle(const Message& message, const Heartbeat& body);

  // ---- snapshots.cc ----
  void StartSnapshot(Peer& peer);
  void FeedSnapshot(Peer& peer);
  void RewindSnapshot(Peer& peer, uint64_t offset);
  void Handle(const Message& message, const InstallSnapshot& body);
  void Handle(const Message& message, const InstallSnapshotReply& body);
  std::optional<SnapshotMeta> MetaAt(Index index) const;

  // ---- membership.cc ----
  MembershipAnswer Change(const ChangeMembership& event, Config* config) const;
  void UpdatePeers();
  void HurryTransfer();
  void EndTransfer(bool moved);

  const Options options_;
  std::vector<Action> actions_;
  bool started_ = false;
  bool broken_ = false;

  // What must survive, and how much of it does.
  HardState hard_state_;
  HardState hard_forced_;
  uint64_t hard_write_ = 0;  // Which write will force hard_state_; 0: none.
  bool hard_dirty_ = false;  // Changed in this step, and not written yet.
  LogView log_;
  Index forced_ = 0;
  std::deque<Write> writes_;
  uint64_t next_write_ = 1;
  bool disk_full_ = false;
  bool cut_next_ = false;  // The disk's log may be longer than ours.

  Index commit_ = 0;
  Index applied_ = 0;  // Handed over.
  std::deque<Applying> applying_;
  uint64_t applying_bytes_ = 0;
  uint64_t unapplied_bytes_ = 0;
  std::vector<ConfigAt> configs_ = {ConfigAt{}};  // The first one is in force at the log's base.
  SnapshotMeta snapshot_;
  uint64_t bytes_behind_snapshot_ = 0;
  bool snapshot_wanted_ = false;
  uint64_t wanted_at_bytes_ = 0;

  Role role_ = Role::kFollower;
  NodeId leader_ = kNobody;
  std::pair<Term, NodeId> announced_{0, kNobody};
  uint64_t random_ = 0;
  uint32_t election_elapsed_ = 0;
  uint32_t election_timeout_ = 0;
  std::map<NodeId, bool> votes_;

  // Of a follower.
  Index received_ = 0;  // The same as this term's leader's up to here.
  std::optional<Receiving> receiving_;

  // Of a leader.
  std::vector<Peer> peers_;
  uint32_t heartbeat_elapsed_ = 0;
  uint32_t quorum_elapsed_ = 0;
  bool own_term_committed_ = false;
  Index sent_ = 0;  // No entry behind has left for any peer.
  std::deque<Pending> pending_;
  uint64_t uncommitted_bytes_ = 0;
  ReadBarriers reads_;
  std::deque<PendingChange> changes_;  // One at a time.
  std::optional<Transfer> transfer_;
};

}  // namespace assent::txlog::raft
