// The commands of docs/operations.md, as they stand there, on three nodes and some more.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <set>
#include <sstream>
#include <utility>

#include "client/assent.h"
#include "tests/support/assent_processes.h"
#include "tests/support/doc_page.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace assent::system_tests {
namespace {

using std::chrono::seconds;
using test_support::DocBlock;
using test_support::DocStep;
using test_support::Process;
using test_support::ReplaceAll;
using test_support::WaitUntil;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr seconds kPatience{60};

const std::vector<DocBlock>& Page() {
  static const std::vector<DocBlock> page = test_support::DocBlocks("docs/operations.md");
  return page;
}

// What stands there and is run by a test. Add the mark of your block beside its test.
const std::set<std::string>& MarksThatTestsRun() {
  static const std::set<std::string> marks = {
      // ItsStepsKeepAGroupGoing, below.
      "Start",
      "Grow",
      "Shrink",
      "Replace",
      "Upgrade, restart",
      // GroupBackup, by backup_fixture.cc.
      "Back up",
      "Make the first node",
      "Let each agent in",
      "Settle what nobody can tell",
      "Grow again",
  };
  return marks;
}

TEST(OperationsDoc, NoBlockIsThereThatNoTestRuns) {
  ASSERT_FALSE(Page().empty());
  for (const DocBlock& block : Page()) {
    EXPECT_TRUE(MarksThatTestsRun().contains(block.mark))
        << "docs/operations.md:" << block.line << ": no test runs the block under '" << block.mark
        << "'; write one, and list the mark in operations_doc_test.cc";
  }
}

// Where the page's machines are: this one, each with a directory of its own. Its addresses become
// free ports.
class OperationsDocGroup : public testing::Test {
 protected:
  struct Machine {
    std::string directory;
    std::string log;
    std::unique_ptr<Process> assentd;
  };

  // The first is the page's text; of the others what the page says is their own.
  void MakeMachine(int node, bool with_members) {
    const std::string id = std::to_string(node);
    Machine& machine = machines_[node];
    ASSERT_TRUE(dir_.MakeDir("node" + id).ok());
    machine.directory = dir_.File("node" + id);
    machine.log = machine.directory + "/assentd.log";
    std::string config;
    std::istringstream lines(test_support::DocBlockUnder(Page(), "Start", "toml"));
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with("members") && !with_members) continue;
      if (line.starts_with("node_id")) line = "node_id = " + id;
      if (line.starts_with("listen") || line.starts_with("peer_listen")) {
        ReplaceAll("10.0.0.1:", "10.0.0." + id + ":", &line);
      }
      if (line.starts_with("data_dir")) {
        ReplaceAll("/var/lib/assent/assentd", machine.directory + "/data", &line);
      }
      config += line + '\n';
    }
    ASSERT_THAT(config, AllOf(HasSubstr("node_id = " + id + "\n"), HasSubstr(dir_.path()),
                              HasSubstr("\nlisten = \"10.0.0." + id + ":7400\""),
                              HasSubstr("\npeer_listen = \"10.0.0." + id + ":7401\"")));
    ASSERT_TRUE(test_support::WriteFile(machine.directory + "/assentd.toml", Here(config)).ok());
  }

  std::string Here(std::string text) {
    for (int node = 1; node <= 9; ++node) {
      for (const char* port : {":7400", ":7401"}) {
        const std::string there = "10.0.0." + std::to_string(node) + port;
        if (text.find(there) == std::string::npos) continue;
        auto [it, is_new] = addresses_.try_emplace(there);
        if (is_new) it->second = "127.0.0.1:" + std::to_string(test_support::PickFreePort());
        ReplaceAll(there, it->second, &text);
      }
    }
    return text;
  }

  // Does what stands under the mark. `the_node`: where "on the node" is.
  void Follow(const std::string& mark, int the_node = 0) {
    SCOPED_TRACE("docs/operations.md, " + mark);
    for (const DocStep& step :
         test_support::DocSteps(test_support::DocBlockUnder(Page(), mark, "sh"))) {
      SCOPED_TRACE(step.command);
      if (step.Says("on each node")) {
        for (auto& [node, machine] : machines_) Do(step, &machine);
      } else if (step.Says("on node ")) {
        const int node = step.comment[std::string("on node ").size()] - '0';
        ASSERT_TRUE(machines_.contains(node));
        Do(step, &machines_[node]);
      } else if (step.Says("on the node")) {
        ASSERT_TRUE(machines_.contains(the_node));
        Do(step, &machines_[the_node]);
      } else {
        Do(step, nullptr);
      }
      if (HasFatalFailure()) return;
    }
  }

  // `machine`: null where it does not matter which.
  void Do(const DocStep& step, Machine* machine) {
    const std::string command = Here(step.command);
    const bool ends = command.find(" --bootstrap") != std::string::npos ||
                      command.find(" --join") != std::string::npos;
    if (command.starts_with("export ")) {
      const size_t equals = command.find('=');
      const size_t name = std::string("export ").size();
      exported_[command.substr(name, equals - name)] = command.substr(equals + 1);
    } else if (command.starts_with("assentd ") && !ends) {
      ASSERT_NE(machine, nullptr) << "on which node?";
      RunAssentd(command, machine);
    } else if (step.Says("once ")) {
      EXPECT_TRUE(WaitUntil(kPatience, [&] { return Shell(command, machine) == 0; })) << output_;
    } else {
      EXPECT_EQ(Shell(command, machine), 0) << output_;
      if (command.starts_with("kill ")) ExpectEnd(machine);
    }
  }

  void RunAssentd(const std::string& command, Machine* machine) {
    const size_t before = test_support::ReadFile(machine->log).size();
    test_support::SpawnOptions options = In(machine->directory);
    options.stdout_file = options.stderr_file = machine->log;
    auto process =
        Process::Spawn({"/bin/bash", "-c", "exec " + command}, Environment(true), options);
    ASSERT_TRUE(process.ok()) << process.status().ToString();
    machine->assentd = std::move(*process);
    ASSERT_TRUE(WaitUntil(kPatience, [&] {
      const std::string log = test_support::ReadFile(machine->log);
      return log.find(" ready ", before) != std::string::npos || !machine->assentd->Running();
    }));
    ASSERT_TRUE(machine->assentd->Running()) << test_support::ReadFile(machine->log);
  }

  static void ExpectEnd(Machine* machine) {
    auto end = machine->assentd->Wait(kPatience);
    ASSERT_TRUE(end.has_value()) << "it does not stop";
    EXPECT_TRUE(end->ok()) << end->ToString() << test_support::ReadFile(machine->log);
  }

  // The exit code; what was printed is in output_.
  int Shell(const std::string& command, const Machine* machine) {
    test_support::Environment environment = Environment(machine != nullptr);
    if (machine != nullptr && machine->assentd) {
      environment["MAINPID"] = std::to_string(machine->assentd->pid());
    }
    auto ran = test_support::Run({"/bin/bash", "-ec", command}, environment,
                                 In(machine != nullptr ? machine->directory : dir_.path()),
                                 dir_.File("shell.log"), seconds(60));
    output_ = ran.ok() ? ran->output : ran.status().ToString();
    return ran.ok() ? ran->status.code : -1;
  }

  // Of a shell on a node, or of the one in which the operator works.
  test_support::Environment Environment(bool on_node) const {
    test_support::Environment environment = {
        {"PATH", test_support::OwnBinDir() + ":/usr/bin:/bin"}};
    if (!on_node) environment.insert(exported_.begin(), exported_.end());
    // Nodes on machines of their own would not meet there.
    if (on_node) environment["ASSENT_HTTP_LISTEN"] = "";
    return environment;
  }
  static test_support::SpawnOptions In(const std::string& directory) {
    test_support::SpawnOptions options;
    options.inherit_environment = false;
    options.working_dir = directory;
    return options;
  }

  // A transaction begins and ends: somebody leads, and serves.
  void ExpectService() {
    client::ClientOptions options;
    options.endpoints.clear();
    std::istringstream all(exported_.at("ASSENT_ENDPOINT"));
    for (std::string one; std::getline(all, one, ',');) options.endpoints.push_back(one);
    options.begin_retry_for = kPatience;
    auto coordinators = client::Client::Connect(options);
    ASSERT_TRUE(coordinators.ok()) << coordinators.status().ToString();
    auto transaction = coordinators->Begin();
    ASSERT_TRUE(transaction.ok()) << transaction.status().ToString();
    EXPECT_TRUE(transaction->Rollback().aborted());
  }
  std::string Members() {
    EXPECT_EQ(Shell("assentctl member list", nullptr), 0) << output_;
    return output_;
  }

  test_support::TempDir dir_;
  std::map<int, Machine> machines_;
  std::map<std::string, std::string> addresses_;
  test_support::Environment exported_;  // In the operator's shell.
  std::string output_;
};

TEST_F(OperationsDocGroup, ItsStepsKeepAGroupGoing) {
  for (int node : {1, 2, 3}) MakeMachine(node, true);
  Follow("Start");
  if (HasFatalFailure()) return;
  ExpectService();
  for (int node : {1, 2, 3}) {
    EXPECT_THAT(Members(), HasSubstr(Here("10.0.0." + std::to_string(node) + ":7401")));
  }

  MakeMachine(4, false);
  Follow("Grow");
  if (HasFatalFailure()) return;
  ExpectService();
  EXPECT_THAT(Members(), AllOf(HasSubstr(Here("10.0.0.4:7401")), Not(HasSubstr("learner"))));

  Follow("Shrink");
  if (HasFatalFailure()) return;
  ExpectService();
  EXPECT_THAT(Members(), Not(HasSubstr(Here("10.0.0.4:7401"))));
  machines_.erase(4);

  // The disk of node 2 is lost, and with it the machine.
  machines_[2].assentd->Kill9();
  machines_.erase(2);
  MakeMachine(5, false);
  Follow("Replace");
  if (HasFatalFailure()) return;
  ExpectService();
  EXPECT_THAT(Members(), AllOf(HasSubstr(Here("10.0.0.5:7401")), Not(HasSubstr("learner")),
                               Not(HasSubstr(Here("10.0.0.2:7401")))));

  for (int node : {1, 3, 5}) {
    Follow("Upgrade, restart", node);
    if (HasFatalFailure()) return;
    ExpectService();
  }
  EXPECT_THAT(Members(), AllOf(HasSubstr(Here("10.0.0.1:7401")), HasSubstr(Here("10.0.0.3:7401")),
                               HasSubstr(Here("10.0.0.5:7401"))));
}

}  // namespace
}  // namespace assent::system_tests
