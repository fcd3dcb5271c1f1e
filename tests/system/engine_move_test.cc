// Coordinators on etcd, and a cluster that moves from one engine to the other and back, by the
// commands of docs/engines.md. etcd is as the page has it: under TLS, whatever the other doors are.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
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

using nlohmann::json;
using std::chrono::seconds;
using test_support::DocStep;
using test_support::EtcdServers;
using test_support::ReplaceAll;
using test_support::TlsUnderTest;
using test_support::WaitUntil;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr char kPage[] = "docs/engines.md";
constexpr char kStart[] = "assentd --config assentd.toml";  // As a process of the house.

// The page's etcd, with an authority of its own: who shows a certificate of the house's is refused.
class EtcdOfThePage {
 public:
  static Result<std::unique_ptr<EtcdOfThePage>> Create() {
    std::unique_ptr<EtcdOfThePage> made(new EtcdOfThePage);
    if (Status s = test_support::MakeCertificates(made->certificates_); !s.ok()) return s;
    auto servers = EtcdServers::Create({.tls = made->Certificate("node")});
    if (!servers.ok()) return servers.status();
    made->servers_ = std::move(*servers);
    return made;
  }

  EtcdServers& servers() { return *servers_; }

  // The page's lines, with its places and files.
  std::string Here(std::string lines) const {
    const test_support::TlsPaths client = Certificate("client");
    ReplaceAll("10.0.0.1:2379\", \"10.0.0.2:2379", servers_->endpoints().at(0), &lines);
    ReplaceAll("/etc/assent/etcd/ca.pem", client.ca_file, &lines);
    ReplaceAll("/etc/assent/etcd/client.pem", client.cert_file, &lines);
    ReplaceAll("/etc/assent/etcd/client.key", client.key_file, &lines);
    return lines;
  }

 private:
  test_support::TlsPaths Certificate(const std::string& name) const {
    return test_support::PathsOf(certificates_.path(), name);
  }

  test_support::TempDir certificates_;
  std::unique_ptr<EtcdServers> servers_;
};

class EngineMove : public BackupTest {
 protected:
  static void StartBoth(int coordinators) {
    auto etcd = EtcdOfThePage::Create();
    if (etcd.status().code() == Code::kNotFound) GTEST_SKIP() << etcd.status().message();
    ASSERT_TRUE(etcd.ok()) << etcd.status().ToString();
    etcd_ = std::move(*etcd);
    StartHouse({.coordinators = coordinators, .tls = TlsUnderTest()});
  }
  static void TearDownTestSuite() {
    BackupTest::TearDownTestSuite();
    etcd_.reset();
  }

  static bool Several() { return House().coordinators().size() > 1; }

  // What the page says of node 2 on Raft, said of this one; the uuid and the incarnation are what
  // `status` shows.
  static std::string Of(const AssentdProcess& node, const json& status, std::string text) {
    const std::string id = std::to_string(node.node_id());
    ReplaceAll("node_id = 2", "node_id = " + id, &text);
    ReplaceAll("member add 2", "member add " + id, &text);
    ReplaceAll("member promote 2", "member promote " + id, &text);
    ReplaceAll("10.0.0.2:7400", node.endpoint(), &text);
    ReplaceAll("10.0.0.2:7401", node.peer_endpoint(), &text);
    ReplaceAll("3f0c2f4e-7a51-4d0b-9d7e-1c2b3a495867", status["cluster_uuid"], &text);
    ReplaceAll("11400714819323198485", status["group_incarnation"], &text);
    return text;
  }

  // The node's config, with lines of the page in place of what the page says.
  static void Configure(const AssentdProcess& node, std::string lines) {
    lines = etcd_->Here(std::move(lines));
    ReplaceAll("/var/lib/assent/assentd", node.data_dir(), &lines);
    ReplaceAll("10.0.0.1:7401", node.peer_endpoint(), &lines);
    for (const char* left : {"10.0.0.", "/etc/"}) {
      ASSERT_THAT(lines, testing::Not(HasSubstr(left))) << "a place of the page is left";
    }
    std::istringstream before(test_support::ReadFile(node.config_file()));
    for (std::string line; std::getline(before, line);) {
      static const char* const kReplaced[] = {
          "node_id",           "data_dir", "members", "cluster_uuid",
          "group_incarnation", "peer_",    "engine",  "etcd_"};
      const bool replaced = std::any_of(std::begin(kReplaced), std::end(kReplaced),
                                        [&](const char* begin) { return line.starts_with(begin); });
      if (!replaced) lines += line + '\n';
    }
    ASSERT_TRUE(test_support::WriteFile(node.config_file(), lines).ok());
  }

  // The bank's books are right, and what its clients were told is known from here on.
  void Work() {
    StartLoad();
    EXPECT_TRUE(WaitUntil(seconds(30), [&] { return Load().progress().committed >= 20; }));
    Load().Stop(seconds(30));
    for (const test_support::ToldTransfer& transfer : Load().Told()) {
      if (transfer.told == test_support::Told::kCommitted) committed_.push_back(transfer.gtrid);
    }
    EndLoad();
    auto commit = TheProbe().CommitOne(seconds(20));
    ASSERT_TRUE(commit.ok()) << commit.status().ToString();
    committed_.push_back(commit->gtrid);
    probed_.push_back(commit->gtrid);
    auto open = TheProbe().Work();
    ASSERT_TRUE(open.ok()) << open.status().ToString();
    EXPECT_TRUE(open->Rollback().aborted());
    aborted_ = open->gtrid();
  }

  void ExpectEveryCommitAt(const AssentdProcess& leader) {
    const RawNode node(leader, House().client_tls());
    for (const std::string& gtrid : committed_) {
      const RawNode::Word word = node.Get(gtrid, seconds(5));
      ASSERT_EQ(word.outcome, v1::OUTCOME_COMMITTED) << leader.name() << ": " << word.ToString();
    }
  }

  // What any coordinator that leads knows of the engines before: every commit. An abort is in no
  // log: it is not guessed.
  void ExpectKnown() {
    AssentdProcess* leader = nullptr;
    for (int turn = 0; turn < (Several() ? 2 : 1); ++turn) {
      if (turn > 0) {
        EXPECT_EQ(Ctl({"member", "transfer"}).code, 0);
      }
      leader = Leader(leader);
      ASSERT_NE(leader, nullptr);
      ExpectEveryCommitAt(*leader);
      EXPECT_EQ(RawNode(*leader, House().client_tls()).Get(aborted_, seconds(5)).outcome,
                v1::OUTCOME_UNKNOWN);
    }
    for (const std::string& gtrid : probed_) {
      auto applied = TheProbe().IsApplied(gtrid);
      EXPECT_TRUE(applied.ok() && *applied) << gtrid << ": " << applied.status().ToString();
    }
  }

  // Up to a group that is stopped, with its backup at BackupFile().
  void RestSaveAndStop() {
    const auto commands = CommandsUnder("Let it come to rest", kPage);
    ASSERT_EQ(commands.size(), 2u);
    // What is under way is shown, whoever leads.
    auto open = TheProbe().Work();
    ASSERT_TRUE(open.ok()) << open.status().ToString();
    EXPECT_THAT(Shell(commands[0]).output, HasSubstr(open->gtrid()));
    EXPECT_TRUE(open->Rollback().aborted());
    EXPECT_TRUE(WaitUntil(seconds(30), [&] {
      return Shell(commands[0]).output == "no transactions\n";
    })) << Shell(commands[0]).output;
    const CtlAnswer saved = Shell(commands[1]);
    ASSERT_EQ(saved.code, 0) << saved.output;
    const std::string incarnation = Incarnation();
    for (auto& node : House().coordinators()) EXPECT_TRUE(node->Terminate().ok());
    for (auto& node : House().coordinators()) {
      if (!std::filesystem::exists(node->data_dir())) continue;
      std::filesystem::rename(node->data_dir(), node->data_dir() + "." + incarnation);
    }
  }

  void ConfigureForEtcd() {
    for (auto& node : House().coordinators()) {
      Configure(*node, BlockUnder("To etcd", "toml", kPage));
    }
  }

  // From coordinators that are configured anew up to a group that works.
  void MakeTheGroupOnEtcd() {
    Restore("there is a group below assent/bank in etcd already", "Make the group", kPage);
    if (HasFatalFailure()) return;
    const auto commands = CommandsUnder("The others, on etcd", kPage);
    ASSERT_THAT(commands, ElementsAre(kStart, "assentctl member list"));
    for (AssentdProcess* node : Others(&Node(1))) ASSERT_TRUE(node->Start().ok());
    CtlAnswer list;
    ASSERT_TRUE(WaitUntil(seconds(20), [&] {
      list = Shell(commands[1]);
      return list.code == 0 && Lists(list.output);
    })) << list.output;
    LetTheAgentsIn();
  }
  void MakeTheGroupOnRaft() {
    Configure(Node(1), BlockUnder("To Raft", "toml", kPage));
    Restore("start that node without", "Make the group", kPage);
    if (HasFatalFailure()) return;
    const json status = Ask({"status"});
    ASSERT_TRUE(status.is_object());
    for (AssentdProcess* node : Others(&Node(1))) {
      Join(*node, status);
      if (HasFatalFailure()) return;
    }
    LetTheAgentsIn();
  }
  void Join(AssentdProcess& node, const json& status) {
    const std::string mark = "The others, on Raft";
    Configure(node, Of(node, status, BlockUnder(mark, "toml", kPage)));
    if (HasFatalFailure()) return;
    const std::string commands = Of(node, status, BlockUnder(mark, "sh", kPage));
    for (const DocStep& step : test_support::DocSteps(commands)) {
      SCOPED_TRACE(step.command);
      if (step.command == kStart) {
        ASSERT_TRUE(node.Start().ok()) << node.Log();
        continue;
      }
      CtlAnswer answer;
      ASSERT_TRUE(WaitUntil(step.Says("once ") ? seconds(30) : seconds(0), [&] {
        answer = Shell(step.command, node);
        return answer.code == 0;
      })) << answer.output;
    }
  }
  // Does this list name each coordinator?
  static bool Lists(const std::string& list) {
    const auto endpoints = House().endpoints();
    return std::all_of(endpoints.begin(), endpoints.end(),
                       [&](const std::string& one) { return list.find(one) != std::string::npos; });
  }
  void LetTheAgentsIn() {
    EXPECT_THAT(CommandsUnder("Let each agent in", kPage),
                ElementsAre("assent-agent --config assent-agent.toml --repin"));
    Repin();
    StartAgents();
    EXPECT_THAT(Hazards(), IsEmpty());
    EXPECT_EQ(PreparedNow(), 0);
  }

  static inline std::unique_ptr<EtcdOfThePage> etcd_;
  std::vector<std::string> committed_;  // In whatever engine.
  std::vector<std::string> probed_;     // Those of them whose rows are still there.
  std::string aborted_;                 // The last.
};

// ---- One coordinator ----------------------------------------------------------------------------

class EngineMoveOfOne : public EngineMove {
 protected:
  static void SetUpTestSuite() { StartBoth(1); }
};

TEST_F(EngineMoveOfOne, FromRaftToEtcdAndBack) {
  Work();
  const std::string first = Incarnation();
  RestSaveAndStop();
  ConfigureForEtcd();
  if (HasFatalFailure()) return;
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
  MakeTheGroupOnEtcd();
  if (HasFatalFailure()) return;
  const std::string second = Incarnation();
  EXPECT_NE(second, first);
  ExpectKnown();
  Work();

  RestSaveAndStop();
  MakeTheGroupOnRaft();
  if (HasFatalFailure()) return;
  EXPECT_NE(Incarnation(), second);
  ExpectKnown();
  Work();

  // And once more, where a group has been.
  RestSaveAndStop();
  ConfigureForEtcd();
  const CtlAnswer refused = Shell(CommandsUnder("Make the group", kPage).at(0));
  EXPECT_EQ(refused.code, 1);
  EXPECT_THAT(refused.output, HasSubstr("give another etcd_prefix"));
  const auto emptied = CommandsUnder("Use a prefix again", kPage);
  ASSERT_THAT(emptied, ElementsAre("etcdctl del --prefix assent/bank/"));
  ASSERT_TRUE(etcd_->servers().Ctl({"del", "--prefix", "assent/bank/"}).ok());
  MakeTheGroupOnEtcd();
  if (HasFatalFailure()) return;
  ExpectKnown();
  Work();
}

// ---- Several ------------------------------------------------------------------------------------

class EngineMoveOfThree : public EngineMove {
 protected:
  static void SetUpTestSuite() { StartBoth(3); }
};

TEST_F(EngineMoveOfThree, FromRaftToEtcdAndBack) {
  Work();
  RestSaveAndStop();
  ConfigureForEtcd();
  if (HasFatalFailure()) return;
  MakeTheGroupOnEtcd();
  if (HasFatalFailure()) return;
  ExpectKnown();
  Work();

  RestSaveAndStop();
  MakeTheGroupOnRaft();
  if (HasFatalFailure()) return;
  ExpectKnown();
  Work();
  // Those that joined are as good as the first.
  Node(1).Kill9();
  AssentdProcess* leader = Leader(&Node(1));
  ASSERT_NE(leader, nullptr);
  ExpectEveryCommitAt(*leader);
  Work();
  ASSERT_TRUE(Node(1).Start().ok());
}

// ---- The page -----------------------------------------------------------------------------------

TEST(EnginesDoc, ItsLinesMakeAGroup) {
  auto etcd = EtcdOfThePage::Create();
  if (etcd.status().code() == Code::kNotFound) GTEST_SKIP() << etcd.status().message();
  ASSERT_TRUE(etcd.ok()) << etcd.status().ToString();
  const auto page = test_support::DocBlocks(kPage);
  const std::string mark = "Setting it up";
  const auto steps = test_support::DocSteps(test_support::DocBlockUnder(page, mark, "sh"));
  ASSERT_EQ(steps.size(), 2u);
  EXPECT_EQ(steps[0].command, std::string(kStart) + " --bootstrap");  // By CreateOnEtcd.
  EXPECT_EQ(steps[1].command, kStart);
  test_support::AssentdOptions options;
  options.settings =
      test_support::DocSettings((*etcd)->Here(test_support::DocBlockUnder(page, mark, "toml")));
  EXPECT_EQ(options.settings["cluster"], "\"shop\"");
  test_support::TlsPaths client;
  if (TlsUnderTest()) {
    options.settings.merge(
        test_support::TlsSettings(test_support::PathsOf(test_support::TestCertificates(), "node")));
    client = test_support::PathsOf(test_support::TestCertificates(), "client");
  }
  const test_support::TempDir dir;
  auto group = AssentdProcess::CreateOnEtcd(dir, options, 2, (*etcd)->servers().endpoints());
  ASSERT_TRUE(group.ok()) << group.status().ToString();
  for (auto& node : *group) ASSERT_TRUE(node->Start().ok()) << node->Log();
  AssentdProcess* leader = test_support::WaitLeader(*group, seconds(20), client);
  ASSERT_NE(leader, nullptr);
  EXPECT_TRUE(leader->Terminate().ok());
  EXPECT_NE(test_support::WaitLeader(*group, seconds(20), client, leader), nullptr);
}

TEST(EnginesDoc, NoBlockIsThereThatNoTestRuns) {
  const std::set<std::string> run = {"Setting it up",
                                     "Let it come to rest",
                                     "To etcd",
                                     "To Raft",
                                     "Make the group",
                                     "The others, on etcd",
                                     "The others, on Raft",
                                     "Let each agent in",
                                     "Use a prefix again"};
  const auto page = test_support::DocBlocks(kPage);
  ASSERT_FALSE(page.empty());
  for (const auto& block : page) {
    EXPECT_TRUE(run.contains(block.mark))
        << kPage << ":" << block.line << ": no test runs the block under '" << block.mark << "'";
  }
}

}  // namespace
}  // namespace assent::system_tests
