#include "tests/adapters/mysql_fixture.h"

#include <map>

namespace assent::adapters {
namespace {

using test_support::Mysqld;

std::map<std::string, std::unique_ptr<Mysqld>>& Servers() {
  static std::map<std::string, std::unique_ptr<Mysqld>> servers;
  return servers;
}

// Stops the servers before the statics of libraries go.
class StopServers : public ::testing::Environment {
  void TearDown() override { Servers().clear(); }
};
[[maybe_unused]] ::testing::Environment* const kStopServers =
    ::testing::AddGlobalTestEnvironment(new StopServers);

int NextNumber() {
  static int number = 0;
  return ++number;
}

}  // namespace

Gid FreshGid(const std::string& cluster, const std::string& resource) {
  return Gid{.gtrid = {.cluster = cluster,
                       .incarnation = 0x1234567890ABCDEF,
                       .group = 1,
                       .epoch = 7,
                       .seq = static_cast<uint64_t>(NextNumber())},
             .bqual = {.resource = resource, .branch = 1, .attempt = 1}};
}

std::vector<ServerUnderTest> AttachingServers() {
  std::vector<ServerUnderTest> attaching;
  for (const ServerUnderTest& server : ServersUnderTest()) {
    if (server.attaches) attaching.push_back(server);
  }
  return attaching;
}

std::unique_ptr<WorkSession> OpenWork(ResourceManager& resource) {
  auto opened = resource.OpenWorkSession();
  if (auto* error = std::get_if<WorkError>(&opened)) {
    ADD_FAILURE() << error->detail;
    return nullptr;
  }
  return std::move(std::get<std::unique_ptr<WorkSession>>(opened));
}

std::unique_ptr<FinishSession> OpenFinish(ResourceManager& resource) {
  auto opened = resource.OpenFinishSession();
  if (auto* error = std::get_if<WorkError>(&opened)) {
    ADD_FAILURE() << error->detail;
    return nullptr;
  }
  return std::move(std::get<std::unique_ptr<FinishSession>>(opened));
}

ResultSet MustExecute(WorkSession& session, const std::string& sql,
                      const std::vector<Value>& parameters) {
  auto answer = session.Execute(sql, parameters, false);
  if (auto* error = std::get_if<WorkError>(&answer)) {
    ADD_FAILURE() << sql << ": " << CauseName(error->cause) << " " << error->code << " "
                  << error->detail;
    return {};
  }
  return std::get<ResultSet>(std::move(answer));
}

WorkError MustFail(WorkSession& session, const std::string& sql,
                   const std::vector<Value>& parameters, bool keep_on_error) {
  auto answer = session.Execute(sql, parameters, keep_on_error);
  if (auto* error = std::get_if<WorkError>(&answer)) return *error;
  ADD_FAILURE() << sql << " should have failed";
  return {};
}

Gid MustStart(WorkSession& session, const Gid& gid, const StartOptions& options) {
  auto error = session.Start(gid, options);
  if (error) {
    ADD_FAILURE() << "Start: " << CauseName(error->cause) << " " << error->code << " "
                  << error->detail;
  }
  return gid;
}

ProbeReport MustProbe(ResourceManager& resource) {
  auto probed = resource.Probe();
  EXPECT_TRUE(probed.ok()) << probed.status().ToString();
  return probed.ok() ? *probed : ProbeReport{};
}

WorkError MustNotOpen(const ConnectOptions& options) {
  auto opened = MakeMysql(options)->OpenWorkSession();
  if (auto* error = std::get_if<WorkError>(&opened)) return *error;
  ADD_FAILURE() << "should not have opened";
  return {};
}

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

std::string Describe(const FinishAnswer& answer) {
  return std::string(FinishName(answer.finish)) + " " + answer.code + " " + answer.detail;
}

std::string Describe(const PrepareAnswer& answer) {
  return std::string(CauseName(answer.error.cause)) + " " + answer.error.code + " " +
         answer.error.detail;
}

Mysqld& MysqlTest::server() { return *Servers()[GetParam().name]; }

void MysqlTest::SetUp() {
  auto& server_of_all = Servers()[GetParam().name];
  if (!server_of_all) {
    auto created = GetParam().Create();
    if (!created.ok() && GetParam().IsAbsent(created.status())) {
      GTEST_SKIP() << created.status().message();
    }
    ASSERT_TRUE(created.ok()) << created.status().ToString();
    server_of_all = std::move(*created);
  }
  table_ = "t" + std::to_string(NextNumber());
  ASSERT_TRUE(
      server().Execute("CREATE TABLE " + table_ + " (id INT PRIMARY KEY, n INT NOT NULL)").ok());
  ASSERT_TRUE(server().Execute("INSERT INTO " + table_ + " VALUES (1, 0), (2, 0), (3, 0)").ok());
  resource_ = MakeMysql(Options());
}

void MysqlTest::TearDown() {
  if (!resource_) return;  // There was no server.
  EXPECT_EQ(PreparedCount(), 0u) << "a branch was left prepared";
  for (const std::string& xid : PreparedXids()) (void)server().Execute("XA ROLLBACK " + xid);
}

std::string MysqlTest::Increment(int id) const {
  return "UPDATE " + table_ + " SET n = n + 1 WHERE id = " + std::to_string(id);
}

std::string MysqlTest::N(int id) {
  auto rows = server().Query("SELECT n FROM " + table_ + " WHERE id = " + std::to_string(id));
  return rows.ok() && rows->size() == 1 ? (*rows)[0][0] : rows.status().ToString();
}

std::string MysqlTest::ConnectionId(WorkSession& session) {
  ResultSet result = MustExecute(session, "SELECT CONNECTION_ID()");
  return result.rows.empty() ? "" : std::to_string(std::get<int64_t>(result.rows[0][0]));
}

void MysqlTest::KillConnection(const std::string& id) {
  ASSERT_TRUE(server().Execute("KILL CONNECTION " + id).ok());
  ASSERT_TRUE(test_support::WaitUntil(std::chrono::seconds(10), [&] {
    auto rows =
        server().Query("SELECT COUNT(*) FROM information_schema.processlist WHERE id = " + id);
    return rows.ok() && (*rows)[0][0] == "0";
  }));
}

size_t MysqlTest::PreparedCount() {
  auto rows = server().Query("XA RECOVER");
  return rows.ok() ? rows->size() : SIZE_MAX;
}

std::vector<std::string> MysqlTest::PreparedXids() {
  const bool is_mariadb = GetParam().is_mariadb;
  auto rows = server().Query(is_mariadb ? "XA RECOVER FORMAT='SQL'" : "XA RECOVER CONVERT XID");
  if (!rows.ok()) {
    ADD_FAILURE() << rows.status().ToString();
    return {};
  }
  std::vector<std::string> xids;
  for (const auto& row : *rows) {
    if (is_mariadb) {
      xids.push_back(row[3]);
      continue;
    }
    // MySQL joins both parts: "0x6762".
    const size_t gtrid = 2 * std::stoul(row[1]);
    xids.push_back("X'" + row[3].substr(2, gtrid) + "',X'" + row[3].substr(2 + gtrid) + "'," +
                   row[0]);
  }
  return xids;
}

Evidence MysqlTest::ServerEvidence() {
  if (GetParam().is_mariadb) return "id=" + Options().identity;
  return "uuid=" + server().Query("SELECT @@server_uuid")->at(0).at(0);
}

ConnectOptions MysqlTest::As(const std::string& user, const std::string& rights,
                             const std::string& with) {
  const std::string account = user + "@'127.0.0.1'";
  EXPECT_TRUE(server().Execute("DROP USER IF EXISTS " + account).ok());
  EXPECT_TRUE(server().Execute("CREATE USER " + account + " " + with).ok());
  EXPECT_TRUE(server().Execute("GRANT " + rights + " ON bank.* TO " + account).ok());
  if (!GetParam().is_mariadb) {
    EXPECT_TRUE(server().Execute("GRANT XA_RECOVER_ADMIN ON *.* TO " + account).ok());
  }
  ConnectOptions options = Options();
  options.user = user;
  return options;
}

FinishAnswer MysqlTest::End(WorkSession& session, FinishSession& finish, Decision decision,
                            const Gid& gid, const Evidence& evidence, JournalWord journal) {
  if (session.AttachedWhenPrepared()) return session.FinishPrepared(decision, evidence, journal);
  return decision == Decision::kCommit ? finish.Commit(gid, evidence, journal)
                                       : finish.Rollback(gid, evidence);
}

FinishAnswer MysqlTest::End(WorkSession& session, Decision decision, const Gid& gid,
                            const Evidence& evidence) {
  return End(session, *OpenFinish(resource()), decision, gid, evidence);
}

MysqlTest::Prepared MysqlTest::PrepareIncrement(int id) {
  return PrepareIncrement(resource(), FreshGid(), id);
}

MysqlTest::Prepared MysqlTest::PrepareIncrement(ResourceManager& on, const Gid& gid, int id) {
  Prepared prepared{.gid = gid, .session = OpenWork(on)};
  MustStart(*prepared.session, gid);
  MustExecute(*prepared.session, Increment(id));
  PrepareAnswer answer = prepared.session->Prepare();
  EXPECT_EQ(answer.vote, Vote::kYes) << Describe(answer);
  prepared.evidence = answer.evidence;
  return prepared;
}

MysqlTest::Prepared MysqlTest::PrepareAndClose(int id) {
  Prepared prepared = PrepareIncrement(id);
  prepared.session.reset();
  return prepared;
}

FinishAnswer MysqlTest::Settle(const std::function<FinishAnswer()>& ask) {
  FinishAnswer answer;
  EXPECT_TRUE(test_support::WaitUntil(std::chrono::seconds(10), [&] {
    answer = ask();
    return answer.finish != Finish::kTransient;
  })) << Describe(answer);
  return answer;
}

void MysqlTest::ByHand(const std::string& sql) {
  EXPECT_TRUE(test_support::WaitUntil(std::chrono::seconds(10), [&] {
    return server().Execute(sql).ok();
  })) << sql;
}

}  // namespace assent::adapters
