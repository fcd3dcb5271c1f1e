// A leader that dies, freezes, or is told to stop.
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <future>
#include <map>
#include <sstream>
#include <thread>

#include "tests/support/doors_under_test.h"
#include "tests/support/process.h"
#include "tests/system/group_fixture.h"
#include "tests/system/thawed_leader.h"

namespace assent::system_tests {
namespace {

using std::chrono::seconds;
using test_support::TlsUnderTest;
using test_support::WaitUntil;

class GroupFailover : public GroupTest {
 protected:
  static void SetUpTestSuite() { StartHouse({.coordinators = 3, .tls = TlsUnderTest()}); }

  void ExpectWhole() {
    Status whole = WaitWhole(House(), seconds(30));
    ASSERT_TRUE(whole.ok()) << whole.ToString();
  }
};

// The promise, with some air for a machine that does other things too: assent-failover holds the
// group to it.
TEST_F(GroupFailover, TheNextCommitComesSoonAfterALeaderWasKilled) {
  StartLoad();
  auto measured = Failovers::Measure(House(), TheProbe(), 5);
  ASSERT_TRUE(measured.ok()) << measured.status().ToString();
  std::printf("%s", measured->ToString().c_str());
  EXPECT_LE(measured->median(), seconds(2));
  EXPECT_LE(measured->worst(), seconds(6));
  EndLoad();
}

// ---- Frozen -------------------------------------------------------------------------------------

TEST_F(GroupFailover, AFrozenLeaderAnswersNothingStaleWhenItThaws) {
  StartLoad();
  for (int round = 0; round < 2; ++round) {
    auto thawed = ThawedLeader::Ask(House(), TheProbe(), [](AssentdProcess&) {});
    ASSERT_TRUE(thawed.ok()) << thawed.status().ToString();
    EXPECT_EQ(thawed->stale, std::vector<std::string>{});
    std::printf("  %lld ms from SIGSTOP of the leader to the next commit\n",
                static_cast<long long>(thawed->next_commit.count()));
    EXPECT_LE(thawed->next_commit, seconds(8));
    ExpectWhole();
  }
  EndLoad();
}

// ---- Told to stop -------------------------------------------------------------------------------

TEST_F(GroupFailover, ALeaderThatIsToldToStopHandsOver) {
  ExpectWhole();
  StartLoad();
  for (int round = 0; round < 3; ++round) {
    ASSERT_TRUE(TheProbe().CommitOne(seconds(10)).ok());
    AssentdProcess* leader = Leader();
    ASSERT_NE(leader, nullptr);
    auto ended = std::async(std::launch::async, [leader] { return leader->Terminate(); });
    auto commit = TheProbe().CommitOne(seconds(20));
    EXPECT_TRUE(ended.get().ok());
    ASSERT_TRUE(commit.ok()) << commit.status().ToString();
    std::printf("  %s from SIGTERM of the leader\n", commit->ToString().c_str());
    EXPECT_LE(commit->committed, seconds(3));
    EXPECT_TRUE(leader->Logged("transfer_done")) << leader->Log();
    ASSERT_TRUE(leader->Start().ok());
    ExpectWhole();
  }
  EXPECT_EQ(Load().progress().unsure, 0u) << "a client heard UNKNOWN";
  EndLoad();
}

TEST_F(GroupFailover, ARollingRestartLosesNothing) {
  StartLoad();
  for (const auto& node : House().coordinators()) {
    const uint64_t goal = Load().progress().committed + 20;
    EXPECT_TRUE(node->Terminate().ok());
    EXPECT_TRUE(WaitUntil(seconds(20), [&] { return Load().progress().committed >= goal; }));
    ASSERT_TRUE(node->Start().ok());
    ExpectWhole();
  }
  EXPECT_EQ(Load().progress().unsure, 0u) << "a client heard UNKNOWN";
  EndLoad();
}

// ---- Idle ---------------------------------------------------------------------------------------

// User and system time of a process so far.
double CpuSeconds(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string all((std::istreambuf_iterator<char>(file)), {});
  // Behind the name in parentheses, from field 3 on; 14 and 15 are utime and stime.
  std::istringstream fields(all.substr(all.rfind(')') + 2));
  std::string word;
  for (int field = 3; field < 14; ++field) fields >> word;
  double user = 0;
  double system = 0;
  fields >> user >> system;
  return (user + system) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

TEST_F(GroupFailover, AnIdleNodeCostsUnderTwoPercentOfACore) {
  ExpectWhole();
  constexpr seconds kMeasured{10};
  // What else runs on the machine makes each wake-up dearer: a disturbed measurement is repeated.
  constexpr int kMeasurements = 3;
  double most = 1;
  for (int i = 0; i < kMeasurements && most >= 0.02; ++i) {
    std::map<AssentdProcess*, double> before;
    for (const auto& node : House().coordinators()) before[node.get()] = CpuSeconds(node->pid());
    const auto begin = std::chrono::steady_clock::now();
    std::this_thread::sleep_for(kMeasured);  // What is measured is this time.
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin;
    most = 0;
    for (const auto& [node, was] : before) {
      const double share = (CpuSeconds(node->pid()) - was) / elapsed.count();
      std::printf("  %s: %.2f %% of a core\n", node->name().c_str(), share * 100);
      ASSERT_GT(was, 0) << "nothing was measured";
      most = std::max(most, share);
    }
  }
  EXPECT_LT(most, 0.02);
}

// ---- TLS, whichever binary this is --------------------------------------------------------------

class GroupTls : public GroupTest {
 protected:
  static void SetUpTestSuite() { StartHouse({.coordinators = 3, .tls = true}); }
};

TEST_F(GroupTls, KillsHandOversAndTransfersAreTheSame) {
  StartLoad();
  auto measured = Failovers::Measure(House(), TheProbe(), 2);
  ASSERT_TRUE(measured.ok()) << measured.status().ToString();
  std::printf("%s", measured->ToString().c_str());
  EXPECT_LE(measured->worst(), seconds(6));
  Status whole = WaitWhole(House(), seconds(30));
  ASSERT_TRUE(whole.ok()) << whole.ToString();

  AssentdProcess* leader = Leader();
  ASSERT_NE(leader, nullptr);
  EXPECT_NE(leader->Log().find("tls=true"), std::string::npos) << "peers speak without TLS";
  AssentdProcess* next = Others(leader).front();
  CtlAnswer moved = Ctl({"member", "transfer", std::to_string(next->node_id())});
  EXPECT_EQ(moved.code, 0) << moved.output;
  EXPECT_EQ(Leader(), next);
  EXPECT_TRUE(next->Terminate().ok());
  auto commit = TheProbe().CommitOne(seconds(20));
  EXPECT_TRUE(commit.ok()) << commit.status().ToString();
  ASSERT_TRUE(next->Start().ok());
  whole = WaitWhole(House(), seconds(30));
  EXPECT_TRUE(whole.ok()) << whole.ToString();
  EndLoad();
}

}  // namespace
}  // namespace assent::system_tests
