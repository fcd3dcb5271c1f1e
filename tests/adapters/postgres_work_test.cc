// Work sessions up to the vote: statements, values, errors, and what one branch leaves to the next.
#include <cmath>
#include <thread>

#include "tests/adapters/postgres_fixture.h"

namespace assent::adapters {
namespace {

using std::chrono::milliseconds;
using test_support::WaitUntil;
using testing::HasSubstr;

class PostgresWork : public PostgresTest {
 protected:
  static std::string Text(const ResultSet& set) {
    if (set.rows.size() != 1) return "not one row";
    const auto* text = std::get_if<std::string>(&set.rows[0].at(0));
    return text == nullptr ? "not text" : *text;
  }
};

TEST_F(PostgresWork, ValuesComeBackAsTheyWent) {
  auto session = Work();
  Start(*session, NewGid());
  const std::string bytes("\0\x01\\'\xff", 5);
  ResultSet set =
      Execute(*session,
              "SELECT $1::bool AS a, $2::int8, $3::float8, $4::text, $5::bytea, $6::text, $7::int4,"
              " $8::numeric, $9::float4, $10::date",
              {true, int64_t{INT64_MIN}, 0.1, std::string("h\xc3\xa4't \\ \""), Bytes{bytes},
               std::monostate{}, int64_t{-7}, std::string("1.10"), 0.5, std::string("2026-02-28")});
  ASSERT_EQ(set.rows.size(), 1u);
  const std::vector<Value> expected = {
      true,         int64_t{INT64_MIN},       0.1,         std::string("h\xc3\xa4't \\ \""),
      Bytes{bytes}, std::monostate{},         int64_t{-7}, std::string("1.10"),
      0.5,          std::string("2026-02-28")};
  EXPECT_EQ(set.rows[0], expected);
  EXPECT_EQ(set.columns[0].name, "a");
  EXPECT_EQ(set.columns[1].type, "int8");
  EXPECT_EQ(set.columns[7].type, "numeric");
}

TEST_F(PostgresWork, FloatsThatAreNoNumbers) {
  auto session = Work();
  Start(*session, NewGid());
  ResultSet set = Execute(*session, "SELECT $1::float8, $2::float8",
                          {INFINITY, std::numeric_limits<double>::quiet_NaN()});
  EXPECT_EQ(std::get<double>(set.rows.at(0).at(0)), INFINITY);
  EXPECT_TRUE(std::isnan(std::get<double>(set.rows.at(0).at(1))));
}

TEST_F(PostgresWork, RowsAffectedCountsChangesOnly) {
  auto session = Work();
  Start(*session, NewGid());
  EXPECT_EQ(Execute(*session, "INSERT INTO t VALUES (1,0),(2,0),(3,0)").rows_affected, 3u);
  EXPECT_EQ(Execute(*session, "UPDATE t SET v = 1 WHERE k < 3 RETURNING k").rows_affected, 2u);
  EXPECT_EQ(Execute(*session, "SELECT * FROM t").rows_affected, 0u);
  EXPECT_EQ(Execute(*session, "DELETE FROM t WHERE k = 99").rows_affected, 0u);
}

TEST_F(PostgresWork, StartSetsWhatItWasAskedFor) {
  auto session = Work();
  Start(*session, NewGid(),
        {.isolation = Isolation::kSerializable,
         .read_only = true,
         .lock_timeout = milliseconds(1234)});
  EXPECT_EQ(Text(Execute(*session, "SHOW transaction_isolation")), "serializable");
  EXPECT_EQ(Text(Execute(*session, "SHOW transaction_read_only")), "on");
  EXPECT_EQ(Text(Execute(*session, "SHOW lock_timeout")), "1234ms");
  EXPECT_TRUE(session->Rollback());

  Start(*session, NewGid(), {.isolation = Isolation::kRepeatableRead});
  EXPECT_EQ(Text(Execute(*session, "SHOW transaction_isolation")), "repeatable read");
  EXPECT_EQ(Text(Execute(*session, "SHOW lock_timeout")), "0") << "left over from before";
  EXPECT_TRUE(session->Rollback());

  Start(*session, NewGid());
  EXPECT_EQ(Text(Execute(*session, "SHOW transaction_isolation")), "read committed");
}

TEST_F(PostgresWork, ABranchOpenedReadOnlyCannotWrite) {
  auto session = Work();
  Start(*session, NewGid(), {.read_only = true});
  EXPECT_EQ(Fails(*session, "INSERT INTO t VALUES (1,1)").cause, Cause::kReadOnlyViolation);
  EXPECT_EQ(session->Prepare().vote, Vote::kNo);
}

TEST_F(PostgresWork, VerbsInTheWrongStateAreMisuse) {
  auto session = Work();
  EXPECT_EQ(Fails(*session, "SELECT 1").cause, Cause::kMisuse);
  PrepareAnswer vote = session->Prepare();
  EXPECT_EQ(vote.vote, Vote::kNo);
  EXPECT_EQ(vote.error.cause, Cause::kMisuse);
  Start(*session, NewGid());
  EXPECT_EQ(session->Start(NewGid(), {})->cause, Cause::kMisuse) << "one branch at a time";
  EXPECT_TRUE(session->Rollback());
  EXPECT_EQ(session->Start(NewGid("other"), {})->cause, Cause::kMisuse) << "another's gid";
  EXPECT_EQ(session->Start(NewGid(), {.lock_timeout = milliseconds(0)})->cause, Cause::kMisuse);
  EXPECT_FALSE(session->AttachedWhenPrepared());
  EXPECT_EQ(session->FinishPrepared(Decision::kCommit, "", JournalWord::kNothing).finish,
            Finish::kRefused);
}

TEST_F(PostgresWork, RollbackIsIdempotentAndFreesTheSession) {
  auto session = Work();
  EXPECT_TRUE(session->Rollback());
  Start(*session, NewGid());
  Execute(*session, "INSERT INTO t VALUES (1,1)");
  EXPECT_TRUE(session->Rollback());
  EXPECT_TRUE(session->Rollback());
  EXPECT_FALSE(RowExists(1));
  Start(*session, NewGid());
  Execute(*session, "INSERT INTO t VALUES (1,1)");
  PrepareYes(*session);
}

TEST_F(PostgresWork, AFailedStatementDoomsTheBranch) {
  auto session = Work();
  Gid gid = NewGid();
  Start(*session, gid);
  Execute(*session, "INSERT INTO t VALUES (1,1)");
  WorkError error = Fails(*session, "INSERT INTO t VALUES (1,1)");
  EXPECT_EQ(error.cause, Cause::kStatementFailed);
  EXPECT_EQ(error.code, "23505");
  EXPECT_THAT(error.detail, HasSubstr("duplicate key"));
  EXPECT_FALSE(error.session_lost);
  EXPECT_EQ(Fails(*session, "SELECT 1").cause, Cause::kTransactionFailed);
  EXPECT_EQ(Fails(*session, "ROLLBACK TO nothing").cause, Cause::kTransactionFailed);
  PrepareAnswer answer = session->Prepare();
  EXPECT_EQ(answer.vote, Vote::kNo);
  EXPECT_EQ(answer.error.cause, Cause::kTransactionFailed);
  EXPECT_THAT(answer.error.detail, HasSubstr("duplicate key"));
  EXPECT_FALSE(Listed(gid));
  Start(*session, NewGid());
  Execute(*session, "SELECT 1");
}

TEST_F(PostgresWork, KeepOnErrorUndoesOnlyTheStatement) {
  auto session = Work();
  Start(*session, NewGid());
  Execute(*session, "INSERT INTO t VALUES (1,1)");
  EXPECT_EQ(Fails(*session, "INSERT INTO t VALUES (2,2),(1,1)", {}, true).code, "23505");
  auto kept = session->Execute("INSERT INTO t VALUES (3,3)", {}, true);
  EXPECT_TRUE(std::holds_alternative<ResultSet>(kept));
  EXPECT_EQ(Execute(*session, "SELECT k FROM t ORDER BY k").rows.size(), 2u);
  PrepareYes(*session);
}

TEST_F(PostgresWork, KeepOnErrorLeavesSavepointsOfOthersAlone) {
  auto session = Work();
  Start(*session, NewGid());
  Execute(*session, "SAVEPOINT mine");
  Execute(*session, "INSERT INTO t VALUES (1,1)");
  EXPECT_EQ(Fails(*session, "SELECT nonsense", {}, true).cause, Cause::kStatementFailed);
  Execute(*session, "ROLLBACK TO SAVEPOINT mine");
  Execute(*session, "INSERT INTO t VALUES (2,2)");
  PrepareYes(*session);
}

TEST_F(PostgresWork, TransactionControlIsRefusedBeforeItIsSent) {
  for (const char* sql : {"COMMIT", "/* x */ rollback", "; end", "BEGIN",
                          "PREPARE TRANSACTION 'assent_test'", "COMMIT PREPARED 'x'"}) {
    auto session = Work();
    Gid gid = NewGid();
    Start(*session, gid);
    Execute(*session, "INSERT INTO t VALUES (1,1)");
    EXPECT_EQ(Fails(*session, sql).cause, Cause::kMisuse) << sql;
    EXPECT_EQ(session->Prepare().vote, Vote::kNo) << sql;
    EXPECT_FALSE(Listed(gid)) << sql;
    EXPECT_FALSE(RowExists(1)) << sql;
  }
}

TEST_F(PostgresWork, OneStatementCannotHideAnother) {
  auto session = Work();
  Start(*session, NewGid());
  Execute(*session, "INSERT INTO t VALUES (1,1)");
  WorkError error = Fails(*session, "SELECT 1; COMMIT");
  EXPECT_EQ(error.code, "42601");
  EXPECT_FALSE(RowExists(1));
  EXPECT_EQ(session->Prepare().vote, Vote::kNo);
  // Nor can a procedure.
  Sql("CREATE PROCEDURE commits() LANGUAGE plpgsql AS 'BEGIN COMMIT; END'");
  Start(*session, NewGid());
  Execute(*session, "INSERT INTO t VALUES (1,1)");
  EXPECT_EQ(Fails(*session, "CALL commits()").code, "2D000");
  EXPECT_EQ(session->Prepare().vote, Vote::kNo);
  EXPECT_FALSE(RowExists(1));
  Sql("DROP PROCEDURE commits");
}

TEST_F(PostgresWork, ResultsBeyondTheLimitsAreRefusedAndTheBranchLives) {
  auto session = Work();
  Start(*session, NewGid());
  Execute(*session, "INSERT INTO t VALUES (1,1)");
  EXPECT_EQ(Execute(*session, "SELECT generate_series(1, $1::int)",
                    {static_cast<int64_t>(kResultRowsMax)})
                .rows.size(),
            kResultRowsMax);
  WorkError error = Fails(*session, "SELECT generate_series(1, $1::int)",
                          {static_cast<int64_t>(kResultRowsMax + 1)});
  EXPECT_EQ(error.code, "OUT_OF_RANGE");
  EXPECT_THAT(error.detail, HasSubstr("LIMIT"));
  error =
      Fails(*session, "SELECT repeat('x', $1::int)", {static_cast<int64_t>(kResultBytesMax + 1)});
  EXPECT_EQ(error.code, "OUT_OF_RANGE");
  PrepareYes(*session);
}

TEST_F(PostgresWork, NulBytesAreRefusedAndNotCutOff) {
  auto session = Work();
  Start(*session, NewGid());
  WorkError error = Fails(*session, "SELECT $1::text, $2::text",
                          {std::string("a"), std::string("a\0b", 3)}, true);
  EXPECT_THAT(error.detail, HasSubstr("$2"));
  EXPECT_EQ(Fails(*session, std::string("SELECT 1\0; x", 12)).cause, Cause::kStatementFailed);
  EXPECT_EQ(session->Prepare().vote, Vote::kNo);
}

TEST_F(PostgresWork, LockTimeoutIsNamedAndDooms) {
  Sql("INSERT INTO t VALUES (1,1)");
  auto holder = Work();
  Start(*holder, NewGid());
  Execute(*holder, "UPDATE t SET v = 2 WHERE k = 1");
  auto waiter = Work();
  Start(*waiter, NewGid(), {.lock_timeout = milliseconds(20)});
  WorkError error = Fails(*waiter, "UPDATE t SET v = 3 WHERE k = 1");
  EXPECT_EQ(error.cause, Cause::kLockTimeout) << error;
  EXPECT_EQ(waiter->Prepare().vote, Vote::kNo);
  // A prepared branch keeps its locks.
  PrepareYes(*holder);
  Start(*waiter, NewGid(), {.lock_timeout = milliseconds(20)});
  EXPECT_EQ(Fails(*waiter, "UPDATE t SET v = 3 WHERE k = 1").cause, Cause::kLockTimeout);
}

TEST_F(PostgresWork, TheVictimOfADeadlockIsNamed) {
  Sql("INSERT INTO t VALUES (1,1),(2,2)");
  auto one = Work();
  auto two = Work();
  Start(*one, NewGid());
  Start(*two, NewGid());
  Execute(*one, "UPDATE t SET v = 9 WHERE k = 1");
  Execute(*two, "UPDATE t SET v = 9 WHERE k = 2");
  std::variant<ResultSet, WorkError> first;
  std::thread other([&] { first = one->Execute("UPDATE t SET v = 9 WHERE k = 2", {}, false); });
  std::variant<ResultSet, WorkError> second =
      two->Execute("UPDATE t SET v = 9 WHERE k = 1", {}, false);
  if (std::holds_alternative<WorkError>(second)) two->Rollback();
  other.join();
  const auto* error = std::get_if<WorkError>(&first);
  if (error == nullptr) error = std::get_if<WorkError>(&second);
  ASSERT_NE(error, nullptr);
  EXPECT_EQ(error->cause, Cause::kDeadlock) << *error;
}

TEST_F(PostgresWork, StatementTimeoutEndsAStatement) {
  ConnectOptions options = Options();
  // Also of the statements by which a session is opened: a busy machine must not fail those.
  options.statement_timeout = milliseconds(1000);
  auto session = Work(options);
  ASSERT_NE(session, nullptr);
  Start(*session, NewGid());
  WorkError error = Fails(*session, "SELECT pg_sleep(60)");
  EXPECT_EQ(error.code, "57014");
  EXPECT_FALSE(error.session_lost);
}

TEST_F(PostgresWork, CancelInterruptsAStatementFromAnotherThread) {
  auto session = Work();
  Start(*session, NewGid());
  std::thread canceller([&] {
    WaitUntil(std::chrono::seconds(20), [] {
      return Scalar(
                 "SELECT count(*) FROM pg_stat_activity WHERE state = 'active'"
                 " AND query LIKE 'SELECT pg_sleep%'") == "1";
    });
    session->Cancel();
  });
  WorkError error = Fails(*session, "SELECT pg_sleep(60)");
  canceller.join();
  EXPECT_EQ(error.code, "57014") << error;
  EXPECT_FALSE(error.session_lost);
  EXPECT_EQ(session->Prepare().vote, Vote::kNo);
}

TEST_F(PostgresWork, ABranchInheritsNothingFromTheOneBefore) {
  for (const char* end : {"prepare", "roll back", "read only"}) {
    SCOPED_TRACE(end);
    auto session = Work();
    Start(*session, NewGid());
    if (std::string(end) == "prepare") Execute(*session, "INSERT INTO t VALUES (1,1)");
    Execute(*session, "SET search_path = nowhere");
    Execute(*session, "SET default_transaction_isolation = 'serializable'");
    Execute(*session, "PREPARE q AS SELECT 1");
    if (std::string(end) != "read only") Execute(*session, "SELECT pg_advisory_lock(4711)");
    Execute(*session, "SET ROLE app");
    if (std::string(end) == "roll back") {
      EXPECT_TRUE(session->Rollback());
    } else {
      EXPECT_EQ(session->Prepare().vote,
                std::string(end) == "prepare" ? Vote::kYes : Vote::kReadOnly);
    }
    EXPECT_EQ(Scalar("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"), "0");
    Start(*session, NewGid());
    EXPECT_EQ(Text(Execute(*session, "SHOW search_path")), "\"$user\", public");
    EXPECT_EQ(Text(Execute(*session, "SHOW transaction_isolation")), "read committed");
    EXPECT_EQ(Text(Execute(*session, "SELECT current_user::text")), "postgres");
    EXPECT_TRUE(
        Execute(*session, "SELECT name FROM pg_prepared_statements WHERE name = 'q'").rows.empty());
  }
}

}  // namespace
}  // namespace assent::adapters
