#include "tests/system/backup_fixture.h"

#include <gmock/gmock.h>

#include <filesystem>

#include "tests/support/doc_page.h"
#include "tests/support/doors_under_test.h"

namespace assent::system_tests {

using nlohmann::json;
using std::chrono::seconds;
using test_support::AgentProcess;
using test_support::DocBlockUnder;
using test_support::ReplaceAll;
using test_support::TlsUnderTest;
using test_support::WaitUntil;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

AssentdProcess& BackupTest::Node(int id) {
  return *House().coordinators()[static_cast<size_t>(id - 1)];
}

void BackupTest::SetUpTestSuite() { StartHouse({.coordinators = 3, .tls = TlsUnderTest()}); }

std::string BackupTest::BlockUnder(const std::string& mark, const std::string& language,
                                   const std::string& page) {
  return DocBlockUnder(test_support::DocBlocks(page), mark, language);
}

std::vector<std::string> BackupTest::CommandsUnder(const std::string& mark,
                                                   const std::string& page) {
  std::vector<std::string> commands;
  for (const test_support::DocStep& step : test_support::DocSteps(BlockUnder(mark, "sh", page))) {
    commands.push_back(step.command);
  }
  return commands;
}

GroupTest::CtlAnswer BackupTest::Shell(std::string command, const AssentdProcess& node) {
  ReplaceAll("prod-eu.backup", BackupFile(), &command);
  ReplaceAll("assentd.toml", node.config_file(), &command);
  test_support::Environment environment = {{"PATH", test_support::OwnBinDir() + ":/usr/bin:/bin"}};
  if (command.starts_with("assentctl ")) {
    std::string& all = environment["ASSENT_ENDPOINT"];
    for (const std::string& one : House().endpoints()) all += (all.empty() ? "" : ",") + one;
    const test_support::TlsPaths& tls = House().client_tls();
    if (!tls.ca_file.empty()) {
      environment["ASSENT_TLS_CA_FILE"] = tls.ca_file;
      environment["ASSENT_TLS_CERT_FILE"] = tls.cert_file;
      environment["ASSENT_TLS_KEY_FILE"] = tls.key_file;
    }
  }
  test_support::SpawnOptions options;
  options.inherit_environment = false;
  auto ran = test_support::Run({"/bin/bash", "-ec", command}, environment, options,
                               House().dir() + "/shell.out", seconds(60));
  EXPECT_TRUE(ran.ok()) << ran.status().ToString();
  if (!ran.ok()) return {};
  return {ran->status.code, ran->output};
}

GroupTest::CtlAnswer BackupTest::CtlAtFirst(const std::vector<std::string>& arguments) {
  return CtlAt(Node(1).endpoint(), arguments);
}

json BackupTest::Ask(std::vector<std::string> arguments) {
  arguments.push_back("--json");
  const CtlAnswer answer = CtlAtFirst(arguments);
  return json::parse(answer.output, nullptr, /*allow_exceptions=*/false);
}

std::string BackupTest::Incarnation() {
  const json status = Ask({"status"});
  return status.is_object() ? status["group_incarnation"].get<std::string>() : "";
}

void BackupTest::SaveBackup() {
  const auto commands = CommandsUnder("Back up");
  ASSERT_EQ(commands.size(), 2u);
  for (const std::string& command : commands) {
    const CtlAnswer answer = Shell(command);
    ASSERT_EQ(answer.code, 0) << command << ": " << answer.output;
    EXPECT_THAT(answer.output, HasSubstr("checksum right"));
  }
}

void BackupTest::LoseTheGroup() {
  for (auto& node : House().coordinators()) node->Kill9();
  for (auto& node : House().coordinators()) {
    std::filesystem::rename(node->data_dir(), node->data_dir() + ".old");
  }
  if (House().etcd() == nullptr) return;
  auto deleted = House().etcd()->Ctl({"del", "--prefix", "assent/bank/"});
  ASSERT_TRUE(deleted.ok()) << deleted.status().ToString();
}

void BackupTest::Restore(const std::string& refusal, const std::string& mark,
                         const std::string& page) {
  const auto commands = CommandsUnder(mark, page);
  ASSERT_EQ(commands.size(), 2u);
  const CtlAnswer restored = Shell(commands[0]);
  ASSERT_EQ(restored.code, 0) << restored.output;
  EXPECT_THAT(restored.output, AllOf(HasSubstr("group incarnation"), HasSubstr("--repin")));
  const CtlAnswer again = Shell(commands[0]);
  EXPECT_EQ(again.code, 1);
  EXPECT_THAT(again.output, HasSubstr(refusal));
  EXPECT_EQ(commands[1], "assentd --config assentd.toml");  // As a process of the house.
  Status started = Node(1).Start();
  ASSERT_TRUE(started.ok()) << started.ToString();
  ASSERT_TRUE(WaitUntil(seconds(20), [] {
    const json status = Ask({"status"});
    return status.is_object() && status["leader"] == true;
  }));
}

void BackupTest::StartAgents(const test_support::Environment& env) {
  for (AgentProcess* agent : {&House().postgres_agent(), &House().mariadb_agent()}) {
    if (agent->Running()) {
      EXPECT_TRUE(agent->Terminate().ok());
    }
    Status started = agent->Start(env);
    ASSERT_TRUE(started.ok()) << started.ToString();
  }
}

void BackupTest::KillAgents() {
  House().postgres_agent().Kill9();
  House().mariadb_agent().Kill9();
}

void BackupTest::Repin() {
  // As processes of the house.
  EXPECT_THAT(CommandsUnder("Let each agent in"),
              ElementsAre("assent-agent --config assent-agent.toml --repin"));
  StartAgents({{"ASSENT_REPIN", "true"}});
  EXPECT_TRUE(WaitUntil(seconds(20), [] { return BothAgentsLogged("pinned"); }));
}

bool BackupTest::BothAgentsLogged(const std::string& event) {
  return House().postgres_agent().Logged(event) && House().mariadb_agent().Logged(event);
}

std::vector<std::string> BackupTest::Hazards() {
  std::vector<std::string> gtrids;
  const json list = Ask({"list", "--state", "heuristic"});
  if (!list.is_object()) return gtrids;
  for (const json& one : list["transactions"]) gtrids.push_back(one["gtrid"]);
  return gtrids;
}

void BackupTest::EndByHand(const std::string& gtrid, const std::string& verb) {
  const json shown = Ask({"show", gtrid});
  ASSERT_TRUE(shown.is_object()) << gtrid;
  for (const json& branch : shown["branches"]) {
    if (branch["state"] != "HAZARD") continue;  // Its agent says that it is committed.
    const std::string sql = branch["hand_sql"][0][verb];
    const bool in_postgres = branch["resource"] == Deployment::kPostgresResource;
    Status done = in_postgres ? House().postgres().Execute(sql) : House().mariadb().Execute(sql);
    EXPECT_TRUE(done.ok()) << sql << ": " << done.ToString();
  }
  EXPECT_EQ(CtlAtFirst({"forget", gtrid}).code, 0);
}

int BackupTest::PreparedNow() {
  auto prepared = House().PreparedBranches();
  return prepared.ok() ? *prepared : -1;
}

}  // namespace assent::system_tests
