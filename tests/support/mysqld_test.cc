#include "tests/support/mysqld.h"

#include <gtest/gtest.h>
#include <mysql_connection.h>
#include <mysql_driver.h>

#include <cppconn/statement.h>

#include "tests/support/servers_under_test.h"

namespace assent::test_support {
namespace {

class MysqldTest : public testing::TestWithParam<ServerUnderTest> {
 protected:
  void SetUp() override {
    auto created = GetParam().Create();
    if (!created.ok() && GetParam().IsAbsent(created.status())) {
      GTEST_SKIP() << created.status().message();
    }
    ASSERT_TRUE(created.ok()) << created.status().ToString();
    server_ = std::move(*created);
  }
  void CheckItIsWhatItsNameSays() {
    const bool is_mariadb =
        server_->Query("SELECT VERSION()")->at(0).at(0).find("MariaDB") != std::string::npos;
    EXPECT_EQ(is_mariadb, GetParam().is_mariadb);
    EXPECT_EQ(*server_->Query("SELECT @@log_bin, @@innodb_flush_log_at_trx_commit"),
              (Rows{{GetParam().log_bin ? "1" : "0", "1"}}));
    EXPECT_TRUE(!GetParam().log_bin || *server_->Query("SELECT @@sync_binlog") == (Rows{{"1"}}));
    if (is_mariadb) return;
    EXPECT_EQ(*server_->Query("SELECT SUBSTRING_INDEX(VERSION(), '.', 1), @@xa_detach_on_prepare"),
              (Rows{{"9", GetParam().attaches ? "0" : "1"}}));
  }

  std::unique_ptr<Mysqld> server_;
};
INSTANTIATE_TEST_SUITE_P(Servers, MysqldTest, testing::ValuesIn(ServersUnderTest()),
                         [](const auto& server) { return server.param.name; });

TEST_P(MysqldTest, PreparedBranchSurvivesKillAndRestart) {
  CheckItIsWhatItsNameSays();
  ASSERT_TRUE(server_->Execute("CREATE TABLE t(i int) ENGINE=InnoDB").ok());
  {
    // Over TCP, as the adapters do: root has no password there either.
    std::unique_ptr<sql::Connection> connection(get_driver_instance()->connect(
        "tcp://127.0.0.1:" + std::to_string(server_->port()), Mysqld::kSuperuser, ""));
    connection->setSchema(Mysqld::kDatabase);
    std::unique_ptr<sql::Statement> statement(connection->createStatement());
    for (const char* sql : {"XA START 'g','b',1", "INSERT INTO t VALUES (1)", "XA END 'g','b',1",
                            "XA PREPARE 'g','b',1"}) {
      statement->execute(sql);
    }
  }
  uint16_t port = server_->port();
  server_->Kill9();
  EXPECT_FALSE(server_->Running());
  EXPECT_EQ(server_->Query("SELECT 1").status().code(), Code::kUnavailable);

  Status restarted = server_->Start();
  ASSERT_TRUE(restarted.ok()) << restarted.ToString();
  EXPECT_EQ(server_->port(), port);
  ASSERT_EQ(server_->Query("XA RECOVER")->size(), 1u);
  restarted = server_->Restart();
  ASSERT_TRUE(restarted.ok()) << restarted.ToString();
  EXPECT_EQ(*server_->Query("XA RECOVER"), (Rows{{"1", "1", "1", "gb"}}));
  ASSERT_TRUE(server_->Execute("XA COMMIT 'g','b',1").ok());
  EXPECT_EQ(*server_->Query("SELECT i, NULL FROM t"), (Rows{{"1", "NULL"}}));
}

// What does not depend on how the server is set up is tested on one.
class MysqldOnce : public MysqldTest {};
INSTANTIATE_TEST_SUITE_P(Servers, MysqldOnce, testing::Values(ServersUnderTest().front()),
                         [](const auto& server) { return server.param.name; });

TEST_P(MysqldOnce, SaysWhatWentWrong) {
  Status failed = server_->Execute("SELECT * FROM nowhere");
  EXPECT_EQ(failed.code(), Code::kAborted);
  EXPECT_EQ(failed.message().substr(0, 10), "1146/42S02") << failed.ToString();
  ASSERT_TRUE(server_->Stop().ok());
  server_->Set("no-such-setting", "1");
  Status started = server_->Start();
  EXPECT_NE(started.message().find("no-such-setting"), std::string::npos) << started.ToString();
}

}  // namespace
}  // namespace assent::test_support
