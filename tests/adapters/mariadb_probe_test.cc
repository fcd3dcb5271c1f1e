// Opening, identity, and the doctor's checks.
#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/adapters/mariadb_fixture.h"

namespace assent::adapters {
namespace {

using test_support::MariadbServer;

const Finding* Find(const ProbeReport& report, const std::string& name) {
  for (const Finding& finding : report.findings) {
    if (finding.name == name) return &finding;
  }
  return nullptr;
}

std::string Fatals(const ProbeReport& report) {
  std::string names;
  for (const Finding& finding : report.findings) {
    if (finding.fatal) names += finding.name + "=" + finding.value + " ";
  }
  return names;
}

class MariadbProbe : public MariadbTest {
 protected:
  ProbeReport MustProbe(ResourceManager& on) {
    auto probed = on.Probe();
    EXPECT_TRUE(probed.ok()) << probed.status().ToString();
    return probed.ok() ? *probed : ProbeReport{};
  }
  WorkError MustNotOpen(const ConnectOptions& options) {
    auto opened = MakeMysql(options)->OpenWorkSession();
    if (auto* error = std::get_if<WorkError>(&opened)) return *error;
    ADD_FAILURE() << "should not have opened";
    return {};
  }
  // A user with these rights on the database of the tests.
  ConnectOptions As(const std::string& user, const std::string& rights) {
    EXPECT_TRUE(server().Execute("CREATE OR REPLACE USER " + user + "@'127.0.0.1'").ok());
    EXPECT_TRUE(
        server().Execute("GRANT " + rights + " ON bank.* TO " + user + "@'127.0.0.1'").ok());
    ConnectOptions options = Options();
    options.user = user;
    return options;
  }
};
INSTANTIATE_TEST_SUITE_P(Binlog, MariadbProbe, ::testing::Bool(),
                         [](const auto& param_info) { return param_info.param ? "on" : "off"; });

TEST_P(MariadbProbe, GoodServerHasNothingFatal) {
  ProbeReport report = MustProbe(resource());
  EXPECT_EQ(Fatals(report), "");
  EXPECT_EQ(report.server.substr(0, 11), "MariaDB 10.");
  EXPECT_EQ(report.identity, Options().identity);
  EXPECT_EQ(report.prepared_max, 0u) << "no limit known";
  EXPECT_EQ(*resource().Identity(), Options().identity);
}

TEST_P(MariadbProbe, SettingsThatAreNotDurableAreFatal) {
  ASSERT_TRUE(server().Execute("SET GLOBAL innodb_flush_log_at_trx_commit = 2").ok());
  ASSERT_TRUE(server().Execute("SET GLOBAL sync_binlog = 0").ok());
  ProbeReport report = MustProbe(resource());
  ASSERT_TRUE(server().Execute("SET GLOBAL innodb_flush_log_at_trx_commit = 1").ok());
  ASSERT_TRUE(server().Execute("SET GLOBAL sync_binlog = 1").ok());
  // sync_binlog matters only with a binary log.
  EXPECT_EQ(Fatals(report), std::string("innodb_flush_log_at_trx_commit=2 ") +
                                (GetParam() ? "sync_binlog=0 " : ""));
  EXPECT_NE(Find(report, "innodb_flush_log_at_trx_commit")->remedy, "");
}

TEST_P(MariadbProbe, ReadOnlyServerIsFatal) {
  ASSERT_TRUE(server().Execute("SET GLOBAL read_only = 1").ok());
  ProbeReport report = MustProbe(resource());
  ASSERT_TRUE(server().Execute("SET GLOBAL read_only = 0").ok());
  EXPECT_EQ(Fatals(report), "read_only=ON ");
}

TEST_P(MariadbProbe, EnginesWithoutTransactionsAreWarnedOf) {
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

TEST_P(MariadbProbe, IdentityWithoutConfigurationIsAUuidInTheDatabase) {
  ASSERT_TRUE(server().Execute("DROP TABLE IF EXISTS assent_identity").ok());
  ConnectOptions options = Options();
  options.identity.clear();
  auto one = MakeMysql(options);
  auto identity = one->Identity();
  ASSERT_TRUE(identity.ok()) << identity.status().ToString();
  EXPECT_EQ(identity->size(), 36u);
  EXPECT_EQ(*MakeMysql(options)->Identity(), *identity) << "the same for everybody";
  EXPECT_EQ(MustProbe(*one).identity, *identity);

  Prepared branch = PrepareIncrement(*one, FreshGid());
  EXPECT_EQ(branch.evidence.rfind("id=" + *identity + " conn=", 0), 0u) << branch.evidence;
  EXPECT_EQ(
      branch.session->FinishPrepared(Decision::kCommit, branch.evidence, JournalWord::kNothing)
          .finish,
      Finish::kDone);

  // The data was lost and made anew: what was prepared on the old data is no hazard here, but not
  // done either, and never becomes so by looking at the wrong data.
  ASSERT_TRUE(server().Execute("DROP TABLE assent_identity").ok());
  auto finish = OpenFinish(*one);
  EXPECT_EQ(finish->Commit(FreshGid(), branch.evidence, JournalWord::kWill).finish,
            Finish::kTransient);
  EXPECT_NE(*one->Identity(), *identity);
}

TEST_P(MariadbProbe, NoIdentityToBeHadIsFatalWithARemedy) {
  ASSERT_TRUE(server().Execute("DROP TABLE IF EXISTS assent_identity").ok());
  ConnectOptions options = As("noddl", "SELECT, INSERT, UPDATE, DELETE");
  options.identity.clear();
  auto poor = MakeMysql(options);
  ProbeReport report = MustProbe(*poor);
  EXPECT_EQ(Fatals(report), "identity=none ");
  EXPECT_NE(Find(report, "identity")->remedy.find("identity"), std::string::npos);
  EXPECT_EQ(poor->Identity().status().code(), Code::kPermissionDenied);
  WorkError error = MustNotOpen(options);
  EXPECT_EQ(error.cause, Cause::kPermission);
  EXPECT_TRUE(error.session_lost);
  // What is listed can be finished all the same, and what is not is never judged.
  Prepared branch = PrepareAndClose();
  auto finish = OpenFinish(*poor);
  EXPECT_EQ(Settle([&] {
              return finish->Commit(branch.gid, branch.evidence, JournalWord::kNothing);
            }).finish,
            Finish::kDone);
  EXPECT_EQ(finish->Commit(branch.gid, branch.evidence, JournalWord::kWill).finish,
            Finish::kTransient);

  options.identity = "named";
  EXPECT_EQ(Fatals(MustProbe(*MakeMysql(options))), "");
}

TEST_P(MariadbProbe, MissingPrivilegeInABranchIsNamed) {
  auto reader = MakeMysql(As("reader", "SELECT"));
  auto session = OpenWork(*reader);
  MustStart(*session, FreshGid());
  WorkError failed = MustFail(*session, Increment());
  EXPECT_EQ(failed.cause, Cause::kPermission);
  EXPECT_EQ(failed.code, "1142/42000");
  EXPECT_EQ(session->Prepare().vote, Vote::kNo);
}

TEST_P(MariadbProbe, OpeningSaysWhatIsWrong) {
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

TEST_P(MariadbProbe, UnixSocketServesToo) {
  auto local = MakeMysql(server().SocketConnectOptions(kCluster, kResource));
  auto session = OpenWork(*local);
  MustStart(*session, FreshGid());
  MustExecute(*session, "SELECT 1");
  EXPECT_TRUE(session->Rollback());
}

TEST_P(MariadbProbe, TooManyConnectionsIsUnavailable) {
  ConnectOptions options = As("few", "SELECT");
  ASSERT_TRUE(server().Execute("ALTER USER few@'127.0.0.1' WITH MAX_USER_CONNECTIONS 1").ok());
  auto few = MakeMysql(options);
  auto session = OpenWork(*few);
  EXPECT_EQ(MustNotOpen(options).cause, Cause::kUnavailable);
}

TEST_P(MariadbProbe, NoFileOfThisMachineIsReadForAStatement) {
  auto session = OpenWork(resource());
  MustStart(*session, FreshGid());
  WorkError failed = MustFail(
      *session, "LOAD DATA LOCAL INFILE '/etc/hostname' INTO TABLE " + table_ + " (id)", {}, true);
  EXPECT_EQ(failed.code.substr(0, 4), "4166") << failed.detail;
}

// TLS needs certificates that the shared servers don't have.
class MariadbTls : public ::testing::Test {
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
    auto created = MariadbServer::Create(
        {.settings = {{"ssl-cert", dir_.File("cert.pem")}, {"ssl-key", dir_.File("key.pem")}}});
    ASSERT_TRUE(created.ok()) << created.status().ToString();
    server_ = std::move(*created);
  }
  ConnectOptions Options(const std::string& ca, const std::string& host = "localhost") {
    ConnectOptions options = server_->ConnectOptions(kCluster, kResource);
    options.host = host;
    options.tls_ca_file = dir_.File(ca);
    return options;
  }

  test_support::TempDir dir_;
  std::unique_ptr<MariadbServer> server_;
};

TEST_F(MariadbTls, IsUsedAndVerifiedOrRefused) {
  auto encrypted = MakeMysql(Options("cert.pem"));
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

TEST_P(MariadbProbe, TlsIsNeverSilentlyAbsent) {
  test_support::TempDir dir;
  std::string command = "cd " + dir.path() +
                        " && openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "
                        "/CN=localhost -keyout key.pem -out ca.pem >/dev/null 2>&1";
  ASSERT_EQ(std::system(command.c_str()), 0) << "openssl is needed for this test";
  // This server has no certificate at all.
  ConnectOptions options = Options();
  options.host = "localhost";
  auto plain = MakeMysql(options)->OpenFinishSession();
  ASSERT_FALSE(std::holds_alternative<WorkError>(plain)) << "else the refusal proves nothing";
  options.tls_ca_file = dir.File("ca.pem");
  auto opened = MakeMysql(options)->OpenFinishSession();
  ASSERT_TRUE(std::holds_alternative<WorkError>(opened));
  EXPECT_TRUE(std::get<WorkError>(opened).session_lost);
}

}  // namespace
}  // namespace assent::adapters
