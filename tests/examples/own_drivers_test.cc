// Services with drivers of their own, in three languages. Whatever is killed, both databases agree
// afterwards and nothing is left prepared.
#include <filesystem>

#include "tests/examples/examples_fixture.h"
#include "tests/support/paths.h"
#include "tests/support/stop_point.h"

namespace assent {
namespace {

using test_support::Argv;
using test_support::Environment;
using test_support::StopPoint;
using testing::HasSubstr;

// ---- C++ ----------------------------------------------------------------------------------------

class AppHeldExampleTest : public ExamplesTest {
 protected:
  static Argv Transfer(const std::string& amount) {
    return {Binary("app_held"),
            House().coordinator().endpoint(),
            House().postgres().Url(),
            "tcp://127.0.0.1:" + std::to_string(House().mariadb().port()),
            "root",
            "bank",
            "1",
            "2",
            amount};
  }
};

TEST_F(AppHeldExampleTest, MovesMoneyOrNothing) {
  const Books before = Look();
  EXPECT_EQ(Run(Transfer("30")), 0) << output_;
  EXPECT_EQ(Run(Transfer("1000000")), 1) << "more than there is: " << output_;
  EXPECT_EQ(Run(Transfer("nonsense")), 1) << output_;
  ExpectMoved(before, 30);
}

TEST_F(AppHeldExampleTest, CoordinatorKilledBeforeItAnswers) {
  const Books before = Look();
  StopPoint decided("coord.reply.before");
  RestartCoordinator(decided.Env());
  auto service = Start(Transfer("30"));
  ASSERT_NE(service, nullptr);
  ASSERT_TRUE(decided.WaitReached(kRunMax).ok()) << ReadText(dir_.File("started.log"));
  House().coordinator().Kill9();
  RestartCoordinator();
  EXPECT_EQ(End(*service), 0) << output_;
  ExpectMoved(before, 30);
}

// The branches were left to it, so the agents end them after finish_grace.
TEST_F(AppHeldExampleTest, ServiceKilledBeforeItHearsCommitted) {
  const Books before = Look();
  StopPoint decided("coord.reply.before");
  RestartCoordinator(decided.Env());
  auto service = Start(Transfer("30"));
  ASSERT_NE(service, nullptr);
  ASSERT_TRUE(decided.WaitReached(kRunMax).ok()) << ReadText(dir_.File("started.log"));
  service->Kill9();
  decided.Release();
  ExpectMoved(before, 30);
}

// ---- Python -------------------------------------------------------------------------------------

class PythonExampleTest : public ExamplesTest {
 protected:
  static Argv Transfer(const std::string& amount) {
    return {kPython,
            Example("python/transfer.py"),
            House().coordinator().endpoint(),
            House().postgres().Url(),
            MysqlPlace(),
            "1",
            "2",
            amount};
  }
  // Waits that many seconds between PREPARE and Commit.
  static Argv TransferThatHolds(const std::string& seconds, const std::string& timeout) {
    Argv argv = Transfer("30");
    argv.insert(argv.end(), {"--hold", seconds, "--timeout", timeout});
    return argv;
  }
};

TEST_F(PythonExampleTest, MovesMoneyOrNothing) {
  const Environment stubs = PythonStubs();
  const Books before = Look();
  EXPECT_EQ(Run(Transfer("30"), stubs), 0) << output_;
  EXPECT_EQ(Run(Transfer("1000000"), stubs), 1) << "more than there is: " << output_;
  ExpectMoved(before, 30);
}

TEST_F(PythonExampleTest, ServiceKilledBetweenPrepareAndCommit) {
  const Environment stubs = PythonStubs();
  const Books before = Look();
  auto service = Start(TransferThatHolds("60", "5"), stubs, "prepared ");
  ASSERT_NE(service, nullptr);
  auto prepared = House().PreparedBranches();
  ASSERT_TRUE(prepared.ok());
  EXPECT_EQ(*prepared, 2);
  service->Kill9();
  ExpectMoved(before, 0);  // Rolled back at the deadline, by the agents.
}

// Its connection is gone with the database, the prepared branch is not: the agent ends it.
TEST_F(PythonExampleTest, MariadbKilledBetweenPrepareAndCommit) {
  const Environment stubs = PythonStubs();
  const Books before = Look();
  auto service = Start(TransferThatHolds("2", "60"), stubs, "prepared ");
  ASSERT_NE(service, nullptr);
  House().mariadb().Kill9();
  ASSERT_TRUE(House().mariadb().Start().ok());
  const int code = End(*service);
  // A vote is awaited for prepare_timeout, 10 s; a machine that is slower than that aborts
  // honestly.
  EXPECT_LE(code, 1) << output_;
  ExpectMoved(before, code == 0 ? 30 : 0);
}

// ---- JavaScript ---------------------------------------------------------------------------------

// Its packages come from npm's registry, which not every machine reaches.
class NodeExampleTest : public ExamplesTest {
 protected:
  void SetUp() override {
    ExamplesTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    const std::string modules = tests::SourceDir() + "/build/examples/node/node_modules";
    if (!std::filesystem::exists(modules + "/pg")) {
      GTEST_SKIP() << "Node's packages are not in " << modules
                   << ": npm, or the registry that it asks, could not be reached";
    }
    modules_["NODE_PATH"] = modules;
  }
  static Argv Transfer(const std::string& amount) {
    return {"node",
            Example("node/transfer.js"),
            House().coordinator().endpoint(),
            House().postgres().Url(),
            "mysql://" + MysqlPlace(),
            "1",
            "2",
            amount};
  }
  // Waits for two seconds between PREPARE and Commit.
  static Argv TransferThatHolds() {
    Argv argv = Transfer("30");
    argv.push_back("2000");
    return argv;
  }

  Environment modules_;
};

TEST_F(NodeExampleTest, MovesMoneyOrNothing) {
  const Books before = Look();
  EXPECT_EQ(Run(Transfer("30"), modules_), 0) << output_;
  EXPECT_EQ(Run(Transfer("1000000"), modules_), 1) << "more than there is: " << output_;
  ExpectMoved(before, 30);
}

// Its branch is in the database, not in the agent: the agent that comes back looks there, and
// votes.
TEST_F(NodeExampleTest, AgentKilledBetweenPrepareAndCommit) {
  const Books before = Look();
  auto service = Start(TransferThatHolds(), modules_, "prepared ");
  ASSERT_NE(service, nullptr);
  House().mariadb_agent().Kill9();
  ASSERT_TRUE(House().mariadb_agent().Start().ok());
  const int code = End(*service);
  EXPECT_LE(code, 1) << output_;  // As above.
  ExpectMoved(before, code == 0 ? 30 : 0);
}

TEST_F(NodeExampleTest, PostgresqlKilledBetweenPrepareAndCommit) {
  const Books before = Look();
  auto service = Start(TransferThatHolds(), modules_, "prepared ");
  ASSERT_NE(service, nullptr);
  House().postgres().Kill9();
  ASSERT_TRUE(House().postgres().Start().ok());
  const int code = End(*service);
  EXPECT_LE(code, 1) << output_;  // As above.
  ExpectMoved(before, code == 0 ? 30 : 0);
}

}  // namespace
}  // namespace assent
