// Transactions with MySQL in the place of MariaDB: commit, roll back, and a mysqld that dies when
// its branch is prepared. Where a prepared branch leaves its session, and where it stays tied to
// it.
#include <thread>

#include "tests/support/mysql_server.h"
#include "tests/support/process.h"
#include "tests/support/stop_point.h"
#include "tests/system/system_fixture.h"

namespace assent::system_tests {
namespace {

using client::Outcome;
using std::chrono::seconds;
using test_support::MysqlServer;
using test_support::StopPoint;
using test_support::WaitUntil;

// Parameter: xa_detach_on_prepare.
class Mysql : public SystemTest, public testing::WithParamInterface<bool> {
 protected:
  static void SetUpTestSuite() {
    auto mysql = MysqlServer::Create();
    absent_ = mysql.status().code() == Code::kNotFound ? mysql.status().message() : "";
    if (!absent_.empty()) return;
    ASSERT_TRUE(mysql.ok()) << mysql.status().ToString();
    StartHouse({.in_place_of_mariadb = [&] {
      return Result<std::unique_ptr<test_support::Mysqld>>(std::move(*mysql));
    }});
  }

  void SetUp() override {
    if (!absent_.empty()) GTEST_SKIP() << absent_;
    SystemTest::SetUp();
    if (HasFatalFailure()) return;
    const std::string wanted = GetParam() ? "1" : "0";
    auto is = Server().Query("SELECT @@global.xa_detach_on_prepare");
    ASSERT_TRUE(is.ok()) << is.status().ToString();
    if (is->at(0)[0] == wanted) return;
    Server().Set("xa-detach-on-prepare", wanted);  // For its starts to come.
    Status set = Server().Execute("SET GLOBAL xa_detach_on_prepare = " + wanted);
    ASSERT_TRUE(set.ok()) << set.ToString();
    House().mariadb_agent().Kill9();  // Only new sessions follow.
    ASSERT_TRUE(House().mariadb_agent().Start().ok());
  }

  static test_support::Mysqld& Server() { return House().mariadb(); }
  static std::string Id(const std::string& what) {
    return what + (GetParam() ? "-detached" : "-attached");
  }

  // Inserts `id` in both and asks for the commit, until the outcome is known.
  static client::CommitResult CommitBoth(const std::string& id) {
    client::Client coordinators = Coordinators();
    client::CommitResult result;
    // An agent that was just restarted may not serve yet.
    WaitUntil(seconds(30), [&] {
      auto transaction = coordinators.Begin();
      if (!transaction.ok()) return false;
      if (!InsertInPostgres(*transaction, id).ok() || !InsertInMariadb(*transaction, id).ok()) {
        (void)transaction->Rollback();
        return false;
      }
      result = transaction->Commit();
      if (result.unknown()) result = coordinators.Resolve(transaction->gtrid(), seconds(60));
      return true;
    });
    return result;
  }

  static std::string absent_;
};
std::string Mysql::absent_;
INSTANTIATE_TEST_SUITE_P(Prepared, Mysql, testing::Values(true, false),
                         [](const auto& mode) { return mode.param ? "Detached" : "Attached"; });

TEST_P(Mysql, CommitReachesBothDatabases) {
  auto result = CommitBoth(Id("both"));
  EXPECT_EQ(result.outcome, Outcome::kCommitted) << result.ToString();
  EXPECT_TRUE(result.applied);
  EXPECT_TRUE(InPostgres(Id("both")));
  EXPECT_TRUE(InMariadb(Id("both")));
  EXPECT_EQ(PreparedNow(), 0);
}

TEST_P(Mysql, AResultOfAnySizeIsStreamed) {
  if (!GetParam()) GTEST_SKIP() << "streams do not depend on it";
  ASSERT_TRUE(Server().Execute("CREATE TABLE digits (d INT)").ok());
  ASSERT_TRUE(
      Server().Execute("INSERT INTO digits VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9)").ok());
  ASSERT_TRUE(Server().Execute("CREATE TABLE numbers (n INT PRIMARY KEY)").ok());
  ASSERT_TRUE(Server()
                  .Execute("INSERT INTO numbers SELECT 1 + a.d + 10 * b.d + 100 * c.d + 1000 * e.d "
                           "+ 10000 * f.d + 100000 * g.d FROM digits a, digits b, digits c, digits "
                           "e, digits f, digits g WHERE g.d < 3")
                  .ok());
  // Also the proof that the agent serves.
  ASSERT_EQ(CommitBoth(Id("before")).outcome, Outcome::kCommitted);
  auto transaction = Coordinators().Begin();
  ASSERT_TRUE(transaction.ok()) << transaction.status().ToString();
  auto branch = InsertInMariadb(*transaction, Id("streamed"));
  ASSERT_TRUE(branch.ok()) << branch.status().ToString();
  ExpectLongStream(*branch, "SELECT n, REPEAT('x', 1000) FROM numbers ORDER BY n LIMIT 250000",
                   House().mariadb_agent());
  EXPECT_EQ(transaction->Commit().outcome, Outcome::kCommitted);
  EXPECT_TRUE(InMariadb(Id("streamed")));
}

TEST_P(Mysql, AFailedStatementAbortsInBoth) {
  // Also the proof that the agent serves.
  ASSERT_EQ(CommitBoth(Id("taken")).outcome, Outcome::kCommitted);
  auto transaction = Coordinators().Begin();
  ASSERT_TRUE(transaction.ok()) << transaction.status().ToString();
  ASSERT_TRUE(InsertInPostgres(*transaction, Id("neither")).ok());
  EXPECT_FALSE(InsertInMariadb(*transaction, Id("taken")).ok());
  auto result = transaction->Commit();
  EXPECT_EQ(result.outcome, Outcome::kAborted) << result.ToString();
  EXPECT_FALSE(InPostgres(Id("neither")));
  EXPECT_EQ(PreparedNow(), 0);
}

#if defined(ASSENT_FAILPOINTS)
TEST_P(Mysql, TheServerDiesWithItsBranchPreparedAndDecided) {
  StopPoint stop("agent.commit.before");
  House().mariadb_agent().Kill9();
  ASSERT_TRUE(House().mariadb_agent().Start(stop.Env()).ok());
  client::CommitResult result;
  std::thread client([&] { result = CommitBoth(Id("killed")); });
  Status reached = stop.WaitReached(seconds(60));
  EXPECT_TRUE(reached.ok()) << reached.ToString();
  EXPECT_EQ(Server().Query("XA RECOVER")->size(), 1u);
  Server().Kill9();
  stop.Release();
  Status started = Server().Start();
  EXPECT_TRUE(started.ok()) << started.ToString();
  client.join();
  EXPECT_EQ(result.outcome, Outcome::kCommitted) << result.ToString();
  auto left = House().WaitNothingPrepared(seconds(60));
  EXPECT_TRUE(left.ok() && *left == 0);
  EXPECT_TRUE(InPostgres(Id("killed")));
  EXPECT_TRUE(InMariadb(Id("killed")));
}

TEST_P(Mysql, TheServerDiesWithItsBranchPreparedAndIsToldToAbort) {
  // Prepared, the vote not sent: with the agent gone as well it never counts.
  StopPoint stop("agent.prepare.after");
  House().mariadb_agent().Kill9();
  ASSERT_TRUE(House().mariadb_agent().Start(stop.Env()).ok());
  client::CommitResult result;
  std::thread client([&] { result = CommitBoth(Id("unvoted")); });
  Status reached = stop.WaitReached(seconds(60));
  EXPECT_TRUE(reached.ok()) << reached.ToString();
  EXPECT_EQ(Server().Query("XA RECOVER")->size(), 1u);
  House().mariadb_agent().Kill9();
  Server().Kill9();
  Status started = Server().Start();
  EXPECT_TRUE(started.ok()) << started.ToString();
  EXPECT_EQ(Server().Query("XA RECOVER")->size(), 1u) << "it survived";
  EXPECT_TRUE(House().mariadb_agent().Start().ok());
  client.join();
  EXPECT_EQ(result.outcome, Outcome::kAborted) << result.ToString();
  auto left = House().WaitNothingPrepared(seconds(60));
  EXPECT_TRUE(left.ok() && *left == 0);
  EXPECT_FALSE(InPostgres(Id("unvoted")));
  EXPECT_FALSE(InMariadb(Id("unvoted")));
}
#endif

}  // namespace
}  // namespace assent::system_tests
