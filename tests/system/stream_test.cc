// Results of any size, from the databases through agents and library to the application.
#include "tests/system/system_fixture.h"

namespace assent::system_tests {
namespace {

using client::Outcome;

class Stream : public SystemTest {};

TEST_F(Stream, AnySizeInTheMemoryOfAFewPartsAndTheTransactionCommits) {
  ASSERT_TRUE(House().mariadb().Execute("CREATE TABLE numbers (n INT PRIMARY KEY)").ok());
  ASSERT_TRUE(
      House().mariadb().Execute("INSERT INTO numbers SELECT seq FROM seq_1_to_250000").ok());
  auto transaction = Coordinators().Begin();
  ASSERT_TRUE(transaction.ok()) << transaction.status().ToString();
  auto postgres = InsertInPostgres(*transaction, "streamed");
  ASSERT_TRUE(postgres.ok()) << postgres.status().ToString();
  auto mariadb = InsertInMariadb(*transaction, "streamed");
  ASSERT_TRUE(mariadb.ok()) << mariadb.status().ToString();
  ExpectLongStream(*postgres, "SELECT n, repeat('x', 1000) FROM generate_series(1, 250000) n",
                   House().postgres_agent());
  ExpectLongStream(*mariadb, "SELECT n, REPEAT('x', 1000) FROM numbers ORDER BY n",
                   House().mariadb_agent());
  auto result = transaction->Commit();
  EXPECT_EQ(result.outcome, Outcome::kCommitted) << result.ToString();
  EXPECT_TRUE(InPostgres("streamed"));
  EXPECT_TRUE(InMariadb("streamed"));
}

TEST_F(Stream, AnErrorAmongTheRowsAbortsTheTransaction) {
  auto transaction = Coordinators().Begin();
  ASSERT_TRUE(transaction.ok()) << transaction.status().ToString();
  auto postgres = InsertInPostgres(*transaction, "broken");
  ASSERT_TRUE(postgres.ok()) << postgres.status().ToString();
  auto mariadb = InsertInMariadb(*transaction, "broken");
  ASSERT_TRUE(mariadb.ok()) << mariadb.status().ToString();
  uint64_t rows = 0;
  auto streamed = mariadb->ExecuteStream(
      {"SELECT REPEAT('y', 20000), IF(seq = 400, (SELECT 1 UNION SELECT seq), 1) FROM "
       "seq_1_to_500"},
      [&](const std::vector<client::Column>&, client::Row) { return ++rows > 0; });
  EXPECT_FALSE(streamed.ok());
  EXPECT_GT(rows, 0u);
  auto result = transaction->Commit();
  EXPECT_EQ(result.outcome, Outcome::kAborted) << result.ToString();
  EXPECT_FALSE(InPostgres("broken"));
}

}  // namespace
}  // namespace assent::system_tests
