// One member's Raft, pure: it is told what happened and answers what must be done. No thread,
// clock, socket or file; the same options and events give the same actions.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "txlog/raft/actions.h"
#include "txlog/raft/events.h"
#include "txlog/raft/options.h"
#include "txlog/raft/types.h"

namespace assent::txlog::raft {

enum class Role { kFollower, kPreCandidate, kCandidate, kLeader };

// What a leader knows of another member, for people and monitors.
struct PeerStatus {
  Member member;
  Index match = 0;          // Acknowledged up to here.
  bool active = false;      // Heard within an election timeout.
  bool installing = false;  // Is being sent a snapshot.
};

// Not thread-safe: one thread owns it. Memory is bounded by the limits in Options, whatever the
// peers do; the log's terms cost a few bytes for each change of term.
class Raft {
 public:
  explicit Raft(Options options);
  ~Raft();
  Raft(Raft&&) noexcept;
  Raft& operator=(Raft&&) noexcept;

  // Advances by one event. The first one is Start. Late and repeated messages are expected. After a
  // Halt every event is ignored.
  std::vector<Action> Step(Event event);

  Role role() const;
  Term term() const;
  NodeId leader() const;  // kNobody: none is known.
  // Known to be committed here; what was handed over by Apply, or came with a snapshot; the log's
  // end, forced or not; what of it is forced.
  Index commit_index() const;
  Index applied_index() const;
  Index last_index() const;
  Index forced_index() const;
  const Config& config() const;  // In force, perhaps not committed.
  // What a snapshot at `index` must carry beside the owner's state. Nothing if it is not applied
  // yet, or older than the newest snapshot.
  std::optional<SnapshotMeta> SnapshotMetaAt(Index index) const;
  // Only a leader knows any.
  std::vector<PeerStatus> Peers() const;
  // Payload bytes and kEntryOverheadBytes of each entry that is held in memory.
  uint64_t cached_bytes() const;

 private:
  class Core;
  std::unique_ptr<Core> core_;
};

}  // namespace assent::txlog::raft
