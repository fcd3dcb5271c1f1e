// The doctor's checks, identity, and connections that are refused.
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "tests/adapters/postgres_fixture.h"

namespace assent::adapters {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;

class PostgresProbe : public PostgresTest {
 protected:
  static ConnectOptions AsApp() {
    ConnectOptions options = Options();
    options.user = "app";
    return options;
  }
  static ProbeReport Probed(const ConnectOptions& options) {
    auto report = MakePostgres(options)->Probe();
    if (report.ok()) return *std::move(report);
    ADD_FAILURE() << report.status().ToString();
    return {};
  }
};

TEST_F(PostgresProbe, AHealthyServerHasNoFindings) {
  for (const ConnectOptions& options : {Options(), AsApp()}) {
    ProbeReport report = Probed(options);
    EXPECT_TRUE(report.findings.empty()) << report.findings.front().name;
    EXPECT_EQ(report.prepared_max, 200u);
    EXPECT_THAT(report.server, MatchesRegex("PostgreSQL [0-9]+\\.[0-9]+"));
    EXPECT_EQ(report.identity, *MakePostgres(options)->Identity());
  }
}

TEST_F(PostgresProbe, IdentityNamesSystemAndDatabase) {
  auto here = MakePostgres(Options())->Identity();
  ASSERT_TRUE(here.ok());
  EXPECT_EQ(*here, "sys=" + Scalar("SELECT system_identifier FROM pg_control_system()") +
                       " db=" + Scalar("SELECT oid FROM pg_database WHERE datname = 'bank'"));
  ConnectOptions elsewhere = Options();
  elsewhere.database = "postgres";
  EXPECT_NE(*MakePostgres(elsewhere)->Identity(), *here);
}

TEST_F(PostgresProbe, CommitsThatMayBeLostAreFatal) {
  Sql("ALTER ROLE app SET synchronous_commit = off");
  ProbeReport report = Probed(AsApp());
  ASSERT_EQ(report.findings.size(), 1u);
  EXPECT_TRUE(report.findings[0].fatal);
  EXPECT_EQ(report.findings[0].name, "synchronous_commit");
  EXPECT_EQ(report.findings[0].value, "off");
  EXPECT_THAT(report.findings[0].remedy, HasSubstr("ALTER ROLE app"));
  for (const char* durable : {"local", "remote_write", "remote_apply", "on"}) {
    Sql(std::string("ALTER ROLE app SET synchronous_commit = ") + durable);
    EXPECT_TRUE(Probed(AsApp()).findings.empty()) << durable;
  }
  Sql("ALTER ROLE app RESET synchronous_commit");
}

TEST_F(PostgresProbe, BranchesOfAnotherRoleAreNamed) {
  Prepared(NewGid(), 1);  // As the superuser.
  ProbeReport report = Probed(AsApp());
  ASSERT_EQ(report.findings.size(), 1u);
  EXPECT_FALSE(report.findings[0].fatal);
  EXPECT_EQ(report.findings[0].value, "1 of role postgres");
  EXPECT_TRUE(Probed(Options()).findings.empty());
}

TEST_F(PostgresProbe, AMissingPrivilegeIsNamed) {
  Sql("REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC");
  ProbeReport report = Probed(AsApp());
  auto identity = MakePostgres(AsApp())->Identity();
  WorkError error = WorkFailure(AsApp());
  auto branches = Finisher(AsApp())->Recover();
  Sql("GRANT EXECUTE ON FUNCTION pg_control_system() TO PUBLIC");
  ASSERT_EQ(report.findings.size(), 1u);
  EXPECT_TRUE(report.findings[0].fatal);
  EXPECT_EQ(report.findings[0].remedy, "GRANT EXECUTE ON FUNCTION pg_control_system() TO app");
  EXPECT_EQ(identity.status().code(), Code::kPermissionDenied);
  EXPECT_EQ(error.cause, Cause::kPermission) << error;
  EXPECT_EQ(branches.status().code(), Code::kPermissionDenied);
}

TEST_F(PostgresProbe, StatementsWithoutPrivilegeAreNamed) {
  Sql("CREATE TABLE secret (a int)");
  auto session = Work(AsApp());
  Start(*session, NewGid());
  EXPECT_EQ(Fails(*session, "SELECT * FROM secret").cause, Cause::kPermission);
  Sql("DROP TABLE secret");
}

TEST_F(PostgresProbe, RefusedConnectionsSayWhatAndWhere) {
  ConnectOptions options = Options();
  options.database = "nowhere";
  WorkError error = WorkFailure(options);
  EXPECT_EQ(error.cause, Cause::kConfiguration) << error;
  EXPECT_THAT(error.detail, HasSubstr("database \"nowhere\" does not exist"));
  EXPECT_THAT(error.detail, HasSubstr(options.host));

  options = Options();
  options.user = "nobody_here";
  EXPECT_EQ(WorkFailure(options).cause, Cause::kPermission);

  Sql("CREATE ROLE locked_out NOLOGIN");
  options.user = "locked_out";
  error = WorkFailure(options);
  EXPECT_EQ(error.cause, Cause::kPermission) << error;
  Sql("DROP ROLE locked_out");

  options = Options();
  options.host = "/nonexistent";
  EXPECT_EQ(WorkFailure(options).cause, Cause::kUnavailable);
}

TEST_F(PostgresProbe, APasswordIsNeverInAMessage) {
  ConnectOptions options = Options();
  options.database = "nowhere";
  options.password = "hunter2-'quoted";
  EXPECT_THAT(WorkFailure(options).detail, testing::Not(HasSubstr("hunter2")));
}

TEST_F(PostgresProbe, TlsAskedForIsNeverSilentlyAbsent) {
  ConnectOptions options = Server().ConnectOptions(kCluster, kResource);  // TCP, without TLS.
  Work(options);
  options.tls_ca_file = Server().log_file();  // Any file: the server has no TLS to offer.
  WorkError error = WorkFailure(options);
  EXPECT_EQ(error.cause, Cause::kConfiguration) << error;
  options = Options();  // Unix socket.
  options.tls_ca_file = Server().log_file();
  error = WorkFailure(options);
  EXPECT_EQ(error.cause, Cause::kConfiguration) << error;
  EXPECT_THAT(error.detail, HasSubstr("unix socket"));
}

// Makes <dir>/<name>.pem and .key: self-signed, for the address 127.0.0.1.
bool MakeCertificate(const std::string& dir, const std::string& name) {
  return std::system(("openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=" + name +
                      " -addext subjectAltName=IP:127.0.0.1 -keyout " + dir + "/" + name +
                      ".key -out " + dir + "/" + name + ".pem 2>/dev/null")
                         .c_str()) == 0;
}

TEST_F(PostgresProbe, TlsVerifiesAuthorityAndHost) {
  const std::string dir = Server().socket_dir();
  ASSERT_TRUE(MakeCertificate(dir, "server"));
  ASSERT_TRUE(MakeCertificate(dir, "other"));
  std::filesystem::permissions(dir + "/server.key", std::filesystem::perms::owner_read);
  ASSERT_TRUE(test_support::GiveToUnprivileged(dir + "/server.key").ok());
  Sql("ALTER SYSTEM SET ssl_cert_file = '" + dir + "/server.pem'");
  Sql("ALTER SYSTEM SET ssl_key_file = '" + dir + "/server.key'");
  Sql("ALTER SYSTEM SET ssl = on");
  Sql("SELECT pg_reload_conf()");
  ASSERT_TRUE(
      test_support::WaitUntil(std::chrono::seconds(20), [] { return Scalar("SHOW ssl") == "on"; }));

  ConnectOptions options = Server().ConnectOptions(kCluster, kResource);
  options.host = "127.0.0.1";
  options.tls_ca_file = dir + "/server.pem";
  auto session = Work(options);
  if (session != nullptr) {
    Start(*session, NewGid());
    ResultSet set = Execute(*session, "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()");
    EXPECT_EQ(set.rows.at(0).at(0), Value(true));
  }
  options.host = "localhost";
  WorkError wrong_name = WorkFailure(options);
  options.host = "127.0.0.1";
  options.tls_ca_file = dir + "/other.pem";
  WorkError wrong_ca = WorkFailure(options);
  options.tls_ca_file = dir + "/missing.pem";
  WorkError no_ca = WorkFailure(options);

  Sql("ALTER SYSTEM RESET ALL");
  Sql("SELECT pg_reload_conf()");
  EXPECT_EQ(wrong_name.cause, Cause::kConfiguration) << wrong_name;
  EXPECT_EQ(wrong_ca.cause, Cause::kConfiguration) << wrong_ca;
  EXPECT_EQ(no_ca.cause, Cause::kConfiguration) << no_ca;
}

// Different sessions of one resource, each on its own thread, opened there too.
TEST_F(PostgresProbe, SessionsWorkSideBySideOnThreads) {
  auto resource = MakePostgres(Options());
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&resource, thread] {
      auto work = std::get<std::unique_ptr<WorkSession>>(resource->OpenWorkSession());
      auto finish = std::get<std::unique_ptr<FinishSession>>(resource->OpenFinishSession());
      for (int i = 0; i < 20; ++i) {
        Gid gid = NewGid();
        Start(*work, gid);
        Execute(*work, "INSERT INTO t VALUES ($1, 0)", {int64_t{1000 * thread + i}});
        Evidence evidence = PrepareYes(*work);
        FinishAnswer answer = i % 2 == 0 ? finish->Commit(gid, evidence, JournalWord::kNothing)
                                         : finish->Rollback(gid, evidence);
        EXPECT_EQ(answer.finish, Finish::kDone) << answer;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(Scalar("SELECT count(*) FROM t"), "40");
}

}  // namespace
}  // namespace assent::adapters
