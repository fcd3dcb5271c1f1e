// Branches that stay tied to the session that prepared them: MariaDB, and MySQL where
// xa_detach_on_prepare is off. Only that session can finish them while it lives.
#include <gtest/gtest.h>

#include "base/mutant.h"
#include "tests/adapters/mysql_fixture.h"

namespace assent::adapters {
namespace {

class MysqlAttached : public MysqlTest {};
INSTANTIATE_TEST_SUITE_P(Servers, MysqlAttached, ::testing::ValuesIn(AttachingServers()), NameOf);

TEST_P(MysqlAttached, PreparedBranchTakesNoMoreVerbs) {
  Prepared branch = PrepareIncrement();
  EXPECT_EQ(MustFail(*branch.session, "SELECT 1").cause, Cause::kMisuse);
  auto started = branch.session->Start(FreshGid(), {});
  ASSERT_TRUE(started);
  EXPECT_EQ(started->cause, Cause::kMisuse);
  EXPECT_FALSE(started->session_lost);
  EXPECT_EQ(branch.session->Prepare().vote, Vote::kNo);
  EXPECT_TRUE(branch.session->Rollback());
  EXPECT_EQ(PreparedCount(), 1u) << "Rollback must leave a prepared branch alone";
  EXPECT_EQ(
      branch.session->FinishPrepared(Decision::kCommit, branch.evidence, JournalWord::kNothing)
          .finish,
      Finish::kDone);
  // Asked again: the session does not know, a finish session must say.
  EXPECT_EQ(
      branch.session->FinishPrepared(Decision::kCommit, branch.evidence, JournalWord::kDone).finish,
      Finish::kTransient);
}

TEST_P(MysqlAttached, IsTransientForOthersUntilItsSessionCloses) {
  Prepared branch = PrepareIncrement();
  auto finish = OpenFinish(resource());
  for (JournalWord journal : {JournalWord::kNothing, JournalWord::kWill, JournalWord::kDone}) {
    FinishAnswer answer = finish->Commit(branch.gid, branch.evidence, journal);
    EXPECT_EQ(answer.finish, Finish::kTransient) << Describe(answer);
    EXPECT_FALSE(answer.session_lost);
    EXPECT_TRUE(answer.no_effect);
    // MariaDB's evidence names the session; without that the server's word and its list decide.
    answer = finish->Commit(branch.gid, ServerEvidence(), journal);
    EXPECT_EQ(answer.finish, Finish::kTransient) << Describe(answer);
    EXPECT_EQ(answer.code, "1397/XAE04");
  }
  EXPECT_EQ(finish->Rollback(branch.gid, branch.evidence).finish, Finish::kTransient);
  EXPECT_EQ(finish->Rollback(branch.gid, "").finish, Finish::kTransient);
  EXPECT_EQ(N(), "0");
  branch.session.reset();
  EXPECT_EQ(CommitSettled(*finish, branch).finish, Finish::kDone);
  EXPECT_EQ(N(), "1");
}

TEST_P(MysqlAttached, ConnectionLostBeforeFinishPrepared) {
  auto session = OpenWork(resource());
  const Gid gid = MustStart(*session, FreshGid());
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

#if defined(ASSENT_FAILPOINTS)
TEST_P(MysqlAttached, MutantUnknownIdIsSuccessIsCaught) {
  // IsTransientForOthers... would see this.
  Prepared branch = PrepareIncrement();
  auto finish = OpenFinish(resource());
  FinishAnswer attached;
  {
    ScopedMutant mutant(Mutant::kUnknownIdIsSuccess);
    attached = finish->Commit(branch.gid, ServerEvidence(), JournalWord::kNothing);
  }
  EXPECT_EQ(attached.finish, Finish::kDone);
  EXPECT_EQ(N(), "0") << "reported as done, not committed: mixed";
  (void)End(branch, Decision::kAbort);
}
#endif

}  // namespace
}  // namespace assent::adapters
