// Whole transactions over real databases: commit, roll back, vanish, retry across restarts, and
// what must be left alone.
#include <thread>

#include "tests/support/process.h"
#include "tests/system/system_fixture.h"

namespace assent::system_tests {
namespace {

using client::Outcome;
using std::chrono::milliseconds;
using std::chrono::seconds;
using test_support::WaitUntil;

class Lifecycle : public SystemTest {};

TEST_F(Lifecycle, CommitReachesBothDatabases) {
  auto transaction = Coordinators().Begin();
  ASSERT_TRUE(transaction.ok()) << transaction.status().ToString();
  auto postgres = InsertInPostgres(*transaction, "both");
  ASSERT_TRUE(postgres.ok()) << postgres.status().ToString();
  auto mariadb = InsertInMariadb(*transaction, "both");
  ASSERT_TRUE(mariadb.ok()) << mariadb.status().ToString();
  EXPECT_FALSE(InPostgres("both")) << "not visible before the commit";
  auto result = transaction->Commit();
  EXPECT_EQ(result.outcome, Outcome::kCommitted) << result.ToString();
  EXPECT_TRUE(result.applied);
  EXPECT_TRUE(InPostgres("both"));
  EXPECT_TRUE(InMariadb("both"));
  EXPECT_EQ(PreparedNow(), 0);
}

TEST_F(Lifecycle, RollbackLeavesNothing) {
  auto transaction = Coordinators().Begin();
  ASSERT_TRUE(transaction.ok());
  ASSERT_TRUE(InsertInPostgres(*transaction, "neither").ok());
  ASSERT_TRUE(InsertInMariadb(*transaction, "neither").ok());
  auto result = transaction->Rollback();
  EXPECT_EQ(result.outcome, Outcome::kAborted) << result.ToString();
  EXPECT_EQ(result.abort.cause, client::AbortCause::kClientRollback);
  EXPECT_FALSE(InPostgres("neither"));
  EXPECT_FALSE(InMariadb("neither"));
}

TEST_F(Lifecycle, AFailedStatementAbortsTheWholeTransactionOnEveryDatabase) {
  ASSERT_TRUE(House().mariadb().Execute("INSERT INTO kept VALUES ('taken')").ok());
  auto transaction = Coordinators().Begin();
  ASSERT_TRUE(transaction.ok());
  ASSERT_TRUE(InsertInPostgres(*transaction, "taken").ok());
  auto duplicate = InsertInMariadb(*transaction, "taken");
  EXPECT_FALSE(duplicate.ok()) << "MariaDB itself would let the branch live on";
  auto result = transaction->Commit();
  EXPECT_EQ(result.outcome, Outcome::kAborted) << result.ToString();
  EXPECT_FALSE(InPostgres("taken"));
}

TEST_F(Lifecycle, AKeptStatementErrorDoesNotDoomTheBranch) {
  ASSERT_TRUE(House().mariadb().Execute("INSERT INTO kept VALUES ('there')").ok());
  auto transaction = Coordinators().Begin();
  ASSERT_TRUE(transaction.ok());
  auto branch = InsertInMariadb(*transaction, "kept-on");
  ASSERT_TRUE(branch.ok());
  EXPECT_FALSE(branch->TryExecute("INSERT INTO kept VALUES (?)", "there").ok());
  EXPECT_TRUE(branch->Execute("INSERT INTO kept VALUES (?)", "kept-on-2").ok());
  EXPECT_EQ(transaction->Commit().outcome, Outcome::kCommitted);
  EXPECT_TRUE(InMariadb("kept-on"));
  EXPECT_TRUE(InMariadb("kept-on-2"));
}

TEST_F(Lifecycle, AVanishedClientIsRolledBackAtItsDeadline) {
  client::BeginOptions begin;
  begin.timeout = milliseconds(2500);
  auto client = std::make_unique<client::Client>(Coordinators());
  auto transaction = client->Begin(begin);
  ASSERT_TRUE(transaction.ok());
  const std::string gtrid = transaction->gtrid();
  ASSERT_TRUE(InsertInPostgres(*transaction, "vanished").ok());
  ASSERT_TRUE(InsertInMariadb(*transaction, "vanished").ok());
  // The client is never heard of again: nobody calls Commit, Rollback, or the destructor.
  static auto leaked = std::make_unique<client::Transaction>(std::move(*transaction));
  // An insert of the same key waits for whoever holds it; here it gives up soon.
  ASSERT_TRUE(House().mariadb().Execute("SET GLOBAL innodb_lock_wait_timeout = 1").ok());
  ASSERT_FALSE(House().mariadb().Execute("INSERT INTO kept VALUES ('vanished')").ok())
      << "the branch holds its locks until the deadline";
  EXPECT_TRUE(WaitUntil(seconds(10), [] {
    return House()
        .postgres()
        .Execute("SET lock_timeout = 100; INSERT INTO kept VALUES ('vanished')")
        .ok();
  })) << "PostgreSQL's branch still holds its locks";
  EXPECT_TRUE(WaitUntil(seconds(10), [] {
    return House().mariadb().Execute("INSERT INTO kept VALUES ('vanished')").ok();
  })) << "MariaDB's branch still holds its locks";
  auto result = Coordinators().Resolve(gtrid, seconds(5));
  EXPECT_EQ(result.outcome, Outcome::kAborted) << result.ToString();
}

TEST_F(Lifecycle, ARepeatedCommitGivesTheSameAnswerAlsoAfterARestart) {
  auto transaction = Coordinators().Begin();
  ASSERT_TRUE(transaction.ok());
  ASSERT_TRUE(InsertInPostgres(*transaction, "again").ok());
  ASSERT_TRUE(InsertInMariadb(*transaction, "again").ok());
  ASSERT_EQ(transaction->Commit().outcome, Outcome::kCommitted);
  EXPECT_EQ(transaction->Commit().outcome, Outcome::kCommitted);
  House().coordinator().Kill9();
  ASSERT_TRUE(House().coordinator().Start().ok());
  EXPECT_EQ(transaction->Commit().outcome, Outcome::kCommitted) << "after kill -9";
  House().coordinator().Terminate();
  ASSERT_TRUE(House().coordinator().Start().ok());
  EXPECT_EQ(transaction->Commit().outcome, Outcome::kCommitted) << "after a clean stop";
  auto asked = Coordinators().Resolve(transaction->gtrid(), seconds(5));
  EXPECT_EQ(asked.outcome, Outcome::kCommitted) << asked.ToString();
}

TEST_F(Lifecycle, ATransactionBegunBeforeARestartOfTheCoordinatorAborts) {
  auto transaction = Coordinators().Begin();
  ASSERT_TRUE(transaction.ok());
  ASSERT_TRUE(InsertInPostgres(*transaction, "presumed").ok());
  House().coordinator().Kill9();
  ASSERT_TRUE(House().coordinator().Start().ok());
  auto result = transaction->Commit();
  EXPECT_EQ(result.outcome, Outcome::kAborted) << result.ToString();
  EXPECT_EQ(result.abort.cause, client::AbortCause::kPresumed);
  EXPECT_FALSE(InPostgres("presumed"));
  EXPECT_EQ(transaction->Commit().outcome, Outcome::kAborted);
}

TEST_F(Lifecycle, ADatabaseThatIsAwayGetsItsCommitWhenItIsBack) {
  auto transaction = Coordinators().Begin();
  ASSERT_TRUE(transaction.ok());
  ASSERT_TRUE(InsertInPostgres(*transaction, "later").ok());
  ASSERT_TRUE(InsertInMariadb(*transaction, "later").ok());
  // Decided, and perhaps not yet applied when MariaDB dies. The walk has each step exactly.
  client::CommitOptions decided;
  decided.ack = client::Acknowledgement::kDecided;
  ASSERT_EQ(transaction->Commit(decided).outcome, Outcome::kCommitted);
  House().mariadb().Kill9();
  ASSERT_TRUE(House().mariadb().Start().ok());
  EXPECT_TRUE(WaitUntil(seconds(20), [] { return InMariadb("later") && InPostgres("later"); }));
  auto left = House().WaitNothingPrepared(seconds(20));
  ASSERT_TRUE(left.ok());
  EXPECT_EQ(*left, 0);
}

TEST_F(Lifecycle, PreparedBranchesOfOthersAreNeverTouched) {
  const std::string other_program = "PREPARE TRANSACTION 'some-other-coordinator-1'";
  const std::string other_cluster =
      "PREPARE TRANSACTION 'assent:elsewhere.0000000000001.0000.00000001.00000000:"
      "A.bank_pg.000.0001'";
  const std::string other_resource =
      "PREPARE TRANSACTION 'assent:bank.0000000000001.0000.00000001.00000000:A.other_pg.000.0001'";
  int n = 0;
  for (const std::string& prepare : {other_program, other_cluster, other_resource}) {
    const std::string id = "foreign" + std::to_string(++n);
    Status s =
        House().postgres().Execute("BEGIN; INSERT INTO kept VALUES ('" + id + "'); " + prepare);
    ASSERT_TRUE(s.ok()) << s.ToString();
  }
  // Long enough for several scans, also one that begins with a fresh agent.
  House().postgres_agent().Kill9();
  ASSERT_TRUE(House().postgres_agent().Start().ok());
  auto transaction = Coordinators().Begin();
  ASSERT_TRUE(transaction.ok());
  ASSERT_TRUE(InsertInPostgres(*transaction, "beside-foreign").ok());
  ASSERT_EQ(transaction->Commit().outcome, Outcome::kCommitted);
  std::this_thread::sleep_for(seconds(5));  // Nothing to wait for: nothing must happen.
  auto rows = House().postgres().Query("SELECT gid FROM pg_prepared_xacts ORDER BY gid");
  ASSERT_TRUE(rows.ok());
  EXPECT_EQ(rows->size(), 3u);
  for (const auto& row : *rows) {
    ASSERT_TRUE(House().postgres().Execute("ROLLBACK PREPARED '" + row[0] + "'").ok());
  }
}

TEST_F(Lifecycle, AReadOnlyTransactionIsCommittedWithoutARecord) {
  auto transaction = Coordinators().Begin();
  ASSERT_TRUE(transaction.ok());
  client::OpenOptions options;
  options.read_only = true;
  options.statements = {{"SELECT count(*) FROM kept", {}}};
  ASSERT_TRUE(transaction->Open(PostgresAgent(), Deployment::kPostgresResource, options).ok());
  ASSERT_TRUE(transaction->Open(MariadbAgent(), Deployment::kMariadbResource, options).ok());
  EXPECT_EQ(transaction->Commit().outcome, Outcome::kCommitted);
  EXPECT_EQ(PreparedNow(), 0);
}

TEST_F(Lifecycle, AClientKeyCommitsOnce) {
  client::BeginOptions begin;
  begin.client_key = "order-4711";
  std::string gtrid;
  {
    auto transaction = Coordinators().Begin(begin);
    ASSERT_TRUE(transaction.ok());
    gtrid = transaction->gtrid();
    auto second = Coordinators().Begin(begin);
    ASSERT_FALSE(second.ok());
    EXPECT_EQ(second.status().code(), Code::kAlreadyExists) << second.status().ToString();
    ASSERT_TRUE(InsertInPostgres(*transaction, "keyed").ok());
    ASSERT_EQ(transaction->Commit().outcome, Outcome::kCommitted);
  }
  House().coordinator().Kill9();
  ASSERT_TRUE(House().coordinator().Start().ok());
  auto repeated = Coordinators().Begin(begin);
  ASSERT_TRUE(repeated.ok()) << repeated.status().ToString();
  EXPECT_TRUE(repeated->already_committed());
  EXPECT_EQ(repeated->gtrid(), gtrid);
}

}  // namespace
}  // namespace assent::system_tests
