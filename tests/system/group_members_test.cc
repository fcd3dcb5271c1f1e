// Members that come and go while the group works, by the real assentctl.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <thread>

#include "tests/support/doors_under_test.h"
#include "tests/support/process.h"
#include "tests/system/group_fixture.h"
#include "tests/system/raw_node.h"

namespace assent::system_tests {
namespace {

using std::chrono::seconds;
using test_support::TlsUnderTest;
using test_support::Toml;
using test_support::WaitUntil;
using testing::HasSubstr;
using testing::Not;

// So small that whoever comes late needs a snapshot.
const Toml kSmallLog = {{"segment_bytes", "65536"}, {"snapshot_log_bytes", "65536"}};

class GroupMembers : public GroupTest {
 protected:
  static void TearDownTestSuite() { GroupTest::TearDownTestSuite(); }

  static std::string IdOf(const AssentdProcess& node) { return std::to_string(node.node_id()); }

  void CommitMore(uint64_t count) {
    const uint64_t goal = Load().progress().committed + count;
    ASSERT_TRUE(WaitUntil(seconds(60), [&] { return Load().progress().committed >= goal; }));
  }
  // Until the leader keeps of what it committed at first nothing but a snapshot (and what it has in
  // memory yet).
  void CommitPastASnapshot() {
    AssentdProcess* leader = Leader();
    ASSERT_NE(leader, nullptr);
    const std::string before = leader->Log();
    ASSERT_TRUE(WaitUntil(seconds(90), [&] {
      const std::string since = leader->Log().substr(before.size());
      return since.find("log_compacted") != std::string::npos;
    })) << "no snapshot";
  }
  // Adds a running node that was made to join, and promotes it once it has caught up.
  void Admit(AssentdProcess& node) {
    CtlAnswer added = Ctl({"member", "add", IdOf(node), node.peer_endpoint(), node.endpoint()});
    ASSERT_EQ(added.code, 0) << added.output;
    CtlAnswer promoted;
    EXPECT_TRUE(WaitUntil(seconds(30), [&] {
      promoted = Ctl({"member", "promote", IdOf(node)});
      return promoted.code == 0;
    })) << promoted.output;
  }
  void ExpectCommits() {
    auto commit = TheProbe().CommitOne(seconds(20));
    ASSERT_TRUE(commit.ok()) << commit.status().ToString();
  }
};

class GrowingGroup : public GroupMembers {
 protected:
  static void SetUpTestSuite() {
    StartHouse({.coordinators = 1,
                .can_grow = true,
                .coordinator_settings = kSmallLog,
                .tls = TlsUnderTest()});
  }
};

// The agents' configuration names the first alone: of the others they hear from the group.
TEST_F(GrowingGroup, GrowsFromOneToThreeAndShrinksAgainUnderLoad) {
  AssentdProcess* first = House().coordinators().front().get();
  auto second = House().AddJoining(2, *first);
  ASSERT_TRUE(second.ok()) << second.status().ToString();
  auto third = House().AddJoining(3, *first);
  ASSERT_TRUE(third.ok()) << third.status().ToString();
  // Clients are told before the group grows; nobody answers there yet.
  StartLoad();
  CommitPastASnapshot();
  EXPECT_TRUE(first->Terminate().ok());
  ASSERT_TRUE(first->Start().ok());
  for (AssentdProcess* node : {*second, *third}) {
    ASSERT_TRUE(node->Start().ok());
    // Before it is a member, it answers that it can do nothing, and disturbs nobody.
    EXPECT_EQ(RawNode(*node, House().client_tls()).Begin(seconds(2)).reason, v1::REASON_NOT_LEADER);
    Admit(*node);
    // The second may have what the third lacks in memory still.
    EXPECT_TRUE(node != *second || node->Logged("log_snapshot_installed")) << node->Log();
    CommitMore(20);
  }
  CtlAnswer list = Ctl({"member", "list"});
  EXPECT_EQ(list.code, 0) << list.output;
  for (AssentdProcess* node : {first, *second, *third}) {
    EXPECT_THAT(list.output, HasSubstr(node->peer_endpoint()));
    EXPECT_THAT(list.output, HasSubstr(node->endpoint()));
  }
  EXPECT_THAT(list.output, Not(HasSubstr("learner")));

  // Whoever asks elsewhere is led to where the leader is.
  CtlAnswer moved = Ctl({"member", "transfer", "3"});
  EXPECT_EQ(moved.code, 0) << moved.output;
  EXPECT_EQ(Leader(), *third);
  EXPECT_EQ(RawNode(*first, House().client_tls()).Begin(seconds(2)).leader, (*third)->endpoint());
  CommitMore(20);

  // The first goes, and is left running: it can neither lead nor depose.
  CtlAnswer removed = Ctl({"member", "remove", "1"});
  EXPECT_EQ(removed.code, 0) << removed.output;
  const double term = MetricOf(**third, "assent_term");
  std::this_thread::sleep_for(seconds(3));  // Several of its election timeouts.
  CommitMore(20);
  EXPECT_EQ(MetricOf(**third, "assent_term"), term) << "who was removed disturbs the others";
  EXPECT_EQ(MetricOf(**third, "assent_leader"), 1);
  EXPECT_EQ(MetricOf(*first, "assent_leader"), 0);
  EXPECT_EQ(RawNode(*first, House().client_tls()).Begin(seconds(2)).reason, v1::REASON_NOT_LEADER);
  EXPECT_TRUE(first->Terminate().ok());

  // Then the leader itself; the second is alone.
  removed = Ctl({"member", "remove", "3"});
  EXPECT_EQ(removed.code, 0) << removed.output;
  EXPECT_EQ(Leader(*third), *second);
  EXPECT_TRUE((*third)->Terminate().ok());
  CommitMore(20);
  removed = Ctl({"member", "remove", "2"});
  EXPECT_NE(removed.code, 0);
  EXPECT_THAT(removed.output, HasSubstr("last voter"));
  EndLoad();
}

class ReturningMember : public GroupMembers {
 protected:
  static void SetUpTestSuite() {
    StartHouse({.coordinators = 3, .coordinator_settings = kSmallLog, .tls = TlsUnderTest()});
  }
};

TEST_F(ReturningMember, CatchesUpBySnapshotAndKnowsAllThatWasDecided) {
  StartLoad();
  AssentdProcess* leader = Leader();
  ASSERT_NE(leader, nullptr);
  AssentdProcess* away = Others(leader).front();
  away->Kill9();
  CommitPastASnapshot();
  for (AssentdProcess* node : Others(away)) {
    EXPECT_TRUE(node->Terminate().ok());
    ASSERT_TRUE(node->Start().ok());
  }
  ASSERT_NE(Leader(), nullptr);
  ASSERT_TRUE(away->Start().ok());
  Status whole = WaitWhole(House(), seconds(30));
  ASSERT_TRUE(whole.ok()) << whole.ToString();
  EXPECT_TRUE(away->Logged("log_snapshot_installed")) << away->Log();
  // The bank asks once more about what it was told: at a leader that has heard it by snapshot.
  CtlAnswer moved = Ctl({"member", "transfer", IdOf(*away)});
  EXPECT_EQ(moved.code, 0) << moved.output;
  EXPECT_EQ(Leader(), away);
  EndLoad();
}

TEST_F(ReturningMember, ThatLostItsDirectoryIsNotWhoItWas) {
  AssentdProcess* leader = Leader();
  ASSERT_NE(leader, nullptr);
  AssentdProcess* lost = Others(leader).front();
  EXPECT_TRUE(lost->Terminate().ok());
  std::filesystem::remove_all(lost->data_dir());
  std::filesystem::create_directory(lost->data_dir());
  EXPECT_FALSE(lost->Start().ok());
  EXPECT_THAT(lost->Log(), HasSubstr("holds no node"));
  EXPECT_THAT(lost->Log(), HasSubstr("--join"));

  // Under its old id it would be a voter that has forgotten its votes.
  auto joined = lost->RunWith({"--config", lost->config_file(), "--join"});
  ASSERT_TRUE(joined.ok()) << joined.status().ToString();
  ASSERT_TRUE(joined->status.ok()) << joined->output;
  ASSERT_TRUE(lost->Launch().ok());
  ExpectCommits();  // The leader notices with the next entry.
  auto ended = lost->WaitEnd(seconds(20));
  ASSERT_TRUE(ended.has_value()) << "it takes part: " << lost->Log();
  EXPECT_EQ(ended->code, 1) << ended->ToString();
  EXPECT_THAT(lost->Log(), HasSubstr("was a voter of this group before"));
  ExpectCommits();

  // As another it may.
  CtlAnswer removed = Ctl({"member", "remove", IdOf(*lost)});
  EXPECT_EQ(removed.code, 0) << removed.output;
  auto fresh = House().AddJoining(4, *leader);
  ASSERT_TRUE(fresh.ok()) << fresh.status().ToString();
  ASSERT_TRUE((*fresh)->Start().ok());
  // Nobody is promoted who was never there.
  CtlAnswer absent = Ctl({"member", "add", "5", "127.0.0.1:1", "127.0.0.1:2"});
  EXPECT_EQ(absent.code, 0) << absent.output;
  absent = Ctl({"member", "promote", "5"});
  EXPECT_NE(absent.code, 0) << absent.output;
  EXPECT_EQ(Ctl({"member", "remove", "5"}).code, 0);
  Admit(**fresh);
  Status whole = WaitWhole(House(), seconds(30));
  EXPECT_TRUE(whole.ok()) << whole.ToString();
  ExpectCommits();
}

}  // namespace
}  // namespace assent::system_tests
