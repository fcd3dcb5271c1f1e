// Whoever looks after the group: replaces nodes whose data is lost, and, if asked to, changes
// members and leaders for no reason at all.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>

#include "tests/simulation/system/sim_node.h"

namespace assent::simulation {

class Operator {
 public:
  using Nodes = std::map<uint64_t, std::unique_ptr<SimNode>>;

  Operator(World& world, Nodes& nodes) : world_(world), nodes_(nodes) {}

  // `add` makes and starts an empty node of that id.
  void Run(uint64_t first_free_id, bool restless, std::function<void(uint64_t)> add);
  // From now on only what must be done.
  void CalmDown() { restless_ = false; }
  // The leader of the highest term, or null.
  SimNode* Leader();
  // As the newest leader has it.
  const txlog::raft::Config* config();
  // Nothing is under way, and no lost node is a member.
  bool content();
  // Whether the data of one more voter may be lost, so that a majority stays.
  bool MayLose(uint64_t id);
  // To node `to`, or to anybody if 0.
  void PassLead(SimNode& from, uint64_t to, Micros drain);
  size_t changes() const { return changes_; }

 private:
  void Loop();
  void Step();
  void Change(txlog::MembershipChange::Kind kind, uint64_t id);

  World& world_;
  Nodes& nodes_;
  std::function<void(uint64_t)> add_;
  uint64_t next_id_ = 0;
  bool restless_ = false;
  uint64_t joining_ = 0;     // Is to become a voter.
  uint64_t leaving_ = 0;     // A healthy voter that is to go, once another has joined.
  std::set<uint64_t> gone_;  // Removed for certain: may be switched off.
  Micros busy_until_ = 0;
  size_t changes_ = 0;
};

}  // namespace assent::simulation
