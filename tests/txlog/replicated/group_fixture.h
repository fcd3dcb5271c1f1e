// A group of engines in one thread, each on a simulated disk, joined by links that the test holds.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tests/txlog/recording_listener.h"
#include "tests/txlog/replicated/held_executor.h"
#include "tests/txlog/sim_disk.h"
#include "txlog/replicated/engine.h"

namespace assent::txlog {

class GroupFixture : public testing::Test {
 protected:
  static constexpr char kUuid[] = "3f0c2f4e-7a51-4d0b-9d7e-1c2b3a495867";

  struct Node final : PeerLinks {
    Node(GroupFixture& g, uint64_t i) : group(g), id(i), disk(i) {}
    void Send(uint64_t to, std::string bytes) override;
    void SetMembers(const std::vector<Member>& members) override { peers = members; }

    GroupFixture& group;
    const uint64_t id;
    SimDisk disk;
    HeldExecutor spares;
    HeldExecutor slow;
    std::deque<EngineInput> inputs;
    std::unique_ptr<RecordingListener> listener;
    std::unique_ptr<ReplicatedEngine> engine;  // Null: dead.
    std::vector<Member> peers;
    // What it said since somebody last looked, if anybody wants to know.
    std::optional<std::vector<std::string>> said;
    std::vector<Status> deaths;
  };

  GroupFixture();
  ~GroupFixture() override;

  // First members 1 to n.
  void Bootstrap(uint64_t n);
  Status Start(uint64_t id);
  void StartAll();
  // The process dies; with `power_loss`, so does what was not forced.
  void Kill(uint64_t id, bool power_loss = true);
  Node& At(uint64_t id) { return *nodes_.at(id); }
  Node& Add(uint64_t id);  // An empty node that is to join.

  // Everybody works until nothing is left to do, without time passing.
  void Settle();
  // A tick for everybody (or one), then Settle.
  void Tick(int times = 1);
  void TickOnly(uint64_t id, int times);
  // Ticks until somebody leads and everything is quiet. 0: nobody after 200 ticks.
  uint64_t WaitLeader();
  uint64_t Leader();

  // Answers; filled when they come.
  std::shared_ptr<std::vector<Fate>> Propose(uint64_t at, std::vector<std::string> records);
  std::shared_ptr<std::vector<Status>> Change(uint64_t at, MembershipChange change);
  std::shared_ptr<std::vector<Status>> Transfer(uint64_t at, uint64_t to);
  std::shared_ptr<std::vector<Status>> Barrier(uint64_t at);
  GroupProgress Members(uint64_t at);
  void SaveSnapshot(uint64_t at, std::string state);

  // Records that node was told are applied, without no-ops.
  std::vector<std::string> Applied(uint64_t id);

  // Messages between these two are lost.
  void Cut(uint64_t a, uint64_t b) { cut_.insert({a, b}), cut_.insert({b, a}); }
  void Isolate(uint64_t id);
  void Heal() { cut_.clear(); }

  ReplicatedLogOptions options_;
  std::map<uint64_t, std::unique_ptr<Node>> nodes_;
  std::set<std::pair<uint64_t, uint64_t>> cut_;
  uint64_t seed_ = 1;
};

}  // namespace assent::txlog
