// Coordinators that keep their log in etcd: what holds of a group of coordinators holds of them
// too, and etcd's own faults lose nothing.
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <future>
#include <thread>
#include <vector>

#include "tests/support/process.h"
#include "tests/system/group_fixture.h"
#include "tests/system/raw_node.h"
#include "tests/system/thawed_leader.h"

namespace assent::system_tests {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using test_support::WaitUntil;

constexpr milliseconds kLease{2000};

class EtcdEngine : public GroupTest {
 protected:
  static void SetUpTestSuite() {
    if (auto why_not = test_support::NoEtcd(); !why_not.empty()) GTEST_SKIP() << why_not;
    StartHouse({.coordinators = 2,
                .etcd_servers = 3,
                .coordinator_settings = {{"etcd_lease_ms", std::to_string(kLease.count())}}});
  }

  // Whoever led finds that out by its own clock.
  static bool NobodyLeads() {
    return WaitUntil(seconds(20), [] {
      return std::all_of(House().coordinators().begin(), House().coordinators().end(),
                         [](const auto& node) { return MetricOf(*node, "assent_leader") == 0; });
    });
  }

  // The bank gets on by so much.
  ::testing::AssertionResult WorkGoesOn(seconds within) {
    const uint64_t goal = Load().progress().committed + 20;
    if (WaitUntil(within, [&] { return Load().progress().committed >= goal; })) {
      return ::testing::AssertionSuccess();
    }
    return ::testing::AssertionFailure() << "nothing is committed";
  }
};

TEST_F(EtcdEngine, TheNextCommitComesWhenTheLeaseOfAKilledLeaderHasEnded) {
  StartLoad();
  auto measured = Failovers::Measure(House(), TheProbe(), 5);
  ASSERT_TRUE(measured.ok()) << measured.status().ToString();
  std::printf("%s", measured->ToString().c_str());
  EXPECT_LE(measured->worst(), kLease + seconds(1));
  EndLoad();
}

TEST_F(EtcdEngine, AFrozenLeaderAnswersNothingStaleWhenItThaws) {
  StartLoad();
  auto thawed = ThawedLeader::Ask(House(), TheProbe(), [](AssentdProcess&) {});
  ASSERT_TRUE(thawed.ok()) << thawed.status().ToString();
  EXPECT_EQ(thawed->stale, std::vector<std::string>{});
  std::printf("  %lld ms from SIGSTOP of the leader to the next commit\n",
              static_cast<long long>(thawed->next_commit.count()));
  // What any engine is given, for clients that wait for the frozen one, and the lease.
  EXPECT_LE(thawed->next_commit, kLease + seconds(8));
  EndLoad();
}

TEST_F(EtcdEngine, ALeaderThatIsToldToStopHandsOver) {
  StartLoad();
  std::vector<milliseconds> pauses;
  for (int round = 0; round < 5; ++round) {
    // The other process must be there to take over, with both agents.
    EXPECT_TRUE(WaitUntil(seconds(10), [] {
      return std::all_of(
          House().coordinators().begin(), House().coordinators().end(),
          [](const auto& node) { return MetricOf(*node, "assent_agents_connected") == 2; });
    }));
    ASSERT_TRUE(TheProbe().CommitOne(seconds(10)).ok());
    AssentdProcess* leader = Leader();
    ASSERT_NE(leader, nullptr);
    auto ended = std::async(std::launch::async, [leader] { return leader->Terminate(); });
    // The longest that one commit took, until another process leads.
    milliseconds pause{0};
    for (bool over = false; !over;) {
      over = ended.wait_for(seconds(0)) == std::future_status::ready;
      auto commit = TheProbe().CommitOne(seconds(20));
      ASSERT_TRUE(commit.ok()) << commit.status().ToString();
      pause = std::max(pause, commit->committed);
    }
    EXPECT_TRUE(ended.get().ok());
    std::printf("  %lld ms without a commit\n", static_cast<long long>(pause.count()));
    pauses.push_back(pause);
    EXPECT_TRUE(leader->Logged("transfer_done")) << leader->Log();
    ASSERT_TRUE(leader->Start().ok());
  }
  EXPECT_EQ(Load().progress().unsure, 0u) << "a client heard UNKNOWN";
  EndLoad();
  std::sort(pauses.begin(), pauses.end());
  EXPECT_LE(pauses[pauses.size() / 2], milliseconds(300));
  EXPECT_LT(pauses.back(), kLease) << "not before its lease has ended";
}

TEST_F(EtcdEngine, ServersOfEtcdDieOneByOne) {
  StartLoad();
  for (int round = 0; round < 2; ++round) {
    auto leader = House().etcd()->Leader();
    ASSERT_TRUE(leader.ok()) << leader.status().ToString();
    House().etcd()->Kill9(*leader);
    EXPECT_TRUE(WorkGoesOn(seconds(30)));
    ASSERT_TRUE(House().etcd()->Start(*leader).ok());
    Status healthy = House().etcd()->WaitHealthy();
    ASSERT_TRUE(healthy.ok()) << healthy.ToString();
  }
  EndLoad();
}

TEST_F(EtcdEngine, EtcdIsRestartedServerByServer) {
  StartLoad();
  for (size_t i = 0; i < House().etcd()->size(); ++i) {
    House().etcd()->Kill9(i);
    ASSERT_TRUE(House().etcd()->Start(i).ok());
    Status healthy = House().etcd()->WaitHealthy();
    ASSERT_TRUE(healthy.ok()) << healthy.ToString();
    EXPECT_TRUE(WorkGoesOn(seconds(30)));
  }
  EndLoad();
}

TEST_F(EtcdEngine, AllOfEtcdIsDownForAMinute) {
  StartLoad();
  EXPECT_TRUE(WorkGoesOn(seconds(30)));
  for (size_t i = 0; i < House().etcd()->size(); ++i) House().etcd()->Kill9(i);
  EXPECT_TRUE(NobodyLeads());
  const uint64_t before = Load().progress().committed;
  std::this_thread::sleep_for(seconds(60));  // Nothing to wait for: nothing must happen.
  EXPECT_EQ(Load().progress().committed, before);
  for (const auto& node : House().coordinators()) {
    EXPECT_TRUE(node->Running()) << node->Log();
    EXPECT_EQ(RawNode(*node, House().client_tls()).Begin(seconds(2)).reason, v1::REASON_NOT_LEADER);
  }
  for (size_t i = 0; i < House().etcd()->size(); ++i) {
    ASSERT_TRUE(House().etcd()->Start(i).ok());
  }
  EXPECT_TRUE(WorkGoesOn(seconds(40)));
  EndLoad();
}

TEST_F(EtcdEngine, AllOfEtcdStandsStillForAWhile) {
  StartLoad();
  EXPECT_TRUE(WorkGoesOn(seconds(30)));
  for (size_t i = 0; i < House().etcd()->size(); ++i) House().etcd()->Signal(i, SIGSTOP);
  EXPECT_TRUE(NobodyLeads());
  for (size_t i = 0; i < House().etcd()->size(); ++i) House().etcd()->Signal(i, SIGCONT);
  EXPECT_TRUE(WorkGoesOn(seconds(40)));
  EndLoad();
}

}  // namespace
}  // namespace assent::system_tests
