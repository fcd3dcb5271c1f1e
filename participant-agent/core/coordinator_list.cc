#include "participant-agent/core/coordinator_list.h"

#include <utility>

namespace assent::agent {

CoordinatorList::CoordinatorList(const std::vector<std::string>& configured, MonotonicTime now)
    : settled_at_(now + kSettles), due_(settled_at_) {
  for (const std::string& target : configured) nodes_[target].configured = true;
}

CoordinatorList::Change CoordinatorList::Welcomed(const std::string& target, uint64_t id,
                                                  std::vector<Member> members, MonotonicTime now) {
  auto it = nodes_.find(target);
  if (it == nodes_.end()) return {};  // Left meanwhile.
  it->second.up = true;
  it->second.id = id;
  it->second.members = std::move(members);
  return Weigh(now);
}

CoordinatorList::Change CoordinatorList::Told(const std::string& target,
                                              std::vector<Member> members, MonotonicTime now) {
  auto it = nodes_.find(target);
  if (it == nodes_.end() || !it->second.up) return {};
  it->second.members = std::move(members);
  return Weigh(now);
}

CoordinatorList::Change CoordinatorList::Down(const std::string& target, MonotonicTime now) {
  auto it = nodes_.find(target);
  if (it == nodes_.end() || !it->second.up) return {};
  it->second.up = false;
  it->second.down_since = now;
  PutOff(now + kPatience);
  return {};
}

CoordinatorList::Change CoordinatorList::Tick(MonotonicTime now) {
  if (!due_ || now < *due_) return {};
  due_.reset();
  for (const auto& [target, node] : nodes_) {
    if (!node.up && node.Present(now)) PutOff(node.down_since + kPatience);
  }
  if (now < settled_at_) PutOff(settled_at_);
  return Weigh(now);
}

bool CoordinatorList::Covered(uint64_t id, const std::string& address, MonotonicTime now) const {
  return std::ranges::any_of(nodes_, [&](const auto& entry) {
    const auto& [target, node] = entry;
    if (!node.configured) return false;
    return target == address || (node.id == id && node.Present(now));
  });
}

CoordinatorList::Listed CoordinatorList::WhoIsListed(MonotonicTime now) const {
  Listed listed;
  for (const auto& [target, node] : nodes_) {
    if (!node.Present(now)) continue;
    for (const Member& member : node.members) {
      if (!member.address.empty()) listed[member.address].insert(member.id);
    }
  }
  return listed;
}

CoordinatorList::Change CoordinatorList::Weigh(MonotonicTime now) {
  const Listed listed = WhoIsListed(now);
  Change change;
  if (listed.empty()) return change;  // Nobody knows better than before.
  std::erase_if(misleading_, [&](const auto& entry) {
    auto it = listed.find(entry.first);
    return it == listed.end() || it->second != entry.second;
  });
  for (const auto& [target, node] : nodes_) {
    auto it = listed.find(target);
    if (node.configured || !node.up || it == listed.end() || it->second.contains(node.id)) continue;
    misleading_.insert(*it);
  }
  std::set<std::string> wanted;
  for (const auto& [address, ids] : listed) {
    const bool covered =
        std::ranges::all_of(ids, [&](uint64_t id) { return Covered(id, address, now); });
    if (!covered && !misleading_.contains(address)) wanted.insert(address);
  }
  std::erase_if(nodes_, [&](const auto& entry) {
    if (entry.second.configured || wanted.contains(entry.first)) return false;
    change.leave.push_back(entry.first);
    return true;
  });
  bool unsure = false;
  for (const auto& [target, node] : nodes_) {
    if (!node.configured || node.id != 0) continue;
    unsure = unsure || node.up || now < settled_at_;
  }
  if (unsure) return change;
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
