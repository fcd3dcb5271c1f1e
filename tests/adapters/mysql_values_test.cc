// Parameters and results: every type in both protocols of the server, and the limits of results.
#include <gtest/gtest.h>

#include <limits>

#include "tests/adapters/mysql_fixture.h"

namespace assent::adapters {
namespace {

using Row = std::vector<Value>;

class MysqlValues : public MysqlTest {
 protected:
  void SetUp() override {
    MysqlTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    // 1 to 1,000,000, in no order.
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
  std::unique_ptr<WorkSession> session_;
  Gid gid_;
};
INSTANTIATE_TEST_SUITE_P(Servers, MysqlValues, ::testing::Values(ServersUnderTest().front()),
                         NameOf);

TEST_P(MysqlValues, EveryTypeReadsTheSameWithAndWithoutParameters) {
  ASSERT_TRUE(
      server()
          .Execute("CREATE TABLE v" + table_ +
                   " (id INT PRIMARY KEY, ti TINYINT, si SMALLINT UNSIGNED, mi MEDIUMINT, bi "
                   "BIGINT, bu BIGINT UNSIGNED, bo BOOL, b1 BIT(1), b64 BIT(64), f FLOAT, d "
                   "DOUBLE, de DECIMAL(20,5), c VARCHAR(50), tx TEXT, bl BLOB, vb VARBINARY(9), "
                   "bn BINARY(3), da DATE, dt DATETIME(6), tm TIME(6), y YEAR, j JSON, e "
                   "ENUM('a','b'), s SET('x','y'), nul INT)")
          .ok());
  MustExecute(*session_,
              "INSERT INTO v" + table_ +
                  " VALUES (1, -128, 65535, -8388608, -9223372036854775808, 18446744073709551615, "
                  "TRUE, b'1', X'8000000000000000', 0.1, 0.1, 12345.67890, _utf8mb4 "
                  "X'C3BCF09F9880', 'text', X'00FF00', X'6100FF', X'000102', '2024-02-29', "
                  "'2024-01-02 03:04:05.678901', '-12:34:56.000123', 2024, '{\"a\":1}', 'b', "
                  "'x,y', NULL)");
  const Row expected = {int64_t{1},
                        int64_t{-128},
                        int64_t{65535},
                        int64_t{-8388608},
                        std::numeric_limits<int64_t>::min(),
                        std::string("18446744073709551615"),
                        int64_t{1},
                        int64_t{1},
                        std::string("9223372036854775808"),
                        0.1,
                        0.1,
                        std::string("12345.67890"),
                        std::string("\xC3\xBC\xF0\x9F\x98\x80"),
                        std::string("text"),
                        Bytes{std::string("\x00\xFF\x00", 3)},
                        Bytes{std::string("a\x00\xFF", 3)},
                        Bytes{std::string("\x00\x01\x02", 3)},
                        std::string("2024-02-29"),
                        std::string("2024-01-02 03:04:05.678901"),
                        std::string("-12:34:56.000123"),
                        int64_t{2024},
                        std::string(GetParam().is_mariadb ? "{\"a\":1}" : "{\"a\": 1}"),
                        std::string("b"),
                        std::string("x,y"),
                        std::monostate{}};
  ResultSet text = MustExecute(*session_, "SELECT * FROM v" + table_ + " WHERE id = 1");
  ResultSet binary =
      MustExecute(*session_, "SELECT * FROM v" + table_ + " WHERE id = ?", {int64_t{1}});
  for (const ResultSet& result : {text, binary}) {
    ASSERT_EQ(result.rows.size(), 1u);
    ASSERT_EQ(result.columns.size(), expected.size());
    for (size_t i = 0; i < expected.size(); ++i) {
      EXPECT_EQ(result.rows[0][i].index(), expected[i].index()) << result.columns[i].name;
      EXPECT_EQ(result.rows[0][i], expected[i]) << result.columns[i].name;
    }
  }
  EXPECT_EQ(text.columns[5].name, "bu");
  EXPECT_EQ(text.columns[5].type, "BIGINT UNSIGNED");
}

TEST_P(MysqlValues, ParametersArriveAsTheyWereGiven) {
  std::string every_byte;
  for (int i = 0; i < 256; ++i) every_byte += static_cast<char>(i);
  const std::string long_text(300'000, 'x');
  ASSERT_TRUE(server()
                  .Execute("CREATE TABLE w" + table_ +
                           " (id INT PRIMARY KEY, b BOOL, i BIGINT, d DOUBLE, s LONGTEXT, y "
                           "LONGBLOB, z LONGBLOB, n INT, q VARCHAR(99))")
                  .ok());
  const Row row = {
      int64_t{1}, int64_t{1},       std::numeric_limits<int64_t>::min(),
      -1.5e300,   long_text,        Bytes{every_byte},
      Bytes{""},  std::monostate{}, std::string("it's \"quoted\" \\ ? \xF0\x9F\x98\x80")};
  Row parameters = row;
  parameters[1] = true;
  ResultSet inserted = MustExecute(
      *session_, "INSERT INTO w" + table_ + " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", parameters);
  EXPECT_EQ(inserted.rows_affected, 1u);
  EXPECT_TRUE(inserted.columns.empty());
  ResultSet read = MustExecute(*session_, "SELECT * FROM w" + table_);
  ASSERT_EQ(read.rows.size(), 1u);
  for (size_t i = 0; i < row.size(); ++i) EXPECT_EQ(read.rows[0][i], row[i]) << i;
}

TEST_P(MysqlValues, EmptyTextIsNotNull) {
  ResultSet result = MustExecute(*session_, "SELECT ?, ?, NULL", {std::string(), std::monostate{}});
  EXPECT_EQ(result.rows[0][0], Value(std::string()));
  EXPECT_EQ(result.rows[0][1], Value(std::monostate{}));
  EXPECT_EQ(result.rows[0][2], Value(std::monostate{}));
}

TEST_P(MysqlValues, RowsAffectedCountsTheRowsThatMatched) {
  EXPECT_EQ(MustExecute(*session_, "UPDATE " + table_ + " SET n = n").rows_affected, 3u);
  EXPECT_EQ(MustExecute(*session_, "UPDATE " + table_ + " SET n = ? WHERE id < ?",
                        {int64_t{0}, int64_t{3}})
                .rows_affected,
            2u);
  EXPECT_EQ(MustExecute(*session_, "DELETE FROM " + table_ + " WHERE id = 9").rows_affected, 0u);
}

TEST_P(MysqlValues, StatementStaysPreparedFromBranchToBranch) {
  auto prepares = [this] {
    ResultSet status = MustExecute(*session_, "SHOW SESSION STATUS LIKE 'Com_stmt_prepare'");
    return std::get<std::string>(status.rows.at(0).at(1));
  };
  const std::string update = "UPDATE " + table_ + " SET n = ? WHERE id = ?";
  MustExecute(*session_, update, {int64_t{5}, int64_t{1}});
  const std::string before = prepares();
  ASSERT_TRUE(session_->Rollback());
  MustStart(*session_, FreshGid());
  EXPECT_EQ(MustExecute(*session_, update, {int64_t{6}, int64_t{1}}).rows_affected, 1u);
  EXPECT_EQ(prepares(), before);
  ResultSet n = MustExecute(*session_, "SELECT n FROM " + table_ + " WHERE id = 1");
  EXPECT_EQ(n.rows.at(0).at(0), Value(int64_t{6}));
}

TEST_P(MysqlValues, PreparedStatementFollowsTypesErrorsAndChangesOfItsTable) {
  const std::string table = "k" + table_;
  ASSERT_TRUE(
      server().Execute("CREATE TABLE " + table + " (id INT PRIMARY KEY, v VARCHAR(60))").ok());
  const std::string insert = "INSERT INTO " + table + " VALUES (?, ?)";
  const std::vector<Value> values = {std::string("long enough for a buffer"),
                                     int64_t{7},
                                     std::monostate{},
                                     2.5,
                                     std::string("x"),
                                     Bytes{"bytes"},
                                     true,
                                     std::string("y")};
  for (size_t i = 0; i < values.size(); ++i) {
    MustExecute(*session_, insert, {static_cast<int64_t>(i), values[i]});
  }
  // A failure does not spoil the next run.
  MustFail(*session_, insert, {int64_t{0}, std::string("again")}, /*keep_on_error=*/true);
  MustExecute(*session_, insert, {int64_t{100}, std::string("z")});
  ResultSet read = MustExecute(*session_, "SELECT v FROM " + table + " ORDER BY id");
  const std::vector<Row> expected = {{std::string("long enough for a buffer")},
                                     {std::string("7")},
                                     {std::monostate{}},
                                     {std::string("2.5")},
                                     {std::string("x")},
                                     {std::string("bytes")},
                                     {std::string("1")},
                                     {std::string("y")},
                                     {std::string("z")}};
  EXPECT_EQ(read.rows, expected);

  // Prepared before the table changed, run after it.
  ASSERT_TRUE(session_->Rollback());
  ASSERT_TRUE(server().Execute("ALTER TABLE " + table + " MODIFY v INT").ok());
  MustStart(*session_, FreshGid());
  MustExecute(*session_, insert, {int64_t{200}, std::string("12")});
  read = MustExecute(*session_, "SELECT v FROM " + table + " WHERE id = 200");
  EXPECT_EQ(read.rows.at(0).at(0), Value(int64_t{12}));
  ASSERT_TRUE(session_->Rollback());
  ASSERT_TRUE(server().Execute("DROP TABLE " + table).ok());
  MustStart(*session_, FreshGid());
  MustFail(*session_, insert, {int64_t{300}, std::string("12")});
}

TEST_P(MysqlValues, WrongNumberOfParametersFailsTheStatement) {
  EXPECT_EQ(MustFail(*session_, "SELECT ?, ?", {int64_t{1}}, true).cause, Cause::kStatementFailed);
  EXPECT_EQ(MustFail(*session_, "SELECT 1", {int64_t{1}}, true).cause, Cause::kStatementFailed);
  MustExecute(*session_, "SELECT 1");
}

TEST_P(MysqlValues, ProcedureGivesItsFirstResultAndTheSessionGoesOn) {
  ASSERT_TRUE(server()
                  .Execute("CREATE PROCEDURE r" + table_ + "(x INT) BEGIN SELECT x; " +
                           Increment() + "; SELECT x + 1; END")
                  .ok());
  ResultSet text = MustExecute(*session_, "CALL r" + table_ + "(5)");
  ResultSet binary = MustExecute(*session_, "CALL r" + table_ + "(?)", {int64_t{6}});
  EXPECT_EQ(text.rows, (std::vector<Row>{{int64_t{5}}}));
  EXPECT_EQ(binary.rows, (std::vector<Row>{{int64_t{6}}}));
  EXPECT_EQ(MustExecute(*session_, "SELECT n FROM " + table_ + " WHERE id = 1").rows[0][0],
            Value(int64_t{2}));
}

TEST_P(MysqlValues, ErrorInTheMiddleOfAResultIsNotItsEnd) {
  for (const std::vector<Value>& parameters : {std::vector<Value>{}, {int64_t{1}}}) {
    WorkError failed = MustFail(
        *session_,
        std::string("SELECT REPEAT('y', 20000), IF(n = 400, (SELECT d FROM digits WHERE d < n), 1) "
                    "FROM numbers WHERE n <= 500 AND ") +
            (parameters.empty() ? "1" : "?"),
        parameters, /*keep_on_error=*/true);
    EXPECT_EQ(failed.code, "1242/21000");
  }
  MustExecute(*session_, "SELECT 1");
}

TEST_P(MysqlValues, ResultBeyondTheLimitsIsRefusedAndTheBranchLives) {
  MustExecute(*session_, Increment());
  for (const char* sql :
       {"SELECT n FROM numbers WHERE n <= 10000", "SELECT n FROM numbers LIMIT 10000"}) {
    EXPECT_EQ(MustExecute(*session_, sql).rows.size(), kResultRowsMax);
  }
  struct Case {
    std::string sql;
    std::vector<Value> parameters;
  };
  const Case cases[] = {{"SELECT n FROM numbers", {}},
                        {"SELECT n FROM numbers WHERE n <= ?", {int64_t{10001}}},
                        {"SELECT n FROM numbers LIMIT 12000", {}},
                        {"SELECT REPEAT('x', 1000000) FROM digits WHERE d < 5", {}},
                        {"SELECT REPEAT(?, 1000000) FROM digits WHERE d < 5", {std::string("x")}}};
  for (const Case& c : cases) {
    WorkError failed = MustFail(*session_, c.sql, c.parameters);
    EXPECT_EQ(failed.code, "OUT_OF_RANGE") << c.sql;
    EXPECT_NE(failed.detail.find("ask for fewer"), std::string::npos);
  }
  PrepareAnswer vote = session_->Prepare();
  ASSERT_EQ(vote.vote, Vote::kYes) << Describe(vote);
  (void)End(*session_, Decision::kCommit, gid_, vote.evidence);
  EXPECT_EQ(N(), "1");
}

TEST_P(MysqlValues, TypeThatTheClientCantReadDoomsSinceNothingWasUndone) {
  // With parameters the client library has no way to read GEOMETRY: the remedy is ST_AsWKB.
  WorkError failed = MustFail(*session_, "SELECT ST_GeomFromText(?)", {std::string("POINT(1 2)")},
                              /*keep_on_error=*/true);
  EXPECT_EQ(failed.cause, Cause::kStatementFailed);
  EXPECT_EQ(session_->Prepare().vote, Vote::kNo);
  MustStart(*session_, FreshGid());
  ResultSet point =
      MustExecute(*session_, "SELECT ST_AsWKB(ST_GeomFromText(?))", {std::string("POINT(1 2)")});
  EXPECT_TRUE(std::holds_alternative<Bytes>(point.rows[0][0]));
}

}  // namespace
}  // namespace assent::adapters
