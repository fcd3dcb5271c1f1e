// Absence counts only on a primary: a standby asked instead, a standby that takes over.
#include "tests/adapters/postgres_fixture.h"

namespace assent::adapters {
namespace {

using test_support::PostgresServer;
using testing::Contains;
using testing::UnorderedElementsAre;

class PostgresStandby : public PostgresTest {
 protected:
  // One pair for all tests, except that a test which breaks it ends it.
  void SetUp() override {
    if (primary_ != nullptr) return;
    auto primary = PostgresServer::Create();
    ASSERT_TRUE(primary.ok()) << primary.status().ToString();
    ASSERT_TRUE((*primary)->Execute("CREATE TABLE t (k int PRIMARY KEY, v int)").ok());
    auto standby = (*primary)->MakeStandby();
    ASSERT_TRUE(standby.ok()) << standby.status().ToString();
    primary_ = std::move(*primary);
    standby_ = std::move(*standby);
  }
  void TearDown() override {}
  static void TearDownTestSuite() { EndPair(); }
  static void EndPair() {
    standby_.reset();
    primary_.reset();
  }

  ConnectOptions Primary() const { return primary_->SocketConnectOptions(kCluster, kResource); }
  ConnectOptions Standby() const { return standby_->SocketConnectOptions(kCluster, kResource); }
  void CatchUp() {
    Status status = standby_->WaitCaughtUp(*primary_);
    ASSERT_TRUE(status.ok()) << status.ToString();
  }

  static inline std::unique_ptr<PostgresServer> primary_;
  static inline std::unique_ptr<PostgresServer> standby_;
};

TEST_F(PostgresStandby, AskedInsteadOfThePrimaryConcludesNothing) {
  Gid gid = NewGid();
  Evidence evidence = Prepared(gid, 51, Primary());
  CatchUp();

  EXPECT_EQ(WorkFailure(Standby()).cause, Cause::kNotPrimary);
  EXPECT_EQ(*MakePostgres(Standby())->Identity(), *MakePostgres(Primary())->Identity())
      << "which is why the identity alone proves nothing";

  // On the standby the branch is absent; with the journal's WILL absence would mean done.
  FinishAnswer answer = Finisher(Standby())->Commit(gid, evidence, JournalWord::kWill);
  EXPECT_EQ(answer.finish, Finish::kTransient) << answer;
  EXPECT_TRUE(answer.session_lost) << "the name may lead to the primary next time";
  EXPECT_TRUE(answer.no_effect) << "so a later absence on the primary is not our doing";
  EXPECT_EQ(Finisher(Standby())->Commit(gid, "", JournalWord::kWill).finish, Finish::kTransient);
  EXPECT_EQ(Finisher(Standby())->Rollback(gid, "").finish, Finish::kTransient);
  auto branches = Finisher(Standby())->Recover();
  ASSERT_FALSE(branches.ok()) << "an empty list would say that nothing is in doubt";
  EXPECT_EQ(branches.status().code(), Code::kUnavailable);

  auto votes = Finisher(Standby())->LookUp({{.gid = gid}});
  ASSERT_FALSE(votes.ok()) << "a NO would abort what the primary has prepared";
  EXPECT_EQ(votes.status().code(), Code::kUnavailable);

  auto report = MakePostgres(Standby())->Probe();
  ASSERT_TRUE(report.ok()) << report.status().ToString();
  bool fatal = false;
  for (const Finding& finding : report->findings) {
    if (finding.name == "pg_is_in_recovery") fatal = finding.fatal;
  }
  EXPECT_TRUE(fatal);

#if defined(ASSENT_FAILPOINTS)
  {
    // Seeded bug: kStandbyTrusted. Each of the answers above turns into a lie.
    ScopedMutant mutant(Mutant::kStandbyTrusted);
    EXPECT_EQ(Finisher(Standby())->Commit(gid, "", JournalWord::kWill).finish, Finish::kDone);
    EXPECT_EQ(Finisher(Standby())->Rollback(gid, "").finish, Finish::kDone);
    auto trusted = Finisher(Standby())->Recover();
    ASSERT_TRUE(trusted.ok());
    EXPECT_TRUE(trusted->empty());
    auto looked = Finisher(Standby())->LookUp({{.gid = gid}});
    ASSERT_TRUE(looked.ok());
    EXPECT_EQ(looked->at(0).vote, Vote::kNo);
  }
#endif
  EXPECT_EQ(Finisher(Primary())->Commit(gid, evidence, JournalWord::kWill).finish, Finish::kDone);
}

TEST_F(PostgresStandby, PromotedWithoutTheEndOfTheLog) {
  Gid replicated = NewGid();
  Gid lost = NewGid();
  Gid finished = NewGid();
  Evidence of_finished = Prepared(finished, 1, Primary());
  ASSERT_EQ(Finisher(Primary())->Commit(finished, of_finished, JournalWord::kNothing).finish,
            Finish::kDone);
  Evidence of_replicated = Prepared(replicated, 2, Primary());
  CatchUp();
  ASSERT_TRUE(standby_->Stop().ok());
  // From here on the standby misses: a commit, and a branch from start to vote.
  ASSERT_EQ(Finisher(Primary())->Commit(replicated, of_replicated, JournalWord::kNothing).finish,
            Finish::kDone);
  Evidence of_lost = Prepared(lost, 3, Primary());
  primary_->Kill9();
  ASSERT_TRUE(standby_->Start().ok());
  ASSERT_TRUE(standby_->Promote().ok());

  // The commit that was missed: the branch is listed as prepared again, and is told COMMIT again.
  auto finisher = Finisher(Standby());
  auto branches = finisher->Recover();
  ASSERT_TRUE(branches.ok()) << branches.status().ToString();
  ASSERT_EQ(branches->size(), 1u);
  EXPECT_EQ(branches->front().gid, replicated);
  EXPECT_EQ(finisher->Commit(replicated, of_replicated, JournalWord::kDone).finish, Finish::kDone);
  EXPECT_EQ(standby_->Query("SELECT count(*) FROM t WHERE k IN (1,2)")->at(0).at(0), "2");

  // The branch that was missed: nothing of it is here, which is said and not glossed over.
  FinishAnswer answer = finisher->Commit(lost, of_lost, JournalWord::kWill);
  EXPECT_EQ(answer.finish, Finish::kHeuristicRollback) << answer;

  // Later its xid belongs to another transaction, which commits: still no proof.
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(standby_->Execute("INSERT INTO t VALUES (" + std::to_string(100 + i) + ",0)").ok());
  }
  answer = finisher->Commit(lost, of_lost, JournalWord::kNothing);
  EXPECT_EQ(answer.finish, Finish::kHazard) << answer;
  EXPECT_EQ(finisher->Rollback(lost, of_lost).finish, Finish::kHazard);
  // New work goes on as ever.
  Gid fresh = NewGid();
  Evidence of_fresh = Prepared(fresh, 4, Standby());
  for (int time = 0; time < 2; ++time) {
    EXPECT_EQ(finisher->Commit(fresh, of_fresh, JournalWord::kNothing).finish, Finish::kDone);
  }
  EndPair();
}

}  // namespace
}  // namespace assent::adapters
