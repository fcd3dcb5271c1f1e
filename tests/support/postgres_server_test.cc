#include "tests/support/postgres_server.h"

#include <gtest/gtest.h>

namespace assent::test_support {
namespace {

constexpr const char* kPrepared = "SELECT gid FROM pg_prepared_xacts";

std::unique_ptr<PostgresServer> Started() {
  auto server = PostgresServer::Create();
  if (!server.ok()) {
    ADD_FAILURE() << server.status().ToString();
    return nullptr;
  }
  return std::move(*server);
}

Status PrepareOne(const PostgresServer& server) {
  return server.Execute("BEGIN; INSERT INTO t VALUES (1); PREPARE TRANSACTION 'g1'");
}

TEST(PostgresServer, PreparedBranchSurvivesKillAndRestart) {
  auto server = Started();
  ASSERT_TRUE(server);
  ASSERT_TRUE(server->Execute("CREATE TABLE t(i int)").ok());
  Status prepared = PrepareOne(*server);
  ASSERT_TRUE(prepared.ok()) << prepared.ToString();

  uint16_t port = server->port();
  std::vector<pid_t> children = ChildrenOf(server->pid());
  ASSERT_FALSE(children.empty());
  server->Kill9();
  EXPECT_FALSE(server->Running());
  for (pid_t child : children) {
    EXPECT_TRUE(ReadFile("/proc/" + std::to_string(child) + "/cmdline").empty());
  }
  EXPECT_EQ(server->Query("SELECT 1").status().code(), Code::kUnavailable);

  Status restarted = server->Start();
  ASSERT_TRUE(restarted.ok()) << restarted.ToString();
  EXPECT_EQ(server->port(), port);
  EXPECT_EQ(*server->Query(kPrepared), (Rows{{"g1"}}));
  ASSERT_TRUE(server->Restart().ok());
  ASSERT_TRUE(server->Execute("COMMIT PREPARED 'g1'").ok());
  EXPECT_EQ(*server->Query("SELECT i, NULL FROM t"), (Rows{{"1", "NULL"}}));
}

TEST(PostgresServer, ReportsSqlErrorsWithTheirState) {
  auto server = Started();
  ASSERT_TRUE(server);
  Status failed = server->Execute("SELECT * FROM nowhere");
  EXPECT_EQ(failed.code(), Code::kAborted);
  EXPECT_EQ(failed.message().substr(0, 5), "42P01") << failed.ToString();
}

TEST(PostgresServer, StandbyFollowsAndIsPromoted) {
  auto primary = Started();
  ASSERT_TRUE(primary);
  ASSERT_TRUE(primary->Execute("CREATE TABLE t(i int)").ok());
  auto standby = primary->MakeStandby();
  ASSERT_TRUE(standby.ok()) << standby.status().ToString();
  ASSERT_TRUE(PrepareOne(*primary).ok());
  Status caught_up = (*standby)->WaitCaughtUp(*primary);
  ASSERT_TRUE(caught_up.ok()) << caught_up.ToString();
  EXPECT_EQ(*(*standby)->Query("SELECT pg_is_in_recovery()"), (Rows{{"t"}}));
  EXPECT_EQ(*(*standby)->Query(kPrepared), (Rows{}));  // Why absence on a standby proves nothing.
  primary->Kill9();
  Status promoted = (*standby)->Promote();
  ASSERT_TRUE(promoted.ok()) << promoted.ToString();
  EXPECT_EQ(*(*standby)->Query(kPrepared), (Rows{{"g1"}}));
}

TEST(PostgresServer, SaysWhyItDidNotStart) {
  auto server = Started();
  ASSERT_TRUE(server);
  ASSERT_TRUE(server->Stop().ok());
  server->Set("no_such_setting", "1");
  Status started = server->Start();
  EXPECT_NE(started.message().find("no_such_setting"), std::string::npos) << started.ToString();
}

}  // namespace
}  // namespace assent::test_support
