// assentctl does without database libraries, and so writes the SQL itself: it must not drift from
// what the adapters say.
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "adapters/resource_manager.h"
#include "ctl/hand_sql.h"

namespace assent::ctl {
namespace {

const Gid kGid{
    .gtrid = {.cluster = "prod-eu", .incarnation = 7, .group = 7, .epoch = 42, .seq = 1000},
    .bqual = {.resource = "orders_pg", .branch = 2, .attempt = 1}};

std::string WithoutSemicolon(std::string sql) {
  while (!sql.empty() && sql.back() == ';') sql.pop_back();
  return sql;
}

HandSql Ours(const std::string& kind) {
  v1::Branch branch;
  branch.set_gid(ToString(kGid));
  branch.set_kind(kind);
  return HandSqlFor(branch).at(0);
}

TEST(HandSqlTest, PostgresAgreesWithTheAdapter) {
  auto theirs = adapters::MakePostgres({.cluster = "prod-eu", .resource = "orders_pg"});
  HandSql ours = Ours("postgresql");
  EXPECT_EQ(ours.inspect, theirs->HandSql(kGid).inspect);
  EXPECT_EQ(ours.commit, theirs->HandSql(kGid).commit);
  EXPECT_EQ(ours.rollback, theirs->HandSql(kGid).rollback);
}

TEST(HandSqlTest, MysqlAndMariadbAgreeWithTheAdapter) {
  auto theirs = adapters::MakeMysql({.cluster = "prod-eu", .resource = "orders_pg"});
  for (const char* kind : {"mysql", "mariadb"}) {
    HandSql ours = Ours(kind);
    // Which listing there is, the adapter knows only once it has met the server.
    EXPECT_TRUE(ours.inspect.starts_with("XA RECOVER")) << ours.inspect;
    EXPECT_EQ(WithoutSemicolon(ours.commit), WithoutSemicolon(theirs->HandSql(kGid).commit));
    EXPECT_EQ(WithoutSemicolon(ours.rollback), WithoutSemicolon(theirs->HandSql(kGid).rollback));
  }
}

}  // namespace
}  // namespace assent::ctl
