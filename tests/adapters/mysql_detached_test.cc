#include "adapters/mysql/detached.h"

#include <gtest/gtest.h>

#include "adapters/mysql/identity.h"

namespace assent::adapters::mysql {
namespace {

using Holders = std::set<uint64_t>;

TEST(MysqlDetached, HoldersAreSessionsWithAPreparedTransaction) {
  EXPECT_EQ(HoldersOfPrepared("LIST OF TRANSACTIONS FOR EACH SESSION:\n"
                              "---TRANSACTION 18308, ACTIVE (PREPARED) 0 sec\n"
                              "2 lock struct(s), heap size 1128, 1 row lock(s)\n"
                              "MariaDB thread id 9013, OS thread handle 1404, query id 12 root\n"
                              "---TRANSACTION 18307, ACTIVE (PREPARED) 9 sec recovered trx\n"
                              "2 lock struct(s), heap size 1128, 1 row lock(s)\n"
                              "---TRANSACTION 18306, ACTIVE 3 sec\n"
                              "MariaDB thread id 7, OS thread handle 1404, query id 12 root\n"
                              "---TRANSACTION 18305, ACTIVE (PREPARED) 3 sec\n"
                              "MySQL thread id 8, OS thread handle 1404, query id 12 root\n"
                              "---TRANSACTION (0x7f), not started\n"
                              "--------\n"),
            (Holders{8, 9013}));
  EXPECT_EQ(HoldersOfPrepared(""), Holders{});
}

TEST(MysqlDetached, TextOfUsersCanInventAHolderButHideNone) {
  EXPECT_EQ(HoldersOfPrepared("---TRANSACTION 1, ACTIVE (PREPARED) 0 sec\n"
                              "MariaDB thread id 5, OS thread handle 1, query id 2 root\n"
                              "SELECT '\n"
                              "---TRANSACTION 2, ACTIVE 0 sec\n"
                              "MariaDB thread id 6, OS thread handle 1\n"
                              "---TRANSACTION 3, ACTIVE (PREPARED) 0 sec\n"
                              "MariaDB thread id 77'\n"
                              "---TRANSACTION 4, ACTIVE (PREPARED) 0 sec\n"
                              "MariaDB thread id 9, OS thread handle 1, query id 2 root\n"),
            (Holders{5, 9, 77}));
}

TEST(MysqlDetached, TextCutShortProvesNothing) {
  EXPECT_EQ(HoldersOfPrepared("---TRANSACTION 1, ACTIVE 0 sec\n... truncated...\n"), std::nullopt);
}

TEST(MysqlEvidence, NamesServerAndPreparer) {
  Evidence evidence = WithPreparer("id=my db conn=x", 42);
  EXPECT_EQ(evidence, "id=my db conn=x conn=42");
  EXPECT_EQ(ParseEvidence(evidence).server, "id=my db conn=x");
  EXPECT_EQ(ParseEvidence(evidence).preparer, 42u);
  EXPECT_EQ(ParseEvidence("id=a").server, "id=a");
  EXPECT_EQ(ParseEvidence("id=a").preparer, std::nullopt);
  EXPECT_EQ(ParseEvidence("").server, "");
  EXPECT_EQ(ParseEvidence("id=a conn=").preparer, std::nullopt);
}

}  // namespace
}  // namespace assent::adapters::mysql
