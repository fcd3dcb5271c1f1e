// Simulated members and the network between them. Who holds it decides which message comes when.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/simulation/raft_node.h"

namespace assent::simulation {

class RaftCluster {
 public:
  // `seen` hears of every action, if it is set.
  using Seen = std::function<void(txlog::raft::NodeId, const txlog::raft::Action&)>;

  explicit RaftCluster(txlog::raft::Options options, Seen seen = nullptr)
      : options_(options), seen_(std::move(seen)) {}
  RaftCluster(const RaftCluster&) = delete;
  RaftCluster& operator=(const RaftCluster&) = delete;

  // Not started. The options' id and seed are the node's own.
  RaftNode& Add(txlog::raft::NodeId id, txlog::raft::SnapshotMeta first);
  RaftNode& node(txlog::raft::NodeId id) { return *nodes_.at(id); }
  const std::map<txlog::raft::NodeId, std::unique_ptr<RaftNode>>& nodes() const { return nodes_; }
  bool Has(txlog::raft::NodeId id) const { return nodes_.contains(id); }
  RaftChecker& checker() { return checker_; }

  // One direction of a link.
  using Link = std::pair<txlog::raft::NodeId, txlog::raft::NodeId>;
  void Block(Link link) { blocked_.insert(link); }
  void BlockAll(txlog::raft::NodeId id);  // To it and from it.
  void HealAll() { blocked_.clear(); }
  void Heal(Link link) { blocked_.erase(link); }
  bool Blocked(Link link) const { return blocked_.contains(link); }

  // On their way, oldest first. A blocked link loses what is delivered.
  const std::vector<txlog::raft::Message>& messages() const { return messages_; }
  void Deliver(size_t i);
  void Drop(size_t i) { messages_.erase(messages_.begin() + static_cast<ptrdiff_t>(i)); }
  void DropFrom(txlog::raft::NodeId from) {
    std::erase_if(messages_, [from](const auto& message) { return message.from == from; });
  }
  void Duplicate(size_t i) { messages_.push_back(messages_[i]); }

  // The leader of the highest term that is up, or null.
  RaftNode* Leader();

  // Everything that is not time happens, in order, until nothing is left to happen; false if that
  // does not end.
  bool Settle();

 private:
  txlog::raft::Options options_;
  Seen seen_;
  RaftChecker checker_;
  std::map<txlog::raft::NodeId, std::unique_ptr<RaftNode>> nodes_;
  std::vector<txlog::raft::Message> messages_;
  std::set<Link> blocked_;
};

}  // namespace assent::simulation
