// Room for prepared branches, and settings that are not durable: servers set up wrongly.
#include "tests/adapters/postgres_fixture.h"

namespace assent::adapters {
namespace {

using test_support::PostgresServer;

class PostgresCapacity : public PostgresTest {
 protected:
  void SetUp() override {}
  void TearDown() override {}

  static std::unique_ptr<PostgresServer> ServerWith(const test_support::PostgresOptions& options) {
    auto server = PostgresServer::Create(options);
    if (!server.ok()) {
      ADD_FAILURE() << server.status().ToString();
      return nullptr;
    }
    Status made = (*server)->Execute("CREATE TABLE t (k int PRIMARY KEY, v int)");
    EXPECT_TRUE(made.ok()) << made.ToString();
    return *std::move(server);
  }

  static PrepareAnswer VoteOn(const ConnectOptions& options, int key) {
    auto session = Work(options);
    Start(*session, NewGid());
    Execute(*session, "INSERT INTO t VALUES ($1, 0)", {int64_t{key}});
    return session->Prepare();
  }

  static const Finding* Find(const ProbeReport& report, const std::string& name) {
    for (const Finding& finding : report.findings) {
      if (finding.name == name) return &finding;
    }
    return nullptr;
  }
};

TEST_F(PostgresCapacity, WithoutRoomNothingIsPrepared) {
  auto server = ServerWith({.max_prepared_transactions = 0,
                            .settings = {{"fsync", "off"}, {"full_page_writes", "off"}}});
  ASSERT_NE(server, nullptr);
  ConnectOptions options = server->SocketConnectOptions(kCluster, kResource);

  auto report = MakePostgres(options)->Probe();
  ASSERT_TRUE(report.ok()) << report.status().ToString();
  EXPECT_EQ(report->prepared_max, 0u);
  for (const char* name : {"max_prepared_transactions", "fsync", "full_page_writes"}) {
    const Finding* finding = Find(*report, name);
    ASSERT_NE(finding, nullptr) << name;
    EXPECT_TRUE(finding->fatal) << name;
    EXPECT_FALSE(finding->remedy.empty()) << name;
  }
  EXPECT_EQ(Find(*report, "max_prepared_transactions")->value, "0");
  EXPECT_EQ(Find(*report, "fsync")->value, "off");

  PrepareAnswer answer = VoteOn(options, 1);
  EXPECT_EQ(answer.vote, Vote::kNo);
  EXPECT_EQ(answer.error.cause, Cause::kConfiguration) << answer.error;
  EXPECT_EQ(answer.error.code, "55000");

  // With room for two, the third is told so, and only it.
  ASSERT_TRUE(server->Stop().ok());
  server->Set("max_prepared_transactions", "2");
  ASSERT_TRUE(server->Start().ok());
  EXPECT_EQ(VoteOn(options, 1).vote, Vote::kYes);
  EXPECT_EQ(VoteOn(options, 2).vote, Vote::kYes);
  answer = VoteOn(options, 3);
  EXPECT_EQ(answer.vote, Vote::kNo);
  EXPECT_EQ(answer.error.cause, Cause::kPreparedLimit) << answer.error;
  EXPECT_EQ(answer.error.code, "53200");
  auto finisher = Finisher(options);
  std::vector<Gid> gids = RecoveredGids(*finisher);
  ASSERT_EQ(gids.size(), 2u);
  EXPECT_EQ(finisher->Rollback(gids[0], "").finish, Finish::kDone);
  EXPECT_EQ(VoteOn(options, 3).vote, Vote::kYes);
}

// Transaction ids beyond 32 bits: the listing shows the lower half only.
TEST_F(PostgresCapacity, EvidenceOfALaterEpochOfTransactionIds) {
  auto server = ServerWith({});
  ASSERT_NE(server, nullptr);
  ASSERT_TRUE(server->Stop().ok());
  Status reset = test_support::RunToEnd(
      {PostgresServer::BinDir() + "/pg_resetwal", "-e", "5", "-D", server->socket_dir() + "/pg"},
      {}, {.unprivileged = true, .working_dir = "/"}, server->socket_dir() + "/resetwal.log",
      std::chrono::seconds(30));
  ASSERT_TRUE(reset.ok()) << reset.ToString();
  ASSERT_TRUE(server->Start().ok());

  ConnectOptions options = server->SocketConnectOptions(kCluster, kResource);
  Gid gid = NewGid();
  Evidence evidence = Prepared(gid, 1, options);
  uint64_t xid = std::stoull(evidence.substr(evidence.find('=') + 1));
  EXPECT_EQ(xid >> 32, 5u) << evidence;
  auto finisher = Finisher(options);
  auto branches = finisher->Recover();
  ASSERT_TRUE(branches.ok()) << branches.status().ToString();
  ASSERT_EQ(branches->size(), 1u);
  EXPECT_EQ(branches->front().evidence, evidence);
  ASSERT_TRUE(server->Execute("ROLLBACK PREPARED '" + ToString(gid) + "'").ok());
  EXPECT_EQ(finisher->Commit(gid, evidence, JournalWord::kNothing).finish,
            Finish::kHeuristicRollback);
  // The same number of an earlier epoch is another transaction, long forgotten.
  EXPECT_EQ(
      finisher
          ->Commit(gid, EvidenceWithXid(evidence, xid - (uint64_t{1} << 32)), JournalWord::kNothing)
          .finish,
      Finish::kHazard);
}

}  // namespace
}  // namespace assent::adapters
