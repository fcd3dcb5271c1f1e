#include "tests/adapters/mariadb_fixture.h"

#include <map>

namespace assent::adapters {
namespace {

using test_support::MariadbServer;

std::map<bool, std::unique_ptr<MariadbServer>>& Servers() {
  static std::map<bool, std::unique_ptr<MariadbServer>> servers;
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

MariadbServer& SharedServer(bool log_bin) {
  auto& server = Servers()[log_bin];
  if (!server) {
    auto created = MariadbServer::Create({.log_bin = log_bin});
    if (!created.ok()) {
      ADD_FAILURE() << created.status().ToString();
      std::abort();
    }
    server = std::move(*created);
  }
  return *server;
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

void MustStart(WorkSession& session, const Gid& gid, const StartOptions& options) {
  auto error = session.Start(gid, options);
  if (error) {
    ADD_FAILURE() << "Start: " << CauseName(error->cause) << " " << error->code << " "
                  << error->detail;
  }
}

std::string Describe(const FinishAnswer& answer) {
  return std::string(FinishName(answer.finish)) + " " + answer.code + " " + answer.detail;
}

std::string Describe(const PrepareAnswer& answer) {
  return std::string(CauseName(answer.error.cause)) + " " + answer.error.code + " " +
         answer.error.detail;
}

void MariadbTest::SetUp() {
  table_ = "t" + std::to_string(NextNumber());
  ASSERT_TRUE(
      server().Execute("CREATE TABLE " + table_ + " (id INT PRIMARY KEY, n INT NOT NULL)").ok());
  ASSERT_TRUE(server().Execute("INSERT INTO " + table_ + " VALUES (1, 0), (2, 0), (3, 0)").ok());
  resource_ = MakeMysql(Options());
}

void MariadbTest::TearDown() {
  EXPECT_EQ(PreparedCount(), 0u) << "a branch was left prepared";
  auto left = server().Query("XA RECOVER FORMAT='SQL'");
  if (!left.ok()) return;
  for (const auto& row : *left) (void)server().Execute("XA ROLLBACK " + row[3]);
}

std::string MariadbTest::Increment(int id) const {
  return "UPDATE " + table_ + " SET n = n + 1 WHERE id = " + std::to_string(id);
}

std::string MariadbTest::N(int id) {
  auto rows = server().Query("SELECT n FROM " + table_ + " WHERE id = " + std::to_string(id));
  return rows.ok() && rows->size() == 1 ? (*rows)[0][0] : rows.status().ToString();
}

std::string MariadbTest::ConnectionId(WorkSession& session) {
  ResultSet result = MustExecute(session, "SELECT CONNECTION_ID()");
  return result.rows.empty() ? "" : std::to_string(std::get<int64_t>(result.rows[0][0]));
}

void MariadbTest::KillConnection(const std::string& id) {
  ASSERT_TRUE(server().Execute("KILL CONNECTION " + id).ok());
  ASSERT_TRUE(test_support::WaitUntil(std::chrono::seconds(10), [&] {
    auto rows =
        server().Query("SELECT COUNT(*) FROM information_schema.processlist WHERE id = " + id);
    return rows.ok() && (*rows)[0][0] == "0";
  }));
}

size_t MariadbTest::PreparedCount() {
  auto rows = server().Query("XA RECOVER");
  return rows.ok() ? rows->size() : SIZE_MAX;
}

MariadbTest::Prepared MariadbTest::PrepareIncrement(int id) {
  return PrepareIncrement(resource(), FreshGid(), id);
}

MariadbTest::Prepared MariadbTest::PrepareIncrement(ResourceManager& on, const Gid& gid, int id) {
  Prepared prepared{.gid = gid, .session = OpenWork(on)};
  MustStart(*prepared.session, gid);
  MustExecute(*prepared.session, Increment(id));
  PrepareAnswer answer = prepared.session->Prepare();
  EXPECT_EQ(answer.vote, Vote::kYes) << Describe(answer);
  prepared.evidence = answer.evidence;
  return prepared;
}

MariadbTest::Prepared MariadbTest::PrepareAndClose(int id) {
  Prepared prepared = PrepareIncrement(id);
  prepared.session.reset();
  return prepared;
}

FinishAnswer MariadbTest::Settle(const std::function<FinishAnswer()>& ask) {
  FinishAnswer answer;
  EXPECT_TRUE(test_support::WaitUntil(std::chrono::seconds(10), [&] {
    answer = ask();
    return answer.finish != Finish::kTransient;
  })) << Describe(answer);
  return answer;
}

}  // namespace assent::adapters
