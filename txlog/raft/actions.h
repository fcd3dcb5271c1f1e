// What the shell must do next, in this order.
//
// Writes (SaveHardState, WriteEntries, InstallFromStaged) carry rising numbers and go to the disk
// one after another; the shell may force many together and says how far it is with Forced. It need
// not wait: a Send that depends on a write names it, every other action is done at once, beside the
// disk.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "txlog/raft/messages.h"
#include "txlog/raft/types.h"

namespace assent::txlog::raft {

struct SaveHardState {
  uint64_t write = 0;
  HardState state;
};

struct WriteEntries {
  uint64_t write = 0;
  // The log goes on behind its end here, unless `truncate`: then whatever stands at the first
  // entry's index and behind is cut off first.
  bool truncate = false;
  std::vector<Entry> entries;  // At least one.
};

// The staged snapshot takes force: its state is handed to the owner (Listener::OnSnapshot) in place
// of everything applied before, and the log is cut: up to its index if `keep_tail`, else wholly.
struct InstallFromStaged {
  uint64_t write = 0;
  SnapshotMeta meta;
  bool keep_tail = false;
};

struct Send {
  Message message;
  uint64_t after_write = 0;  // Not before this write is forced. 0: at once.
};

// Committed, and on this disk. In log order without gap, behind everything handed over before.
struct Apply {
  std::vector<Entry> entries;
};

struct ProposalFates {
  Fate fate = Fate::kRefused;
  std::vector<uint64_t> ids;
};

// This node has won `term` (leader == own id), or follows `leader` (kNobody: knows none).
struct LeadershipChanged {
  Term term = 0;
  NodeId leader = kNobody;
};

// The members changed, by an entry that may still be taken back: who may be talked to.
struct MembersChanged {
  Config config;
};

// Everything committed when the barrier came has been handed over by Apply.
struct ReadReady {
  std::vector<uint64_t> ids;
};
// Not the leader, or too many wait.
struct ReadsRefused {
  std::vector<uint64_t> ids;
};

enum class MembershipAnswer {
  kDone,         // Committed.
  kNotLeader,    // Nothing was changed: ask the leader.
  kNotYet,       // The leader has not committed an entry of its own term yet: try again.
  kBusy,         // Another change, or a transfer, is under way: try again.
  kNotCaughtUp,  // The learner lacks too many entries: try again later.
  kWrongMember,  // No such member, or already one, or no learner.
  kLastVoter,    // A group without voters could decide nothing.
  kTooMany,      // kMembersMax.
  kInDoubt,      // Leadership was lost meanwhile: look at the members the next leader has.
};
struct MembershipAnswered {
  uint64_t id = 0;
  MembershipAnswer answer = MembershipAnswer::kDone;
};

// moved: this node no longer leads. Otherwise it leads on, or never did.
struct TransferEnded {
  uint64_t id = 0;
  bool moved = false;
};

// Reads entries back from disk for a peer that is far behind. Answered by EntriesRead.
struct ReadEntries {
  NodeId peer = kNobody;
  Index from = 0;
  Index to = 0;
  uint64_t bytes_max = 0;  // Stop before more than this, but not before the first entry.
};

// Once Applied says that the owner has caught up: save a snapshot, then SnapshotSaved.
struct SnapshotWanted {};
// A snapshot covers the log up to here: it will not be asked for again.
struct Compact {
  Index index = 0;
  Term term = 0;
};

// Reads a piece of the snapshot `index`. Answered by SnapshotChunkRead.
struct ReadSnapshotChunk {
  NodeId peer = kNobody;
  Index index = 0;
  uint64_t offset = 0;
  uint64_t bytes_max = 0;
};

// Keeps a piece of a snapshot that is being received; offset 0 discards what was staged before.
// With the last piece, makes it a durable file (not yet in force), then SnapshotStaged.
struct StageSnapshotChunk {
  SnapshotMeta meta;
  uint64_t offset = 0;
  Payload data;
  bool last = false;
};

// A broken invariant: going on would risk data. End the process; `why` is for the operator.
struct Halt {
  std::string why;
};

using Action = std::variant<SaveHardState, WriteEntries, InstallFromStaged, Send, Apply,
                            ProposalFates, LeadershipChanged, MembersChanged, ReadReady,
                            ReadsRefused, MembershipAnswered, TransferEnded, ReadEntries,
                            SnapshotWanted, Compact, ReadSnapshotChunk, StageSnapshotChunk, Halt>;

}  // namespace assent::txlog::raft
