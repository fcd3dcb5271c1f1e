// Nodes that do not belong where they are started: what they say, and that nobody is disturbed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/random.h"
#include "tests/support/assent_processes.h"
#include "tests/support/certificates.h"
#include "tests/support/doors_under_test.h"
#include "tests/support/leader.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace assent::system_tests {
namespace {

using std::chrono::seconds;
using test_support::AssentdOptions;
using test_support::AssentdProcess;
using test_support::PathsOf;
using test_support::TestCertificates;
using test_support::TlsPaths;
using test_support::TlsSettings;
using test_support::TlsUnderTest;
using test_support::TomlString;
using test_support::WaitUntil;
using testing::AllOf;
using testing::HasSubstr;

// Three nodes without databases.
class WrongNode : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    dir_ = new test_support::TempDir;
    auto group = AssentdProcess::CreateGroup(*dir_, Options("assentd"), 3);
    ASSERT_TRUE(group.ok()) << group.status().ToString();
    group_ = std::move(*group);
    for (auto& node : group_) ASSERT_TRUE(node->Start().ok());
    ASSERT_NE(WaitLeader(group_, seconds(20), Tls("client")), nullptr);
  }
  static void TearDownTestSuite() {
    group_.clear();
    delete std::exchange(dir_, nullptr);
  }

  // None where the tests are plain.
  static TlsPaths Tls(const std::string& name) {
    return TlsUnderTest() ? PathsOf(TestCertificates(), name) : TlsPaths{};
  }
  static AssentdOptions Options(const std::string& name) {
    AssentdOptions options;
    options.name = name;
    options.settings = TlsSettings(Tls("node"));
    return options;
  }

  static AssentdProcess& Leader() { return *WaitLeader(group_, seconds(20), Tls("client")); }
  static AssentdProcess& Follower() {
    AssentdProcess& leader = Leader();
    return group_[0].get() == &leader ? *group_[1] : *group_[0];
  }

  // Runs a node anew with other options and expects that it ends and says why.
  static std::string RefusedStart(const test_support::Environment& env) {
    AssentdProcess& node = Follower();
    EXPECT_TRUE(node.Terminate().ok());
    EXPECT_FALSE(node.Start(env).ok());
    std::string log = node.Log();
    EXPECT_TRUE(node.Start().ok());
    return log;
  }

  static std::pair<int, std::string> Ctl(const test_support::Argv& arguments) {
    test_support::Argv argv = {test_support::OwnBinDir() + "/assentctl", "--endpoint",
                               Leader().endpoint()};
    if (const TlsPaths tls = Tls("client"); !tls.ca_file.empty()) {
      argv.insert(argv.end(), {"--tls-ca-file", tls.ca_file, "--tls-cert-file", tls.cert_file,
                               "--tls-key-file", tls.key_file});
    }
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    auto ran = test_support::Run(argv, {}, {}, dir_->File("ctl.out"), seconds(30));
    if (!ran.ok()) return {-1, ran.status().ToString()};
    return {ran->status.code, ran->output};
  }

  static test_support::TempDir* dir_;
  static std::vector<std::unique_ptr<AssentdProcess>> group_;
};

test_support::TempDir* WrongNode::dir_ = nullptr;
std::vector<std::unique_ptr<AssentdProcess>> WrongNode::group_;

TEST_F(WrongNode, OfAnotherClusterNameDoesNotStart) {
  EXPECT_THAT(RefusedStart({{"ASSENT_CLUSTER", "elsewhere"}}),
              AllOf(HasSubstr("elsewhere"), HasSubstr("test")));
}

TEST_F(WrongNode, OfAnotherUuidDoesNotStart) {
  const std::string other = RandomUuid();
  EXPECT_THAT(RefusedStart({{"ASSENT_CLUSTER_UUID", other}}), HasSubstr(other));
}

TEST_F(WrongNode, InTheDirectoryOfAnotherIdDoesNotStart) {
  EXPECT_THAT(RefusedStart({{"ASSENT_NODE_ID", "7"}}), HasSubstr("this node is configured as 7"));
}

TEST_F(WrongNode, InADirectoryThatIsInUseDoesNotStart) {
  AssentdProcess& node = Follower();
  auto second = node.RunWith({"--config", node.config_file()});
  ASSERT_TRUE(second.ok()) << second.status().ToString();
  EXPECT_EQ(second->status.code, 1);
  EXPECT_TRUE(node.Running());
}

TEST_F(WrongNode, OfAnotherClusterIsRefusedByItsPeers) {
  const std::string other = RandomUuid();
  AssentdOptions options = Options("stranger");
  options.settings["cluster_uuid"] = TomlString(other);
  auto stranger = AssentdProcess::CreateJoining(*dir_, options, 9, *group_[0]);
  ASSERT_TRUE(stranger.ok()) << stranger.status().ToString();
  ASSERT_TRUE((*stranger)->Start().ok());
  auto [code, output] =
      Ctl({"member", "add", "9", (*stranger)->peer_endpoint(), (*stranger)->endpoint()});
  EXPECT_EQ(code, 0) << output;
  AssentdProcess& leader = Leader();
  EXPECT_TRUE(WaitUntil(seconds(10), [&] {
    const std::string log = leader.Log();
    return log.find("peer_refused peer=9") != std::string::npos &&
           log.find("reason=cluster") != std::string::npos;
  })) << leader.Log();
  EXPECT_EQ(Ctl({"member", "promote", "9"}).first, 1);
  EXPECT_EQ(Ctl({"member", "remove", "9"}).first, 0);
}

TEST_F(WrongNode, WithAnIdThatIsTakenIsNotAdded) {
  auto twice = AssentdProcess::CreateJoining(*dir_, Options("double"), 3, *group_[0]);
  ASSERT_TRUE(twice.ok()) << twice.status().ToString();
  ASSERT_TRUE((*twice)->Start().ok());
  auto [code, output] =
      Ctl({"member", "add", "3", (*twice)->peer_endpoint(), (*twice)->endpoint()});
  EXPECT_NE(code, 0);
  EXPECT_THAT(output, HasSubstr("member 3 is a member already"));
  auto [listed, members] = Ctl({"member", "list"});
  EXPECT_EQ(listed, 0) << members;
  EXPECT_THAT(members, HasSubstr(group_[2]->peer_endpoint()));
}

// How it has voted is lost: among those that know of it, it must not vote once more.
TEST_F(WrongNode, BootstrappedAnewInAnEmptiedDirectoryIsRefusedByItsPeers) {
  AssentdProcess& leader = Leader();
  AssentdProcess& node = Follower();
  const std::string kept = node.data_dir() + ".kept";
  EXPECT_TRUE(node.Terminate().ok());
  std::filesystem::rename(node.data_dir(), kept);
  auto anew = node.RunWith({"--config", node.config_file(), "--bootstrap"});
  ASSERT_TRUE(anew.ok()) << anew.status().ToString();
  ASSERT_TRUE(anew->status.ok()) << anew->output;
  ASSERT_TRUE(node.Launch().ok());
  EXPECT_TRUE(WaitUntil(seconds(10),
                        [&] {
                          return node.Log().find("reason=directory") != std::string::npos &&
                                 leader.Log().find("reason=directory") != std::string::npos;
                        }))
      << node.Log() << leader.Log();
  EXPECT_THAT(node.Log(), HasSubstr("how it had voted is lost"));
  EXPECT_FALSE(node.Logged("log_leader")) << node.Log();

  EXPECT_TRUE(node.Terminate().ok());
  std::filesystem::remove_all(node.data_dir());
  std::filesystem::rename(kept, node.data_dir());
  EXPECT_TRUE(node.Start().ok());
}

// Each would be a group of its own, with one name.
TEST(WrongMembers, ThatDifferBetweenTheFirstNodesAreRefused) {
  test_support::TempDir dir;
  AssentdOptions options;
  options.settings = TlsSettings(TlsUnderTest() ? PathsOf(TestCertificates(), "node") : TlsPaths{});
  auto group = AssentdProcess::CreateGroup(dir, options, 2);
  ASSERT_TRUE(group.ok()) << group.status().ToString();
  AssentdProcess& one = *group->at(0);
  AssentdProcess& other = *group->at(1);
  std::filesystem::remove_all(other.data_dir());
  const std::string only_itself = "2=" + other.peer_endpoint() + "," + other.endpoint();
  std::string config = test_support::ReadFile(other.config_file());
  const size_t members = config.find("members = [");
  ASSERT_NE(members, std::string::npos) << config;
  config.replace(members, config.find('\n', members) - members,
                 "members = [" + TomlString(only_itself) + "]");
  std::ofstream(dir.File("alone.toml")) << config;
  auto alone = other.RunWith({"--config", dir.File("alone.toml"), "--bootstrap"});
  ASSERT_TRUE(alone.ok()) << alone.status().ToString();
  ASSERT_TRUE(alone->status.ok()) << alone->output;
  ASSERT_TRUE(one.Launch().ok());
  ASSERT_TRUE(other.Launch().ok());
  EXPECT_TRUE(WaitUntil(
      seconds(10), [&] { return one.Log().find("reason=first_members") != std::string::npos; }))
      << one.Log() << other.Log();
  EXPECT_THAT(one.Log(), HasSubstr("were bootstrapped with different members"));
  EXPECT_FALSE(one.Logged("log_leader")) << one.Log();
}

TEST(WrongMembers, AreNamedAtBootstrap) {
  test_support::TempDir dir;
  const struct {
    const char* members;
    const char* problem;
  } cases[] = {
      {"[\"2=127.0.0.1:1,127.0.0.1:2\"]", "members does not list node_id = 1"},
      {"[\"1=127.0.0.1:1,127.0.0.1:2\", \"1=127.0.0.1:3,127.0.0.1:4\"]", "id 1 stands there twice"},
      {"[\"1=127.0.0.1:1\"]", "is not of the form ID=PEER_ADDRESS,ADDRESS"},
      {"[\"one=127.0.0.1:1,127.0.0.1:2\"]", "is no number"},
  };
  int n = 0;
  for (const auto& one : cases) {
    AssentdOptions options;
    options.name = "wrong" + std::to_string(++n) + "-";
    options.settings = {{"members", one.members}};
    auto group = AssentdProcess::CreateGroup(dir, options, 1);
    ASSERT_FALSE(group.ok()) << one.members;
    EXPECT_THAT(group.status().message(), HasSubstr(one.problem));
  }
}

}  // namespace
}  // namespace assent::system_tests
