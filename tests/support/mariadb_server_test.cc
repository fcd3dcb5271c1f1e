#include "tests/support/mariadb_server.h"

#include <gtest/gtest.h>
#include <mysql_connection.h>
#include <mysql_driver.h>

#include <cppconn/statement.h>

namespace assent::test_support {
namespace {

std::unique_ptr<MariadbServer> Started(const MariadbOptions& options = {}) {
  auto server = MariadbServer::Create(options);
  if (!server.ok()) {
    ADD_FAILURE() << server.status().ToString();
    return nullptr;
  }
  return std::move(*server);
}

void PreparedBranchSurvives(const MariadbOptions& options) {
  auto server = Started(options);
  ASSERT_TRUE(server);
  ASSERT_TRUE(server->Execute("CREATE TABLE t(i int) ENGINE=InnoDB").ok());
  {
    // Over TCP, as the adapters do: root has no password there either.
    std::unique_ptr<sql::Connection> connection(get_driver_instance()->connect(
        "tcp://127.0.0.1:" + std::to_string(server->port()), MariadbServer::kSuperuser, ""));
    connection->setSchema(MariadbServer::kDatabase);
    std::unique_ptr<sql::Statement> statement(connection->createStatement());
    for (const char* sql : {"XA START 'g','b',1", "INSERT INTO t VALUES (1)", "XA END 'g','b',1",
                            "XA PREPARE 'g','b',1"}) {
      statement->execute(sql);
    }
  }
  uint16_t port = server->port();
  server->Kill9();
  EXPECT_FALSE(server->Running());
  EXPECT_EQ(server->Query("SELECT 1").status().code(), Code::kUnavailable);

  Status restarted = server->Start();
  ASSERT_TRUE(restarted.ok()) << restarted.ToString();
  EXPECT_EQ(server->port(), port);
  ASSERT_EQ(server->Query("XA RECOVER")->size(), 1u);
  restarted = server->Restart();
  ASSERT_TRUE(restarted.ok()) << restarted.ToString();
  EXPECT_EQ(*server->Query("XA RECOVER"), (Rows{{"1", "1", "1", "gb"}}));
  ASSERT_TRUE(server->Execute("XA COMMIT 'g','b',1").ok());
  EXPECT_EQ(*server->Query("SELECT i, NULL FROM t"), (Rows{{"1", "NULL"}}));
}

TEST(MariadbServer, PreparedBranchSurvivesKillAndRestart) { PreparedBranchSurvives({}); }

TEST(MariadbServer, PreparedBranchSurvivesWithTheBinaryLog) {
  PreparedBranchSurvives({.log_bin = true});
}

TEST(MariadbServer, SyncsItsLogAtEveryCommit) {
  auto server = Started();
  ASSERT_TRUE(server);
  EXPECT_EQ(*server->Query("SELECT @@innodb_flush_log_at_trx_commit"), (Rows{{"1"}}));
}

TEST(MariadbServer, ReportsSqlErrorsWithTheirCode) {
  auto server = Started();
  ASSERT_TRUE(server);
  Status failed = server->Execute("SELECT * FROM nowhere");
  EXPECT_EQ(failed.code(), Code::kAborted);
  EXPECT_EQ(failed.message().substr(0, 10), "1146/42S02") << failed.ToString();
}

TEST(MariadbServer, SaysWhyItDidNotStart) {
  auto server = Started();
  ASSERT_TRUE(server);
  ASSERT_TRUE(server->Stop().ok());
  server->Set("no-such-setting", "1");
  Status started = server->Start();
  EXPECT_NE(started.message().find("no-such-setting"), std::string::npos) << started.ToString();
}

}  // namespace
}  // namespace assent::test_support
