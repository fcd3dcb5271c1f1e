// Coordinators that keep their log in etcd: what holds of a group of coordinators holds of them
// too, and etcd's own faults lose nothing.
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <future>

#include "tests/support/process.h"
#include "tests/system/group_fixture.h"
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
    if (auto etcd = test_support::EtcdServers::Create(); etcd.status().code() == Code::kNotFound) {
      GTEST_SKIP() << etcd.status().message();
    }
    StartHouse({.coordinators = 2,
                .etcd_servers = 3,
                .coordinator_settings = {{"etcd_lease_ms", std::to_string(kLease.count())}}});
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
  auto measured = Failovers::Measure(House(), TheProbe(), 3);
  ASSERT_TRUE(measured.ok()) << measured.status().ToString();
  std::printf("%s", measured->ToString().c_str());
  EXPECT_LE(measured->worst(), kLease + seconds(4));
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
  for (int round = 0; round < 2; ++round) {
    ASSERT_TRUE(TheProbe().CommitOne(seconds(10)).ok());
    AssentdProcess* leader = Leader();
    ASSERT_NE(leader, nullptr);
    auto ended = std::async(std::launch::async, [leader] { return leader->Terminate(); });
    auto commit = TheProbe().CommitOne(seconds(20));
    EXPECT_TRUE(ended.get().ok());
    ASSERT_TRUE(commit.ok()) << commit.status().ToString();
    std::printf("  %s from SIGTERM of the leader\n", commit->ToString().c_str());
    // Not only when its lease has ended.
    EXPECT_LT(commit->committed, kLease);
    EXPECT_TRUE(leader->Logged("transfer_done")) << leader->Log();
    ASSERT_TRUE(leader->Start().ok());
  }
  EXPECT_EQ(Load().progress().unsure, 0u) << "a client heard UNKNOWN";
  EndLoad();
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

TEST_F(EtcdEngine, AllOfEtcdStandsStillForAWhile) {
  StartLoad();
  EXPECT_TRUE(WorkGoesOn(seconds(30)));
  for (size_t i = 0; i < House().etcd()->size(); ++i) House().etcd()->Signal(i, SIGSTOP);
  // Whoever leads finds that out by its own clock.
  EXPECT_TRUE(WaitUntil(seconds(20), [&] {
    return std::all_of(House().coordinators().begin(), House().coordinators().end(),
                       [](const auto& node) { return MetricOf(*node, "assent_leader") == 0; });
  }));
  for (size_t i = 0; i < House().etcd()->size(); ++i) House().etcd()->Signal(i, SIGCONT);
  EXPECT_TRUE(WorkGoesOn(seconds(40)));
  EndLoad();
}

}  // namespace
}  // namespace assent::system_tests
