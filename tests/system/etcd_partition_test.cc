// Coordinators and their etcd, cut apart: in both directions, and in either.
#include <gtest/gtest.h>

#include <thread>

#include "tests/support/etcd_servers.h"
#include "tests/support/process.h"
#include "tests/system/partition_fixture.h"

namespace assent::system_tests {
namespace {

using client::Outcome;
using std::chrono::milliseconds;
using std::chrono::seconds;
using test_support::NoEtcd;
using test_support::WaitUntil;

constexpr milliseconds kLease{2000};
constexpr int kEtcd = 3;  // Coordinators are nodes 1 and 2.

enum class Direction { kBoth, kToEtcd, kFromEtcd };

class EtcdPartition : public PartitionTest, public testing::WithParamInterface<Direction> {
 protected:
  static void SetUpTestSuite() {
    if (auto why_not = NoEtcd(); !why_not.empty()) return SkipAll(why_not);
    if (!MakeNetwork(kEtcd)) return;
    auto places = Network().Places();
    StartHouse({.coordinators = 2,
                .etcd_servers = 3,
                .etcd_place = places[kEtcd],
                .places = places,
                .coordinator_settings = {{"etcd_lease_ms", std::to_string(kLease.count())}},
                .tls = true,
                .tls_dir = CertificateDir()});
  }

  static void Cut(const AssentdProcess& node, Direction direction) {
    if (direction != Direction::kFromEtcd) {
      ASSERT_TRUE(Network().CutOneWay(node.node_id(), kEtcd).ok());
    }
    if (direction != Direction::kToEtcd) {
      ASSERT_TRUE(Network().CutOneWay(kEtcd, node.node_id()).ok());
    }
  }
  static void Heal() { ASSERT_TRUE(Network().Heal().ok()); }
};

TEST_P(EtcdPartition, AnotherLeadsAndTheOneThatIsCutOffAnswersNothingStale) {
  StartLoad();
  AssentdProcess* old = Leader();
  ASSERT_NE(old, nullptr);
  const RawNode cut_off(*old, House().client_tls());
  auto open = TheProbe().Work();
  ASSERT_TRUE(open.ok()) << open.status().ToString();
  Cut(*old, GetParam());
  auto commit = TheProbe().CommitOne(seconds(30));
  ASSERT_TRUE(commit.ok()) << commit.status().ToString();
  std::printf("  %s from the cut on\n", commit->ToString().c_str());
  EXPECT_EQ(TheProbe().coordinators().OutcomeOf(open->gtrid()).outcome, Outcome::kAborted);

  // Whoever leads now was let in by etcd once the lease had ended, and by its own clock it ended
  // before.
  EXPECT_FALSE(SaysThatItLeads(*old));
  ExpectNothingStale(cut_off, commit->gtrid, open->gtrid());

  AssentdProcess* leader = Leader(old);
  ASSERT_NE(leader, nullptr);
  Heal();
  // It follows, and takes over when it is asked to.
  EXPECT_TRUE(WaitUntil(seconds(20), [&] {
    return MetricOf(*old, "assent_term") == MetricOf(*leader, "assent_term");
  }));
  EXPECT_TRUE(SaysThatItLeads(*leader)) << "who came back deposed the leader";
  EXPECT_EQ(Ctl({"member", "transfer"}).code, 0);
  EXPECT_EQ(Leader(leader), old);
  EndLoad();
}

TEST_P(EtcdPartition, AStandbyThatIsCutOffDisturbsNobody) {
  StartLoad();
  AssentdProcess* leader = Leader();
  ASSERT_NE(leader, nullptr);
  const double term = MetricOf(*leader, "assent_term");
  AssentdProcess* standby = Others(leader).front();
  Cut(*standby, GetParam());
  // Longer than its lease, which is only for taking the lead. Nothing to wait for: nothing must
  // happen.
  std::this_thread::sleep_for(2 * kLease);
  const uint64_t goal = Load().progress().committed + 30;
  EXPECT_TRUE(WaitUntil(seconds(20), [&] { return Load().progress().committed >= goal; }));
  Heal();
  EXPECT_TRUE(SaysThatItLeads(*leader));
  EXPECT_EQ(MetricOf(*leader, "assent_term"), term);
  EXPECT_EQ(Load().progress().unsure, 0u);
  EndLoad();
}

// These tests can fail: one that goes on by itself is found out.
TEST_P(EtcdPartition, ALeaderWithASeededBugIsCaught) {
  AssentdProcess* old = Leader();
  ASSERT_NE(old, nullptr);
  AssentdProcess* other = Others(old).front();
  EXPECT_TRUE(other->Terminate().ok());
  EXPECT_TRUE(old->Terminate().ok());
  ASSERT_TRUE(old->Start({{"ASSENT_MUTANT", "etcd.trusts_itself"}}).ok());
  ASSERT_EQ(Leader(), old);
  ASSERT_TRUE(other->Start().ok());
  const RawNode cut_off(*old, House().client_tls());
  Cut(*old, GetParam());
  ASSERT_NE(Leader(old), nullptr);
  EXPECT_TRUE(SaysThatItLeads(*old));
  EXPECT_NE(cut_off.Begin(seconds(2)).reason, v1::REASON_NOT_LEADER);
  Heal();
  EXPECT_TRUE(old->Terminate().ok());
  ASSERT_TRUE(old->Start().ok());
}

INSTANTIATE_TEST_SUITE_P(Etcd, EtcdPartition,
                         testing::Values(Direction::kBoth, Direction::kToEtcd,
                                         Direction::kFromEtcd),
                         [](const testing::TestParamInfo<Direction>& direction) -> std::string {
                           return direction.param == Direction::kBoth     ? "BothWays"
                                  : direction.param == Direction::kToEtcd ? "ToEtcd"
                                                                          : "FromEtcd";
                         });

}  // namespace
}  // namespace assent::system_tests
