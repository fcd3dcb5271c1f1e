#include "tests/system/backup_fixture.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <sstream>

#include "tests/support/paths.h"

namespace assent::system_tests {

using nlohmann::json;
using std::chrono::seconds;
using test_support::AgentProcess;
using test_support::WaitUntil;
using testing::AllOf;
using testing::HasSubstr;

namespace {

void Replace(const std::string& from, const std::string& to, std::string* text) {
  for (size_t at = 0; (at = text->find(from, at)) != std::string::npos; at += to.size()) {
    text->replace(at, from.size(), to);
  }
}

}  // namespace

AssentdProcess& BackupTest::Node(int id) {
  return *House().coordinators()[static_cast<size_t>(id - 1)];
}

std::vector<std::string> BackupTest::CommandsOf(const std::string& heading) {
  const std::string page = test_support::ReadFile(tests::SourceDir() + "/docs/operations.md");
  const size_t begin = page.find("\n## " + heading + "\n");
  EXPECT_NE(begin, std::string::npos) << "no section " << heading;
  if (begin == std::string::npos) return {};
  std::istringstream lines(page.substr(begin + 1, page.find("\n## ", begin + 1) - begin));
  std::vector<std::string> commands;
  bool shell = false;
  for (std::string line; std::getline(lines, line);) {
    line.erase(0, line.find_first_not_of(' '));
    if (line.starts_with("```")) {
      shell = line == "```sh";
    } else if (shell) {
      commands.push_back(line);
    }
  }
  return commands;
}

GroupTest::CtlAnswer BackupTest::Shell(std::string command) {
  std::string all;
  for (const std::string& one : House().endpoints()) all += (all.empty() ? "" : ",") + one;
  Replace("10.0.0.1:7400,10.0.0.2:7400,10.0.0.3:7400", all, &command);
  Replace("10.0.0.1:7400", Node(1).endpoint(), &command);
  Replace("prod-eu.backup", BackupFile(), &command);
  Replace("assentd.toml", Node(1).config_file(), &command);
  test_support::SpawnOptions options;
  options.inherit_environment = false;
  auto ran = test_support::Run({"/bin/bash", "-ec", command},
                               {{"PATH", test_support::OwnBinDir() + ":/usr/bin:/bin"}}, options,
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
  const auto commands = CommandsOf("Back up");
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
}

void BackupTest::Restore() {
  const auto commands = CommandsOf("Restore");
  ASSERT_EQ(commands.size(), 4u);
  const CtlAnswer restored = Shell(commands[0]);
  ASSERT_EQ(restored.code, 0) << restored.output;
  EXPECT_THAT(restored.output, AllOf(HasSubstr("group incarnation"), HasSubstr("--repin")));
  const CtlAnswer again = Shell(commands[0]);
  EXPECT_EQ(again.code, 1);
  EXPECT_THAT(again.output, HasSubstr("start that node without"));
  // The others run on: as processes of the house.
  EXPECT_EQ(commands[1], "assentd --config assentd.toml");
  EXPECT_EQ(commands[2], "assent-agent --config assent-agent.toml --repin");
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
