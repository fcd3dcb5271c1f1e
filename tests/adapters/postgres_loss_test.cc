// Sessions and servers that vanish at every verb.
#include <csignal>
#include <functional>

#include "tests/adapters/postgres_fixture.h"

namespace assent::adapters {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;

class PostgresLoss : public PostgresTest {
 protected:
  static std::string SessionCount() {
    return Scalar("SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'assent %'");
  }

  static void ExpectLost(const WorkError& error) {
    EXPECT_EQ(error.cause, Cause::kConnectionLost) << error;
    EXPECT_TRUE(error.session_lost) << error;
  }
};

TEST_F(PostgresLoss, BeforeEveryVerbOfWork) {
  struct Case {
    const char* verb;
    bool started;
    std::function<void(WorkSession&)> call;
  };
  const Case cases[] = {
      {"Start", false,
       [](WorkSession& session) {
         auto error = session.Start(NewGid(), {});
         ASSERT_TRUE(error.has_value());
         ExpectLost(*error);
       }},
      {"Execute", true, [](WorkSession& session) { ExpectLost(Fails(session, "SELECT 1")); }},
      {"Execute with keep_on_error", true,
       [](WorkSession& session) { ExpectLost(Fails(session, "SELECT 1", {}, true)); }},
      {"Prepare", true,
       [](WorkSession& session) {
         PrepareAnswer answer = session.Prepare();
         EXPECT_EQ(answer.vote, Vote::kNo);
         ExpectLost(answer.error);
       }},
      {"Rollback", true, [](WorkSession& session) { EXPECT_FALSE(session.Rollback()); }},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.verb);
    auto session = Work();
    Gid gid = NewGid();
    if (c.started) {
      Start(*session, gid);
      Execute(*session, "INSERT INTO t VALUES (1,1)");
    }
    KillSessions();
    c.call(*session);
    // It stays lost: nothing reconnects behind our back, and nothing else crashes.
    session->Cancel();
    ExpectLost(Fails(*session, "SELECT 1"));
    ExpectLost(session->Prepare().error);
    ExpectLost(*session->Start(NewGid(), {}));
    EXPECT_FALSE(session->Rollback());
    EXPECT_EQ(SessionCount(), "0");
    EXPECT_FALSE(Listed(gid));
    EXPECT_FALSE(RowExists(1));
  }
}

TEST_F(PostgresLoss, OfAReadOnlyBranchBeforePrepare) {
  auto session = Work();
  Start(*session, NewGid());
  Execute(*session, "SELECT 1");
  KillSessions();
  PrepareAnswer answer = session->Prepare();
  EXPECT_EQ(answer.vote, Vote::kNo);
  ExpectLost(answer.error);
}

TEST_F(PostgresLoss, BeforeEveryVerbOfFinishing) {
  for (const char* verb : {"Commit", "Rollback", "Recover"}) {
    SCOPED_TRACE(verb);
    Gid gid = NewGid();
    Evidence evidence = Prepared(gid, 1);
    auto finisher = Finisher();
    KillSessions();
    for (int time = 0; time < 2; ++time) {
      if (std::string(verb) == "Recover") {
        auto branches = finisher->Recover();
        ASSERT_FALSE(branches.ok());
        EXPECT_EQ(branches.status().code(), Code::kUnavailable);
        continue;
      }
      FinishAnswer answer = std::string(verb) == "Commit"
                                ? finisher->Commit(gid, evidence, JournalWord::kWill)
                                : finisher->Rollback(gid, evidence);
      EXPECT_EQ(answer.finish, Finish::kTransient) << answer;
      EXPECT_TRUE(answer.session_lost);
    }
    EXPECT_EQ(SessionCount(), "0");
    ASSERT_TRUE(Listed(gid));
    EXPECT_EQ(Finisher()->Rollback(gid, evidence).finish, Finish::kDone);
  }
}

TEST_F(PostgresLoss, OfTheSessionAfterPrepareLeavesTheBranch) {
  Gid gid = NewGid();
  auto session = Work();
  Start(*session, gid);
  Execute(*session, "INSERT INTO t VALUES (1,1)");
  Evidence evidence = PrepareYes(*session);
  KillSessions();
  EXPECT_EQ(Finisher()->Commit(gid, evidence, JournalWord::kNothing).finish, Finish::kDone);
  EXPECT_TRUE(RowExists(1));
}

TEST_F(PostgresLoss, OfTheServerBetweenPrepareAndCommit) {
  Gid prepared = NewGid();
  Gid unprepared = NewGid();
  Evidence evidence = Prepared(prepared, 1);
  auto open = Work();
  Start(*open, unprepared);
  Execute(*open, "INSERT INTO t VALUES (2,2)");
  auto finisher = Finisher();

  Server().Kill9();
  FinishAnswer answer = finisher->Commit(prepared, evidence, JournalWord::kNothing);
  EXPECT_EQ(answer.finish, Finish::kTransient) << answer;
  EXPECT_TRUE(answer.session_lost);
  ExpectLost(open->Prepare().error);

  // While it is down, everything says so.
  auto resource = MakePostgres(Options());
  WorkError error = WorkFailure(Options());
  EXPECT_EQ(error.cause, Cause::kUnavailable) << error;
  EXPECT_TRUE(std::holds_alternative<WorkError>(resource->OpenFinishSession()));
  EXPECT_EQ(resource->Identity().status().code(), Code::kUnavailable);
  EXPECT_EQ(resource->Probe().status().code(), Code::kUnavailable);

  ASSERT_TRUE(Server().Start().ok());
  finisher = Finisher();
  auto branches = finisher->Recover();
  ASSERT_TRUE(branches.ok()) << branches.status().ToString();
  ASSERT_EQ(branches->size(), 1u);
  EXPECT_EQ(branches->front().gid, prepared);
  EXPECT_EQ(branches->front().evidence, evidence) << "the crash changes no evidence";
  EXPECT_EQ(finisher->Commit(prepared, evidence, JournalWord::kNothing).finish, Finish::kDone);
  EXPECT_TRUE(RowExists(1));
  EXPECT_FALSE(RowExists(2));
}

TEST_F(PostgresLoss, OfTheServerAfterCommitIsSettledByEvidence) {
  Gid committed = NewGid();
  Gid rolled_back = NewGid();
  Evidence one = Prepared(committed, 1);
  Evidence two = Prepared(rolled_back, 2);
  auto finisher = Finisher();
  ASSERT_EQ(finisher->Commit(committed, one, JournalWord::kNothing).finish, Finish::kDone);
  ASSERT_EQ(finisher->Rollback(rolled_back, two).finish, Finish::kDone);
  Server().Kill9();
  ASSERT_TRUE(Server().Start().ok());
  finisher = Finisher();
  EXPECT_THAT(RecoveredGids(*finisher), IsEmpty());
  EXPECT_EQ(finisher->Commit(committed, one, JournalWord::kNothing).finish, Finish::kDone);
  EXPECT_EQ(finisher->Rollback(rolled_back, two).finish, Finish::kDone);
  EXPECT_TRUE(RowExists(1));
  EXPECT_FALSE(RowExists(2));
}

// A server that neither answers nor hangs up.
TEST_F(PostgresLoss, AFinishingVerbThatHangsIsLost) {
  Gid gid = NewGid();
  Evidence evidence = Prepared(gid, 1);
  ConnectOptions options = Options();
  options.finish_timeout = milliseconds(100);
  auto finisher = Finisher(options);
  pid_t backend = std::stoi(
      Scalar("SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'assent finish%'"));
  ASSERT_EQ(kill(backend, SIGSTOP), 0);
  auto before = std::chrono::steady_clock::now();
  FinishAnswer answer = finisher->Commit(gid, evidence, JournalWord::kNothing);
  auto took = std::chrono::steady_clock::now() - before;
  kill(backend, SIGCONT);
  EXPECT_EQ(answer.finish, Finish::kTransient) << answer;
  EXPECT_TRUE(answer.session_lost);
  EXPECT_LT(took, seconds(10));
  // The verb may yet have been carried out; asking again tells.
  ASSERT_TRUE(test_support::WaitUntil(seconds(20), [] { return SessionCount() == "0"; }));
  EXPECT_EQ(Finisher()->Commit(gid, evidence, JournalWord::kWill).finish, Finish::kDone);
  EXPECT_TRUE(RowExists(1));
}

}  // namespace
}  // namespace assent::adapters
