#include "txlog/replicated/before_groups.h"

#include <algorithm>

#include "base/mutant.h"
#include "txlog/replicated/members.h"
#include "txlog/storage/bytes.h"

namespace assent::txlog {
namespace {

// A snapshot begins with the length of its members, which no group comes near to. The owner's state
// in its place begins with two protobuf tags or with text: as a number, more than this.
constexpr uint32_t kMembersBytesBound = 1 << 16;

}  // namespace

raft::Config OnlyMember(uint64_t id) { return ToConfig({{.id = id}}); }

bool IsSnapshotBeforeGroups(std::string_view bytes) {
  return bytes.size() < sizeof(uint32_t) || GetNumber<uint32_t>(bytes, 0) >= kMembersBytesBound;
}

std::optional<raft::Config> MembersBeforeGroups(const std::vector<Entry>& entries,
                                                const HardState& state, uint64_t node) {
  if (entries.empty() || entries.front().index != 1) return std::nullopt;
  // Since there are groups, their members are the second entry.
  if (entries.size() > 1 && entries[1].type == EntryType::kConfig) return std::nullopt;
  auto first = std::find_if(entries.begin(), entries.end(),
                            [](const Entry& entry) { return entry.type == EntryType::kConfig; });
  if (first == entries.end()) {
    // Who joins such a group may have got no more than this yet; it never votes for itself before
    // it is a member.
    if (state.vote != node && !MutantOn(Mutant::kJoinerIsOnlyMember)) return std::nullopt;
    return OnlyMember(node);
  }
  // The first change can only have added a learner.
  Result<raft::Config> members = raft::DecodeConfig(first->payload);
  if (!members.ok()) return std::nullopt;  // The core will name the entry.
  std::erase_if(members->members, [](const raft::Member& member) { return !member.voter; });
  return std::move(*members);
}

}  // namespace assent::txlog
