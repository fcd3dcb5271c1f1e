// What a leader knows of one other member, and how it feeds it.
#pragma once

#include <cstdint>
#include <deque>

#include "txlog/raft/types.h"

namespace assent::txlog::raft {

struct Peer {
  enum class Mode {
    kProbe,      // Where the logs part is not known: one message at a time.
    kReplicate,  // Pipelined: `next` runs ahead of what is acknowledged.
    kSnapshot,   // What it needs is compacted away.
  };

  struct InFlight {
    Index last = 0;
    uint64_t bytes = 0;
  };

  // A snapshot on its way, piece by piece.
  struct Snapshot {
    SnapshotMeta meta;
    uint64_t acknowledged = 0;  // Offsets.
    uint64_t next = 0;
    std::deque<uint64_t> in_flight;  // Where each piece ends.
    bool reading = false;            // A ReadSnapshotChunk is unanswered.
    bool all_sent = false;
    uint32_t idle_ticks = 0;  // Since it last moved.
    // Nothing moved for long: the next answer counts, even if it says less than earlier ones did.
    bool doubted = false;
  };

  NodeId id = kNobody;
  Mode mode = Mode::kProbe;
  Index match = 0;  // The same as ours and forced there.
  Index next = 1;   // To be sent next.
  bool probe_sent = false;
  std::deque<InFlight> in_flight;
  uint64_t in_flight_bytes = 0;
  bool reading = false;  // A ReadEntries is unanswered.
  bool active = false;   // Heard since the last check of the quorum.
  uint32_t silent_ticks = 0;
  uint64_t read_round = 0;  // Has confirmed this round of the read index.
  Snapshot snapshot;

  void Probe(Index from) {
    mode = Mode::kProbe;
    next = from;
    probe_sent = false;
    in_flight.clear();
    in_flight_bytes = 0;
  }
  void Replicate() {
    mode = Mode::kReplicate;
    next = match + 1;
    in_flight.clear();
    in_flight_bytes = 0;
  }
  void Acknowledged(Index index) {
    if (index > match) match = index;
    while (!in_flight.empty() && in_flight.front().last <= match) {
      in_flight_bytes -= in_flight.front().bytes;
      in_flight.pop_front();
    }
  }
};

}  // namespace assent::txlog::raft
