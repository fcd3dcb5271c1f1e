// What cores say to each other. Plain structs: the transport encodes them. Any message may be lost,
// doubled, delayed or overtaken; none may come from another cluster or under a false name, which
// the transport sees to.
#pragma once

#include <cstdint>
#include <variant>
#include <vector>

#include "txlog/raft/types.h"

namespace assent::txlog::raft {

// Asks for a vote in `for_term`; `pre_vote` only whether it would be given (thesis 9.6).
struct RequestVote {
  bool pre_vote = false;
  // The leader itself asked for this election: it is no reason to refuse that one is heard.
  bool transfer = false;
  Term for_term = 0;
  Index last_index = 0;
  Term last_term = 0;
};

struct VoteReply {
  bool pre_vote = false;
  Term for_term = 0;
  bool granted = false;
};

struct AppendEntries {
  Index prev_index = 0;
  Term prev_term = 0;
  Index commit = 0;
  std::vector<Entry> entries;  // Behind prev_index, without gap. May be empty.
};

struct AppendReply {
  bool success = false;
  Index prev_index = 0;  // Of the AppendEntries that is answered.
  // success: the logs are the same up to here, and the follower's is forced up to here.
  Index match = 0;
  // success: not all entries were taken, since disk or memory is full. Ask again later.
  bool no_room = false;
  // Refused: the follower's entry at prev_index has this term, whose first entry it has is there;
  // term 0: its log ends before `conflict_index`.
  Term conflict_term = 0;
  Index conflict_index = 0;
};

// The leader lives. Also carries rounds of the read index (thesis 6.4).
struct Heartbeat {
  Index commit = 0;         // Never beyond what this follower has acknowledged.
  uint64_t read_round = 0;  // 0: none.
  Index sent = 0;           // The last entry that was sent before to this follower.
};

struct HeartbeatReply {
  uint64_t read_round = 0;  // That of the heartbeat.
  Index sent = 0;           // That of the heartbeat.
  Index received = 0;       // The same as the leader's up to here, though perhaps not forced.
  Index match = 0;          // As in AppendReply: forced.
};

// One piece of a snapshot's state (thesis 5.1, 5.3).
struct InstallSnapshot {
  SnapshotMeta meta;
  uint64_t offset = 0;  // Bytes of the state before this piece.
  Payload data;         // Null: empty.
  bool last = false;
};

struct InstallSnapshotReply {
  Index index = 0;           // Of the snapshot.
  uint64_t next_offset = 0;  // Everything before was received: go on from here.
  bool installed = false;    // Durable; the follower's log is the leader's up to `index`.
};

// Start an election now: the leader gives way (thesis 3.10).
struct TimeoutNow {};

using Body = std::variant<RequestVote, VoteReply, AppendEntries, AppendReply, Heartbeat,
                          HeartbeatReply, InstallSnapshot, InstallSnapshotReply, TimeoutNow>;

struct Message {
  NodeId from = kNobody;
  NodeId to = kNobody;
  Term term = 0;  // The sender's.
  Body body;
};

}  // namespace assent::txlog::raft
