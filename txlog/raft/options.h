// How a core behaves. A tick is as long as the shell makes it; all members should use the same.
#pragma once

#include <cstdint>

#include "txlog/raft/types.h"

namespace assent::txlog::raft {

struct Options {
  NodeId id = kNobody;
  // Of this start: draws election timeouts, nothing else. Should differ between nodes.
  uint64_t seed = 0;

  // ---- Time, in ticks ----
  // Without a leader for this long (and up to twice as long, at random), a follower asks for votes;
  // a leader that hears no majority for this long steps down; a follower that heard the leader
  // within it refuses votes to others.
  uint32_t election_ticks = 10;
  uint32_t heartbeat_ticks = 1;
  // A leadership transfer is given up after this long, and proposals are taken again.
  uint32_t transfer_ticks = 10;

  // ---- Limits, in bytes of payload unless stated ----
  // Of the entries in one AppendEntries; a single larger entry still goes, alone.
  uint64_t append_bytes_max = 256 << 10;
  // Sent to one peer and not acknowledged.
  uint64_t in_flight_bytes_max = 4 << 20;
  uint32_t in_flight_messages_max = 64;
  // Appended by this leader and not committed: more is refused. One proposal may exceed it.
  uint64_t uncommitted_bytes_max = 32 << 20;
  // Handed over in Apply and not yet answered by Applied: more waits.
  uint64_t applying_bytes_max = 8 << 20;
  // A follower takes no more entries while so many bytes wait to be applied.
  uint64_t unapplied_bytes_max = 64 << 20;
  // Applied entries kept in memory for followers that are a little behind.
  uint64_t cache_bytes_max = 8 << 20;
  // Log behind the last snapshot, each entry counted with kEntryOverheadBytes: then SnapshotWanted.
  uint64_t snapshot_after_bytes = 64 << 20;
  uint64_t snapshot_chunk_bytes = 256 << 10;
  uint32_t snapshot_chunks_in_flight_max = 4;
  // Read barriers that wait, in number: more are refused.
  uint32_t reads_max = 1 << 16;
  // A learner is promoted only if it lacks at most so many entries.
  uint64_t promote_lag_entries_max = 1024;
};

// What an entry costs beside its payload, for every limit above.
inline constexpr uint64_t kEntryOverheadBytes = 32;

}  // namespace assent::txlog::raft
