// Lost connections at every verb, and a MariaDB that dies, hangs, or comes back.
#include <gtest/gtest.h>

#include <csignal>

#include "tests/adapters/mariadb_fixture.h"

namespace assent::adapters {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

class MariadbCrash : public MariadbTest {
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
INSTANTIATE_TEST_SUITE_P(Binlog, MariadbCrash, ::testing::Bool(),
                         [](const auto& param_info) { return param_info.param ? "on" : "off"; });

TEST_P(MariadbCrash, ConnectionLostBeforeStart) {
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

TEST_P(MariadbCrash, ConnectionLostBeforeExecute) {
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

TEST_P(MariadbCrash, ConnectionLostBeforeAStatementWithParameters) {
  auto session = KilledInBranch();
  WorkError error = MustFail(*session, "SELECT ?", {Value(int64_t{1})});
  EXPECT_EQ(error.cause, Cause::kConnectionLost) << error.code;
  EXPECT_TRUE(error.session_lost);
}

TEST_P(MariadbCrash, ConnectionLostBeforePrepare) {
  auto session = KilledInBranch();
  PrepareAnswer answer = session->Prepare();
  EXPECT_EQ(answer.vote, Vote::kNo);
  EXPECT_EQ(answer.error.cause, Cause::kConnectionLost) << Describe(answer);
  EXPECT_TRUE(answer.error.session_lost);
  EXPECT_EQ(PreparedCount(), 0u);
  EXPECT_EQ(N(), "0");
}

TEST_P(MariadbCrash, ConnectionLostBeforeRollback) {
  auto session = KilledInBranch();
  EXPECT_FALSE(session->Rollback());
  EXPECT_FALSE(session->Rollback());
  EXPECT_EQ(N(), "0");
}

TEST_P(MariadbCrash, ConnectionLostBeforeFinishPrepared) {
  auto session = OpenWork(resource());
  Gid gid = FreshGid();
  MustStart(*session, gid);
  MustExecute(*session, Increment());
  std::string id = ConnectionId(*session);
  PrepareAnswer vote = session->Prepare();
  ASSERT_EQ(vote.vote, Vote::kYes);
  KillConnection(id);
  FinishAnswer answer =
      session->FinishPrepared(Decision::kCommit, vote.evidence, JournalWord::kWill);
  EXPECT_EQ(answer.finish, Finish::kTransient) << Describe(answer);
  EXPECT_TRUE(answer.session_lost);
  EXPECT_FALSE(answer.no_effect) << "nobody knows what became of a verb whose answer was lost";
  answer = session->FinishPrepared(Decision::kCommit, vote.evidence, JournalWord::kWill);
  EXPECT_EQ(answer.finish, Finish::kTransient);
  EXPECT_TRUE(answer.no_effect) << "this one was never sent";
  EXPECT_TRUE(answer.session_lost);
  auto finish = OpenFinish(resource());
  answer = Settle([&] { return finish->Commit(gid, vote.evidence, JournalWord::kWill); });
  EXPECT_EQ(answer.finish, Finish::kDone) << Describe(answer);
  EXPECT_EQ(N(), "1");
}

TEST_P(MariadbCrash, ConnectionLostBeforeFinishVerbs) {
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

TEST_P(MariadbCrash, KilledServerCommitsThePreparedBranchAfterwards) {
  Prepared commits = PrepareIncrement(1);
  Prepared aborts = PrepareIncrement(2);
  auto unprepared = OpenWork(resource());
  MustStart(*unprepared, FreshGid());
  MustExecute(*unprepared, Increment(3));
  auto finish = OpenFinish(resource());
  server().Kill9();
  FinishAnswer answer =
      commits.session->FinishPrepared(Decision::kCommit, commits.evidence, JournalWord::kWill);
  EXPECT_EQ(answer.finish, Finish::kTransient) << Describe(answer);
  EXPECT_TRUE(answer.session_lost);
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

TEST_P(MariadbCrash, ServerThatHangsIsGivenUpAfterFinishTimeout) {
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

TEST_P(MariadbCrash, LostAnswerOfTheVerbIsSettledByWhatWeKnowThatWeSent) {
  ConnectOptions options = Options();
  options.statement_timeout = seconds(1);
  options.finish_timeout = seconds(1);  // Together: a work session waits 2 s for an answer.
  auto impatient = MakeMysql(options);
  Prepared commits = PrepareIncrement(*impatient, FreshGid(), 1);
  Prepared aborts = PrepareIncrement(*impatient, FreshGid(), 2);
  ASSERT_EQ(kill(server().pid(), SIGSTOP), 0);
  // The verbs wait in the sockets, and are carried out when the server goes on.
  FinishAnswer commit =
      commits.session->FinishPrepared(Decision::kCommit, commits.evidence, JournalWord::kWill);
  FinishAnswer abort =
      aborts.session->FinishPrepared(Decision::kAbort, aborts.evidence, JournalWord::kNothing);
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
