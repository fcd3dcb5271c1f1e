// Directories that were written when a log had one node and knew of no members: their entries and
// snapshots name none (docs/log-format.md, "Before groups"). That node is then the only member of
// its group; no address of it is known.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "txlog/raft/types.h"
#include "txlog/storage/format.h"

namespace assent::txlog {

raft::Config OnlyMember(uint64_t id);

// Whether a snapshot's file holds the owner's state alone. One that begins with members is never
// taken for such a state, not even if a newer program wrote them or their bytes are wrong.
bool IsSnapshotBeforeGroups(std::string_view bytes);

// The members with which a log of `entries` began, `node` being whose directory it is; nothing if
// the log is not from before groups, or this node only follows one that is.
std::optional<raft::Config> MembersBeforeGroups(const std::vector<Entry>& entries,
                                                const HardState& state, uint64_t node);

}  // namespace assent::txlog
