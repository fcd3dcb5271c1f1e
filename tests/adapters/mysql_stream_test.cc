// Results of any size, row by row, in the text protocol and through variables.
#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "base/mutant.h"
#include "tests/adapters/collecting_sink.h"
#include "tests/adapters/mysql_fixture.h"

namespace assent::adapters {
namespace {

using std::chrono::seconds;
using Row = std::vector<Value>;

class MysqlStream : public MysqlTest {
 protected:
  void SetUp() override {
    MysqlTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    // 1 to 1,000,000.
    for (const char* sql :
         {"CREATE TABLE IF NOT EXISTS digits (d INT PRIMARY KEY)",
          "INSERT IGNORE INTO digits VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)",
          "CREATE OR REPLACE VIEW numbers AS SELECT 1 + a.d + 10 * b.d + 100 * c.d + 1000 * e.d + "
          "10000 * f.d + 100000 * g.d AS n FROM digits a, digits b, digits c, digits e, digits f, "
          "digits g"}) {
      ASSERT_TRUE(server().Execute(sql).ok()) << sql;
    }
    session_ = OpenWork(resource());
    gid_ = MustStart(*session_, FreshGid());
  }
  void TearDown() override {
    session_.reset();
    MysqlTest::TearDown();
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
    EXPECT_FALSE(result.error.has_value()) << sql << ": " << result.error->detail;
    return result;
  }
  // The branch of the session goes to its end.
  void ExpectCommits(const std::string& n) {
    PrepareAnswer vote = session_->Prepare();
    ASSERT_EQ(vote.vote, Vote::kYes) << Describe(vote);
    EXPECT_EQ(End(*session_, Decision::kCommit, gid_, vote.evidence).finish, Finish::kDone);
    EXPECT_EQ(N(), n);
  }
  void ExpectDoomedAndUsable() {
    PrepareAnswer vote = session_->Prepare();
    EXPECT_EQ(vote.vote, Vote::kNo);
    EXPECT_FALSE(vote.error.session_lost) << vote.error.detail;
    gid_ = MustStart(*session_, FreshGid());
    MustExecute(*session_, Increment());
    CollectingSink sink;
    Streamed("SELECT n FROM " + table_, sink);
    EXPECT_EQ(sink.count, 3u);
    EXPECT_EQ(MustFail(*session_, "SELECT n FROM numbers").code, "OUT_OF_RANGE")
        << "the limit of Execute is back";
    ExpectCommits(std::to_string(++commits_));
  }

  std::unique_ptr<WorkSession> session_;
  Gid gid_;
  int commits_ = 0;
};
INSTANTIATE_TEST_SUITE_P(Servers, MysqlStream, ::testing::Values(ServersUnderTest().front()),
                         NameOf);

TEST_P(MysqlStream, ResultsBeyondTheLimitsComeInTheMemoryOfARow) {
  MustExecute(*session_, Increment());
  struct Case {
    std::string sql;
    std::vector<Value> parameters;
  };
  for (const Case& c : {Case{"SELECT n, REPEAT('x', 1000) AS text FROM numbers LIMIT 250000", {}},
                        Case{"SELECT n, REPEAT(?, 1000) AS text FROM numbers LIMIT ?",
                             {std::string("x"), int64_t{250'000}}}}) {
    SCOPED_TRACE(c.sql);
    CollectingSink sink;
    size_t bytes = 0;
    sink.on_row = [&](size_t) { bytes += std::get<std::string>(sink.last.at(1)).size(); };
    StatementResult result = Streamed(c.sql, sink, c.parameters);
    EXPECT_EQ(sink.count, 250'000u);
    EXPECT_EQ(bytes, 250'000'000u);
    EXPECT_EQ(result.rows_affected, 0u);
    EXPECT_EQ(sink.columns_calls, 1);
    EXPECT_EQ(sink.columns.at(1).name, "text");
    EXPECT_LT(sink.memory_growth(), size_t{16} << 20) << "of 250 MB";
  }
  EXPECT_EQ(MustFail(*session_, "SELECT n FROM numbers").code, "OUT_OF_RANGE");
  ExpectCommits("1");
}

TEST_P(MysqlStream, ValuesAreThoseOfExecute) {
  ASSERT_TRUE(server()
                  .Execute("CREATE TABLE v" + table_ +
                           " (id INT PRIMARY KEY, bu BIGINT UNSIGNED, f FLOAT, de DECIMAL(20,5), "
                           "c VARCHAR(50), bl BLOB, dt DATETIME(6), j JSON, nul INT)")
                  .ok());
  MustExecute(*session_,
              "INSERT INTO v" + table_ +
                  " VALUES (1, 18446744073709551615, 0.1, 1.50000, _utf8mb4 X'C3BCF09F9880', "
                  "X'00FF00', '2024-01-02 03:04:05.678901', '{\"a\":1}', NULL), (2, 0, -1.5, 0, "
                  "'', '', '2024-01-02 00:00:00.5', '[]', 7)");
  for (const std::string& where : {std::string("id > 0"), std::string("id > ?")}) {
    const std::string sql = "SELECT v.*, c = _utf8mb4 X'C3BCF09F9880' FROM v" + table_ +
                            " v WHERE " + where + " ORDER BY id";
    const Row parameters = where.back() == '?' ? Row{int64_t{0}} : Row{};
    ResultSet set = MustExecute(*session_, sql, parameters);
    CollectingSink sink;
    Streamed(sql, sink, parameters);
    EXPECT_EQ(sink.rows, set.rows);
    ASSERT_EQ(sink.columns.size(), set.columns.size());
    for (size_t i = 0; i < set.columns.size(); ++i) {
      EXPECT_EQ(sink.columns[i].name, set.columns[i].name);
      EXPECT_EQ(sink.columns[i].type, set.columns[i].type);
    }
  }
}

TEST_P(MysqlStream, ParametersOfEveryKindMeanWhatTheyMeanToExecute) {
  ASSERT_TRUE(server()
                  .Execute("CREATE TABLE w" + table_ +
                           " (id INT PRIMARY KEY, c VARCHAR(50) COLLATE utf8mb4_unicode_ci, b "
                           "VARBINARY(9), d DOUBLE, KEY (c))")
                  .ok());
  MustExecute(*session_, "INSERT INTO w" + table_ + " VALUES (?, ?, ?, ?)",
              {int64_t{1}, std::string("\xC3\xBC?'\\"), Bytes{std::string("\x00\xFF", 2)}, 0.5});
  const Row parameters = {std::string("\xC3\x9C?'\\"), Bytes{std::string("\x00\xFF", 2)}, 0.5, true,
                          std::monostate{}};
  const std::string sql =
      "SELECT id FROM w" + table_ + " WHERE c = ? AND b = ? AND d = ? AND id = ? AND ? IS NULL";
  EXPECT_EQ(MustExecute(*session_, sql, parameters).rows.size(), 1u);
  CollectingSink sink;
  Streamed(sql, sink, parameters);
  EXPECT_EQ(sink.count, 1u);
}

// The client library takes it for the end of the rows.
TEST_P(MysqlStream, AnErrorAmongTheRowsIsNotTheirEnd) {
  const std::string sql =
      "SELECT REPEAT('y', 20000), IF(n = 400, (SELECT d FROM digits WHERE d < n), 1) FROM numbers "
      "WHERE n <= 500 AND ";
  for (bool with_parameters : {false, true}) {
    const Row parameters = with_parameters ? Row{int64_t{1}} : Row{};
    CollectingSink sink;
    sink.rows_kept_max = 0;
    StatementResult result =
        Stream(sql + (with_parameters ? "?" : "1"), sink, parameters, /*keep_on_error=*/true);
    ASSERT_TRUE(result.error.has_value());
    EXPECT_EQ(result.error->code, "1242/21000") << result.error->detail;
    EXPECT_GT(sink.count, 0u);
    EXPECT_LT(sink.count, 500u);
  }
  MustExecute(*session_, Increment());  // Kept.
  CollectingSink sink;
  StatementResult result = Stream(sql + "1", sink);
  ASSERT_TRUE(result.error.has_value());
  EXPECT_EQ(result.error->cause, Cause::kStatementFailed);
  EXPECT_EQ(MustFail(*session_, "SELECT 1").cause, Cause::kTransactionFailed);
  ExpectDoomedAndUsable();
}

#if defined(ASSENT_FAILPOINTS)
TEST_P(MysqlStream, MutantBrokenStreamIsWholeIsCaught) {
  ScopedMutant mutant(Mutant::kBrokenStreamIsWhole);
  CollectingSink sink;
  StatementResult result = Stream(
      "SELECT REPEAT('y', 20000), IF(n = 400, (SELECT d FROM digits WHERE d < n), 1) FROM numbers "
      "WHERE n <= 500",
      sink);
  // What AnErrorAmongTheRowsIsNotTheirEnd would see.
  EXPECT_FALSE(result.error.has_value());
  EXPECT_LT(sink.count, 500u);
}
#endif

TEST_P(MysqlStream, AnErrorBehindWarningsIsFound) {
  CollectingSink sink;
  StatementResult result = Stream(
      "SELECT CAST('1x' AS SIGNED) + n, IF(n = 20, (SELECT d FROM digits WHERE d < n), 1) FROM "
      "numbers WHERE n <= 30",
      sink);
  ASSERT_TRUE(result.error.has_value());
  EXPECT_EQ(result.error->code, "1242/21000") << result.error->detail;
}

TEST_P(MysqlStream, WarningsAreNoError) {
  CollectingSink sink;
  Streamed("SELECT CAST('1x' AS SIGNED) + n FROM numbers WHERE n <= 3", sink);
  EXPECT_EQ(sink.count, 3u);
}

TEST_P(MysqlStream, ASinkThatWantsNoMoreEndsTheStreamSoonAndTheBranch) {
  const char* const endless = "SELECT n, REPEAT('x', 50000) FROM numbers";  // 50 GB.
  for (bool keep : {false, true}) {
    CollectingSink sink;
    sink.rows_wanted = 3;
    StatementResult result = Stream(endless, sink, {}, keep);
    EXPECT_EQ(sink.count, 3u);
    ASSERT_TRUE(result.error.has_value());
    EXPECT_EQ(result.error->code, "CANCELLED");
    EXPECT_FALSE(result.error->session_lost);
    ExpectDoomedAndUsable();
    gid_ = MustStart(*session_, FreshGid());
  }
  // The end of the rows, and the end that is asked for, at once: neither may hit what comes next.
  for (int round = 0; round < 20; ++round) {
    CollectingSink sink;
    sink.rows_wanted = 2;
    StatementResult result = Stream("SELECT n FROM " + table_, sink);
    ASSERT_TRUE(result.error.has_value());
    EXPECT_FALSE(result.error->session_lost);
    EXPECT_TRUE(session_->Rollback());
    gid_ = MustStart(*session_, FreshGid());
    MustExecute(*session_, Increment());
  }
}

TEST_P(MysqlStream, CancelInterruptsAStream) {
  std::promise<void> begun;
  std::thread canceller([&] {
    begun.get_future().wait();
    session_->Cancel();
  });
  CollectingSink sink;
  sink.on_row = [&](size_t count) {
    if (count == 1) begun.set_value();
  };
  sink.rows_kept_max = 0;
  StatementResult result = Stream("SELECT n, REPEAT('x', 50000) FROM numbers", sink);
  canceller.join();
  ASSERT_TRUE(result.error.has_value());
  EXPECT_EQ(result.error->code, "1317/70100") << result.error->detail;
  EXPECT_FALSE(result.error->session_lost);
  ExpectDoomedAndUsable();
}

TEST_P(MysqlStream, ALostSessionIsNotTheEndOfTheRows) {
  const std::string id = ConnectionId(*session_);
  CollectingSink sink;
  sink.on_row = [&](size_t count) {
    if (count == 1) KillConnection(id);
  };
  StatementResult result = Stream("SELECT n, REPEAT('x', 1000) FROM numbers", sink);
  ASSERT_TRUE(result.error.has_value());
  EXPECT_EQ(result.error->cause, Cause::kConnectionLost) << result.error->detail;
  EXPECT_TRUE(result.error->session_lost);
  EXPECT_LT(sink.count, 1'000'000u);
  EXPECT_EQ(session_->Prepare().vote, Vote::kNo);
}

TEST_P(MysqlStream, WhatGivesNoRowsOneByOneIsRunAllTheSame) {
  const std::string procedure = "q" + table_;
  ASSERT_TRUE(server()
                  .Execute("CREATE PROCEDURE " + procedure + "() BEGIN SELECT 5; " + Increment() +
                           "; SELECT 6; END")
                  .ok());
  struct Case {
    std::string sql;
    Row parameters;
    uint64_t rows;
    uint64_t affected;
  };
  std::vector<Case> cases = {
      {"INSERT INTO " + table_ + " VALUES (11, 1), (12, 1)", {}, 0, 2},
      {"INSERT INTO " + table_ + " VALUES (?, 1)", {int64_t{13}}, 0, 1},
      {"UPDATE " + table_ + " SET n = n", {}, 0, 6},
      {"CALL " + procedure + "()", {}, 1, 0},
      {"SELECT 7 INTO @seven", {}, 0, 1},
      {"SELECT @seven", {}, 1, 0},
      {"SHOW TABLES LIKE 'digits'", {}, 1, 0},
      {"(SELECT 1) UNION ALL (SELECT 2)", {}, 2, 0},
      {"WITH x AS (SELECT d FROM digits WHERE d < ?) SELECT * FROM x", {int64_t{4}}, 4, 0},
      {"SELECT id FROM " + table_ + " FOR UPDATE", {}, 6, 0},
      {"SAVEPOINT mine", {}, 0, 0},
      {"DELETE FROM " + table_ + " WHERE id = 13", {}, 0, 1},
  };
  if (GetParam().is_mariadb) {
    cases.push_back(
        {"INSERT INTO " + table_ + " VALUES (14, 1), (?, 1) RETURNING id", {int64_t{15}}, 2, 2});
    cases.push_back({"DELETE FROM " + table_ + " WHERE id > 13 RETURNING id", {}, 2, 2});
  }
  for (bool keep : {false, true}) {
    for (const Case& c : cases) {
      SCOPED_TRACE(c.sql);
      CollectingSink sink;
      StatementResult result = Stream(c.sql, sink, c.parameters, keep);
      ASSERT_FALSE(result.error.has_value()) << result.error->detail;
      EXPECT_EQ(sink.count, c.rows);
      EXPECT_EQ(result.rows_affected, c.affected);
    }
    EXPECT_TRUE(session_->Rollback());
    gid_ = MustStart(*session_, FreshGid());
  }
}

TEST_P(MysqlStream, WhatFailsFailsAsInExecute) {
  struct Case {
    const char* sql;
    Row parameters;
    const char* code;
  };
  const Case cases[] = {{"SELECT nonsense", {}, "1054/42S22"},
                        {"SELECT nonsense + ?", {int64_t{1}}, "1054/42S22"},
                        {"SELECT * FROM nowhere", {}, "1146/42S02"},
                        {"SELECT 1; SELECT 2", {}, "1064/42000"}};
  MustExecute(*session_, Increment());
  for (const Case& c : cases) {
    CollectingSink sink;
    StatementResult result = Stream(c.sql, sink, c.parameters, /*keep_on_error=*/true);
    ASSERT_TRUE(result.error.has_value()) << c.sql;
    EXPECT_EQ(result.error->code, c.code) << result.error->detail;
    EXPECT_EQ(result.error->code, MustFail(*session_, c.sql, c.parameters, true).code);
  }
  CollectingSink sink;
  EXPECT_EQ(Stream("SELECT ?, ?", sink, {int64_t{1}}, true).error->cause, Cause::kStatementFailed);
  Streamed("SELECT 1", sink);  // A statement without tables: the server still lists that error.
  ExpectCommits("1");
  EXPECT_EQ(Stream("SELECT 1", sink).error->cause, Cause::kMisuse);
}

}  // namespace
}  // namespace assent::adapters
