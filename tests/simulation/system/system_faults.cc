// What goes wrong in a story.
#include <utility>

#include "tests/simulation/system/system_story.h"

namespace assent::simulation {

void SystemStory::FaultLoop() {
  timeline_.After(timeline_.Between(between_faults_ / 2, between_faults_ * 2), [this] {
    if (!faulty_) return;
    (this->*faults_[timeline_.Draw(faults_.size())])();
    FaultLoop();
  });
}

SimNode* SystemStory::AnyNode() {
  auto it = nodes_.begin();
  std::advance(it, timeline_.Draw(nodes_.size()));
  return it->second.get();
}

// Where most happens.
SimNode* SystemStory::MostlyLeader() {
  SimNode* leader = operator_.Leader();
  return leader != nullptr && Chance(500) ? leader : AnyNode();
}

void SystemStory::WatchLoop() {
  for (auto& [id, node] : nodes_) {
    if (node->up() || node->lost() || long_dead_.contains(id) || restarting_.contains(id)) continue;
    // Now and then one stays away for long, and the log goes on without it.
    const bool long_time = faulty_ && nodes_.size() > 1 && Chance(100);
    RestartNode(id, long_time ? timeline_.Between(4 * kSecond, 10 * kSecond)
                              : timeline_.Between(10 * kMilli, 1500 * kMilli));
  }
  timeline_.After(100 * kMilli, [this] { WatchLoop(); });
}

void SystemStory::RestartNode(uint64_t id, Micros after) {
  restarting_.insert(id);
  timeline_.After(after, [this, id] {
    restarting_.erase(id);
    nodes_.at(id)->Start();
  });
}

void SystemStory::CrashNode() {
  ++met_.node_crashes;
  MostlyLeader()->Crash(Chance(700));
}

// Where they all stand, the power fails.
void SystemStory::CrashAllNodes() {
  for (auto& [id, node] : nodes_) {
    if (!node->up()) continue;
    ++met_.node_crashes;
    node->Crash(true);
    if (!restarting_.contains(id)) RestartNode(id, timeline_.Between(10 * kMilli, 400 * kMilli));
  }
}

void SystemStory::CrashWhileWriting() {
  ++met_.node_crashes;
  MostlyLeader()->CrashWhileWriting(1 + static_cast<int>(timeline_.Draw(12)));
}

void SystemStory::CrashVoter(uint64_t id) {
  const bool power_loss = Chance(500);
  timeline_.After(timeline_.Between(0, kMilli), [this, id, power_loss] {
    if (!faulty_ || !nodes_.at(id)->up()) return;
    ++met_.node_crashes;
    nodes_.at(id)->Crash(power_loss);
    RestartNode(id, timeline_.Between(kMilli, 15 * kMilli));
  });
}

void SystemStory::CrashBetweenEffects() {
  ++met_.node_crashes;
  MostlyLeader()->CrashBetweenEffects();
}

void SystemStory::FailSync() {
  ++met_.disk_faults;
  MostlyLeader()->FailSync(1 + static_cast<int>(timeline_.Draw(6)));
}

void SystemStory::FillDisk() {
  ++met_.disk_faults;
  SimNode* node = MostlyLeader();
  node->FillDisk(timeline_.Draw(3'000));
  timeline_.After(timeline_.Between(100 * kMilli, 4 * kSecond), [node] { node->FreeDisk(); });
}

void SystemStory::FlipByte() {
  SimNode* node = AnyNode();
  if (!operator_.MayLose(node->id())) return;
  node->Crash(Chance(500));
  if (node->FlipByte()) ++met_.disk_faults;
}

void SystemStory::SlowDown() {
  SimNode* node = MostlyLeader();
  node->SlowDown(timeline_.Between(kMilli, 300 * kMilli));
  timeline_.After(timeline_.Between(500 * kMilli, 4 * kSecond), [node] { node->SlowDown(0); });
}

void SystemStory::Freeze() {
  SimNode* leader = operator_.Leader();
  SimNode* node = leader != nullptr && Chance(800) ? leader : AnyNode();
  node->Freeze(timeline_.Between(100 * kMilli, 3 * kSecond));
}

void SystemStory::JumpClock() {
  const std::chrono::microseconds by(timeline_.Between(10 * kMilli, 8 * kSecond));
  if (Chance(500)) {
    MostlyLeader()->clock().Jump(by);
  } else {
    agents_[timeline_.Draw(agents_.size())]->clock().Jump(by);
  }
}

void SystemStory::CutNetwork() {
  ++met_.cuts;
  std::vector<Place> places;
  for (const auto& [id, node] : nodes_) places.push_back(id);
  for (const auto& agent : agents_) places.push_back(agent->place());
  for (size_t i = 0; i < clients_.size(); ++i) places.push_back(kFirstClient + i);
  const bool both_ways = Chance(600);
  std::vector<std::pair<Place, Place>> cut;
  auto add = [&](Place from, Place to) {
    cut.emplace_back(from, to);
    if (both_ways) cut.emplace_back(to, from);
  };
  switch (timeline_.Draw(3)) {
    case 0: {  // One is alone.
      const Place alone = MostlyLeader()->id();
      const bool heard_by_nodes_only = Chance(500);
      for (Place other : places) {
        if (other == alone || (heard_by_nodes_only && other >= kFirstAgent)) continue;
        Chance(500) ? add(alone, other) : add(other, alone);
      }
      break;
    }
    case 1: {  // Two halves.
      std::vector<bool> side;
      for (size_t i = 0; i < places.size(); ++i) side.push_back(Chance(500));
      for (size_t i = 0; i < places.size(); ++i) {
        for (size_t j = 0; j < places.size(); ++j) {
          if (side[i] && !side[j]) add(places[i], places[j]);
        }
      }
      break;
    }
    default:  // Some links.
      for (size_t i = 0; i < 3; ++i) {
        add(places[timeline_.Draw(places.size())], places[timeline_.Draw(places.size())]);
      }
      break;
  }
  CutFor(timeline_.Between(50 * kMilli, 4 * kSecond), std::move(cut));
}

// No node hears another, and everybody else hears them all.
void SystemStory::CutNodesApart() {
  ++met_.cuts;
  std::vector<std::pair<Place, Place>> cut;
  for (const auto& [from, node] : nodes_) {
    for (const auto& [to, other] : nodes_) {
      if (from != to) cut.emplace_back(from, to);
    }
  }
  CutFor(timeline_.Between(200 * kMilli, 1500 * kMilli), std::move(cut));
}

// It does not know it yet, and goes on with whoever still reaches it.
void SystemStory::CutLeaderOff() {
  SimNode* leader = operator_.Leader();
  if (leader == nullptr) return;
  ++met_.cuts;
  std::vector<std::pair<Place, Place>> cut;
  for (const auto& [other, node] : nodes_) {
    if (other == leader->id()) continue;
    cut.emplace_back(leader->id(), other);
    cut.emplace_back(other, leader->id());
  }
  CutFor(timeline_.Between(300 * kMilli, 1500 * kMilli), std::move(cut));
}

void SystemStory::CutFor(Micros time, std::vector<std::pair<Place, Place>> cut) {
  for (const auto& [from, to] : cut) network_.CutOff(from, to);
  timeline_.After(time, [this, cut = std::move(cut)] {
    for (const auto& [from, to] : cut) network_.Mend(from, to);
  });
}

// Away from who has it, and back, perhaps before anybody has noticed.
void SystemStory::PassLeadAround() {
  SimNode* first = operator_.Leader();
  if (first == nullptr) return;
  operator_.PassLead(*first, 0, timeline_.Between(0, 100 * kMilli));
  timeline_.After(timeline_.Between(20 * kMilli, 600 * kMilli), [this, id = first->id()] {
    SimNode* next = operator_.Leader();
    if (next == nullptr || next->id() == id) return;
    operator_.PassLead(*next, id, timeline_.Between(0, 50 * kMilli));
  });
}

void SystemStory::CutLink() {
  ++met_.cuts;
  agents_[timeline_.Draw(agents_.size())]->CutOneLink();
}

void SystemStory::CrashAgent() { CrashAgent(*agents_[timeline_.Draw(agents_.size())]); }

void SystemStory::CrashAgent(SimAgent& agent) {
  ++met_.agent_crashes;
  agent.Crash(Chance(300));
  timeline_.After(timeline_.Between(10 * kMilli, 3 * kSecond), [&agent] { agent.Start(); });
}

void SystemStory::FailPreparer(SimAgent& agent) {
  if (Chance(500)) return CrashAgent(agent);
  agent.Freeze(timeline_.Between(50 * kMilli, 2 * kSecond));
}

void SystemStory::FreezeAgent() {
  agents_[timeline_.Draw(agents_.size())]->Freeze(timeline_.Between(50 * kMilli, 2 * kSecond));
}

void SystemStory::StallDatabase() {
  databases_[timeline_.Draw(databases_.size())]->Stall(timeline_.Between(20 * kMilli, 2 * kSecond));
}

void SystemStory::CrashDatabase() {
  ++met_.database_crashes;
  SimDatabase* database = databases_[timeline_.Draw(databases_.size())].get();
  database->Crash();
  timeline_.After(timeline_.Between(10 * kMilli, 3 * kSecond), [database] { database->Start(); });
}

void SystemStory::AskBarrier() {
  auto deposed = nodes_.find(world_.deposed);
  (deposed != nodes_.end() && Chance(500) ? deposed->second.get() : AnyNode())->Barrier();
}

void SystemStory::BarrierLoop() {
  if (!faulty_) return;
  AskBarrier();
  timeline_.After(timeline_.Between(20 * kMilli, 200 * kMilli), [this] { BarrierLoop(); });
}

}  // namespace assent::simulation
