// What MariaDB does and MySQL does not.
#include <gtest/gtest.h>

#include "tests/adapters/mysql_fixture.h"

namespace assent::adapters {
namespace {

class MariadbOnly : public MysqlTest {};
INSTANTIATE_TEST_SUITE_P(Servers, MariadbOnly, ::testing::ValuesIn(ServersUnderTest()), NameOf);

TEST_P(MariadbOnly, EvidenceNamesTheSessionThatPrepared) {
  Prepared branch = PrepareIncrement();
  EXPECT_EQ(branch.evidence.rfind(ServerEvidence() + " conn=", 0), 0u) << branch.evidence;
  (void)End(branch, Decision::kAbort);
}

TEST_P(MariadbOnly, HandSqlShowsTheBranchAsItIsWritten) {
  Prepared branch = PrepareAndClose();
  auto sql = resource().HandSql(branch.gid);
  auto rows = server().Query(sql.inspect);
  ASSERT_TRUE(rows.ok()) << rows.status().ToString();
  ASSERT_EQ(rows->size(), 1u);
  EXPECT_EQ(sql.commit, "XA COMMIT " + (*rows)[0][3]);
  EXPECT_EQ(sql.rollback, "XA ROLLBACK " + (*rows)[0][3]);
  ByHand(sql.rollback);
}

TEST_P(MariadbOnly, BranchThatWroteNothingIsReportedWhenTheServerRolledItBack) {
  // It could have written, and voted yes. After its session ended MariaDB answers 1402, once.
  auto session = OpenWork(resource());
  Prepared branch{.gid = FreshGid()};
  MustStart(*session, branch.gid);
  MustExecute(*session, "SELECT n FROM " + table_);
  PrepareAnswer vote = session->Prepare();
  ASSERT_EQ(vote.vote, Vote::kYes);
  branch.evidence = vote.evidence;
  session.reset();
  auto finish = OpenFinish(resource());
  FinishAnswer answer = CommitSettled(*finish, branch);
  EXPECT_EQ(answer.finish, Finish::kHeuristicRollback) << Describe(answer);
  EXPECT_EQ(answer.code, "1402/XA100");
}

TEST_P(MariadbOnly, ReadOnlyServerRefusesAnOrdinaryUser) {
  auto plain = MakeMysql(As("plain", "ALL"));
  Prepared branch = PrepareAndClose();
  auto finish = OpenFinish(*plain);
  ASSERT_TRUE(server().Execute("SET GLOBAL read_only = 1").ok());
  FinishAnswer answer;
  bool refused = test_support::WaitUntil(std::chrono::seconds(10), [&] {
    answer = finish->Commit(branch.gid, branch.evidence, JournalWord::kWill);
    return answer.finish == Finish::kRefused;
  });
  ASSERT_TRUE(server().Execute("SET GLOBAL read_only = 0").ok());
  EXPECT_TRUE(refused) << Describe(answer);
  EXPECT_EQ(answer.code, "1290/HY000");
  EXPECT_EQ(PreparedCount(), 1u);
  // An ordinary user may finish another user's branch, and list it.
  auto listed = finish->Recover();
  ASSERT_TRUE(listed.ok()) << listed.status().ToString();
  EXPECT_EQ(listed->size(), 1u);
  EXPECT_EQ(CommitSettled(*finish, branch).finish, Finish::kDone);
  EXPECT_EQ(N(), "1");
}

TEST_P(MariadbOnly, RowsOfReturningAreCounted) {
  auto session = OpenWork(resource());
  MustStart(*session, FreshGid());
  ResultSet returning = MustExecute(
      *session, "INSERT INTO " + table_ + " VALUES (?, 0), (11, 0) RETURNING id", {int64_t{10}});
  EXPECT_EQ(returning.rows.size(), 2u);
  EXPECT_EQ(returning.rows_affected, 2u);
}

TEST_P(MariadbOnly, IdentityWithoutConfigurationIsAUuidInTheDatabase) {
  ASSERT_TRUE(server().Execute("DROP TABLE IF EXISTS assent_identity").ok());
  ConnectOptions options = Options();
  options.identity.clear();
  auto one = MakeMysql(options);
  auto identity = one->Identity();
  ASSERT_TRUE(identity.ok()) << identity.status().ToString();
  EXPECT_EQ(identity->size(), 36u);
  EXPECT_EQ(*MakeMysql(options)->Identity(), *identity) << "the same for everybody";
  EXPECT_EQ(MustProbe(*one).identity, *identity);

  Prepared branch = PrepareIncrement(*one, FreshGid());
  EXPECT_EQ(branch.evidence.rfind("id=" + *identity + " conn=", 0), 0u) << branch.evidence;
  EXPECT_EQ(
      branch.session->FinishPrepared(Decision::kCommit, branch.evidence, JournalWord::kNothing)
          .finish,
      Finish::kDone);

  // The data was lost and made anew: what was prepared on the old data is no hazard here, but not
  // done either, and never becomes so by looking at the wrong data.
  ASSERT_TRUE(server().Execute("DROP TABLE assent_identity").ok());
  auto finish = OpenFinish(*one);
  EXPECT_EQ(finish->Commit(FreshGid(), branch.evidence, JournalWord::kWill).finish,
            Finish::kTransient);
  EXPECT_NE(*one->Identity(), *identity);
}

TEST_P(MariadbOnly, NoIdentityToBeHadIsFatalWithARemedy) {
  ASSERT_TRUE(server().Execute("DROP TABLE IF EXISTS assent_identity").ok());
  ConnectOptions options = As("noddl", "SELECT, INSERT, UPDATE, DELETE");
  options.identity.clear();
  auto poor = MakeMysql(options);
  ProbeReport report = MustProbe(*poor);
  EXPECT_EQ(Fatals(report), "identity=none ");
  EXPECT_NE(Find(report, "identity")->remedy.find("identity"), std::string::npos);
  EXPECT_EQ(poor->Identity().status().code(), Code::kPermissionDenied);
  WorkError error = MustNotOpen(options);
  EXPECT_EQ(error.cause, Cause::kPermission);
  EXPECT_TRUE(error.session_lost);
  // What is listed can be finished all the same, and what is not is never judged.
  Prepared branch = PrepareAndClose();
  auto finish = OpenFinish(*poor);
  EXPECT_EQ(Settle([&] {
              return finish->Commit(branch.gid, branch.evidence, JournalWord::kNothing);
            }).finish,
            Finish::kDone);
  EXPECT_EQ(finish->Commit(branch.gid, branch.evidence, JournalWord::kWill).finish,
            Finish::kTransient);

  options.identity = "named";
  EXPECT_EQ(Fatals(MustProbe(*MakeMysql(options))), "");
}

}  // namespace
}  // namespace assent::adapters
