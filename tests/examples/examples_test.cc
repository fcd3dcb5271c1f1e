// Each example does its job on real databases, and goes wrong as it says it does: whatever is
// killed, both databases agree afterwards and nothing is left prepared.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/support/deployment.h"
#include "tests/support/paths.h"

namespace assent {
namespace {

using std::chrono::seconds;
using test_support::Argv;
using test_support::Deployment;
using test_support::Environment;
using test_support::Process;
using test_support::TempDir;
using testing::HasSubstr;

constexpr seconds kRunMax{90};
constexpr char kPython[] = "/usr/bin/python3";  // Debian's, which sees Debian's modules.

std::string Example(const std::string& name) { return tests::SourceDir() + "/examples/" + name; }
std::string Binary(const std::string& name) { return test_support::OwnBinDir() + "/" + name; }
// Where tests/run examples has npm install.
std::string NodeModules() { return tests::SourceDir() + "/build/examples/node/node_modules"; }

std::string ReadText(const std::string& file) {
  std::ifstream in(file);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

// The first block of README.md in that language.
std::string ReadmeProgram(const std::string& language) {
  const std::string readme = ReadText(tests::SourceDir() + "/README.md");
  const std::string start = "```" + language + "\n";
  size_t begin = readme.find(start);
  if (begin == std::string::npos) return {};
  begin += start.size();
  return readme.substr(begin, readme.find("```", begin) - begin);
}

class ExamplesTest : public testing::Test {
 protected:
  struct Books {
    int64_t in_postgres = 0;
    int64_t in_mariadb = 0;
  };

  static void SetUpTestSuite() {
    auto house = Deployment::Start();
    ASSERT_TRUE(house.ok()) << house.status().ToString();
    house_ = std::move(*house);
    for (auto* sql : {"CREATE TABLE accounts(id BIGINT PRIMARY KEY, balance BIGINT NOT NULL)",
                      "INSERT INTO accounts VALUES (1, 1000), (2, 1000)"}) {
      ASSERT_TRUE(house_->postgres().Execute(sql).ok());
      ASSERT_TRUE(house_->mariadb().Execute(sql).ok());
    }
  }
  static void TearDownTestSuite() { house_.reset(); }
  void SetUp() override { ASSERT_NE(house_, nullptr) << "the deployment did not start"; }

  static Deployment& House() { return *house_; }

  static int64_t Number(const test_support::Rows& rows) { return std::stoll(rows.at(0).at(0)); }
  static Books Look() {
    auto postgres = house_->postgres().Query("SELECT sum(balance) FROM accounts");
    auto mariadb = house_->mariadb().Query("SELECT sum(balance) FROM accounts");
    EXPECT_TRUE(postgres.ok() && mariadb.ok());
    if (!postgres.ok() || !mariadb.ok()) return {};
    return {Number(*postgres), Number(*mariadb)};
  }
  // Waits until nothing is in doubt; then the money is here or there.
  static void ExpectMoved(const Books& before, int64_t amount) {
    auto left = house_->WaitNothingPrepared(seconds(60));
    ASSERT_TRUE(left.ok()) << left.status().ToString();
    EXPECT_EQ(*left, 0) << "prepared branches are left";
    const Books after = Look();
    EXPECT_EQ(before.in_postgres - after.in_postgres, amount);
    EXPECT_EQ(after.in_mariadb - before.in_mariadb, amount);
  }

  // Runs a program to its end; its exit code, or -1.
  int Run(const Argv& argv, const Environment& env = {}) {
    auto finished = test_support::Run(argv, env, {}, dir_.File("run.log"), kRunMax);
    EXPECT_TRUE(finished.ok()) << finished.status().ToString();
    output_ = finished.ok() ? finished->output : "";
    return finished.ok() ? finished->status.code : -1;
  }
  // Starts one in the background, and waits until it has said `ready`.
  std::unique_ptr<Process> Start(const Argv& argv, const Environment& env,
                                 const std::string& ready) {
    const std::string log = dir_.File("started.log");
    std::filesystem::remove(log);
    auto process = Process::Spawn(argv, env, {.stdout_file = log, .stderr_file = log});
    EXPECT_TRUE(process.ok()) << process.status().ToString();
    if (!process.ok()) return nullptr;
    EXPECT_TRUE(test_support::WaitUntil(kRunMax, [&] {
      return ReadText(log).find(ready) != std::string::npos || !(*process)->Running();
    }));
    EXPECT_THAT(ReadText(log), HasSubstr(ready));
    return std::move(*process);
  }

  Environment PythonStubs() {
    if (Run({Example("python/stubs"), dir_.path()}) != 0) ADD_FAILURE() << output_;
    return {{"PYTHONPATH", dir_.path()}};
  }
  Argv PythonTransfer(const std::string& amount) {
    return {kPython,
            Example("python/transfer.py"),
            House().coordinator().endpoint(),
            House().postgres().Url(),
            MysqlPlace(),
            "1",
            "2",
            amount};
  }
  Argv NodeTransfer(const std::string& amount) {
    return {"node",
            Example("node/transfer.js"),
            House().coordinator().endpoint(),
            House().postgres().Url(),
            "mysql://" + MysqlPlace(),
            "1",
            "2",
            amount};
  }
  static std::string MysqlPlace() {
    return "root@127.0.0.1:" + std::to_string(House().mariadb().port()) + "/bank";
  }

  TempDir dir_;
  std::string output_;

 private:
  inline static std::unique_ptr<Deployment> house_;
};

TEST_F(ExamplesTest, FirstProgramOfTheReadmeInCpp) {
  const Books before = Look();
  EXPECT_EQ(Run({Binary("readme_program"), House().coordinator().endpoint(),
                 House().postgres_agent().endpoint(), House().mariadb_agent().endpoint()}),
            0)
      << output_;
  ExpectMoved(before, 50);
}

TEST_F(ExamplesTest, FirstProgramOfTheReadmeInPython) {
  const std::string program = dir_.File("first.py");
  std::ofstream(program) << ReadmeProgram("python");
  const Environment stubs = PythonStubs();
  const Books before = Look();
  EXPECT_EQ(Run({kPython, program, House().coordinator().endpoint(),
                 House().postgres_agent().endpoint(), House().mariadb_agent().endpoint()},
                stubs),
            0)
      << output_;
  EXPECT_THAT(output_, HasSubstr("OUTCOME_COMMITTED"));
  ExpectMoved(before, 50);
}

TEST_F(ExamplesTest, AppHeldInCpp) {
  auto transfer = [&](const std::string& amount) {
    return Run({Binary("app_held"), House().coordinator().endpoint(), House().postgres().Url(),
                "tcp://127.0.0.1:" + std::to_string(House().mariadb().port()), "root", "bank", "1",
                "2", amount});
  };
  const Books before = Look();
  EXPECT_EQ(transfer("30"), 0) << output_;
  EXPECT_EQ(transfer("1000000"), 1) << "more than there is: " << output_;
  EXPECT_EQ(transfer("nonsense"), 1) << output_;
  ExpectMoved(before, 30);
}

TEST_F(ExamplesTest, PythonWithItsOwnDrivers) {
  const Environment stubs = PythonStubs();
  const Books before = Look();
  EXPECT_EQ(Run(PythonTransfer("30"), stubs), 0) << output_;
  EXPECT_EQ(Run(PythonTransfer("1000000"), stubs), 1) << "more than there is: " << output_;
  ExpectMoved(before, 30);
}

TEST_F(ExamplesTest, PythonServiceKilledBetweenPrepareAndCommit) {
  const Environment stubs = PythonStubs();
  const Books before = Look();
  Argv argv = PythonTransfer("30");
  argv.insert(argv.end(), {"--hold", "60", "--timeout", "5"});
  auto service = Start(argv, stubs, "prepared ");
  ASSERT_NE(service, nullptr);
  auto prepared = House().PreparedBranches();
  ASSERT_TRUE(prepared.ok());
  EXPECT_EQ(*prepared, 2);
  service->Kill9();
  ExpectMoved(before, 0);  // Rolled back at the deadline, by the agents.
}

// Node's packages come from npm's registry, which not every machine reaches.
class NodeExampleTest : public ExamplesTest {
 protected:
  void SetUp() override {
    ExamplesTest::SetUp();
    if (!std::filesystem::exists(NodeModules() + "/pg")) {
      GTEST_SKIP() << "no " << NodeModules() << ": npm or its registry was not reachable";
    }
  }
  const Environment modules_{{"NODE_PATH", NodeModules()}};
};

TEST_F(NodeExampleTest, NodeWithItsOwnDrivers) {
  const Books before = Look();
  EXPECT_EQ(Run(NodeTransfer("30"), modules_), 0) << output_;
  EXPECT_EQ(Run(NodeTransfer("1000000"), modules_), 1) << "more than there is: " << output_;
  ExpectMoved(before, 30);
}

// Its branch is in the database, not in the agent: the agent that comes back looks there, and
// votes.
TEST_F(NodeExampleTest, NodeWhoseAgentIsKilledBeforeCommit) {
  const Books before = Look();
  Argv argv = NodeTransfer("30");
  argv.push_back("500");
  auto service = Start(argv, modules_, "prepared ");
  ASSERT_NE(service, nullptr);
  House().mariadb_agent().Kill9();
  ASSERT_TRUE(House().mariadb_agent().Start().ok());
  auto end = service->Wait(kRunMax);
  ASSERT_TRUE(end.has_value());
  // It is awaited for prepare_timeout, 10 s; a machine that is slower than that aborts honestly.
  ExpectMoved(before, end->code == 0 ? 30 : 0);
  EXPECT_LE(end->code, 1) << end->ToString();
}

TEST_F(ExamplesTest, TwoServicesInOneTransaction) {
  ASSERT_TRUE(
      House().postgres().Execute("CREATE TABLE orders(item VARCHAR(64), quantity BIGINT)").ok());
  ASSERT_TRUE(House()
                  .mariadb()
                  .Execute("CREATE TABLE stock(item VARCHAR(64) PRIMARY KEY, in_store BIGINT)")
                  .ok());
  ASSERT_TRUE(House().mariadb().Execute("INSERT INTO stock VALUES ('tea', 10)").ok());
  const std::string place = "127.0.0.1:" + std::to_string(test_support::PickFreePort());
  auto stock = Start({Binary("stock_service"), place, House().coordinator().endpoint(),
                      House().mariadb_agent().endpoint(), Deployment::kMariadbResource},
                     {}, "listening");
  ASSERT_NE(stock, nullptr);
  auto order = [&](const std::string& quantity) {
    return Run({Binary("order_service"), House().coordinator().endpoint(), House().postgres().Url(),
                Deployment::kPostgresResource, place, "tea", quantity});
  };
  auto expect = [&](int64_t ordered, int64_t in_store) {
    auto left = House().WaitNothingPrepared(seconds(60));
    ASSERT_TRUE(left.ok() && *left == 0);
    auto orders = House().postgres().Query("SELECT coalesce(sum(quantity), 0) FROM orders");
    auto store = House().mariadb().Query("SELECT in_store FROM stock");
    ASSERT_TRUE(orders.ok() && store.ok());
    EXPECT_EQ(Number(*orders), ordered);
    EXPECT_EQ(Number(*store), in_store);
  };
  EXPECT_EQ(order("3"), 0) << output_;
  EXPECT_THAT(output_, HasSubstr("7 left"));
  expect(3, 7);
  EXPECT_EQ(order("8"), 1) << output_;
  EXPECT_THAT(output_, HasSubstr("not enough of 'tea'"));
  expect(3, 7);
  stock->Kill9();
  EXPECT_EQ(order("1"), 1) << output_;
  expect(3, 7);
}

}  // namespace
}  // namespace assent
