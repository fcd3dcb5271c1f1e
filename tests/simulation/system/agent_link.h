// The stream between an agent and a node: in order, nothing lost while it stands. When it breaks,
// what is under way is lost, and each end learns of it in its own time.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <utility>

#include "tests/simulation/system/sim_node.h"

namespace assent::simulation {

class SimAgent;

class AgentLink final : public coordinator::AgentOutbox,
                        public std::enable_shared_from_this<AgentLink> {
 public:
  AgentLink(World& world, coordinator::LinkId id, SimAgent& agent, SimNode& node);

  // The agent dials: its hello is on its way.
  void Open(coordinator::AgentHello hello);
  // The agent speaks.
  void Say(coordinator::AgentInput input);
  void Break();
  bool broken() const { return broken_; }
  uint64_t node() const { return node_.id(); }

  // coordinator::AgentOutbox, inside of the driver's batch.
  void Send(coordinator::AgentOutput batch) override;
  void Close(Status why) override;
  MonotonicTime LastHeard() const override { return last_heard_; }

 private:
  // In order behind what goes the same way already.
  void Carry(bool to_node, std::function<void()> arrive);
  // What the node says is on its way.
  void Judge(const coordinator::AgentOutput& batch);
  bool AgentLives() const;
  bool NodeLives() const { return node_.life() == node_life_ && node_life_ != 0; }
  void HeartBeat();

  World& world_;
  const coordinator::LinkId id_;
  SimAgent& agent_;
  SimNode& node_;
  const Place agent_place_;
  const uint64_t agent_life_;
  const uint64_t node_life_;
  Micros last_to_node_ = 0;
  Micros last_to_agent_ = 0;
  bool broken_ = false;
  bool opened_ = false;
  MonotonicTime last_heard_{};
};

}  // namespace assent::simulation
