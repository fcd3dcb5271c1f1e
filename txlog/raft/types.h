// The words of the Raft core: entries, members, what must survive a crash. Values; may be copied
// between threads.
//
// The core (raft.h) is written after Ongaro's thesis (2014) and the Raft paper; docs/raft.md says
// section by section what is done and where it differs.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "txlog/decision_log.h"

namespace assent::txlog::raft {

// Of a member. From 1; 0 means nobody. Never used again for another disk.
using NodeId = uint64_t;
inline constexpr NodeId kNobody = 0;

// Bytes that are never changed, shared by the log, the disk's queue and each peer's connection.
using Payload = std::shared_ptr<const std::string>;

enum class EntryType : uint8_t {
  kNoop = 1,    // Begins a term; without payload.
  kRecord = 2,  // The owner's bytes.
  kConfig = 3,  // An encoded Config, in force from the moment it is in the log.
};

struct Entry {
  Index index = 0;
  Term term = 0;
  EntryType type = EntryType::kRecord;
  Payload payload;  // Null: no bytes.

  size_t bytes() const { return payload == nullptr ? 0 : payload->size(); }
  std::string_view view() const { return payload == nullptr ? std::string_view{} : *payload; }
};

struct Member {
  NodeId id = kNobody;
  bool voter = true;    // False: a learner, which is sent everything and counts for nothing.
  std::string address;  // The core only carries it. At most kAddressBytesMax.

  bool operator==(const Member&) const = default;
};

inline constexpr size_t kMembersMax = 32;
inline constexpr size_t kAddressBytesMax = 255;

// Who belongs to the group.
struct Config {
  std::vector<Member> members;  // By id, rising.

  const Member* Find(NodeId id) const;
  bool IsVoter(NodeId id) const;
  size_t voters() const;
  // Votes that make a majority; of no voters at all, none ever do.
  size_t majority() const { return voters() / 2 + 1; }

  bool operator==(const Config&) const = default;
};

// The bytes of a kConfig entry and of a snapshot's membership.
std::string EncodeConfig(const Config& config);
// DATA_LOSS: not what EncodeConfig makes.
Result<Config> DecodeConfig(std::string_view bytes);

// Durable before any message that follows from it: Raft's currentTerm and votedFor.
struct HardState {
  Term term = 0;
  NodeId vote = kNobody;

  bool operator==(const HardState&) const = default;
};

// What a snapshot stands for; its state is the owner's bytes.
struct SnapshotMeta {
  Index index = 0;  // 0: the beginning of time, with the group's first members.
  Term term = 0;
  Config config;  // In force at `index`.

  bool operator==(const SnapshotMeta&) const = default;
};

}  // namespace assent::txlog::raft
