// Results of any size, row by row.
#include <thread>

#include "tests/adapters/collecting_sink.h"
#include "tests/adapters/postgres_fixture.h"

namespace assent::adapters {
namespace {

using test_support::WaitUntil;

using Row = std::vector<Value>;

class PostgresStream : public PostgresTest {
 protected:
  void SetUp() override {
    PostgresTest::SetUp();
    session_ = Work();
    ASSERT_NE(session_, nullptr);
    Start(*session_, NewGid());
  }
  void TearDown() override {
    session_.reset();  // Its locks are in the way of the next test.
    PostgresTest::TearDown();
  }
  StatementResult Stream(const std::string& sql, CollectingSink& sink,
                         const std::vector<Value>& parameters = {}, bool keep_on_error = false) {
    auto answer = session_->ExecuteStreamed(
        {.sql = sql, .parameters = parameters, .keep_on_error = keep_on_error}, sink);
    EXPECT_TRUE(answer.ok()) << answer.status().ToString();
    return answer.ok() ? *answer : StatementResult{};
  }
  StatementResult Streamed(const std::string& sql, CollectingSink& sink,
                           const std::vector<Value>& parameters = {}) {
    StatementResult result = Stream(sql, sink, parameters);
    EXPECT_FALSE(result.error.has_value()) << sql << ": " << *result.error;
    return result;
  }
  // Whether the session can carry another branch.
  void ExpectUsable() {
    EXPECT_TRUE(session_->Rollback());
    Start(*session_, NewGid());
    Execute(*session_, "INSERT INTO t VALUES (77,77)");
    CollectingSink sink;
    Streamed("SELECT k FROM t WHERE k = 77", sink);
    EXPECT_EQ(sink.count, 1u);
    PrepareYes(*session_);
  }

  std::unique_ptr<WorkSession> session_;
};

TEST_F(PostgresStream, ResultsBeyondTheLimitsComeInTheMemoryOfABatch) {
  Execute(*session_, "INSERT INTO t VALUES (1,1)");
  CollectingSink sink;
  int64_t expected = 0;
  sink.on_row = [&](size_t) {
    ++expected;
    if (!sink.last.empty() && sink.last[0] != Value(expected)) ADD_FAILURE() << expected;
  };
  StatementResult result =
      Streamed("SELECT n, repeat('x', $1::int) AS text FROM generate_series(1, $2::bigint) n", sink,
               {int64_t{1000}, int64_t{250'000}});
  EXPECT_EQ(sink.count, 250'000u);
  EXPECT_EQ(result.rows_affected, 0u);
  EXPECT_EQ(sink.columns_calls, 1);
  ASSERT_EQ(sink.columns.size(), 2u);
  EXPECT_EQ(sink.columns[0].type, "int8");
  EXPECT_EQ(sink.columns[1].name, "text");
  EXPECT_LT(sink.memory_growth(), size_t{16} << 20) << "of 250 MB";
  PrepareYes(*session_);
}

TEST_F(PostgresStream, LargeRowsMakeSmallBatches) {
  CollectingSink sink;
  sink.rows_kept_max = 0;
  Streamed("SELECT repeat('x', 2000000) FROM generate_series(1, 150)", sink);
  EXPECT_EQ(sink.count, 150u);
  EXPECT_LT(sink.memory_growth(), size_t{64} << 20) << "of 300 MB";
}

TEST_F(PostgresStream, ValuesAreThoseOfExecute) {
  const std::string sql =
      "SELECT $1::bool AS a, $2::int8, $3::float8, $4::text, $5::bytea, $6::text, 1.10::numeric"
      " FROM generate_series(1, 3)";
  const Row parameters = {true,          int64_t{INT64_MIN}, 0.1, std::string("h\xc3\xa4't"),
                          Bytes{"\xff"}, std::monostate{}};
  ResultSet set = Execute(*session_, sql, parameters);
  CollectingSink sink;
  Streamed(sql, sink, parameters);
  EXPECT_EQ(sink.rows, set.rows);
  ASSERT_EQ(sink.columns.size(), set.columns.size());
  for (size_t i = 0; i < set.columns.size(); ++i) {
    EXPECT_EQ(sink.columns[i].name, set.columns[i].name);
    EXPECT_EQ(sink.columns[i].type, set.columns[i].type);
  }
}

TEST_F(PostgresStream, AnEmptyResultHasColumns) {
  CollectingSink sink;
  Streamed("SELECT k FROM t WHERE k < 0", sink);
  EXPECT_EQ(sink.columns_calls, 1);
  EXPECT_EQ(sink.count, 0u);
}

TEST_F(PostgresStream, ABranchThatOnlyStreamedVotesReadOnlyUnlessAFunctionWrote) {
  CollectingSink sink;
  Streamed("SELECT generate_series(1, 20000)", sink);
  EXPECT_EQ(session_->Prepare().vote, Vote::kReadOnly);
  Sql("CREATE OR REPLACE FUNCTION writes(n int) RETURNS int LANGUAGE sql AS"
      " 'INSERT INTO t VALUES (n, n) RETURNING k'");
  Start(*session_, NewGid());
  Streamed("SELECT writes(n) FROM generate_series(1, 100) n", sink);
  PrepareYes(*session_);
  Sql("DROP FUNCTION writes");
}

TEST_F(PostgresStream, AnErrorAmongTheRowsDoomsTheBranch) {
  Execute(*session_, "INSERT INTO t VALUES (1,1)");
  CollectingSink sink;
  StatementResult result =
      Stream("SELECT 1000 / (5000 - n) FROM generate_series(1, 10000) n", sink);
  ASSERT_TRUE(result.error.has_value());
  EXPECT_EQ(result.error->code, "22012") << *result.error;
  EXPECT_EQ(result.error->cause, Cause::kStatementFailed);
  EXPECT_FALSE(result.error->session_lost);
  EXPECT_GT(sink.count, 0u);
  EXPECT_LT(sink.count, 5000u);
  EXPECT_EQ(Fails(*session_, "SELECT 1").cause, Cause::kTransactionFailed);
  EXPECT_EQ(Stream("SELECT 1", sink).error->cause, Cause::kTransactionFailed);
  EXPECT_EQ(session_->Prepare().vote, Vote::kNo);
  Start(*session_, NewGid());
  ExpectUsable();
}

TEST_F(PostgresStream, KeepOnErrorUndoesOnlyTheStream) {
  Sql("CREATE OR REPLACE FUNCTION writes(n int) RETURNS int LANGUAGE sql AS"
      " 'INSERT INTO t VALUES (n, n) RETURNING k'");
  Execute(*session_, "INSERT INTO t VALUES (1,1)");
  CollectingSink sink;
  StatementResult result = Stream("SELECT writes(n), 1 / (60 - n) FROM generate_series(2, 100) n",
                                  sink, {}, /*keep_on_error=*/true);
  ASSERT_TRUE(result.error.has_value());
  EXPECT_EQ(result.error->code, "22012");
  EXPECT_GT(sink.count, 0u);
  for (bool keep : {true, false}) {
    EXPECT_FALSE(Stream("SELECT 1", sink, {}, keep).error.has_value());
  }
  EXPECT_EQ(Execute(*session_, "SELECT k FROM t").rows.size(), 1u);
  PrepareYes(*session_);
  Sql("DROP FUNCTION writes");
}

TEST_F(PostgresStream, ASinkThatWantsNoMoreEndsTheStreamAtOnceAndTheBranch) {
  for (bool keep : {false, true}) {
    CollectingSink sink;
    sink.rows_wanted = 3;
    StatementResult result = Stream("SELECT generate_series(1, 1000000000000)", sink, {}, keep);
    EXPECT_EQ(sink.count, 3u);
    ASSERT_TRUE(result.error.has_value());
    EXPECT_EQ(result.error->code, "CANCELLED");
    EXPECT_FALSE(result.error->session_lost);
    EXPECT_EQ(session_->Prepare().vote, Vote::kNo);
    Start(*session_, NewGid());
  }
  ExpectUsable();
}

TEST_F(PostgresStream, CancelInterruptsAStream) {
  std::thread canceller([&] {
    WaitUntil(std::chrono::seconds(20), [] {
      return Scalar(
                 "SELECT count(*) FROM pg_stat_activity"
                 " WHERE wait_event = 'PgSleep' AND query LIKE 'FETCH%'") == "1";
    });
    session_->Cancel();
  });
  CollectingSink sink;
  StatementResult result = Stream(
      "SELECT CASE WHEN n > 100 THEN pg_sleep(60)::text END FROM generate_series(1, 200) n", sink);
  canceller.join();
  EXPECT_GT(sink.count, 0u);
  ASSERT_TRUE(result.error.has_value());
  EXPECT_EQ(result.error->code, "57014") << *result.error;
  EXPECT_FALSE(result.error->session_lost);
  EXPECT_EQ(session_->Prepare().vote, Vote::kNo);
  Start(*session_, NewGid());
  ExpectUsable();
}

TEST_F(PostgresStream, ALostSessionIsNotTheEndOfTheRows) {
  CollectingSink sink;
  sink.on_row = [](size_t count) {
    if (count == 500) KillSessions();
  };
  StatementResult result = Stream("SELECT generate_series(1, 1000000)", sink);
  ASSERT_TRUE(result.error.has_value());
  EXPECT_EQ(result.error->cause, Cause::kConnectionLost) << *result.error;
  EXPECT_TRUE(result.error->session_lost);
  EXPECT_LT(sink.count, 1'000'000u);
  EXPECT_EQ(session_->Prepare().vote, Vote::kNo);
}

TEST_F(PostgresStream, ASlowReaderDoesNotRunIntoTheStatementTimeout) {
  ConnectOptions options = Options();
  options.statement_timeout = std::chrono::milliseconds(1000);
  session_ = Work(options);
  ASSERT_NE(session_, nullptr);
  Start(*session_, NewGid());
  CollectingSink sink;
  sink.on_row = [](size_t count) {
    // Time passes, which is all that this is about.
    if (count == 10) std::this_thread::sleep_for(std::chrono::milliseconds(1500));
  };
  Streamed("SELECT generate_series(1, 2000)", sink);
  EXPECT_EQ(sink.count, 2000u);
}

TEST_F(PostgresStream, WhatNoCursorTakesIsRunAllTheSame) {
  struct Case {
    const char* sql;
    uint64_t rows;
    uint64_t affected;
  };
  const Case cases[] = {
      {"INSERT INTO t VALUES (1,1),(2,2)", 0, 2},
      {"INSERT INTO t VALUES (3,3) RETURNING k", 1, 1},
      {"WITH x AS (INSERT INTO t VALUES (4,4),(5,5) RETURNING k) SELECT k FROM x", 2, 2},
      {"WITH x AS (SELECT 'to update' AS s) SELECT s, generate_series(1,2) FROM x", 2, 0},
      {"WITH x(k) AS (VALUES (5)) UPDATE t SET v = 6 FROM x WHERE t.k = x.k", 0, 1},
      {"SELECT k INTO TEMP u FROM t", 0, 5},
      {"SELECT 'into' AS word", 1, 0},
      {"; SELECT 1", 1, 0},
      {"SELECT 1; -- the end", 1, 0},
      {"(SELECT 1) UNION ALL (SELECT 2)", 2, 0},
      {"VALUES (1), (2), (3)", 3, 0},
      {"TABLE t", 5, 0},
      {"SELECT k FROM t ORDER BY k FOR UPDATE", 5, 0},
      {"SHOW search_path", 1, 0},
      {"SAVEPOINT mine", 0, 0},
  };
  for (bool keep : {false, true}) {
    for (const Case& c : cases) {
      SCOPED_TRACE(c.sql);
      CollectingSink sink;
      StatementResult result = Stream(c.sql, sink, {}, keep);
      ASSERT_FALSE(result.error.has_value()) << *result.error;
      EXPECT_EQ(sink.count, c.rows);
      EXPECT_EQ(result.rows_affected, c.affected);
    }
    EXPECT_TRUE(session_->Rollback());
    Start(*session_, NewGid());
  }
}

TEST_F(PostgresStream, WhatFailsByItselfFailsWithItsOwnWords) {
  struct Case {
    const char* sql;
    const char* code;
  };
  const Case cases[] = {
      {"SELECT nonsense", "42703"},
      {"SELECT nonsense INTO x", "42703"},
      {"WITH x AS (INSERT INTO nowhere VALUES (1) RETURNING 1) SELECT * FROM x", "42P01"},
      {"SELECT 1; SELECT 2", "42601"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.sql);
    CollectingSink sink;
    StatementResult result = Stream(c.sql, sink, {}, /*keep_on_error=*/true);
    ASSERT_TRUE(result.error.has_value());
    EXPECT_EQ(result.error->code, c.code) << *result.error;
  }
  CollectingSink sink;
  EXPECT_FALSE(Stream("SELECT 1", sink).error.has_value()) << "the branch lives";
  EXPECT_EQ(Stream("COMMIT", sink).error->cause, Cause::kMisuse);
  EXPECT_EQ(session_->Prepare().vote, Vote::kNo);
}

TEST_F(PostgresStream, WithoutABranchNothingIsStreamed) {
  EXPECT_TRUE(session_->Rollback());
  CollectingSink sink;
  EXPECT_EQ(Stream("SELECT 1", sink).error->cause, Cause::kMisuse);
  EXPECT_EQ(sink.columns_calls, 0);
}

}  // namespace
}  // namespace assent::adapters
