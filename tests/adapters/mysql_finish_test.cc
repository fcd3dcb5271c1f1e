// Phase two and recovery: what an unknown gid means, whose branches are ours, and who
// may not do what.
#include <gtest/gtest.h>
#include <mysql_connection.h>

#include <cppconn/driver.h>
#include <cppconn/statement.h>

#include "base/mutant.h"
#include "tests/adapters/mysql_fixture.h"

namespace assent::adapters {
namespace {

using std::chrono::seconds;

class MysqlFinish : public MysqlTest {
 protected:
  // Whatever a program on its own session does; the session stays open.
  class Raw {
   public:
    explicit Raw(test_support::Mysqld& server)
        : connection_(get_driver_instance()->connect("unix://" + server.socket(), "root", "")) {
      Run("USE bank");
    }
    void Run(const std::string& sql) {
      std::unique_ptr<sql::Statement> statement(connection_->createStatement());
      statement->execute(sql);
    }
    void Prepare(const std::string& xid, const std::string& work) {
      Run("XA START " + xid);
      Run(work);
      Run("XA END " + xid);
      Run("XA PREPARE " + xid);
    }

   private:
    std::unique_ptr<sql::Connection> connection_;
  };
};
INSTANTIATE_TEST_SUITE_P(Servers, MysqlFinish, ::testing::ValuesIn(ServersUnderTest()), NameOf);

TEST_P(MysqlFinish, CommitsAfterThePreparingSessionClosed) {
  auto finish = OpenFinish(resource());
  for (int i = 1; i <= 15; ++i) {
    // Often enough to meet the gap after the close, in which the server says OK and does nothing.
    Prepared branch = PrepareAndClose();
    FinishAnswer answer = CommitSettled(*finish, branch);
    ASSERT_EQ(answer.finish, Finish::kDone) << Describe(answer);
    ASSERT_EQ(N(), std::to_string(i));
  }
}

TEST_P(MysqlFinish, RollsBackAfterThePreparingSessionClosed) {
  Prepared branch = PrepareAndClose();
  auto finish = OpenFinish(resource());
  FinishAnswer answer = RollbackSettled(*finish, branch);
  EXPECT_EQ(answer.finish, Finish::kDone) << Describe(answer);
  EXPECT_EQ(N(), "0");
  EXPECT_EQ(PreparedCount(), 0u);
  EXPECT_EQ(finish->Rollback(branch.gid, branch.evidence).finish, Finish::kDone) << "repeated";
}

TEST_P(MysqlFinish, UnknownGidWithoutAnyEvidenceIsAHazardForCommit) {
  auto finish = OpenFinish(resource());
  FinishAnswer answer = finish->Commit(FreshGid(), "", JournalWord::kNothing);
  EXPECT_EQ(answer.finish, Finish::kHazard) << Describe(answer);
  answer = finish->Commit(FreshGid(), ServerEvidence(), JournalWord::kNothing);
  EXPECT_EQ(answer.finish, Finish::kHazard) << Describe(answer);
  EXPECT_EQ(answer.code, "1397/XAE04");
  EXPECT_FALSE(answer.detail.empty());
}

TEST_P(MysqlFinish, RollbackOfWhatNobodySawPreparedIsDone) {
  auto finish = OpenFinish(resource());
  EXPECT_EQ(finish->Rollback(FreshGid(), "").finish, Finish::kDone);
}

TEST_P(MysqlFinish, RollbackOfWhatVotedYesAndIsGoneIsAHazard) {
  // The server keeps no trace of a finished branch: somebody may have committed it by hand.
  Prepared branch = PrepareAndClose();
  ByHand(resource().HandSql(branch.gid).commit);
  auto finish = OpenFinish(resource());
  FinishAnswer answer = finish->Rollback(branch.gid, branch.evidence);
  EXPECT_EQ(answer.finish, Finish::kHazard) << Describe(answer);
}

TEST_P(MysqlFinish, SecondCommitIsDoneByTheJournalAndElseAHazard) {
  Prepared branch = PrepareAndClose();
  auto finish = OpenFinish(resource());
  ASSERT_EQ(CommitSettled(*finish, branch, JournalWord::kWill).finish, Finish::kDone);
  // Our answer was lost, or our agent died after the commit: the journal knows.
  EXPECT_EQ(finish->Commit(branch.gid, branch.evidence, JournalWord::kWill).finish, Finish::kDone);
  EXPECT_EQ(finish->Commit(branch.gid, branch.evidence, JournalWord::kDone).finish, Finish::kDone);
  EXPECT_EQ(finish->Commit(branch.gid, branch.evidence, JournalWord::kNothing).finish,
            Finish::kHazard);
  EXPECT_EQ(N(), "1");
}

TEST_P(MysqlFinish, BranchFinishedByHandIsAHazard) {
  auto finish = OpenFinish(resource());
  for (bool commit : {true, false}) {
    Prepared branch = PrepareAndClose();
    auto sql = resource().HandSql(branch.gid);
    ByHand(commit ? sql.commit : sql.rollback);
    FinishAnswer answer = finish->Commit(branch.gid, branch.evidence, JournalWord::kNothing);
    EXPECT_EQ(answer.finish, Finish::kHazard) << Describe(answer);
  }
}

TEST_P(MysqlFinish, AbsenceOnAnotherServerProvesNothing) {
  Evidence elsewhere = "id=some-other-server";
  auto finish = OpenFinish(resource());
  for (JournalWord journal : {JournalWord::kNothing, JournalWord::kWill, JournalWord::kDone}) {
    FinishAnswer answer = finish->Commit(FreshGid(), elsewhere, journal);
    EXPECT_EQ(answer.finish, Finish::kTransient) << Describe(answer);
    EXPECT_NE(answer.detail.find("some-other-server"), std::string::npos);
  }
  EXPECT_EQ(finish->Rollback(FreshGid(), elsewhere).finish, Finish::kTransient);
}

TEST_P(MysqlFinish, AbsenceOnAReadOnlyServerProvesNothing) {
  auto finish =
      OpenFinish(resource());  // root may write all the same, so XA COMMIT is not refused.
  ASSERT_TRUE(server().Execute("SET GLOBAL read_only = 1").ok());
  FinishAnswer commit = finish->Commit(FreshGid(), ServerEvidence(), JournalWord::kWill);
  FinishAnswer rollback = finish->Rollback(FreshGid(), "");
  auto recovered = finish->Recover();
  ASSERT_TRUE(server().Execute("SET GLOBAL read_only = 0").ok());
  EXPECT_EQ(commit.finish, Finish::kTransient) << Describe(commit);
  EXPECT_EQ(rollback.finish, Finish::kTransient) << Describe(rollback);
  EXPECT_EQ(recovered.status().code(), Code::kUnavailable);
}

TEST_P(MysqlFinish, AbsenceOnARunningReplicaProvesNothing) {
  const bool is_mariadb = GetParam().is_mariadb;  // Each has its own words.
  ASSERT_TRUE(server()
                  .Execute(is_mariadb ? "CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT=1, "
                                        "MASTER_USER='x', MASTER_CONNECT_RETRY=60"
                                      : "CHANGE REPLICATION SOURCE TO SOURCE_HOST='127.0.0.1', "
                                        "SOURCE_PORT=1, SOURCE_USER='x', SOURCE_CONNECT_RETRY=60")
                  .ok());
  ASSERT_TRUE(server().Execute("START REPLICA IO_THREAD").ok());
  auto finish = OpenFinish(resource());
  FinishAnswer commit = finish->Commit(FreshGid(), ServerEvidence(), JournalWord::kWill);
  auto recovered = finish->Recover();
  auto probed = resource().Probe();
  ASSERT_TRUE(server().Execute("STOP REPLICA").ok());
  ASSERT_TRUE(server().Execute("RESET REPLICA ALL").ok());
  EXPECT_EQ(commit.finish, Finish::kTransient) << Describe(commit);
  EXPECT_EQ(recovered.status().code(), Code::kUnavailable);
  ASSERT_TRUE(probed.ok());
  bool found = false;
  for (const Finding& finding : probed->findings) found |= finding.name == "replica";
  EXPECT_TRUE(found);
}

TEST_P(MysqlFinish, RecoverListsOnlyWhatIsOurs) {
  Prepared ours = PrepareAndClose(1);
  Gid other_cluster = FreshGid("othercluster", kResource);
  Gid other_resource = FreshGid(kCluster, "other_resource");
  auto other = MakeMysql(Options());
  PrepareIncrement(*other, other_cluster, 2).session.reset();
  PrepareIncrement(*other, other_resource, 3).session.reset();
  auto insert = [&](int id) {
    return "INSERT INTO " + table_ + " VALUES (" + std::to_string(id) + ", 0)";
  };
  Gid other_format = FreshGid();
  std::string literal = XaLiteral(other_format);
  std::string foreign_format = literal.substr(0, literal.rfind(',')) + ",1";
  std::string format = std::to_string(kXidFormatId);
  const std::vector<std::string> foreign = {
      foreign_format,                 // Our bytes under another format id.
      "'other-program','branch',1",   // Another program.
      "X'00ff00',X'fe00'," + format,  // Binary, under our format id.
      "'assent',''," + format,        // Ours by format, not a gid.
  };
  int id = 100;
  for (const std::string& xid : foreign) Raw(server()).Prepare(xid, insert(id++));

  auto finish = OpenFinish(resource());
  auto recovered = finish->Recover();
  ASSERT_TRUE(recovered.ok()) << recovered.status().ToString();
  ASSERT_EQ(recovered->size(), 1u);
  EXPECT_EQ((*recovered)[0].gid, ours.gid);
  EXPECT_EQ((*recovered)[0].evidence, ServerEvidence());
  EXPECT_FALSE((*recovered)[0].age) << "the server does not know";
  EXPECT_EQ(PreparedCount(), 7u);

#if defined(ASSENT_FAILPOINTS)
  {
    ScopedMutant mutant(Mutant::kForeignBranchTouched);
    auto caught = finish->Recover();
    ASSERT_TRUE(caught.ok());
    EXPECT_EQ(caught->size(), 2u) << "the seeded bug must show";
  }
#endif

  EXPECT_EQ(CommitSettled(*finish, ours).finish, Finish::kDone);
  ByHand("XA ROLLBACK " + XaLiteral(other_cluster));
  ByHand("XA ROLLBACK " + XaLiteral(other_resource));
  for (const std::string& xid : foreign) ByHand("XA ROLLBACK " + xid);
}

TEST_P(MysqlFinish, RecoverListsBranchesOfOpenSessionsToo) {
  Prepared branch = PrepareIncrement();
  auto finish = OpenFinish(resource());
  auto recovered = finish->Recover();
  ASSERT_TRUE(recovered.ok());
  EXPECT_EQ(recovered->size(), 1u);
  (void)End(branch, Decision::kAbort);
  recovered = finish->Recover();
  ASSERT_TRUE(recovered.ok());
  EXPECT_TRUE(recovered->empty());
}

#if defined(ASSENT_FAILPOINTS)
TEST_P(MysqlFinish, MutantUnknownIdIsSuccessIsCaught) {
  // UnknownGidWithoutAnyEvidence... would see this.
  ScopedMutant mutant(Mutant::kUnknownIdIsSuccess);
  FinishAnswer unknown = OpenFinish(resource())->Commit(FreshGid(), "", JournalWord::kNothing);
  EXPECT_EQ(unknown.finish, Finish::kDone);
}

TEST_P(MysqlFinish, MutantStandbyTrustedIsCaught) {
  // AbsenceOnAnotherServer... and AbsenceOnAReadOnlyServer... would see this.
  auto finish = OpenFinish(resource());
  ASSERT_TRUE(server().Execute("SET GLOBAL read_only = 1").ok());
  FinishAnswer elsewhere, standby;
  Code recovered;
  {
    ScopedMutant mutant(Mutant::kStandbyTrusted);
    elsewhere = finish->Commit(FreshGid(), "id=some-other-server", JournalWord::kWill);
    standby = finish->Rollback(FreshGid(), "");
    recovered = finish->Recover().status().code();
  }
  ASSERT_TRUE(server().Execute("SET GLOBAL read_only = 0").ok());
  EXPECT_EQ(elsewhere.finish, Finish::kDone);
  EXPECT_EQ(standby.finish, Finish::kDone);
  EXPECT_EQ(recovered, Code::kOk);
}
#endif

}  // namespace
}  // namespace assent::adapters
