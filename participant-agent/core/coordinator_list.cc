#include "participant-agent/core/coordinator_list.h"

#include <algorithm>
#include <set>
#include <utility>

namespace assent::agent {

CoordinatorList::CoordinatorList(const std::vector<std::string>& configured) {
  for (const std::string& target : configured) nodes_[target].configured = true;
}

CoordinatorList::Change CoordinatorList::Welcomed(const std::string& target, uint64_t id,
                                                  std::vector<Member> members) {
  auto it = nodes_.find(target);
  if (it == nodes_.end()) return {};  // Left meanwhile.
  it->second.up = true;
  it->second.id = id;
  it->second.members = std::move(members);
  return Weigh();
}

CoordinatorList::Change CoordinatorList::Told(const std::string& target,
                                              std::vector<Member> members) {
  auto it = nodes_.find(target);
  if (it == nodes_.end() || !it->second.up) return {};
  it->second.members = std::move(members);
  return Weigh();
}

CoordinatorList::Change CoordinatorList::Down(const std::string& target) {
  auto it = nodes_.find(target);
  if (it == nodes_.end()) return {};
  it->second.up = false;
  it->second.members.clear();
  return Weigh();
}

CoordinatorList::Change CoordinatorList::Settle() {
  if (std::exchange(settled_, true)) return {};
  return Weigh();
}

bool CoordinatorList::Covered(const Member& member) const {
  return std::ranges::any_of(nodes_, [&](const auto& entry) {
    const auto& [target, node] = entry;
    return node.configured && (target == member.address || node.id == member.id);
  });
}

CoordinatorList::Change CoordinatorList::Weigh() {
  std::set<std::string> wanted;
  bool anybody_up = false;
  bool all_known = true;
  for (const auto& [target, node] : nodes_) {
    anybody_up = anybody_up || node.up;
    if (node.configured && node.id == 0) all_known = false;
    for (const Member& member : node.members) {
      if (!member.address.empty() && !Covered(member)) wanted.insert(member.address);
    }
  }
  Change change;
  if (!anybody_up) return change;  // Nobody knows better than before.
  std::erase_if(nodes_, [&](const auto& entry) {
    if (entry.second.configured || wanted.contains(entry.first)) return false;
    change.leave.push_back(entry.first);
    return true;
  });
  if (!settled_ && !all_known) return change;
  size_t learned =
      std::ranges::count_if(nodes_, [](const auto& entry) { return !entry.second.configured; });
  for (const std::string& address : wanted) {
    if (learned == kLearnedMax) break;
    if (!nodes_.try_emplace(address).second) continue;
    ++learned;
    change.dial.push_back(address);
  }
  return change;
}

}  // namespace assent::agent
