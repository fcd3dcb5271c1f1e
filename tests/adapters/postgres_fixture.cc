#include "tests/adapters/postgres_fixture.h"

#include <atomic>
#include <ostream>

namespace assent::adapters {

using test_support::PostgresServer;
using test_support::WaitUntil;

namespace {

std::unique_ptr<PostgresServer>& Shared() {
  static std::unique_ptr<PostgresServer> server;
  return server;
}

class StopsServer : public testing::Environment {
 public:
  void TearDown() override { Shared().reset(); }
};
const testing::Environment* const kStopsServer = testing::AddGlobalTestEnvironment(new StopsServer);

}  // namespace

std::ostream& operator<<(std::ostream& out, Cause cause) { return out << CauseName(cause); }
std::ostream& operator<<(std::ostream& out, Finish finish) { return out << FinishName(finish); }
std::ostream& operator<<(std::ostream& out, const WorkError& error) {
  return out << error.cause << " " << error.code << " " << error.detail
             << (error.session_lost ? " (session lost)" : "");
}
std::ostream& operator<<(std::ostream& out, const FinishAnswer& answer) {
  return out << answer.finish << " " << answer.code << " " << answer.detail
             << (answer.session_lost ? " (session lost)" : "");
}
std::ostream& operator<<(std::ostream& out, Vote vote) {
  return out << (vote == Vote::kYes ? "YES" : vote == Vote::kNo ? "NO" : "READ-ONLY");
}

std::string EvidenceWithXid(const std::string& evidence, uint64_t xid) {
  return "xid=" + std::to_string(xid) + evidence.substr(evidence.find(' '));
}

PostgresServer& PostgresTest::Server() {
  if (Shared() == nullptr) {
    auto created = PostgresServer::Create();
    if (!created.ok()) {
      // Nothing below can work; say why once and stop.
      fprintf(stderr, "no private PostgreSQL: %s\n", created.status().ToString().c_str());
      abort();
    }
    Shared() = std::move(*created);
    Sql("CREATE TABLE t (k int PRIMARY KEY, v int)");
    Sql("CREATE ROLE app LOGIN");
    Sql("GRANT ALL ON t TO app");
  }
  return *Shared();
}

void PostgresTest::SetUp() { Server(); }

void PostgresTest::TearDown() {
  auto prepared = Server().Query("SELECT quote_literal(gid), database FROM pg_prepared_xacts");
  ASSERT_TRUE(prepared.ok()) << prepared.status().ToString();
  for (const auto& row : *prepared) {
    Status status = Server().Execute("ROLLBACK PREPARED " + row[0], row[1]);
    EXPECT_TRUE(status.ok()) << status.ToString();
  }
  Sql("TRUNCATE t");
}

ConnectOptions PostgresTest::Options() {
  return Server().SocketConnectOptions(kCluster, kResource);
}

Gid PostgresTest::NewGid(const std::string& resource, const std::string& cluster) {
  static std::atomic<uint64_t> seq{0};
  return {.gtrid = {.cluster = cluster, .incarnation = 77, .group = 1, .epoch = 1, .seq = ++seq},
          .bqual = {.resource = resource, .branch = 1, .attempt = 1}};
}

std::unique_ptr<WorkSession> PostgresTest::Work(const ConnectOptions& options) {
  auto opened = MakePostgres(options)->OpenWorkSession();
  if (auto* error = std::get_if<WorkError>(&opened)) {
    ADD_FAILURE() << *error;
    return nullptr;
  }
  return std::get<std::unique_ptr<WorkSession>>(std::move(opened));
}

std::unique_ptr<FinishSession> PostgresTest::Finisher(const ConnectOptions& options) {
  auto opened = MakePostgres(options)->OpenFinishSession();
  if (auto* error = std::get_if<WorkError>(&opened)) {
    ADD_FAILURE() << *error;
    return nullptr;
  }
  return std::get<std::unique_ptr<FinishSession>>(std::move(opened));
}

WorkError PostgresTest::WorkFailure(const ConnectOptions& options) {
  auto opened = MakePostgres(options)->OpenWorkSession();
  if (auto* error = std::get_if<WorkError>(&opened)) return *error;
  ADD_FAILURE() << "the session was opened";
  return {};
}

void PostgresTest::Start(WorkSession& session, const Gid& gid, const StartOptions& options) {
  auto error = session.Start(gid, options);
  ASSERT_FALSE(error.has_value()) << *error;
}

ResultSet PostgresTest::Execute(WorkSession& session, const std::string& sql,
                                const std::vector<Value>& parameters) {
  auto answer = session.Execute(sql, parameters, false);
  if (auto* error = std::get_if<WorkError>(&answer)) {
    ADD_FAILURE() << sql << ": " << *error;
    return {};
  }
  return std::get<ResultSet>(std::move(answer));
}

WorkError PostgresTest::Fails(WorkSession& session, const std::string& sql,
                              const std::vector<Value>& parameters, bool keep_on_error) {
  auto answer = session.Execute(sql, parameters, keep_on_error);
  if (auto* error = std::get_if<WorkError>(&answer)) return *error;
  ADD_FAILURE() << sql << ": did not fail";
  return {};
}

Evidence PostgresTest::PrepareYes(WorkSession& session) {
  PrepareAnswer answer = session.Prepare();
  EXPECT_EQ(answer.vote, Vote::kYes) << answer.error;
  return answer.evidence;
}

Evidence PostgresTest::Prepared(const Gid& gid, int key, const ConnectOptions& options) {
  auto session = Work(options);
  Start(*session, gid);
  Execute(*session, "INSERT INTO t VALUES ($1, 0)", {int64_t{key}});
  return PrepareYes(*session);
}

void PostgresTest::Sql(const std::string& sql) {
  Status status = Shared()->Execute(sql);
  ASSERT_TRUE(status.ok()) << sql << ": " << status.ToString();
}

std::string PostgresTest::Scalar(const std::string& sql) {
  auto rows = Server().Query(sql);
  if (!rows.ok() || rows->size() != 1) {
    ADD_FAILURE() << sql << ": " << rows.status().ToString();
    return "";
  }
  return (*rows)[0][0];
}

bool PostgresTest::Listed(const Gid& gid) {
  return Scalar("SELECT count(*) FROM pg_prepared_xacts WHERE gid = '" + ToString(gid) + "'") ==
         "1";
}

bool PostgresTest::RowExists(int key) {
  return Scalar("SELECT count(*) FROM t WHERE k = " + std::to_string(key)) == "1";
}

std::vector<Gid> PostgresTest::RecoveredGids(FinishSession& session) {
  auto branches = session.Recover();
  if (!branches.ok()) {
    ADD_FAILURE() << branches.status().ToString();
    return {};
  }
  std::vector<Gid> gids;
  for (const PreparedBranch& branch : *branches) gids.push_back(branch.gid);
  return gids;
}

void PostgresTest::KillSessions() {
  const std::string ours = "FROM pg_stat_activity WHERE application_name LIKE 'assent %'";
  auto rows = Server().Query("SELECT pg_terminate_backend(pid) " + ours);
  ASSERT_TRUE(rows.ok()) << rows.status().ToString();
  ASSERT_FALSE(rows->empty()) << "there was no session to kill";
  ASSERT_TRUE(WaitUntil(std::chrono::seconds(20),
                        [&] { return Scalar("SELECT count(*) " + ours) == "0"; }));
}

}  // namespace assent::adapters
