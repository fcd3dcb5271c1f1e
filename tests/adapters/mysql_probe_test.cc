// Opening, identity, and the doctor's checks.
#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/adapters/mysql_fixture.h"

namespace assent::adapters {
namespace {

class MysqlProbe : public MysqlTest {};
INSTANTIATE_TEST_SUITE_P(Servers, MysqlProbe, ::testing::ValuesIn(ServersUnderTest()), NameOf);

TEST_P(MysqlProbe, GoodServerHasNothingFatal) {
  ProbeReport report = MustProbe(resource());
  EXPECT_EQ(Fatals(report), "");
  EXPECT_EQ(report.server.rfind(GetParam().is_mariadb ? "MariaDB 10." : "MySQL 9.", 0), 0u)
      << report.server;
  const std::string identity = ServerEvidence().substr(ServerEvidence().find('=') + 1);
  EXPECT_EQ(report.identity, identity);
  EXPECT_EQ(report.prepared_max, 0u) << "no limit known";
  EXPECT_EQ(*resource().Identity(), identity);
}

TEST_P(MysqlProbe, SettingsThatAreNotDurableAreFatal) {
  ASSERT_TRUE(server().Execute("SET GLOBAL innodb_flush_log_at_trx_commit = 2").ok());
  ASSERT_TRUE(server().Execute("SET GLOBAL sync_binlog = 0").ok());
  ProbeReport report = MustProbe(resource());
  ASSERT_TRUE(server().Execute("SET GLOBAL innodb_flush_log_at_trx_commit = 1").ok());
  ASSERT_TRUE(server().Execute("SET GLOBAL sync_binlog = 1").ok());
  // sync_binlog matters only with a binary log.
  EXPECT_EQ(Fatals(report), std::string("innodb_flush_log_at_trx_commit=2 ") +
                                (GetParam().log_bin ? "sync_binlog=0 " : ""));
  EXPECT_NE(Find(report, "innodb_flush_log_at_trx_commit")->remedy, "");
}

TEST_P(MysqlProbe, ReadOnlyServerIsFatal) {
  ASSERT_TRUE(server().Execute("SET GLOBAL read_only = 1").ok());
  ProbeReport report = MustProbe(resource());
  ASSERT_TRUE(server().Execute("SET GLOBAL read_only = 0").ok());
  EXPECT_EQ(Fatals(report), "read_only=ON ");
}

TEST_P(MysqlProbe, EnginesWithoutTransactionsAreWarnedOf) {
  ASSERT_TRUE(server().Execute("SET GLOBAL default_storage_engine = MyISAM").ok());
  ASSERT_TRUE(server().Execute("SET GLOBAL wait_timeout = 10").ok());
  ProbeReport report = MustProbe(resource());
  ASSERT_TRUE(server().Execute("SET GLOBAL default_storage_engine = InnoDB").ok());
  ASSERT_TRUE(server().Execute("SET GLOBAL wait_timeout = 28800").ok());
  EXPECT_EQ(Fatals(report), "");
  for (const char* name : {"default_storage_engine", "wait_timeout"}) {
    EXPECT_NE(Find(report, name), nullptr) << name;
  }
}

TEST_P(MysqlProbe, MissingPrivilegeInABranchIsNamed) {
  auto reader = MakeMysql(As("reader", "SELECT"));
  auto session = OpenWork(*reader);
  MustStart(*session, FreshGid());
  WorkError failed = MustFail(*session, Increment());
  EXPECT_EQ(failed.cause, Cause::kPermission);
  EXPECT_EQ(failed.code, "1142/42000");
  EXPECT_EQ(session->Prepare().vote, Vote::kNo);
}

TEST_P(MysqlProbe, OpeningSaysWhatIsWrong) {
  ConnectOptions options = Options();
  options.password = "wrong";
  WorkError error = MustNotOpen(options);
  EXPECT_EQ(error.cause, Cause::kPermission);
  EXPECT_EQ(error.code, "1045/28000");
  EXPECT_EQ(error.detail.find("wrong"), std::string::npos) << "a password must not be logged";

  options = Options();
  options.database = "nowhere";
  error = MustNotOpen(options);
  EXPECT_EQ(error.cause, Cause::kConfiguration);
  EXPECT_EQ(error.code, "1049/42000");

  options = Options();
  options.port = 1;
  error = MustNotOpen(options);
  EXPECT_EQ(error.cause, Cause::kUnavailable);
  EXPECT_NE(error.detail.find("127.0.0.1:1"), std::string::npos) << error.detail;

  options.host = "/nowhere/my.sock";
  error = MustNotOpen(options);
  EXPECT_EQ(error.cause, Cause::kUnavailable);
  EXPECT_TRUE(error.session_lost);
}

TEST_P(MysqlProbe, UnixSocketServesToo) {
  auto local = MakeMysql(server().SocketConnectOptions(kCluster, kResource));
  auto session = OpenWork(*local);
  MustStart(*session, FreshGid());
  MustExecute(*session, "SELECT 1");
  EXPECT_TRUE(session->Rollback());
}

TEST_P(MysqlProbe, TooManyConnectionsIsUnavailable) {
  ConnectOptions options = As("few", "SELECT", "WITH MAX_USER_CONNECTIONS 1");
  auto few = MakeMysql(options);
  auto session = OpenWork(*few);
  EXPECT_EQ(MustNotOpen(options).cause, Cause::kUnavailable);
}

TEST_P(MysqlProbe, NoFileOfThisMachineIsReadForAStatement) {
  auto session = OpenWork(resource());
  MustStart(*session, FreshGid());
  WorkError failed = MustFail(
      *session, "LOAD DATA LOCAL INFILE '/etc/hostname' INTO TABLE " + table_ + " (id)", {}, true);
  EXPECT_EQ(failed.code.substr(0, 4), GetParam().is_mariadb ? "4166" : "3948") << failed.detail;
}

// TLS needs certificates, or their absence, that the shared servers don't have.
class MysqlTls : public ::testing::TestWithParam<ServerUnderTest> {
 protected:
  void SetUp() override {
    // Readable for the server's user, unlike a test's own directory might be.
    std::string command = "cd " + dir_.path() +
                          " && openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "
                          "/CN=localhost -keyout key.pem -out cert.pem >/dev/null 2>&1 && "
                          "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=other "
                          "-keyout other_key.pem -out other.pem >/dev/null 2>&1 && "
                          "chmod 644 *.pem";
    ASSERT_EQ(std::system(command.c_str()), 0) << "openssl is needed for this test";
  }
  void Start(const std::map<std::string, std::string>& settings) {
    auto created = GetParam().Create(settings);
    if (!created.ok() && GetParam().IsAbsent(created.status())) {
      GTEST_SKIP() << created.status().message();
    }
    ASSERT_TRUE(created.ok()) << created.status().ToString();
    server_ = std::move(*created);
  }
  ConnectOptions Options(const std::string& ca, const std::string& host = "localhost") {
    ConnectOptions options = server_->ConnectOptions(kCluster, kResource);
    options.host = host;
    if (!ca.empty()) options.tls_ca_file = dir_.File(ca);
    return options;
  }

  test_support::TempDir dir_;
  std::unique_ptr<test_support::Mysqld> server_;
};
INSTANTIATE_TEST_SUITE_P(Servers, MysqlTls, ::testing::Values(ServersUnderTest().front()), NameOf);

TEST_P(MysqlTls, IsUsedAndVerifiedOrRefused) {
  Start({{"ssl-cert", dir_.File("cert.pem")}, {"ssl-key", dir_.File("key.pem")}});
  if (!server_) return;
  // The password must find its way too: MySQL wants it encrypted, or under a key of the server.
  for (const char* sql : {"CREATE USER guarded@'127.0.0.1' IDENTIFIED BY 'secret'",
                          "GRANT ALL ON *.* TO guarded@'127.0.0.1'"}) {
    ASSERT_TRUE(server_->Execute(sql).ok()) << sql;
  }
  ConnectOptions good = Options("cert.pem");
  good.user = "guarded";
  good.password = "secret";
  auto encrypted = MakeMysql(good);
  auto session = OpenWork(*encrypted);
  ASSERT_TRUE(session);
  MustStart(*session, FreshGid());
  ResultSet status = MustExecute(*session, "SHOW SESSION STATUS LIKE 'Ssl_cipher'");
  EXPECT_NE(std::get<std::string>(status.rows[0][1]), "");
  session->Rollback();

  auto opened = MakeMysql(Options("other.pem"))->OpenWorkSession();
  EXPECT_TRUE(std::holds_alternative<WorkError>(opened)) << "signed by somebody else";
  opened = MakeMysql(Options("cert.pem", "127.0.0.1"))->OpenWorkSession();
  EXPECT_TRUE(std::holds_alternative<WorkError>(opened)) << "the certificate names localhost";
}

TEST_P(MysqlTls, IsNeverSilentlyAbsent) {
  // MariaDB has no certificate unless told; MySQL makes its own, and must be told not to use it.
  Start(GetParam().is_mariadb ? std::map<std::string, std::string>{}
                              : std::map<std::string, std::string>{{"tls-version", ""}});
  if (!server_) return;
  auto plain = MakeMysql(Options(""))->OpenFinishSession();
  ASSERT_FALSE(std::holds_alternative<WorkError>(plain)) << "else the refusal proves nothing";
  auto opened = MakeMysql(Options("cert.pem"))->OpenFinishSession();
  ASSERT_TRUE(std::holds_alternative<WorkError>(opened));
  EXPECT_TRUE(std::get<WorkError>(opened).session_lost);
}

}  // namespace
}  // namespace assent::adapters
