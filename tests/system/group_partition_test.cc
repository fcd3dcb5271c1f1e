// Real partitions between real processes: each node in a network namespace of its own.
#include <gtest/gtest.h>

#include <thread>

#include "tests/support/process.h"
#include "tests/system/partition_fixture.h"
#include "tests/system/thawed_leader.h"

namespace assent::system_tests {
namespace {

using client::Outcome;
using std::chrono::seconds;
using test_support::WaitUntil;

constexpr seconds kHealed{30};

class GroupPartition : public PartitionTest {
 protected:
  static void SetUpTestSuite() {
    if (!MakeNetwork(3)) return;
    StartHouse({.coordinators = 3,
                .places = Network().Places(),
                .tls = true,
                .tls_dir = CertificateDir()});
  }
  void SetUp() override {
    PartitionTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    ExpectHealed();
  }

  // Both ways between `node` and everybody else.
  static void Isolate(const AssentdProcess& node) {
    for (AssentdProcess* other : Others(&node)) {
      Status cut = Network().Cut(node.node_id(), other->node_id());
      ASSERT_TRUE(cut.ok()) << cut.ToString();
    }
  }
  static void ExpectHealed() {
    ASSERT_TRUE(Network().Heal().ok());
    Status whole = WaitWhole(House(), kHealed);
    ASSERT_TRUE(whole.ok()) << whole.ToString();
  }
  static void ExpectStepsDown(const AssentdProcess& node) {
    EXPECT_TRUE(WaitUntil(seconds(5), [&] { return MetricOf(node, "assent_leader") == 0; }))
        << node.name() << " still says that it leads";
  }
};

TEST_F(GroupPartition, TheMajorityGoesOnAndTheMinorityAnswersNothingStale) {
  StartLoad();
  AssentdProcess* old = Leader();
  ASSERT_NE(old, nullptr);
  RawNode minority(*old, House().client_tls());
  auto open = TheProbe().Work();
  ASSERT_TRUE(open.ok()) << open.status().ToString();
  Isolate(*old);
  auto commit = TheProbe().CommitOne(seconds(30));
  ASSERT_TRUE(commit.ok()) << commit.status().ToString();
  std::printf("  %s from the partition on\n", commit->ToString().c_str());
  EXPECT_LE(commit->committed, seconds(5));
  EXPECT_EQ(TheProbe().coordinators().OutcomeOf(open->gtrid()).outcome, Outcome::kAborted);

  ExpectStepsDown(*old);
  ExpectNothingStale(minority, commit->gtrid, open->gtrid());

  AssentdProcess* leader = Leader(old);
  ASSERT_NE(leader, nullptr);
  const double term = MetricOf(*leader, "assent_term");
  ExpectHealed();
  EXPECT_EQ(MetricOf(*leader, "assent_leader"), 1) << "who came back deposed the leader";
  EXPECT_EQ(MetricOf(*old, "assent_term"), term);
  EndLoad();
}

TEST_F(GroupPartition, AFollowerThatWasCutOffDisturbsNobodyWhenItIsBack) {
  StartLoad();
  AssentdProcess* leader = Leader();
  ASSERT_NE(leader, nullptr);
  const double term = MetricOf(*leader, "assent_term");
  AssentdProcess* follower = Others(leader).front();
  Isolate(*follower);
  const uint64_t goal = Load().progress().committed + 30;
  EXPECT_TRUE(WaitUntil(seconds(20), [&] { return Load().progress().committed >= goal; }));
  std::this_thread::sleep_for(seconds(2));  // Several of its election timeouts.
  ExpectHealed();
  EXPECT_EQ(MetricOf(*leader, "assent_leader"), 1);
  EXPECT_EQ(MetricOf(*leader, "assent_term"), term);
  EXPECT_EQ(Load().progress().unsure, 0u);
  EndLoad();
}

// Its heartbeats still arrive, and so nobody would replace it if it led on.
TEST_F(GroupPartition, ALeaderThatHearsNobodyGivesUp) {
  AssentdProcess* old = Leader();
  ASSERT_NE(old, nullptr);
  for (AssentdProcess* other : Others(old)) {
    ASSERT_TRUE(Network().CutOneWay(other->node_id(), old->node_id()).ok());
  }
  ExpectStepsDown(*old);
  auto commit = TheProbe().CommitOne(seconds(30));
  ASSERT_TRUE(commit.ok()) << commit.status().ToString();
  std::printf("  %s from then on\n", commit->ToString().c_str());
  ExpectHealed();
}

// Nobody is left to commit; and when the two are back nothing is lost.
TEST_F(GroupPartition, WithoutAMajorityNobodyCommits) {
  StartLoad();
  Isolate(*House().coordinators()[0]);
  Isolate(*House().coordinators()[1]);
  for (const auto& node : House().coordinators()) ExpectStepsDown(*node);
  const uint64_t before = Load().progress().committed;
  for (const auto& node : House().coordinators()) {
    EXPECT_EQ(RawNode(*node, House().client_tls()).Begin(seconds(2)).reason, v1::REASON_NOT_LEADER);
  }
  std::this_thread::sleep_for(seconds(1));  // Nothing to wait for: nothing must happen.
  EXPECT_EQ(Load().progress().committed, before);
  ExpectHealed();
  EXPECT_TRUE(TheProbe().CommitOne(seconds(10)).ok());
  EndLoad();
}

// Cut off and thawed, it holds itself for the leader for a moment: the longest that a stale leader
// can live.
TEST_F(GroupPartition, AStaleLeaderAnswersNothingStale) {
  auto thawed =
      ThawedLeader::Ask(House(), TheProbe(), [](AssentdProcess& frozen) { Isolate(frozen); });
  ASSERT_TRUE(thawed.ok()) << thawed.status().ToString();
  EXPECT_EQ(thawed->stale, std::vector<std::string>{});
  ExpectHealed();
}

TEST_F(GroupPartition, AStaleLeaderWithASeededBugIsCaught) {
  for (const auto& node : House().coordinators()) {
    node->Kill9();
    ASSERT_TRUE(node->Start({{"ASSENT_MUTANT", "newer_epoch_answered"}}).ok());
  }
  auto thawed =
      ThawedLeader::Ask(House(), TheProbe(), [](AssentdProcess& frozen) { Isolate(frozen); });
  ASSERT_TRUE(thawed.ok()) << thawed.status().ToString();
  EXPECT_FALSE(thawed->stale.empty());
  for (const auto& node : House().coordinators()) {
    node->Kill9();
    ASSERT_TRUE(node->Start().ok());
  }
}

}  // namespace
}  // namespace assent::system_tests
