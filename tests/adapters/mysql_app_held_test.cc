// Branches that an application prepares on a session of its own, on a server that ties them to it:
// looked up for the vote, and ended by the agent, by the application, or by both.
#include <gtest/gtest.h>

#include "adapters/common/statements.h"
#include "base/mutant.h"
#include "tests/adapters/mysql_app_session.h"
#include "tests/adapters/mysql_fixture.h"

namespace assent::adapters {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class MysqlAppHeld : public MysqlTest {
 protected:
  std::unique_ptr<AppSession> Connect() {
    return std::make_unique<AppSession>(server().socket(), "bank");
  }
  static BranchStatements StatementsOf(const Gid& gid) {
    return *adapters::StatementsOf("mariadb", gid);
  }
  static AppHeldBranch Named(const Gid& gid, const AppSession& session,
                             bool finished_by_app = false) {
    return {.gid = gid, .connection_id = session.id(), .finished_by_app = finished_by_app};
  }
  void PrepareIncrement(AppSession& session, const Gid& gid, int id = 1) {
    const BranchStatements steps = StatementsOf(gid);
    ASSERT_TRUE(session.Run(steps.begin));
    ASSERT_TRUE(session.Run(Increment(id)));
    ASSERT_TRUE(session.Run(steps.prepare));
  }
  static PrepareAnswer Vote(FinishSession& session, const AppHeldBranch& branch) {
    auto votes = session.LookUp({branch});
    EXPECT_TRUE(votes.ok()) << votes.status().ToString();
    return votes.ok() ? votes->at(0) : PrepareAnswer{};
  }
  static Evidence VoteYes(FinishSession& session, const AppHeldBranch& branch) {
    PrepareAnswer vote = Vote(session, branch);
    EXPECT_EQ(vote.vote, Vote::kYes) << Describe(vote);
    return vote.evidence;
  }
  // A session with the connection id that this one had before the server was restarted.
  std::unique_ptr<AppSession> Reconnect(const std::string& id) {
    std::unique_ptr<AppSession> session;
    EXPECT_TRUE(test_support::WaitUntil(seconds(60), [&] {
      session = Connect();
      return std::stoull(session->id()) >= std::stoull(id);
    }));
    EXPECT_EQ(session->id(), id) << "that id was given out before we came";
    return session;
  }
  // So long that the start before this one can be told from the next by its second.
  void WaitUntilUpForSeconds() {
    ASSERT_TRUE(test_support::WaitUntil(seconds(60), [&] {
      auto up = server().Query("SHOW GLOBAL STATUS LIKE 'Uptime'");
      return up.ok() && std::stoi((*up)[0][1]) >= 4;
    }));
  }
};
INSTANTIATE_TEST_SUITE_P(Servers, MysqlAppHeld, ::testing::ValuesIn(AttachingServers()), NameOf);

TEST_P(MysqlAppHeld, EveryStatementWorksAsHandedOut) {
  auto session = Connect();
  const Gid committed = FreshGid();
  PrepareIncrement(*session, committed);
  EXPECT_TRUE(session->Run(StatementsOf(committed).commit));
  EXPECT_EQ(N(), "1");

  const Gid rolled_back = FreshGid();
  PrepareIncrement(*session, rolled_back);
  EXPECT_TRUE(session->Run(StatementsOf(rolled_back).rollback));

  const Gid abandoned = FreshGid();
  EXPECT_TRUE(session->Run(StatementsOf(abandoned).begin));
  EXPECT_TRUE(session->Run(Increment()));
  EXPECT_TRUE(session->Run(StatementsOf(abandoned).abandon));
  EXPECT_EQ(N(), "1");
  PrepareIncrement(*session, FreshGid(), 2);  // The session is free for the next.
  session.reset();
  auto finish = OpenFinish(resource());
  auto left = finish->Recover();
  ASSERT_TRUE(left.ok());
  ASSERT_EQ(left->size(), 1u);
  EXPECT_EQ(Settle([&] { return finish->Rollback(left->at(0).gid, left->at(0).evidence); }).finish,
            Finish::kDone);
}

TEST_P(MysqlAppHeld, VotesYesForWhatIsListedAndNothingElse) {
  auto finish = OpenFinish(resource());
  std::vector<std::unique_ptr<AppSession>> sessions;
  std::vector<AppHeldBranch> asked;
  for (int id = 1; id <= 3; ++id) {
    sessions.push_back(Connect());
    asked.push_back(Named(FreshGid(), *sessions.back()));
    PrepareIncrement(*sessions.back(), asked.back().gid, id);
  }
  auto working = Connect();
  asked.push_back(Named(FreshGid(), *working));
  ASSERT_TRUE(working->Run(StatementsOf(asked.back().gid).begin));  // Not prepared.
  Gid other_attempt = asked[0].gid;
  ++other_attempt.bqual.attempt;
  asked.push_back(Named(other_attempt, *sessions[0]));
  asked.push_back(Named(FreshGid("elsewhere", kResource), *sessions[0]));
  AppHeldBranch unnamed = asked[0];
  unnamed.connection_id = "";
  asked.push_back(unnamed);
  unnamed.connection_id = "12x";
  asked.push_back(unnamed);
  AppHeldBranch ancient = asked[0];
  ancient.age = std::chrono::hours(24 * 365);  // Of an earlier start of the server.
  asked.push_back(ancient);

  auto votes = finish->LookUp(asked);
  ASSERT_TRUE(votes.ok()) << votes.status().ToString();
  ASSERT_EQ(votes->size(), asked.size());
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(votes->at(i).vote, Vote::kYes) << Describe(votes->at(i));
    EXPECT_NE(votes->at(i).evidence.find(" conn=" + sessions[i]->id() + "@"), std::string::npos)
        << votes->at(i).evidence;
  }
  for (size_t i = 3; i < asked.size(); ++i) EXPECT_EQ(votes->at(i).vote, Vote::kNo) << i;
  EXPECT_EQ(votes->at(3).error.cause, Cause::kNotPrepared) << Describe(votes->at(3));
  EXPECT_EQ(votes->at(4).error.cause, Cause::kNotPrepared) << Describe(votes->at(4));
  EXPECT_NE(votes->at(4).error.detail.find(ToString(asked[0].gid)), std::string::npos)
      << "says which gid was meant: " << votes->at(4).error.detail;
  for (size_t i = 5; i < asked.size(); ++i) {
    EXPECT_EQ(votes->at(i).error.cause, Cause::kMisuse) << Describe(votes->at(i));
  }
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(finish->Rollback(asked[i].gid, votes->at(i).evidence).finish, Finish::kDone);
  }
}

// A pool that takes the session back resets it. The server then lets others commit the branch, says
// OK, and commits nothing.
TEST_P(MysqlAppHeld, NoCommitIsLostWhenAPoolResetsTheSession) {
  auto finish = OpenFinish(resource());
  int committed = 0;
  for (int round = 0; round < 6; ++round) {
    auto session = Connect();
    const Gid gid = FreshGid();
    PrepareIncrement(*session, gid);
    const Evidence evidence = VoteYes(*finish, Named(gid, *session));
    ASSERT_TRUE(round % 2 == 0 ? session->ChangeUser() : session->ResetConnection());
    FinishAnswer answer = finish->Commit(gid, evidence, JournalWord::kNothing);
    ASSERT_EQ(answer.finish, Finish::kDone) << Describe(answer);
    ASSERT_EQ(N(), std::to_string(++committed));
    EXPECT_FALSE(session->Lives());
  }
  // Nor does one come back.
  server().Kill9();
  ASSERT_TRUE(server().Start().ok());
  EXPECT_EQ(PreparedCount(), 0u);
  EXPECT_EQ(N(), std::to_string(committed));
}

TEST_P(MysqlAppHeld, ClosesTheSessionThatHoldsTheBranch) {
  auto finish = OpenFinish(resource());
  auto bystander = Connect();
  for (Decision decision : {Decision::kCommit, Decision::kAbort}) {
    auto session = Connect();
    const Gid gid = FreshGid();
    PrepareIncrement(*session, gid);
    const Evidence evidence = VoteYes(*finish, Named(gid, *session));
    FinishAnswer answer = decision == Decision::kCommit
                              ? finish->Commit(gid, evidence, JournalWord::kNothing)
                              : finish->Rollback(gid, evidence);
    EXPECT_EQ(answer.finish, Finish::kDone) << Describe(answer);
    EXPECT_FALSE(session->Lives());
    EXPECT_EQ(N(), "1");
  }
  EXPECT_TRUE(bystander->Lives());
}

TEST_P(MysqlAppHeld, NobodysSessionIsClosedForABranchThatIsNotThere) {
  auto finish = OpenFinish(resource());
  auto session = Connect();
  const AppHeldBranch branch = Named(FreshGid(), *session);
  ASSERT_TRUE(session->Run(StatementsOf(branch.gid).begin));
  ASSERT_TRUE(session->Run(Increment()));
  const Evidence evidence = finish->SessionEvidence(branch);
  FinishAnswer answer = finish->Rollback(branch.gid, evidence);
  EXPECT_EQ(answer.finish, Finish::kDone) << Describe(answer);
  EXPECT_TRUE(session->Lives());

  // It prepares all the same: the scan finds the branch, and now the session is in the way.
  ASSERT_TRUE(session->Run(StatementsOf(branch.gid).prepare));
  auto listed = finish->Recover();
  ASSERT_TRUE(listed.ok());
  ASSERT_EQ(listed->size(), 1u);
  EXPECT_EQ(listed->at(0).gid, branch.gid);
  answer = finish->Rollback(branch.gid, evidence);
  EXPECT_EQ(answer.finish, Finish::kDone) << Describe(answer);
  EXPECT_FALSE(session->Lives());
  EXPECT_EQ(PreparedCount(), 0u);
  EXPECT_EQ(N(), "0");
}

// Ids begin anew with the server: whoever has that one now has nothing to do with the branch.
TEST_P(MysqlAppHeld, AReusedConnectionIdIsNotClosed) {
  ASSERT_TRUE(server().Restart().ok());  // So that the id is a small one.
  WaitUntilUpForSeconds();
  const Gid gid = FreshGid();
  auto session = Connect();
  for (int i = 0; i < 20; ++i) session = Connect();
  const std::string id = session->id();
  PrepareIncrement(*session, gid);
  const Evidence evidence = VoteYes(*OpenFinish(resource()), Named(gid, *session));
  server().Kill9();
  ASSERT_TRUE(server().Start().ok());
  auto innocent = Reconnect(id);
  FinishAnswer answer = OpenFinish(resource())->Commit(gid, evidence, JournalWord::kNothing);
  EXPECT_EQ(answer.finish, Finish::kDone) << Describe(answer);
  EXPECT_EQ(N(), "1");
  EXPECT_TRUE(innocent->Lives());
}

TEST_P(MysqlAppHeld, AbsenceIsTheApplicationsOwnDoing) {
  auto finish = OpenFinish(resource());
  auto session = Connect();
  const Gid committed = FreshGid();
  PrepareIncrement(*session, committed);
  const Evidence finishes = VoteYes(*finish, Named(committed, *session, true));
  const Evidence holds = VoteYes(*finish, Named(committed, *session, false));
  ASSERT_TRUE(session->Run(StatementsOf(committed).commit));
  FinishAnswer answer = finish->Commit(committed, finishes, JournalWord::kNothing);
  EXPECT_EQ(answer.finish, Finish::kDone) << Describe(answer);
  EXPECT_TRUE(session->Lives()) << "it may be in use for something else by now";
  answer = finish->Commit(committed, holds, JournalWord::kNothing);
  EXPECT_EQ(answer.finish, Finish::kHazard) << "it was not the application's to end";

  const Gid rolled_back = FreshGid();
  PrepareIncrement(*session, rolled_back);
  const Evidence evidence = VoteYes(*finish, Named(rolled_back, *session, true));
  ASSERT_TRUE(session->Run(StatementsOf(rolled_back).rollback));
  answer = finish->Rollback(rolled_back, evidence);
  EXPECT_EQ(answer.finish, Finish::kDone) << Describe(answer);
  EXPECT_TRUE(session->Lives());
  EXPECT_EQ(N(), "1");
}

TEST_P(MysqlAppHeld, MissingPrivilegesAreNamed) {
  const std::string user = "'modest" + table_ + "'@'%'";
  for (const std::string& sql :
       {"CREATE USER " + user + " IDENTIFIED BY 'secret'", "GRANT ALL ON bank.* TO " + user}) {
    ASSERT_TRUE(server().Execute(sql).ok()) << sql;
  }
  const bool is_mariadb = GetParam().is_mariadb;  // Each spells it in its own way.
  const std::string admin = is_mariadb ? "CONNECTION ADMIN" : "CONNECTION_ADMIN";
  // The application of these tests is root, whose sessions only users of that kind may end.
  const std::string also = is_mariadb ? "" : ", SYSTEM_USER";
  if (!is_mariadb) {
    ASSERT_TRUE(server().Execute("GRANT XA_RECOVER_ADMIN ON *.* TO " + user).ok());
  }
  ConnectOptions options = Options();
  options.user = "modest" + table_;
  options.password = "secret";
  auto modest = MakeMysql(options);
  auto session = Connect();
  const Gid gid = FreshGid();
  PrepareIncrement(*session, gid);

  PrepareAnswer vote = Vote(*OpenFinish(*modest), Named(gid, *session));
  EXPECT_EQ(vote.vote, Vote::kNo);
  EXPECT_EQ(vote.error.cause, Cause::kPermission) << Describe(vote);
  for (const std::string& right :
       {std::string("GRANT "), std::string("PROCESS"), admin, std::string("modest")}) {
    EXPECT_NE(vote.error.detail.find(right), std::string::npos) << vote.error.detail;
  }
  // Whoever ends its branch itself may do without; if it does not, the agent can't.
  const Evidence evidence = VoteYes(*OpenFinish(*modest), Named(gid, *session, true));
  FinishAnswer answer = OpenFinish(*modest)->Commit(gid, evidence, JournalWord::kNothing);
  EXPECT_EQ(answer.finish, Finish::kRefused) << Describe(answer);
  EXPECT_TRUE(answer.session_lost) << "a new one feels the GRANT";
  EXPECT_TRUE(answer.no_effect);
  EXPECT_NE(answer.detail.find(admin), std::string::npos) << answer.detail;
  EXPECT_TRUE(session->Lives());

  ASSERT_TRUE(server().Execute("GRANT PROCESS, " + admin + also + " ON *.* TO " + user).ok());
  answer = OpenFinish(*modest)->Commit(gid, evidence, JournalWord::kNothing);
  EXPECT_EQ(answer.finish, Finish::kDone) << Describe(answer);
  EXPECT_EQ(N(), "1");
}

#if defined(ASSENT_FAILPOINTS)
TEST_P(MysqlAppHeld, MutantAppSessionKeptIsCaught) {
  auto finish = OpenFinish(resource());
  auto session = Connect();
  const Gid gid = FreshGid();
  PrepareIncrement(*session, gid);
  const Evidence evidence = VoteYes(*finish, Named(gid, *session));
  ASSERT_TRUE(session->ResetConnection());
  FinishAnswer answer;
  {
    ScopedMutant mutant(Mutant::kAppSessionKept);
    answer = finish->Commit(gid, evidence, JournalWord::kNothing);
  }
  EXPECT_EQ(answer.finish, Finish::kDone);
  EXPECT_EQ(PreparedCount(), 0u);
  EXPECT_EQ(N(), "0") << "reported as done, not committed: NoCommitIsLost... sees it";
  // On MariaDB only a crash brings the branch back. On MySQL nothing does.
  server().Kill9();
  ASSERT_TRUE(server().Start().ok());
  EXPECT_EQ(PreparedCount(), GetParam().is_mariadb ? 1u : 0u);
  if (!GetParam().is_mariadb) return;
  EXPECT_EQ(OpenFinish(resource())->Rollback(gid, evidence).finish, Finish::kDone);
}

TEST_P(MysqlAppHeld, MutantUnlistedSessionClosedIsCaught) {
  ScopedMutant mutant(Mutant::kUnlistedSessionClosed);
  auto finish = OpenFinish(resource());
  auto session = Connect();
  const AppHeldBranch branch = Named(FreshGid(), *session);
  (void)finish->Rollback(branch.gid, finish->SessionEvidence(branch));
  EXPECT_FALSE(session->Lives()) << "NobodysSessionIsClosed... sees it";
}

TEST_P(MysqlAppHeld, MutantEarlierSessionClosedIsCaught) {
  auto finish = OpenFinish(resource());
  auto session = Connect();
  auto innocent = Connect();
  const Gid gid = FreshGid();
  PrepareIncrement(*session, gid);
  const Evidence evidence = VoteYes(*finish, Named(gid, *session));
  // As if the branch had been prepared before a restart, on the id that `innocent` has now.
  const size_t conn = evidence.find(" conn=");
  const size_t at = evidence.find('@');
  ASSERT_NE(at, std::string::npos);
  const Evidence earlier = evidence.substr(0, conn) + " conn=" + innocent->id() + "@1000000000" +
                           evidence.substr(evidence.find(' ', at));
  session.reset();
  {
    ScopedMutant mutant(Mutant::kEarlierSessionClosed);
    (void)finish->Commit(gid, earlier, JournalWord::kNothing);
  }
  EXPECT_FALSE(innocent->Lives()) << "AReusedConnectionId... sees it";
  EXPECT_EQ(PreparedCount(), 0u);
}

TEST_P(MysqlAppHeld, MutantUnlistedVotesYesIsCaught) {
  ScopedMutant mutant(Mutant::kUnlistedVotesYes);
  auto session = Connect();
  EXPECT_EQ(Vote(*OpenFinish(resource()), Named(FreshGid(), *session)).vote, Vote::kYes)
      << "VotesYesForWhatIsListed... sees it";
}
#endif

}  // namespace
}  // namespace assent::adapters
