#include "tests/simulation/system/operator.h"

#include <algorithm>
#include <utility>

namespace assent::simulation {

using Kind = txlog::MembershipChange::Kind;

void Operator::Run(uint64_t first_free_id, bool restless, std::function<void(uint64_t)> add) {
  next_id_ = first_free_id;
  restless_ = restless;
  add_ = std::move(add);
  Loop();
}

void Operator::Loop() {
  Step();
  world_.timeline.After(world_.timeline.Between(100 * kMilli, 400 * kMilli), [this] { Loop(); });
}

SimNode* Operator::Leader() {
  SimNode* leader = nullptr;
  for (auto& [id, node] : nodes_) {
    if (node->leads() && (leader == nullptr || node->term() > leader->term())) leader = node.get();
  }
  return leader;
}

const txlog::raft::Config* Operator::config() {
  SimNode* leader = Leader();
  return leader == nullptr ? nullptr : &leader->raft().config();
}

bool Operator::content() {
  const txlog::raft::Config* now = config();
  if (now == nullptr || joining_ != 0 || leaving_ != 0) return false;
  return std::none_of(now->members.begin(), now->members.end(),
                      [&](const auto& member) { return nodes_.at(member.id)->lost(); });
}

bool Operator::MayLose(uint64_t id) {
  if (joining_ != 0 || leaving_ != 0) return false;
  const txlog::raft::Config* now = config();
  if (now == nullptr) return false;
  size_t voters = 0, lost = 0;
  for (const auto& member : now->members) {
    if (!member.voter) continue;
    ++voters;
    if (member.id == id || nodes_.at(member.id)->damaged()) ++lost;
  }
  // A change may be under way that no leader tells of: only where there is room for it.
  return voters >= 3 && lost <= (voters - 1) / 2;
}

void Operator::Step() {
  // What is removed is switched off, and its disk thrown away.
  const txlog::raft::Config* now = config();
  if (now == nullptr || world_.timeline.now() < busy_until_) return;
  SimNode* leader = Leader();
  auto member = [&](uint64_t id) -> const txlog::raft::Member* {
    for (const auto& one : now->members) {
      if (one.id == id) return &one;
    }
    return nullptr;
  };
  if (joining_ != 0) {
    const auto* one = member(joining_);
    if (one == nullptr) return Change(Kind::kAddLearner, joining_);
    if (!one->voter) return Change(Kind::kPromote, joining_);
    joining_ = 0;
  }
  for (const auto& one : now->members) {
    if (!nodes_.at(one.id)->lost()) continue;
    if (leaving_ == one.id) return Change(Kind::kRemove, one.id);
    // First the replacement, then the removal.
    leaving_ = one.id;
    joining_ = next_id_++;
    add_(joining_);
    return;
  }
  if (leaving_ != 0) {
    if (member(leaving_) != nullptr) return Change(Kind::kRemove, leaving_);
    // Committed only if the leader says so by its config and nothing newer can undo it.
    if (leader->raft().commit_index() < leader->raft().last_index()) return;
    if (!nodes_.at(leaving_)->lost()) nodes_.at(leaving_)->Lose();
    leaving_ = 0;
    return;
  }
  if (!restless_ || !world_.timeline.Chance(150)) return;
  if (world_.timeline.Chance(500)) {
    PassLead(*leader, 0, 200 * kMilli);
    busy_until_ = world_.timeline.now() + kSecond;
    return;
  }
  if (now->members.size() >= 5) return;
  if (world_.timeline.Chance(500)) {
    auto it = now->members.begin();
    std::advance(it, world_.timeline.Draw(now->members.size()));
    leaving_ = it->id;
  }
  joining_ = next_id_++;
  add_(joining_);
}

void Operator::PassLead(SimNode& from, uint64_t to, Micros drain) {
  ++changes_;
  from.ToDriver([to, drain](coordinator::Driver& driver) {
    coordinator::TransferCall call{.to = to, .drain = std::chrono::microseconds(drain)};
    call.reply = [](auto) {};
    driver.Post(std::move(call));
  });
}

void Operator::Change(Kind kind, uint64_t id) {
  ++changes_;
  world_.timeline.Trace([&] {
    return "operator: change " + std::to_string(static_cast<int>(kind)) + " of " +
           std::to_string(id) + " at node " + std::to_string(Leader()->id());
  });
  Leader()->ToDriver([kind, id](coordinator::Driver& driver) {
    txlog::MembershipChange change{.kind = kind, .member = SimNode::MemberOf(id)};
    change.member.voter = false;
    coordinator::ChangeCall call{.change = std::move(change)};
    call.reply = [](auto) {};
    driver.Post(std::move(call));
  });
  busy_until_ = world_.timeline.now() + 300 * kMilli;
}

}  // namespace assent::simulation
