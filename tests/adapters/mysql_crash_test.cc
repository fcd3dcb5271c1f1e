// Lost connections at every verb, and a server that dies, hangs, or comes back.
#include <gtest/gtest.h>

#include <csignal>

#include "tests/adapters/mysql_fixture.h"

namespace assent::adapters {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

class MysqlCrash : public MysqlTest {
 protected:
  // A session with a branch open that incremented row 1, and its connection killed.
  std::unique_ptr<WorkSession> KilledInBranch() {
    auto session = OpenWork(resource());
    MustStart(*session, FreshGid());
    MustExecute(*session, Increment());
    KillConnection(ConnectionId(*session));
    return session;
  }
};
INSTANTIATE_TEST_SUITE_P(Servers, MysqlCrash, ::testing::ValuesIn(ServersUnderTest()), NameOf);

TEST_P(MysqlCrash, ConnectionLostBeforeStart) {
  auto session = OpenWork(resource());
  MustStart(*session, FreshGid());
  std::string id = ConnectionId(*session);
  session->Rollback();
  KillConnection(id);
  auto error = session->Start(FreshGid(), {});
  ASSERT_TRUE(error);
  EXPECT_EQ(error->cause, Cause::kConnectionLost) << error->code;
  EXPECT_TRUE(error->session_lost);
  // And it stays lost: no silent new session.
  error = session->Start(FreshGid(), {});
  ASSERT_TRUE(error);
  EXPECT_TRUE(error->session_lost);
}

TEST_P(MysqlCrash, ConnectionLostBeforeExecute) {
  auto session = KilledInBranch();
  WorkError error = MustFail(*session, "SELECT 1", {}, /*keep_on_error=*/true);
  EXPECT_EQ(error.cause, Cause::kConnectionLost) << error.code;
  EXPECT_TRUE(error.session_lost);
  error = MustFail(*session, "SELECT ?", {Value(int64_t{1})}, /*keep_on_error=*/true);
  EXPECT_TRUE(error.session_lost);
  PrepareAnswer answer = session->Prepare();
  EXPECT_EQ(answer.vote, Vote::kNo);
  EXPECT_TRUE(answer.error.session_lost);
  EXPECT_EQ(N(), "0");
}

TEST_P(MysqlCrash, ConnectionLostBeforeAStatementWithParameters) {
  auto session = KilledInBranch();
  WorkError error = MustFail(*session, "SELECT ?", {Value(int64_t{1})});
  EXPECT_EQ(error.cause, Cause::kConnectionLost) << error.code;
  EXPECT_TRUE(error.session_lost);
}

TEST_P(MysqlCrash, ConnectionLostBeforePrepare) {
  auto session = KilledInBranch();
  PrepareAnswer answer = session->Prepare();
  EXPECT_EQ(answer.vote, Vote::kNo);
  EXPECT_EQ(answer.error.cause, Cause::kConnectionLost) << Describe(answer);
  EXPECT_TRUE(answer.error.session_lost);
  EXPECT_EQ(PreparedCount(), 0u);
  EXPECT_EQ(N(), "0");
}

TEST_P(MysqlCrash, ConnectionLostBeforeRollback) {
  auto session = KilledInBranch();
  EXPECT_FALSE(session->Rollback());
  EXPECT_FALSE(session->Rollback());
  EXPECT_EQ(N(), "0");
}

TEST_P(MysqlCrash, ConnectionLostBeforeFinishVerbs) {
  Prepared branch = PrepareAndClose();
  auto newest = [&] {
    // The finish session is the only one besides the asking one.
    auto rows = server().Query(
        "SELECT id FROM information_schema.processlist WHERE host LIKE '127.0.0.1:%' "
        "ORDER BY id DESC LIMIT 1");
    return rows.ok() && rows->size() == 1 ? (*rows)[0][0] : "";
  };
  auto finish = OpenFinish(resource());
  KillConnection(newest());
  FinishAnswer answer = finish->Commit(branch.gid, branch.evidence, JournalWord::kWill);
  EXPECT_EQ(answer.finish, Finish::kTransient) << Describe(answer);
  EXPECT_TRUE(answer.session_lost);
  EXPECT_TRUE(finish->Rollback(branch.gid, branch.evidence).session_lost);

  finish = OpenFinish(resource());
  KillConnection(newest());
  EXPECT_EQ(finish->Recover().status().code(), Code::kUnavailable);
  finish = OpenFinish(resource());
  KillConnection(newest());
  answer = finish->Rollback(branch.gid, branch.evidence);
  EXPECT_EQ(answer.finish, Finish::kTransient) << Describe(answer);
  EXPECT_TRUE(answer.session_lost);

  finish = OpenFinish(resource());
  answer = Settle([&] { return finish->Rollback(branch.gid, branch.evidence); });
  EXPECT_EQ(answer.finish, Finish::kDone) << Describe(answer);
}

TEST_P(MysqlCrash, KilledServerCommitsThePreparedBranchAfterwards) {
  Prepared commits = PrepareIncrement(1);
  Prepared aborts = PrepareIncrement(2);
  auto unprepared = OpenWork(resource());
  MustStart(*unprepared, FreshGid());
  MustExecute(*unprepared, Increment(3));
  auto finish = OpenFinish(resource());
  server().Kill9();
  FinishAnswer answer;
  if (GetParam().attaches) {
    answer =
        commits.session->FinishPrepared(Decision::kCommit, commits.evidence, JournalWord::kWill);
    EXPECT_EQ(answer.finish, Finish::kTransient) << Describe(answer);
    EXPECT_TRUE(answer.session_lost);
  }
  answer = finish->Commit(commits.gid, commits.evidence, JournalWord::kWill);
  EXPECT_EQ(answer.finish, Finish::kTransient) << Describe(answer);
  EXPECT_TRUE(answer.session_lost);
  EXPECT_EQ(unprepared->Prepare().vote, Vote::kNo);
  auto opened = resource().OpenFinishSession();
  ASSERT_TRUE(std::holds_alternative<WorkError>(opened));
  EXPECT_EQ(std::get<WorkError>(opened).cause, Cause::kUnavailable);
  EXPECT_EQ(resource().Probe().status().code(), Code::kUnavailable);
  EXPECT_EQ(resource().Identity().status().code(), Code::kUnavailable);

  ASSERT_TRUE(server().Start().ok());
  finish = OpenFinish(resource());
  auto recovered = finish->Recover();
  ASSERT_TRUE(recovered.ok()) << recovered.status().ToString();
  EXPECT_EQ(recovered->size(), 2u);
  answer = finish->Commit(commits.gid, commits.evidence, JournalWord::kWill);
  EXPECT_EQ(answer.finish, Finish::kDone) << Describe(answer);
  answer = finish->Rollback(aborts.gid, aborts.evidence);
  EXPECT_EQ(answer.finish, Finish::kDone) << Describe(answer);
  EXPECT_EQ(N(1) + N(2) + N(3), "100");
}

TEST_P(MysqlCrash, ServerThatHangsIsGivenUpAfterFinishTimeout) {
  Prepared branch = PrepareAndClose();
  ConnectOptions options = Options();
  options.finish_timeout = seconds(1);
  options.connect_timeout = seconds(1);
  auto impatient = MakeMysql(options);
  auto finish = OpenFinish(*impatient);
  auto begin = steady_clock::now();
  ASSERT_EQ(kill(server().pid(), SIGSTOP), 0);
  FinishAnswer answer = finish->Commit(branch.gid, branch.evidence, JournalWord::kWill);
  auto opened = impatient->OpenFinishSession();
  ASSERT_EQ(kill(server().pid(), SIGCONT), 0);
  EXPECT_LT(steady_clock::now() - begin, seconds(20));
  EXPECT_EQ(answer.finish, Finish::kTransient) << Describe(answer);
  EXPECT_TRUE(answer.session_lost);
  ASSERT_TRUE(std::holds_alternative<WorkError>(opened));
  EXPECT_EQ(std::get<WorkError>(opened).cause, Cause::kUnavailable);
  // The verb may have reached the server all the same: the journal's word settles it.
  finish = OpenFinish(resource());
  answer = Settle([&] { return finish->Commit(branch.gid, branch.evidence, JournalWord::kWill); });
  EXPECT_EQ(answer.finish, Finish::kDone) << Describe(answer);
  EXPECT_EQ(N(), "1");
}

TEST_P(MysqlCrash, LostAnswerOfTheVerbIsSettledByWhatWeKnowThatWeSent) {
  ConnectOptions options = Options();
  options.statement_timeout = seconds(1);
  options.finish_timeout = seconds(1);  // Together: a work session waits 2 s for an answer.
  auto impatient = MakeMysql(options);
  Prepared commits = PrepareIncrement(*impatient, FreshGid(), 1);
  Prepared aborts = PrepareIncrement(*impatient, FreshGid(), 2);
  auto for_commit = OpenFinish(*impatient);
  auto for_abort = OpenFinish(*impatient);
  ASSERT_EQ(kill(server().pid(), SIGSTOP), 0);
  // The verbs wait in the sockets, and are carried out when the server goes on.
  FinishAnswer commit = End(*commits.session, *for_commit, Decision::kCommit, commits.gid,
                            commits.evidence, JournalWord::kWill);
  FinishAnswer abort =
      End(*aborts.session, *for_abort, Decision::kAbort, aborts.gid, aborts.evidence);
  ASSERT_EQ(kill(server().pid(), SIGCONT), 0);
  for (const FinishAnswer& answer : {commit, abort}) {
    EXPECT_EQ(answer.finish, Finish::kTransient) << Describe(answer);
    EXPECT_TRUE(answer.session_lost);
  }
  ASSERT_TRUE(test_support::WaitUntil(seconds(10), [&] { return PreparedCount() == 0; }));
  auto stranger = OpenFinish(resource());  // Sent nothing itself.
  EXPECT_EQ(stranger->Rollback(aborts.gid, aborts.evidence).finish, Finish::kHazard);
  auto finish = OpenFinish(*impatient);
  abort = finish->Rollback(aborts.gid, aborts.evidence);
  EXPECT_EQ(abort.finish, Finish::kDone) << Describe(abort);
  commit = finish->Commit(commits.gid, commits.evidence, JournalWord::kWill);
  EXPECT_EQ(commit.finish, Finish::kDone) << Describe(commit);
  EXPECT_EQ(N(1) + N(2), "10");
  EXPECT_EQ(finish->Rollback(aborts.gid, aborts.evidence).finish, Finish::kDone) << "repeated";
}

}  // namespace
}  // namespace assent::adapters
