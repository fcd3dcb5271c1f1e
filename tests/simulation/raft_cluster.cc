#include "tests/simulation/raft_cluster.h"

namespace assent::simulation {

using namespace txlog::raft;  // NOLINT

RaftNode& RaftCluster::Add(NodeId id, SnapshotMeta first) {
  Options options = options_;
  options.id = id;
  RaftNode::Hooks hooks{.send = [this](const Message& message) { messages_.push_back(message); },
                        .seen = nullptr};
  if (seen_) hooks.seen = [this, id](const Action& action) { seen_(id, action); };
  auto& slot = nodes_[id];
  slot = std::make_unique<RaftNode>(options, std::move(first), checker_, std::move(hooks));
  return *slot;
}

void RaftCluster::BlockAll(NodeId id) {
  for (const auto& [other, node] : nodes_) {
    if (other == id) continue;
    Block({id, other});
    Block({other, id});
  }
}

void RaftCluster::Deliver(size_t i) {
  Message message = std::move(messages_[i]);
  messages_.erase(messages_.begin() + static_cast<ptrdiff_t>(i));
  if (Blocked({message.from, message.to})) return;
  auto it = nodes_.find(message.to);
  if (it != nodes_.end() && it->second->up()) it->second->Step(Received{std::move(message)});
}

RaftNode* RaftCluster::Leader() {
  RaftNode* leader = nullptr;
  for (const auto& [id, node] : nodes_) {
    if (!node->leads()) continue;
    if (leader == nullptr || node->raft().term() > leader->raft().term()) leader = node.get();
  }
  return leader;
}

bool RaftCluster::Settle() {
  constexpr int kStepsMax = 100000;
  for (int step = 0; step < kStepsMax; ++step) {
    if (!checker_.wrong().empty()) return true;
    bool busy = false;
    for (const auto& [id, node] : nodes_) {
      if (!node->up()) continue;
      busy = node->ForceOne() || busy;
      busy = node->AnswerOne() || busy;
    }
    if (!messages_.empty()) {
      Deliver(0);
      busy = true;
    }
    if (!busy) return true;
  }
  return false;
}

}  // namespace assent::simulation
