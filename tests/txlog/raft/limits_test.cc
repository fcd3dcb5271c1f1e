// Memory and messages stay bounded, whatever a peer does.
#include <gtest/gtest.h>

#include "tests/simulation/raft_cluster.h"

namespace assent::simulation {
namespace {

using namespace txlog::raft;  // NOLINT

class RaftLimits : public testing::Test {
 protected:
  static Options Limits() {
    Options options;
    options.append_bytes_max = 2000;
    options.in_flight_bytes_max = 8000;
    options.in_flight_messages_max = 8;
    options.uncommitted_bytes_max = 20000;
    options.applying_bytes_max = 5000;
    options.cache_bytes_max = 10000;
    options.snapshot_after_bytes = 50000;
    return options;
  }

  RaftLimits() : cluster_(Limits(), [this](NodeId id, const Action& action) { See(id, action); }) {
    Config first{{{1}, {2}, {3}}};
    for (NodeId id = 1; id <= 3; ++id) cluster_.Add(id, {0, 0, first}).Start(id);
    while (!cluster_.node(1).leads()) {
      cluster_.node(1).Step(Tick{});
      cluster_.Settle();
    }
  }

  void See(NodeId id, const Action& action) {
    const auto* send = std::get_if<txlog::raft::Send>(&action);
    if (id != 1 || send == nullptr || send->message.to != 3) return;
    const auto* append = std::get_if<AppendEntries>(&send->message.body);
    if (append == nullptr) return;
    uint64_t bytes = 0;
    for (const Entry& entry : append->entries) bytes += entry.bytes() + kEntryOverheadBytes;
    EXPECT_LE(bytes, Limits().append_bytes_max);
    sent_to_3_ += bytes;
  }

  void Propose(size_t count) {
    txlog::raft::Propose event{.term = cluster_.node(1).raft().term()};
    for (size_t i = 0; i < count; ++i) {
      cluster_.checker().OnProposed(next_);
      event.proposals.push_back({next_, RecordOf(next_, 100)});
      ++next_;
    }
    cluster_.node(1).Step(std::move(event));
  }

  RaftCluster cluster_;
  uint64_t next_ = 1;
  uint64_t sent_to_3_ = 0;
};

// The other two go on as if nothing were, and hold no more than their limits.
TEST_F(RaftLimits, ADeadFollowerCostsNothing) {
  cluster_.node(3).Crash(0);
  sent_to_3_ = 0;
  uint64_t cached_max = 0;
  for (int round = 0; round < 1000; ++round) {
    Propose(20);
    cluster_.Settle();
    if (round % 2 == 0) cluster_.node(1).Step(Tick{});
    if (round % 2 == 0) cluster_.node(2).Step(Tick{});
    cached_max = std::max(cached_max, cluster_.node(1).raft().cached_bytes());
  }
  EXPECT_EQ(cluster_.checker().durable(), 20000u);
  EXPECT_EQ(cluster_.checker().wrong(), "");
  EXPECT_LE(sent_to_3_, 2 * Limits().in_flight_bytes_max);
  EXPECT_LE(cached_max, Limits().cache_bytes_max + Limits().uncommitted_bytes_max);
  EXPECT_GT(cluster_.node(1).saved_snapshots(), 10u);

  // And it comes back, by snapshot, to all of it.
  cluster_.node(3).Start(3);
  for (int i = 0; i < 30; ++i) {
    cluster_.node(1).Step(Tick{});
    cluster_.Settle();
  }
  EXPECT_EQ(cluster_.node(3).owner_index(), cluster_.node(1).owner_index());
  EXPECT_EQ(cluster_.node(3).installed_snapshots(), 1u);
  EXPECT_EQ(cluster_.checker().wrong(), "");
}

// Nobody acknowledges: the leader takes so much and refuses the rest.
TEST_F(RaftLimits, UncommittedProposalsAreBounded) {
  cluster_.BlockAll(1);
  for (int i = 0; i < 100; ++i) Propose(10);
  EXPECT_GT(cluster_.checker().refused(), 500u);
  EXPECT_LE(cluster_.node(1).raft().cached_bytes(),
            Limits().cache_bytes_max + Limits().uncommitted_bytes_max);
  // Even so a single large one is taken while nothing else waits.
  EXPECT_EQ(cluster_.checker().durable(), 0u);
}

// The owner is slow: what is handed over waits for it, and reads wait for what is handed over.
TEST_F(RaftLimits, ASlowOwnerIsNotOverrun) {
  Propose(100);
  while (!cluster_.messages().empty() || cluster_.node(1).unforced() > 0 ||
         cluster_.node(2).unforced() > 0) {
    if (!cluster_.messages().empty()) cluster_.Deliver(0);
    cluster_.node(1).ForceOne();
    cluster_.node(2).ForceOne();
  }
  const Raft& raft = cluster_.node(1).raft();
  EXPECT_EQ(raft.commit_index(), raft.last_index());
  EXPECT_LT(raft.applied_index(), raft.commit_index());
  EXPECT_LE(cluster_.node(1).owner_index(), Limits().applying_bytes_max / 100);
  cluster_.Settle();
  EXPECT_EQ(cluster_.node(1).owner_index(), raft.last_index());
  EXPECT_EQ(cluster_.checker().wrong(), "");
}

}  // namespace
}  // namespace assent::simulation
