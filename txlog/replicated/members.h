// Members as the door (decision_log.h) and as the core know them: the core carries both addresses
// as one text.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "txlog/decision_log.h"
#include "txlog/raft/types.h"

namespace assent::txlog {

std::string PackAddresses(const Member& member);
Member ToMember(const raft::Member& member);
raft::Config ToConfig(const std::vector<Member>& members);
std::vector<Member> ToMembers(const raft::Config& config);

// What a snapshot's file holds: the members in force, then the owner's state.
std::string PackSnapshot(const raft::Config& config, std::string_view state);
struct UnpackedSnapshot {
  std::optional<raft::Config> config;  // Nothing: from before groups (before_groups.h).
  std::string state;
};
// DATA_LOSS: not what PackSnapshot makes.
Result<UnpackedSnapshot> UnpackSnapshot(std::string packed);

}  // namespace assent::txlog
