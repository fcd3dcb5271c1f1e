// Where a group keeps what in etcd, and how the small values read. All below one prefix:
//
//   PREFIX/group/identity        cluster UUID and name; made by the bootstrap, never changed
//   PREFIX/group/term            the highest term ever
//   PREFIX/group/leader          who leads; tied to its lease
//   PREFIX/group/snapshot        which snapshot is in force
//   PREFIX/group/log/SLOT        a batch of entries; slots rise by 1
//   PREFIX/snapshots/NAME/CHUNK  pieces of a snapshot; apart, since nobody watches them
//   PREFIX/processes/ID          a process that is there; tied to its lease, and for people alone
//
// Numbers in keys are 16 digits of base 16, so that their order is that of the numbers. Small
// values are words, for people with etcdctl.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "txlog/decision_log.h"

namespace assent::txlog::etcd {

// Of a batch, from 1.
using Slot = uint64_t;

class Layout {
 public:
  // `prefix` neither begins nor ends with a slash.
  explicit Layout(std::string_view prefix);

  const std::string& identity() const { return identity_; }
  const std::string& term() const { return term_; }
  const std::string& leader() const { return leader_; }
  const std::string& snapshot() const { return snapshot_; }
  const std::string& lineage() const { return lineage_; }
  std::string Log(Slot slot) const;
  const std::string& log_end() const { return log_end_; }
  std::string Chunk(std::string_view name, uint64_t number) const;
  // All that followers watch: its first key and the key behind its last.
  const std::string& group_begin() const { return group_begin_; }
  const std::string& group_end() const { return group_end_; }
  const std::string& snapshots_begin() const { return snapshots_begin_; }
  // Of core/presence.h.
  std::string Presence(uint64_t id) const;
  const std::string& presence_begin() const { return presence_begin_; }
  const std::string& presence_end() const { return presence_end_; }

  // Nothing if `key` is no key of the log.
  std::optional<Slot> SlotOf(std::string_view key) const;

 private:
  std::string group_begin_, group_end_, snapshots_begin_, presence_begin_, presence_end_;
  std::string identity_, term_, leader_, snapshot_, lineage_, log_, log_end_;
};

// The group's name, which no process of another one may take for its own.
struct Identity {
  std::string cluster_uuid;
  std::string cluster;

  bool operator==(const Identity&) const = default;
};

struct LeaderValue {
  Term term = 0;
  uint64_t owner = 0;   // Drawn by each process at its start.
  std::string address;  // Where clients and agents find it.

  bool operator==(const LeaderValue&) const = default;
};

// A snapshot in force. It covers entries up to and including `index`.
struct SnapshotValue {
  std::string name;
  Index index = 0;
  Term term = 0;  // Of the entry `index`.
  Slot slot = 0;  // The batch with the entry `index`. That one is kept, what is before may go.
  uint64_t chunks = 0;
  uint64_t bytes = 0;
  uint32_t crc = 0;  // CRC-32C of the state.

  bool operator==(const SnapshotValue&) const = default;
};

// Which etcd it is, and how far it had come when somebody looked, as etcd's Status says. One that
// was restored from a snapshot of its own, and has forgotten what came behind it, begins anew with
// the first terms and entries of its Raft; in its keys and their revisions nothing tells of it.
struct Lineage {
  uint64_t cluster_id = 0;
  uint64_t raft_term = 0;
  uint64_t raft_index = 0;

  bool operator==(const Lineage&) const = default;
};
// Can `now` be what was `before`? Both as members said that had just answered a linearizable read:
// those are never behind what any said earlier.
bool Continues(const Lineage& before, const Lineage& now);

// A process that is there.
struct PresenceValue {
  uint64_t id = 0;
  std::string address;

  bool operator==(const PresenceValue&) const = default;
};

std::string Text(const Identity& value);
std::string Text(const LeaderValue& value);
std::string Text(const SnapshotValue& value);
std::string Text(const PresenceValue& value);
std::string Text(const Lineage& value);
std::string TermText(Term term);
// Nothing: not what Text makes.
std::optional<Identity> ParseIdentity(std::string_view text);
std::optional<LeaderValue> ParseLeader(std::string_view text);
std::optional<SnapshotValue> ParseSnapshot(std::string_view text);
std::optional<PresenceValue> ParsePresence(std::string_view text);
std::optional<Lineage> ParseLineage(std::string_view text);
std::optional<Term> ParseTerm(std::string_view text);

// Of the snapshot that a leader of `term` makes at `index`; no two are the same.
std::string SnapshotName(Term term, Index index);

}  // namespace assent::txlog::etcd
