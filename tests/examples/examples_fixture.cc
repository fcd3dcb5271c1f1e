#include "tests/examples/examples_fixture.h"

#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>

#include "tests/support/paths.h"
#include "tests/support/servers_under_test.h"

namespace assent {
namespace {

using std::chrono::seconds;
using test_support::Argv;
using test_support::Deployment;
using test_support::Environment;
using test_support::Process;

std::unique_ptr<Deployment> house;
std::string absent;  // Why there is no house, where none can be had.

// Lasts as long as the tests of this binary.
class HouseOfExamples final : public testing::Environment {
 public:
  void SetUp() override {
    const test_support::ServerUnderTest& server = test_support::ServersUnderTest().front();
    auto started = Deployment::Start({.in_place_of_mariadb = [&] { return server.Create(); }});
    if (server.IsAbsent(started.status())) absent = started.status().message();
    if (!absent.empty()) return;
    ASSERT_TRUE(started.ok()) << started.status().ToString();
    for (auto* sql : {"CREATE TABLE accounts(id BIGINT PRIMARY KEY, balance BIGINT NOT NULL)",
                      "INSERT INTO accounts VALUES (1, 1000), (2, 1000)"}) {
      ASSERT_TRUE((*started)->postgres().Execute(sql).ok());
      ASSERT_TRUE((*started)->mariadb().Execute(sql).ok());
    }
    house = std::move(*started);
  }
  void TearDown() override { house.reset(); }
};

const auto* const registered = testing::AddGlobalTestEnvironment(new HouseOfExamples);

int64_t Number(const test_support::Rows& rows) { return std::stoll(rows.at(0).at(0)); }

}  // namespace

std::string Example(const std::string& name) { return tests::SourceDir() + "/examples/" + name; }
std::string Binary(const std::string& name) { return test_support::OwnBinDir() + "/" + name; }

std::string ReadText(const std::string& file) {
  std::ifstream in(file);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

void ExamplesTest::SetUp() {
  ASSERT_NE(registered, nullptr);
  if (!absent.empty()) GTEST_SKIP() << absent;
  ASSERT_NE(house, nullptr) << "the deployment did not start";
  if (!house->coordinator().Running()) RestartCoordinator();  // An earlier test failed half-way.
}

Deployment& ExamplesTest::House() { return *house; }

std::string ExamplesTest::MysqlPlace() {
  return "root@127.0.0.1:" + std::to_string(house->mariadb().port()) + "/bank";
}

ExamplesTest::Books ExamplesTest::Look() {
  auto postgres = house->postgres().Query("SELECT sum(balance) FROM accounts");
  auto mariadb = house->mariadb().Query("SELECT sum(balance) FROM accounts");
  EXPECT_TRUE(postgres.ok() && mariadb.ok());
  if (!postgres.ok() || !mariadb.ok()) return {};
  return {Number(*postgres), Number(*mariadb)};
}

void ExamplesTest::ExpectMoved(const Books& before, int64_t amount) {
  auto left = house->WaitNothingPrepared(kRunMax);
  ASSERT_TRUE(left.ok()) << left.status().ToString();
  EXPECT_EQ(*left, 0) << "prepared branches are left";
  const Books after = Look();
  EXPECT_EQ(before.in_postgres - after.in_postgres, amount);
  EXPECT_EQ(after.in_mariadb - before.in_mariadb, amount);
}

int ExamplesTest::Run(const Argv& argv, const Environment& env) {
  auto finished = test_support::Run(argv, env, {}, dir_.File("run.log"), kRunMax);
  EXPECT_TRUE(finished.ok()) << finished.status().ToString();
  output_ = finished.ok() ? finished->output : "";
  return finished.ok() ? finished->status.code : -1;
}

std::unique_ptr<Process> ExamplesTest::Start(const Argv& argv, const Environment& env,
                                             const std::string& ready) {
  const std::string log = StartedLog();
  std::filesystem::remove(log);
  auto process = Process::Spawn(argv, env, {.stdout_file = log, .stderr_file = log});
  EXPECT_TRUE(process.ok()) << process.status().ToString();
  if (!process.ok()) return nullptr;
  EXPECT_TRUE(test_support::WaitUntil(kRunMax, [&] {
    return ReadText(log).find(ready) != std::string::npos || !(*process)->Running();
  }));
  EXPECT_THAT(ReadText(log), testing::HasSubstr(ready));
  return std::move(*process);
}

int ExamplesTest::End(Process& process) {
  auto end = process.Wait(kRunMax);
  output_ = ReadText(StartedLog());
  EXPECT_TRUE(end.has_value()) << "it did not end; it said: " << output_;
  return end ? end->code : -1;
}

void ExamplesTest::RestartCoordinator(const Environment& env) {
  test_support::AssentdProcess& coordinator = house->coordinator();
  if (coordinator.Running()) coordinator.Terminate();
  Status started = coordinator.Start(env);
  ASSERT_TRUE(started.ok()) << started.ToString();
  ASSERT_TRUE(test_support::WaitUntil(kRunMax, [&] {
    const std::string log = coordinator.Log();
    const size_t first = log.find("agent_connected");
    return first != std::string::npos && log.find("agent_connected", first + 1) != log.npos;
  })) << "the agents did not come back";
}

Environment ExamplesTest::PythonStubs() {
  if (Run({Example("python/stubs"), dir_.path()}) != 0) ADD_FAILURE() << output_;
  return {{"PYTHONPATH", dir_.path()}};
}

}  // namespace assent
