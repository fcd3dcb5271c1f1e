// A cluster moves from one engine to the other and back, by the commands of docs/engines.md.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <sstream>

#include "base/failpoint.h"
#include "tests/support/doc_page.h"
#include "tests/support/doors_under_test.h"
#include "tests/support/etcd_servers.h"
#include "tests/support/stop_point.h"
#include "tests/system/backup_fixture.h"
#include "tests/system/raw_node.h"

namespace assent::system_tests {
namespace {

using std::chrono::seconds;
using test_support::EtcdServers;
using test_support::ReplaceAll;
using test_support::WaitUntil;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr char kPage[] = "docs/engines.md";

class EngineMove : public BackupTest {
 protected:
  static void SetUpTestSuite() {
    auto etcd = EtcdServers::Create();
    if (etcd.status().code() == Code::kNotFound) GTEST_SKIP() << etcd.status().message();
    ASSERT_TRUE(etcd.ok()) << etcd.status().ToString();
    etcd_ = std::move(*etcd);
    StartHouse({.coordinators = 1, .tls = test_support::TlsUnderTest()});
  }
  static void TearDownTestSuite() {
    BackupTest::TearDownTestSuite();
    etcd_.reset();
  }

  // The config of the node, with the lines of the page in place of what the page says.
  static void Configure(const std::string& mark) {
    std::string lines = BlockUnder(mark, "toml", kPage);
    ReplaceAll("10.0.0.1:2379\", \"10.0.0.2:2379", etcd_->endpoints().at(0), &lines);
    ReplaceAll("/var/lib/assent/assentd", Node(1).data_dir() + ".again", &lines);
    ReplaceAll("10.0.0.1:7401", Node(1).peer_endpoint(), &lines);
    ASSERT_THAT(lines, testing::Not(HasSubstr("10.0.0."))) << "a place of the page is left";
    std::istringstream before(test_support::ReadFile(Node(1).config_file()));
    for (std::string line; std::getline(before, line);) {
      static const char* const kReplaced[] = {
          "node_id",           "data_dir", "members", "cluster_uuid",
          "group_incarnation", "peer_",    "engine",  "etcd_"};
      const bool replaced = std::any_of(std::begin(kReplaced), std::end(kReplaced),
                                        [&](const char* begin) { return line.starts_with(begin); });
      if (!replaced) lines += line + '\n';
    }
    ASSERT_TRUE(test_support::WriteFile(Node(1).config_file(), lines).ok());
  }

  void Work() {
    StartLoad();
    EXPECT_TRUE(WaitUntil(seconds(30), [&] { return Load().progress().committed >= 20; }));
    EndLoad();
  }

  // Up to a group that is stopped, with its backup at BackupFile().
  void RestSaveAndStop() {
    const auto commands = CommandsUnder("Let it come to rest", kPage);
    ASSERT_EQ(commands.size(), 2u);
    EXPECT_TRUE(WaitUntil(seconds(30), [&] {
      return Shell(commands[0]).output.find("0 live, 0 unfinished, 0 heuristic") !=
             std::string::npos;
    })) << Shell(commands[0]).output;
    const CtlAnswer saved = Shell(commands[1]);
    ASSERT_EQ(saved.code, 0) << saved.output;
    EXPECT_TRUE(Node(1).Terminate().ok());
  }

  // From a node that is configured anew up to a group that works.
  void MakeTheGroup(const std::string& refused_again) {
    Restore(refused_again, "Make the group", kPage);
    if (HasFatalFailure()) return;
    EXPECT_THAT(CommandsUnder("Let each agent in", kPage),
                ElementsAre("assent-agent --config assent-agent.toml --repin"));
    Repin();
    StartAgents();
    EXPECT_THAT(Hazards(), IsEmpty());
    EXPECT_EQ(PreparedNow(), 0);
  }

  // Does the group know that this one was committed?
  static bool Knows(const std::string& gtrid) {
    return RawNode(Node(1), House().client_tls()).Get(gtrid, seconds(5)).outcome ==
           v1::OUTCOME_COMMITTED;
  }

  static inline std::unique_ptr<EtcdServers> etcd_;
};

TEST_F(EngineMove, FromRaftToEtcdAndBack) {
  Work();
  auto in_raft = TheProbe().CommitOne(seconds(20));
  ASSERT_TRUE(in_raft.ok()) << in_raft.status().ToString();
  const std::string first = Incarnation();

  RestSaveAndStop();
  Configure("To etcd");
#if defined(ASSENT_FAILPOINTS)
  {
    // The power fails when the state is there, and the group's name is not.
    const test_support::StopPoint midway("etcd.restore.step", 2);
    auto cut_short =
        test_support::Process::Spawn({test_support::OwnBinDir() + "/assentd", "--config",
                                      Node(1).config_file(), "--restore", BackupFile()},
                                     midway.Env(), {.inherit_environment = false});
    ASSERT_TRUE(cut_short.ok()) << cut_short.status().ToString();
    const Status reached = midway.WaitReached(seconds(20));
    ASSERT_TRUE(reached.ok()) << reached.ToString();
    (*cut_short)->Kill9();
    auto start = Node(1).RunWith({"--config", Node(1).config_file()});
    ASSERT_TRUE(start.ok()) << start.status().ToString();
    EXPECT_EQ(start->status.code, 1);
    EXPECT_THAT(start->output, HasSubstr("there is no group below assent/bank in etcd"));
  }
#endif
  MakeTheGroup("there is a group below assent/bank in etcd already");
  const std::string second = Incarnation();
  EXPECT_NE(second, first);
  EXPECT_TRUE(Knows(in_raft->gtrid));
  Work();
  auto in_etcd = TheProbe().CommitOne(seconds(20));
  ASSERT_TRUE(in_etcd.ok()) << in_etcd.status().ToString();

  RestSaveAndStop();
  Configure("To Raft");
  MakeTheGroup("start that node without");
  EXPECT_NE(Incarnation(), second);
  EXPECT_TRUE(Knows(in_raft->gtrid));
  EXPECT_TRUE(Knows(in_etcd->gtrid));
  Work();

  // And once more, where a group has been.
  RestSaveAndStop();
  Configure("To etcd");
  const std::string make = CommandsUnder("Make the group", kPage).at(0);
  const CtlAnswer refused = Shell(make);
  EXPECT_EQ(refused.code, 1);
  EXPECT_THAT(refused.output, HasSubstr("give another etcd_prefix"));
  const auto emptied = CommandsUnder("Use a prefix again", kPage);
  ASSERT_THAT(emptied, ElementsAre("etcdctl del --prefix assent/bank/"));
  ASSERT_TRUE(etcd_->Ctl({"del", "--prefix", "assent/bank/"}).ok());
  MakeTheGroup("there is a group below assent/bank in etcd already");
  EXPECT_TRUE(Knows(in_raft->gtrid));
  EXPECT_TRUE(Knows(in_etcd->gtrid));
  Work();
}

TEST(EnginesDoc, NoBlockIsThereThatNoTestRuns) {
  const std::set<std::string> run = {
      "Let it come to rest", "To etcd",           "To Raft",
      "Make the group",      "Let each agent in", "Use a prefix again"};
  const auto page = test_support::DocBlocks(kPage);
  ASSERT_FALSE(page.empty());
  for (const auto& block : page) {
    EXPECT_TRUE(run.contains(block.mark))
        << kPage << ":" << block.line << ": no test runs the block under '" << block.mark << "'";
  }
}

}  // namespace
}  // namespace assent::system_tests
