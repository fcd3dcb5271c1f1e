// The life of a branch on MariaDB and MySQL: work, failures, votes, and what the session is good
// for after.
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <thread>

#include "base/mutant.h"
#include "tests/adapters/mysql_fixture.h"

namespace assent::adapters {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

class MysqlBranch : public MysqlTest {
 protected:
  std::string Duplicate() const { return "INSERT INTO " + table_ + " VALUES (1, 9)"; }
  // Whether the session can carry another branch to its end.
  void ExpectClean(WorkSession& session) {
    std::string before = N(3);
    const Gid gid = FreshGid();
    MustStart(session, gid);
    MustExecute(session, Increment(3));
    PrepareAnswer answer = session.Prepare();
    ASSERT_EQ(answer.vote, Vote::kYes) << Describe(answer);
    FinishAnswer finish = End(session, Decision::kCommit, gid, answer.evidence);
    EXPECT_EQ(finish.finish, Finish::kDone) << Describe(finish);
    EXPECT_EQ(N(3), std::to_string(std::stoi(before) + 1));
  }
};
INSTANTIATE_TEST_SUITE_P(Servers, MysqlBranch, ::testing::ValuesIn(ServersUnderTest()), NameOf);

TEST_P(MysqlBranch, CommitsAPreparedBranch) {
  Prepared branch = PrepareIncrement();
  EXPECT_EQ(branch.session->AttachedWhenPrepared(), GetParam().attaches);
  EXPECT_EQ(branch.evidence.rfind(ServerEvidence(), 0), 0u) << branch.evidence;
  EXPECT_EQ(N(), "0");
  FinishAnswer answer = End(branch, Decision::kCommit);
  EXPECT_EQ(answer.finish, Finish::kDone) << Describe(answer);
  EXPECT_EQ(N(), "1");
  ExpectClean(*branch.session);
}

TEST_P(MysqlBranch, RollsBackAPreparedBranch) {
  Prepared branch = PrepareIncrement();
  FinishAnswer answer = End(branch, Decision::kAbort);
  EXPECT_EQ(answer.finish, Finish::kDone) << Describe(answer);
  EXPECT_EQ(N(), "0");
  ExpectClean(*branch.session);
}

TEST_P(MysqlBranch, RollbackIsIdempotentAndLeavesTheSessionClean) {
  auto session = OpenWork(resource());
  EXPECT_TRUE(session->Rollback());
  MustStart(*session, FreshGid());
  MustExecute(*session, Increment());
  EXPECT_TRUE(session->Rollback());
  EXPECT_TRUE(session->Rollback());
  EXPECT_EQ(N(), "0");
  ExpectClean(*session);
}

TEST_P(MysqlBranch, ClosingTheSessionRollsBackAnUnpreparedBranch) {
  auto session = OpenWork(resource());
  MustStart(*session, FreshGid());
  MustExecute(*session, Increment());
  session.reset();
  session = OpenWork(resource());
  ExpectClean(*session);
  EXPECT_EQ(N(), "0");
}

TEST_P(MysqlBranch, FailedStatementVotesNoAlthoughTheServerWouldPrepare) {
  auto session = OpenWork(resource());
  MustStart(*session, FreshGid());
  MustExecute(*session, Increment());
  WorkError failed = MustFail(*session, Duplicate());
  EXPECT_EQ(failed.cause, Cause::kStatementFailed);
  EXPECT_EQ(failed.code, "1062/23000");
  EXPECT_FALSE(failed.session_lost);
  EXPECT_EQ(MustFail(*session, "SELECT 1").cause, Cause::kTransactionFailed);
  PrepareAnswer answer = session->Prepare();
  EXPECT_EQ(answer.vote, Vote::kNo);
  EXPECT_EQ(answer.error.cause, Cause::kTransactionFailed);
  EXPECT_EQ(answer.error.code, "1062/23000");
  EXPECT_FALSE(answer.error.session_lost);
  EXPECT_EQ(PreparedCount(), 0u);
  EXPECT_EQ(N(), "0");
  ExpectClean(*session);
}

#if defined(ASSENT_FAILPOINTS)
TEST_P(MysqlBranch, MutantFailedTransactionVotesYesIsCaught) {
  auto session = OpenWork(resource());
  const Gid gid = MustStart(*session, FreshGid());
  MustExecute(*session, Increment());
  MustFail(*session, Duplicate());
  PrepareAnswer answer;
  {
    ScopedMutant mutant(Mutant::kFailedTransactionVotesYes);
    answer = session->Prepare();
  }
  // What FailedStatementVotesNo... would see.
  EXPECT_EQ(answer.vote, Vote::kYes);
  EXPECT_EQ(PreparedCount(), 1u);
  (void)End(*session, Decision::kAbort, gid, answer.evidence);
}
#endif

TEST_P(MysqlBranch, KeepOnErrorUndoesOnlyTheStatement) {
  auto session = OpenWork(resource());
  const Gid gid = MustStart(*session, FreshGid());
  MustExecute(*session, Increment());
  WorkError failed = MustFail(*session, "INSERT INTO " + table_ + " VALUES (50, 5), (1, 9)", {},
                              /*keep_on_error=*/true);
  EXPECT_EQ(failed.code, "1062/23000");
  MustExecute(*session, Increment(2));
  PrepareAnswer answer = session->Prepare();
  ASSERT_EQ(answer.vote, Vote::kYes) << Describe(answer);
  (void)End(*session, Decision::kCommit, gid, answer.evidence);
  EXPECT_EQ(N(1) + N(2), "11");
  EXPECT_EQ(*server().Query("SELECT COUNT(*) FROM " + table_), (test_support::Rows{{"3"}}));
}

TEST_P(MysqlBranch, KeepOnErrorUndoesAllOfAProcedure) {
  // The server undoes only the statement inside that failed; the savepoint undoes those before.
  ASSERT_TRUE(server()
                  .Execute("CREATE PROCEDURE p" + table_ + "() BEGIN " + Increment(2) + "; " +
                           Duplicate() + "; END")
                  .ok());
  auto session = OpenWork(resource());
  const Gid gid = MustStart(*session, FreshGid());
  MustExecute(*session, Increment(1));
  MustFail(*session, "CALL p" + table_ + "()", {}, /*keep_on_error=*/true);
  PrepareAnswer answer = session->Prepare();
  ASSERT_EQ(answer.vote, Vote::kYes) << Describe(answer);
  (void)End(*session, Decision::kCommit, gid, answer.evidence);
  EXPECT_EQ(N(1) + N(2), "10");
}

TEST_P(MysqlBranch, ReadOnlyBranchVotesReadOnlyAndIsNotPrepared) {
  auto session = OpenWork(resource());
  MustStart(*session, FreshGid(), {.read_only = true});
  EXPECT_EQ(MustExecute(*session, "SELECT n FROM " + table_).rows.size(), 3u);
  PrepareAnswer answer = session->Prepare();
  EXPECT_EQ(answer.vote, Vote::kReadOnly) << Describe(answer);
  EXPECT_EQ(PreparedCount(), 0u);
  ExpectClean(*session);  // Writes again: READ ONLY was for one branch.
}

TEST_P(MysqlBranch, ReadOnlyIsEnforcedByTheServer) {
  auto session = OpenWork(resource());
  MustStart(*session, FreshGid(), {.read_only = true});
  WorkError failed = MustFail(*session, Increment());
  EXPECT_EQ(failed.cause, Cause::kReadOnlyViolation);
  EXPECT_EQ(failed.code, "1792/25006");
  EXPECT_EQ(session->Prepare().vote, Vote::kNo);
  ExpectClean(*session);
}

TEST_P(MysqlBranch, BranchThatOnlyReadButMayWriteIsPrepared) {
  // By rule 16.11 nobody guesses from the SQL whether it wrote.
  auto session = OpenWork(resource());
  const Gid gid = MustStart(*session, FreshGid());
  MustExecute(*session, "SELECT n FROM " + table_);
  PrepareAnswer answer = session->Prepare();
  ASSERT_EQ(answer.vote, Vote::kYes);
  EXPECT_EQ(End(*session, Decision::kCommit, gid, answer.evidence).finish, Finish::kDone);
  ExpectClean(*session);
}

TEST_P(MysqlBranch, GidInUseIsRefusedAtStart) {
  Prepared branch = PrepareIncrement();
  auto other = OpenWork(resource());
  auto error = other->Start(branch.gid, {.isolation = Isolation::kSerializable, .read_only = true});
  ASSERT_TRUE(error);
  EXPECT_EQ(error->cause, Cause::kDuplicateGid);
  EXPECT_EQ(error->code, "1440/XAE08");
  EXPECT_FALSE(error->session_lost);
  ExpectClean(*other);  // And the READ ONLY of the refused start is forgotten.
  (void)End(branch, Decision::kAbort);
}

TEST_P(MysqlBranch, VictimOfADeadlockVotesNoAndLeavesTheSessionClean) {
  auto one = OpenWork(resource());
  auto two = OpenWork(resource());
  MustStart(*one, FreshGid());
  MustStart(*two, FreshGid());
  MustExecute(*one, Increment(1));
  MustExecute(*two, Increment(2));
  // keep_on_error can't keep what the server has rolled back.
  auto waits = std::async(std::launch::async,
                          [&] { return one->Execute(Increment(2), {}, /*keep_on_error=*/true); });
  auto second = two->Execute(Increment(1), {}, /*keep_on_error=*/true);
  bool two_failed = std::holds_alternative<WorkError>(second);
  auto first = waits.get();
  ASSERT_NE(std::holds_alternative<WorkError>(first), two_failed) << "exactly one is the victim";
  WorkSession& victim = two_failed ? *two : *one;
  WorkSession& winner = two_failed ? *one : *two;
  WorkError error = std::get<WorkError>(two_failed ? second : first);
  EXPECT_EQ(error.cause, Cause::kDeadlock);
  EXPECT_EQ(error.code, "1213/40001");
  EXPECT_FALSE(error.session_lost);
  EXPECT_EQ(MustFail(victim, "SELECT 1").cause, Cause::kTransactionFailed);
  PrepareAnswer answer = victim.Prepare();
  EXPECT_EQ(answer.vote, Vote::kNo);
  EXPECT_FALSE(answer.error.session_lost) << Describe(answer);
  winner.Rollback();
  ExpectClean(victim);
  EXPECT_EQ(N(1) + N(2), "00");
}

TEST_P(MysqlBranch, LockTimeoutIsSetForTheBranchAndGivenBack) {
  Prepared holder = PrepareIncrement();
  auto session = OpenWork(resource());
  const Gid gid = MustStart(*session, FreshGid(), {.lock_timeout = milliseconds(1)});
  auto begin = steady_clock::now();
  WorkError failed = MustFail(*session, Increment(), {}, /*keep_on_error=*/true);
  EXPECT_EQ(failed.cause, Cause::kLockTimeout);
  EXPECT_EQ(failed.code, "1205/HY000");
  EXPECT_LT(steady_clock::now() - begin, seconds(10));
  MustExecute(*session, Increment(2));  // Only the statement was undone.
  PrepareAnswer answer = session->Prepare();
  ASSERT_EQ(answer.vote, Vote::kYes) << Describe(answer);
  (void)End(*session, Decision::kCommit, gid, answer.evidence);
  EXPECT_EQ(N(2), "1");

  MustStart(*session, FreshGid());
  ResultSet restored = MustExecute(
      *session, "SELECT @@innodb_lock_wait_timeout = @@global.innodb_lock_wait_timeout");
  EXPECT_EQ(restored.rows[0][0], Value(int64_t{1}));
  session->Rollback();
  MustStart(*session, FreshGid(), {.lock_timeout = seconds(1)});
  EXPECT_EQ(MustFail(*session, Increment()).cause, Cause::kLockTimeout);
  EXPECT_EQ(session->Prepare().vote, Vote::kNo);
  ExpectClean(*session);
  (void)End(holder, Decision::kAbort);
}

TEST_P(MysqlBranch, IsolationIsTheServersDefaultUnlessAsked) {
  const std::string set_default = "SET GLOBAL TRANSACTION ISOLATION LEVEL ";
  ASSERT_TRUE(server().Execute(set_default + "READ COMMITTED").ok());
  auto session = OpenWork(resource());
  ASSERT_TRUE(server().Execute(set_default + "REPEATABLE READ").ok());
  // By what it does: no variable shows the level of one transaction, and INNODB_TRX is cached.
  ASSERT_TRUE(server().Execute("SET GLOBAL innodb_lock_wait_timeout = 1").ok());
  auto level_of = [&](Isolation isolation) -> std::string {
    auto read = [&] {
      return MustExecute(*session, "SELECT n FROM " + table_ + " WHERE id = 1").rows[0][0];
    };
    MustStart(*session, FreshGid(), {.isolation = isolation});
    Value before = read();
    bool written = server().Execute(Increment()).ok();
    Value after = read();
    session->Rollback();
    if (!written) return "SERIALIZABLE";
    return before == after ? "REPEATABLE READ" : "READ COMMITTED";
  };
  EXPECT_EQ(level_of(Isolation::kDefault), "READ COMMITTED");
  EXPECT_EQ(level_of(Isolation::kSerializable), "SERIALIZABLE");
  EXPECT_EQ(level_of(Isolation::kRepeatableRead), "REPEATABLE READ");
  EXPECT_EQ(level_of(Isolation::kReadCommitted), "READ COMMITTED");
  EXPECT_EQ(level_of(Isolation::kDefault), "READ COMMITTED");
  ASSERT_TRUE(server().Execute("SET GLOBAL innodb_lock_wait_timeout = DEFAULT").ok());
}

TEST_P(MysqlBranch, TransactionControlIsRefusedAndTheBranchLives) {
  auto session = OpenWork(resource());
  const Gid gid = MustStart(*session, FreshGid());
  MustExecute(*session, Increment());
  for (const std::string& sql :
       {std::string("COMMIT"), std::string("SET autocommit = 0"),
        std::string("/*!50000 ROLLBACK */"), "ALTER TABLE " + table_ + " ADD m INT"}) {
    WorkError error = MustFail(*session, sql, {}, /*keep_on_error=*/true);
    EXPECT_EQ(error.cause, Cause::kMisuse) << sql;
    EXPECT_FALSE(error.session_lost) << sql;
  }
  // Hidden from our eyes, not from the server's.
  ASSERT_TRUE(server().Execute("CREATE PROCEDURE c" + table_ + "() COMMIT").ok());
  EXPECT_EQ(MustFail(*session, "CALL c" + table_ + "()", {}, true).cause, Cause::kMisuse);
  EXPECT_EQ(MustFail(*session, "SELECT 1; COMMIT", {}, true).cause, Cause::kStatementFailed);
  PrepareAnswer answer = session->Prepare();
  ASSERT_EQ(answer.vote, Vote::kYes) << Describe(answer);
  EXPECT_EQ(N(), "0") << "nothing was committed before the decision";
  (void)End(*session, Decision::kCommit, gid, answer.evidence);
  EXPECT_EQ(N(), "1");
}

TEST_P(MysqlBranch, RefusedStatementDoomsLikeAnyOther) {
  auto session = OpenWork(resource());
  MustStart(*session, FreshGid());
  MustFail(*session, "COMMIT");
  EXPECT_EQ(session->Prepare().vote, Vote::kNo);
}

TEST_P(MysqlBranch, UserLocksDoNotOutliveTheirBranch) {
  auto session = OpenWork(resource());
  MustStart(*session, FreshGid());
  MustExecute(*session, "SELECT GET_LOCK('" + table_ + "', 0)");
  EXPECT_EQ(*server().Query("SELECT IS_FREE_LOCK('" + table_ + "')"), (test_support::Rows{{"0"}}));
  session->Rollback();
  MustStart(*session, FreshGid());
  EXPECT_EQ(*server().Query("SELECT IS_FREE_LOCK('" + table_ + "')"), (test_support::Rows{{"1"}}));
  session->Rollback();
}

TEST_P(MysqlBranch, VerbsWithoutABranchAreMisuse) {
  auto session = OpenWork(resource());
  EXPECT_EQ(MustFail(*session, "SELECT 1").cause, Cause::kMisuse);
  PrepareAnswer answer = session->Prepare();
  EXPECT_EQ(answer.vote, Vote::kNo);
  EXPECT_EQ(answer.error.cause, Cause::kMisuse);
  EXPECT_EQ(session->FinishPrepared(Decision::kCommit, "id=x", JournalWord::kNothing).finish,
            Finish::kTransient);
  ExpectClean(*session);
}

TEST_P(MysqlBranch, CancelInterruptsTheStatementThatRuns) {
  Prepared holder = PrepareIncrement();
  auto session = OpenWork(resource());
  session->Cancel();  // Nothing runs: no effect, now or later.
  const Gid gid = MustStart(*session, FreshGid());
  MustExecute(*session, Increment(2));
  std::string id = ConnectionId(*session);
  auto begin = steady_clock::now();
  auto running = std::async(std::launch::async, [&] {
    return session->Execute(Increment(), {}, /*keep_on_error=*/true);
  });
  ASSERT_TRUE(test_support::WaitUntil(seconds(10), [&] {
    auto rows = server().Query("SELECT info FROM information_schema.processlist WHERE id = " + id);
    return rows.ok() && rows->size() == 1 && (*rows)[0][0] == Increment();
  }));
  session->Cancel();
  auto answer = running.get();
  EXPECT_LT(steady_clock::now() - begin, seconds(30));
  ASSERT_TRUE(std::holds_alternative<WorkError>(answer));
  EXPECT_EQ(std::get<WorkError>(answer).code, "1317/70100");
  PrepareAnswer vote = session->Prepare();
  EXPECT_EQ(vote.vote, Vote::kYes) << Describe(vote);
  EXPECT_EQ(End(*session, Decision::kCommit, gid, vote.evidence).finish, Finish::kDone);
  (void)End(holder, Decision::kAbort);
  EXPECT_EQ(N(1) + N(2), "01");
}

TEST_P(MysqlBranch, StatementTimeoutEndsAStatementAndNotTheVote) {
  ConnectOptions options = Options();
  options.statement_timeout = milliseconds(300);
  auto limited = MakeMysql(options);
  auto session = OpenWork(*limited);
  for (int round = 0; round < 2; ++round) {  // The limit is back for the second branch.
    const Gid gid = MustStart(*session, FreshGid());
    MustExecute(*session, Increment());
    // Alone in a statement SLEEP would only return 1 on MySQL.
    WorkError failed = MustFail(*session, "SELECT n FROM " + table_ + " WHERE SLEEP(60) = 0", {},
                                /*keep_on_error=*/true);
    EXPECT_EQ(failed.cause, Cause::kStatementFailed);
    EXPECT_EQ(failed.code, GetParam().is_mariadb ? "1969/70100" : "3024/HY000");
    PrepareAnswer vote = session->Prepare();
    ASSERT_EQ(vote.vote, Vote::kYes) << Describe(vote);
    EXPECT_EQ(End(*session, Decision::kCommit, gid, vote.evidence).finish, Finish::kDone);
  }
  EXPECT_EQ(N(), "2");
}

TEST_P(MysqlBranch, ManyThreadsManySessions) {
  constexpr int kThreads = 4;
  constexpr int kRounds = 10;
  std::vector<std::vector<Gid>> gids(kThreads);
  for (auto& own : gids) {
    for (int i = 0; i < kRounds; ++i) own.push_back(FreshGid());
  }
  std::atomic<int> done = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      auto opened = resource().OpenWorkSession();
      auto& session = *std::get<std::unique_ptr<WorkSession>>(opened);
      auto finish = OpenFinish(resource());
      for (const Gid& gid : gids[t]) {
        if (session.Start(gid, {})) continue;
        (void)session.Execute(Increment(), {}, false);
        PrepareAnswer vote = session.Prepare();
        if (vote.vote != Vote::kYes) continue;
        if (End(session, *finish, Decision::kCommit, gid, vote.evidence).finish == Finish::kDone) {
          ++done;
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(done, kThreads * kRounds);
  EXPECT_EQ(N(), std::to_string(kThreads * kRounds));
}

}  // namespace
}  // namespace assent::adapters
