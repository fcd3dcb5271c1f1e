#include "adapters/mysql/screening.h"

#include <gtest/gtest.h>

namespace assent::adapters::mysql {
namespace {

TEST(MysqlScreening, RefusesWhatWouldEndOrNestTheTransaction) {
  for (const char* sql : {"COMMIT",
                          "commit work",
                          "  Begin",
                          "START TRANSACTION",
                          "ROLLBACK",
                          "ROLLBACK WORK",
                          "XA END 'a'",
                          "/* hi */ COMMIT",
                          "-- x\nCOMMIT",
                          "# x\n COMMIT",
                          "/*!50700 COMMIT */",
                          "/*M! XA END 'a' */",
                          "/*!*/COMMIT",
                          "LOCK TABLES t READ",
                          "UNLOCK TABLES",
                          "CREATE TABLE t(i int)",
                          "CREATE OR REPLACE TABLE t(i int)",
                          "DROP TABLE t",
                          "ALTER TABLE t ADD j int",
                          "TRUNCATE t",
                          "RENAME TABLE t TO u",
                          "GRANT ALL ON t TO u",
                          "PREPARE s FROM 'COMMIT'",
                          "EXECUTE IMMEDIATE 'COMMIT'",
                          "ANALYZE TABLE t",
                          "CHECK TABLE t",
                          "LOAD INDEX INTO CACHE t"}) {
    auto refusal = Screen(sql);
    ASSERT_TRUE(refusal) << sql;
    EXPECT_EQ(refusal->cause, Cause::kMisuse) << sql;
    EXPECT_FALSE(refusal->why.empty()) << sql;
  }
}

TEST(MysqlScreening, RefusesWhatWouldOutliveTheBranch) {
  for (const char* sql : {"SET autocommit=0", "SET SESSION sql_mode=''", "SET @@sql_mode=''",
                          "SET TRANSACTION READ ONLY", "SET NAMES latin1", "USE other",
                          "FLUSH TABLES", "HANDLER t OPEN"}) {
    auto refusal = Screen(sql);
    ASSERT_TRUE(refusal) << sql;
    EXPECT_EQ(refusal->cause, Cause::kMisuse) << sql;
  }
}

TEST(MysqlScreening, TemporaryTablesCantBePreparedEverywhere) {
  for (const char* sql : {"CREATE TEMPORARY TABLE t(i int)",
                          "create or replace temporary table t(i int)", "DROP TEMPORARY TABLE t"}) {
    auto refusal = Screen(sql);
    ASSERT_TRUE(refusal) << sql;
    EXPECT_EQ(refusal->cause, Cause::kNotPreparable) << sql;
  }
}

TEST(MysqlScreening, RefusesNothing) {
  for (const char* sql : {"", "  ", "/* only a comment */", "-- only a comment"}) {
    EXPECT_TRUE(Screen(sql)) << sql;
  }
}

TEST(MysqlScreening, LetsWorkPass) {
  for (const char* sql : {"SELECT 1",
                          "(SELECT 1) UNION (SELECT 2)",
                          "INSERT INTO t VALUES (1)",
                          "update t set i=1",
                          "DELETE FROM t",
                          "REPLACE INTO t VALUES (1)",
                          "WITH x AS (SELECT 1) SELECT * FROM x",
                          "CALL p(1)",
                          "DO SLEEP(0)",
                          "SAVEPOINT s",
                          "RELEASE SAVEPOINT s",
                          "ROLLBACK TO SAVEPOINT s",
                          "ROLLBACK WORK TO s",
                          "SET @a = 1",
                          "SHOW TABLES",
                          "EXPLAIN SELECT 1",
                          "ANALYZE FORMAT=JSON SELECT 1",
                          "LOAD DATA INFILE 'x' INTO TABLE t",
                          "/* COMMIT */ SELECT 1",
                          "SELECT 'COMMIT'",
                          "committee",
                          "--1"}) {
    auto refusal = Screen(sql);
    EXPECT_FALSE(refusal) << sql << ": " << refusal->why;
  }
}

TEST(MysqlScreening, FirstWordIsFoundBehindComments) {
  EXPECT_EQ(FirstWord("/* a */ -- b\n # c\n select 1"), "SELECT");
  EXPECT_EQ(FirstWord("/* never closed"), "");
  EXPECT_EQ(FirstWord("--"), "");
}

}  // namespace
}  // namespace assent::adapters::mysql
