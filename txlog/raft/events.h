// What can happen to a core. The shell posts these in the order in which they happened.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "txlog/raft/messages.h"
#include "txlog/raft/types.h"

namespace assent::txlog::raft {

// First and once: what the disk holds, all of it forced.
struct Start {
  HardState hard_state;
  // The newest snapshot, already told to the owner. Without one: index 0 and the first members of a
  // new group, or no members for a node that waits to be added.
  SnapshotMeta snapshot;
  // The log, rising without gap; what the snapshot covers is skipped, and all of it if it does not
  // fit behind the snapshot (a crash came between a received snapshot and the log's reset).
  std::vector<Entry> entries;
};

struct Tick {};

struct Received {
  Message message;
};

// An id is the shell's: opaque, and answered exactly once.
struct Proposal {
  uint64_t id = 0;
  std::string record;  // 1 to kRecordBytesMax bytes.
};
// All meant for `term`. Answered by ProposalFates.
struct Propose {
  Term term = 0;
  std::vector<Proposal> proposals;
};

// Every SaveHardState, WriteEntries and InstallFromStaged up to number `write` is on the disk,
// forced.
struct Forced {
  uint64_t write = 0;
};

// No room: write number `write`, and every SaveHardState and WriteEntries that was handed out after
// it before this event is stepped, was not done, nor will be, and no Send that names one of them
// was sent. An InstallFromStaged is still to be done: its state is the owner's already. Those
// before it are forced. A leader steps down. Nothing is appended until DiskFine; hard state is
// still tried.
struct DiskFull {
  uint64_t write = 0;
};
// There is room again, or it is worth a try.
struct DiskFine {};

// The answer to ReadEntries. Entries from `from` on, without gap; at least one unless `gone`.
struct EntriesRead {
  NodeId peer = kNobody;
  Index from = 0;
  std::vector<Entry> entries;
  bool gone = false;  // Compacted meanwhile.
};

// The owner's state at meta.index is a durable snapshot on this disk.
struct SnapshotSaved {
  Index index = 0;
  bool ok = true;  // False: it could not be written; the older one stands.
};

// The answer to ReadSnapshotChunk.
struct SnapshotChunkRead {
  NodeId peer = kNobody;
  Index index = 0;
  uint64_t offset = 0;
  Payload data;
  bool last = false;
  bool gone = false;  // That snapshot was replaced by a newer one.
};

// The received snapshot, whose last piece was staged, is a durable file; not yet in force.
struct SnapshotStaged {
  Index index = 0;
  bool ok = true;  // False: no room. It will be sent again.
};

// Answered by ReadReady or ReadsRefused.
struct ReadBarrier {
  uint64_t id = 0;
};

enum class MembershipChange { kAddLearner, kPromote, kRemove };
// One at a time. Answered by MembershipAnswered.
struct ChangeMembership {
  uint64_t id = 0;
  MembershipChange change = MembershipChange::kAddLearner;
  NodeId member = kNobody;
  std::string address;  // Only for kAddLearner.
};

// Gives leadership to `to`, a voter. Answered by TransferEnded.
struct TransferLeadership {
  uint64_t id = 0;
  NodeId to = kNobody;
};

// The owner is done with everything that Apply handed over up to here.
struct Applied {
  Index index = 0;
};

using Event = std::variant<Start, Tick, Received, Propose, Forced, DiskFull, DiskFine, EntriesRead,
                           SnapshotSaved, SnapshotChunkRead, SnapshotStaged, ReadBarrier,
                           ChangeMembership, TransferLeadership, Applied>;

}  // namespace assent::txlog::raft
