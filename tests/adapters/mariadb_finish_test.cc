// Phase two and recovery on MariaDB: what an unknown gid means, whose branches are ours, and who
// may not do what.
#include <gtest/gtest.h>
#include <mysql_connection.h>

#include <cppconn/driver.h>
#include <cppconn/statement.h>

#include "base/mutant.h"
#include "tests/adapters/mariadb_fixture.h"

namespace assent::adapters {
namespace {

using std::chrono::seconds;

class MariadbFinish : public MariadbTest {
 protected:
  // Whatever a program on its own session does; the session stays open.
  class Raw {
   public:
    explicit Raw(test_support::MariadbServer& server)
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

  // Retries as a person would: the session that prepared it may still be closing.
  void ByHand(const std::string& sql) {
    EXPECT_TRUE(test_support::WaitUntil(seconds(10), [&] { return server().Execute(sql).ok(); }))
        << sql;
  }
  FinishAnswer CommitSettled(FinishSession& session, const Prepared& branch,
                             JournalWord journal = JournalWord::kNothing) {
    return Settle([&] { return session.Commit(branch.gid, branch.evidence, journal); });
  }
  FinishAnswer RollbackSettled(FinishSession& session, const Prepared& branch) {
    return Settle([&] { return session.Rollback(branch.gid, branch.evidence); });
  }
};
INSTANTIATE_TEST_SUITE_P(Binlog, MariadbFinish, ::testing::Bool(),
                         [](const auto& param_info) { return param_info.param ? "on" : "off"; });

TEST_P(MariadbFinish, CommitsAfterThePreparingSessionClosed) {
  auto finish = OpenFinish(resource());
  for (int i = 1; i <= 15; ++i) {
    // Often enough to meet the gap after the close, in which the server says OK and does nothing.
    Prepared branch = PrepareAndClose();
    FinishAnswer answer = CommitSettled(*finish, branch);
    ASSERT_EQ(answer.finish, Finish::kDone) << Describe(answer);
    ASSERT_EQ(N(), std::to_string(i));
  }
}

TEST_P(MariadbFinish, RollsBackAfterThePreparingSessionClosed) {
  Prepared branch = PrepareAndClose();
  auto finish = OpenFinish(resource());
  FinishAnswer answer = RollbackSettled(*finish, branch);
  EXPECT_EQ(answer.finish, Finish::kDone) << Describe(answer);
  EXPECT_EQ(N(), "0");
  EXPECT_EQ(PreparedCount(), 0u);
  EXPECT_EQ(finish->Rollback(branch.gid, branch.evidence).finish, Finish::kDone) << "repeated";
}

TEST_P(MariadbFinish, AttachedBranchIsTransientUntilItsSessionCloses) {
  Prepared branch = PrepareIncrement();
  auto finish = OpenFinish(resource());
  for (JournalWord journal : {JournalWord::kNothing, JournalWord::kWill, JournalWord::kDone}) {
    FinishAnswer answer = finish->Commit(branch.gid, branch.evidence, journal);
    EXPECT_EQ(answer.finish, Finish::kTransient) << Describe(answer);
    EXPECT_FALSE(answer.session_lost);
    // The evidence names the session; without that the server's word and its list decide.
    answer = finish->Commit(branch.gid, "id=" + Options().identity, journal);
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

TEST_P(MariadbFinish, UnknownGidWithoutAnyEvidenceIsAHazardForCommit) {
  auto finish = OpenFinish(resource());
  FinishAnswer answer = finish->Commit(FreshGid(), "", JournalWord::kNothing);
  EXPECT_EQ(answer.finish, Finish::kHazard) << Describe(answer);
  answer = finish->Commit(FreshGid(), "id=" + Options().identity, JournalWord::kNothing);
  EXPECT_EQ(answer.finish, Finish::kHazard) << Describe(answer);
  EXPECT_EQ(answer.code, "1397/XAE04");
  EXPECT_FALSE(answer.detail.empty());
}

TEST_P(MariadbFinish, RollbackOfWhatNobodySawPreparedIsDone) {
  auto finish = OpenFinish(resource());
  EXPECT_EQ(finish->Rollback(FreshGid(), "").finish, Finish::kDone);
}

TEST_P(MariadbFinish, RollbackOfWhatVotedYesAndIsGoneIsAHazard) {
  // MariaDB keeps no trace of a finished branch: somebody may have committed it by hand.
  Prepared branch = PrepareAndClose();
  ByHand(resource().HandSql(branch.gid).commit);
  auto finish = OpenFinish(resource());
  FinishAnswer answer = finish->Rollback(branch.gid, branch.evidence);
  EXPECT_EQ(answer.finish, Finish::kHazard) << Describe(answer);
}

TEST_P(MariadbFinish, SecondCommitIsDoneByTheJournalAndElseAHazard) {
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

TEST_P(MariadbFinish, BranchFinishedByHandIsAHazard) {
  auto finish = OpenFinish(resource());
  for (bool commit : {true, false}) {
    Prepared branch = PrepareAndClose();
    auto sql = resource().HandSql(branch.gid);
    ByHand(commit ? sql.commit : sql.rollback);
    FinishAnswer answer = finish->Commit(branch.gid, branch.evidence, JournalWord::kNothing);
    EXPECT_EQ(answer.finish, Finish::kHazard) << Describe(answer);
  }
}

TEST_P(MariadbFinish, HandSqlShowsTheBranchAsItIsWritten) {
  Prepared branch = PrepareAndClose();
  auto sql = resource().HandSql(branch.gid);
  auto rows = server().Query(sql.inspect);
  ASSERT_TRUE(rows.ok()) << rows.status().ToString();
  ASSERT_EQ(rows->size(), 1u);
  EXPECT_EQ(sql.commit, "XA COMMIT " + (*rows)[0][3]);
  EXPECT_EQ(sql.rollback, "XA ROLLBACK " + (*rows)[0][3]);
  ByHand(sql.rollback);
  // Before any connection nobody knows which server it is; plain XA RECOVER works on all.
  EXPECT_EQ(MakeMysql(Options())->HandSql(branch.gid).inspect, "XA RECOVER");
}

TEST_P(MariadbFinish, BranchThatWroteNothingIsReportedWhenTheServerRolledItBack) {
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

TEST_P(MariadbFinish, AbsenceOnAnotherServerProvesNothing) {
  Evidence elsewhere = "id=some-other-server";
  auto finish = OpenFinish(resource());
  for (JournalWord journal : {JournalWord::kNothing, JournalWord::kWill, JournalWord::kDone}) {
    FinishAnswer answer = finish->Commit(FreshGid(), elsewhere, journal);
    EXPECT_EQ(answer.finish, Finish::kTransient) << Describe(answer);
    EXPECT_NE(answer.detail.find("some-other-server"), std::string::npos);
  }
  EXPECT_EQ(finish->Rollback(FreshGid(), elsewhere).finish, Finish::kTransient);
}

TEST_P(MariadbFinish, AbsenceOnAReadOnlyServerProvesNothing) {
  auto finish =
      OpenFinish(resource());  // root may write all the same, so XA COMMIT is not refused.
  ASSERT_TRUE(server().Execute("SET GLOBAL read_only = 1").ok());
  FinishAnswer commit = finish->Commit(FreshGid(), "id=" + Options().identity, JournalWord::kWill);
  FinishAnswer rollback = finish->Rollback(FreshGid(), "");
  auto recovered = finish->Recover();
  ASSERT_TRUE(server().Execute("SET GLOBAL read_only = 0").ok());
  EXPECT_EQ(commit.finish, Finish::kTransient) << Describe(commit);
  EXPECT_EQ(rollback.finish, Finish::kTransient) << Describe(rollback);
  EXPECT_EQ(recovered.status().code(), Code::kUnavailable);
}

TEST_P(MariadbFinish, AbsenceOnARunningReplicaProvesNothing) {
  ASSERT_TRUE(server()
                  .Execute("CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT=1, "
                           "MASTER_USER='x', MASTER_CONNECT_RETRY=60")
                  .ok());
  ASSERT_TRUE(server().Execute("START SLAVE IO_THREAD").ok());
  auto finish = OpenFinish(resource());
  FinishAnswer commit = finish->Commit(FreshGid(), "id=" + Options().identity, JournalWord::kWill);
  auto recovered = finish->Recover();
  auto probed = resource().Probe();
  ASSERT_TRUE(server().Execute("STOP SLAVE").ok());
  ASSERT_TRUE(server().Execute("RESET SLAVE ALL").ok());
  EXPECT_EQ(commit.finish, Finish::kTransient) << Describe(commit);
  EXPECT_EQ(recovered.status().code(), Code::kUnavailable);
  ASSERT_TRUE(probed.ok());
  bool found = false;
  for (const Finding& finding : probed->findings) found |= finding.name == "replica";
  EXPECT_TRUE(found);
}

TEST_P(MariadbFinish, ReadOnlyServerRefusesAnOrdinaryUser) {
  ASSERT_TRUE(server().Execute("CREATE OR REPLACE USER plain@'127.0.0.1'").ok());
  ASSERT_TRUE(server().Execute("GRANT ALL ON bank.* TO plain@'127.0.0.1'").ok());
  Prepared branch = PrepareAndClose();
  ConnectOptions options = Options();
  options.user = "plain";
  auto plain = MakeMysql(options);
  auto finish = OpenFinish(*plain);
  ASSERT_TRUE(server().Execute("SET GLOBAL read_only = 1").ok());
  FinishAnswer answer;
  bool refused = test_support::WaitUntil(seconds(10), [&] {
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

TEST_P(MariadbFinish, RecoverListsOnlyWhatIsOurs) {
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
  EXPECT_EQ((*recovered)[0].evidence, "id=" + Options().identity);
  EXPECT_FALSE((*recovered)[0].age) << "MariaDB does not know";
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

TEST_P(MariadbFinish, RecoverListsAttachedBranchesToo) {
  Prepared branch = PrepareIncrement();
  auto finish = OpenFinish(resource());
  auto recovered = finish->Recover();
  ASSERT_TRUE(recovered.ok());
  EXPECT_EQ(recovered->size(), 1u);
  (void)branch.session->FinishPrepared(Decision::kAbort, branch.evidence, JournalWord::kNothing);
  recovered = finish->Recover();
  ASSERT_TRUE(recovered.ok());
  EXPECT_TRUE(recovered->empty());
}

#if defined(ASSENT_FAILPOINTS)
TEST_P(MariadbFinish, MutantUnknownIdIsSuccessIsCaught) {
  // AttachedBranchIsTransient... and UnknownGidWithoutAnyEvidence... would see this.
  Prepared branch = PrepareIncrement();
  auto finish = OpenFinish(resource());
  FinishAnswer attached, unknown;
  {
    ScopedMutant mutant(Mutant::kUnknownIdIsSuccess);
    attached = finish->Commit(branch.gid, "id=" + Options().identity, JournalWord::kNothing);
    unknown = finish->Commit(FreshGid(), "", JournalWord::kNothing);
  }
  EXPECT_EQ(attached.finish, Finish::kDone);
  EXPECT_EQ(unknown.finish, Finish::kDone);
  EXPECT_EQ(N(), "0") << "reported as done, not committed: mixed";
  (void)branch.session->FinishPrepared(Decision::kAbort, branch.evidence, JournalWord::kNothing);
}

TEST_P(MariadbFinish, MutantStandbyTrustedIsCaught) {
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
