// Branches that an application prepares on a session of its own: looked up for the vote, and ended
// under the role that owns them.
#include <gtest/gtest.h>

#include <thread>

#include <pqxx/pqxx>

#include "adapters/common/statements.h"
#include "adapters/common/xid.h"
#include "base/mutant.h"
#include "tests/adapters/postgres_fixture.h"

namespace assent::adapters {
namespace {

constexpr char kOwner[] = "Odd \"role\"";
constexpr char kQuotedOwner[] = "\"Odd \"\"role\"\"\"";

// The application's session.
class Session {
 public:
  explicit Session(const ConnectOptions& options, const std::string& database = "")
      : connection_("host='" + options.host + "' port=" + std::to_string(options.port) + " user=" +
                    options.user + " dbname=" + (database.empty() ? options.database : database)) {}

  // False: the server refused it.
  bool Run(const std::string& sql) {
    try {
      pqxx::nontransaction(connection_).exec(sql);
      return true;
    } catch (const std::exception&) {
      return false;
    }
  }
  bool Run(const std::vector<std::string>& statements) {
    for (const std::string& sql : statements) {
      if (!Run(sql)) return false;
    }
    return true;
  }

 private:
  pqxx::connection connection_;
};

class PostgresAppHeld : public PostgresTest {
 protected:
  void SetUp() override {
    PostgresTest::SetUp();
    if (Scalar("SELECT count(*) FROM pg_roles WHERE rolname = 'modest'") == "1") return;
    Sql("CREATE ROLE modest LOGIN");
    Sql(std::string("CREATE ROLE ") + kQuotedOwner + " LOGIN");
    Sql(std::string("GRANT ALL ON t TO ") + kQuotedOwner + ", modest");
    Sql("CREATE DATABASE another");
  }
  void TearDown() override {
    PostgresTest::TearDown();
    Sql(std::string("REVOKE ") + kQuotedOwner + " FROM modest");
  }

  // An agent that is no superuser.
  static ConnectOptions Modest() {
    ConnectOptions options = Options();
    options.user = "modest";
    return options;
  }
  static BranchStatements StatementsOf(const Gid& gid) {
    return *adapters::StatementsOf("postgresql", gid);
  }
  static void PrepareInsert(Session& session, const Gid& gid, int key) {
    const BranchStatements steps = StatementsOf(gid);
    ASSERT_TRUE(session.Run(steps.begin));
    ASSERT_TRUE(session.Run("INSERT INTO t VALUES (" + std::to_string(key) + ", 0)"));
    ASSERT_TRUE(session.Run(steps.prepare));
  }
  static void PrepareAsOwner(const Gid& gid, int key) {
    Session session(Options());
    ASSERT_TRUE(session.Run(std::string("SET ROLE ") + kQuotedOwner));
    PrepareInsert(session, gid, key);
  }
  static PrepareAnswer Vote(FinishSession& session, const Gid& gid, bool finished_by_app = false) {
    auto votes = session.LookUp({{.gid = gid, .finished_by_app = finished_by_app}});
    EXPECT_TRUE(votes.ok()) << votes.status().ToString();
    return votes.ok() ? votes->at(0) : PrepareAnswer{};
  }
  static Evidence VoteYes(FinishSession& session, const Gid& gid, bool finished_by_app = false) {
    PrepareAnswer vote = Vote(session, gid, finished_by_app);
    EXPECT_EQ(vote.vote, Vote::kYes) << vote.error;
    return vote.evidence;
  }
  static void ExpectHasGrant(const std::string& text) {
    EXPECT_NE(text.find(std::string("GRANT ") + kQuotedOwner + " TO modest"), std::string::npos)
        << text;
  }
};

TEST_F(PostgresAppHeld, EveryStatementWorksAsHandedOut) {
  Session session(Options());
  const Gid committed = NewGid();
  PrepareInsert(session, committed, 1);
  EXPECT_TRUE(Listed(committed));
  EXPECT_TRUE(session.Run(StatementsOf(committed).commit));
  EXPECT_TRUE(RowExists(1));
  const Gid rolled_back = NewGid();
  PrepareInsert(session, rolled_back, 2);
  EXPECT_TRUE(session.Run(StatementsOf(rolled_back).rollback));
  const Gid abandoned = NewGid();
  EXPECT_TRUE(session.Run(StatementsOf(abandoned).begin));
  EXPECT_TRUE(session.Run("INSERT INTO t VALUES (2, 0)"));
  EXPECT_TRUE(session.Run(StatementsOf(abandoned).abandon));
  EXPECT_FALSE(RowExists(2));
  PrepareInsert(session, NewGid(), 2);  // The session is free for the next.
}

TEST_F(PostgresAppHeld, VotesYesForWhatIsListedAndNothingElse) {
  constexpr int kPrepared = 50;
  Session session(Options());
  std::vector<AppHeldBranch> asked;
  for (int key = 0; key < kPrepared; ++key) {
    asked.push_back({.gid = NewGid()});
    PrepareInsert(session, asked.back().gid, key);
  }
  asked.push_back({.gid = NewGid()});
  // The server answers this PREPARE with success, and the tag ROLLBACK.
  ASSERT_TRUE(session.Run(StatementsOf(asked.back().gid).begin));
  ASSERT_FALSE(session.Run("SELECT 1 / 0"));
  ASSERT_TRUE(session.Run(StatementsOf(asked.back().gid).prepare));
  Gid other_attempt = asked[0].gid;
  ++other_attempt.bqual.attempt;
  asked.push_back({.gid = other_attempt});
  asked.push_back({.gid = NewGid()});
  Session elsewhere(Options(), "another");
  ASSERT_TRUE(elsewhere.Run(StatementsOf(asked.back().gid).begin));
  ASSERT_TRUE(elsewhere.Run("CREATE TABLE IF NOT EXISTS u (k int)"));
  ASSERT_TRUE(elsewhere.Run(StatementsOf(asked.back().gid).prepare));
  asked.push_back({.gid = NewGid("someone_elses")});

  auto votes = Finisher()->LookUp(asked);
  ASSERT_TRUE(votes.ok()) << votes.status().ToString();
  ASSERT_EQ(votes->size(), asked.size());
  for (int i = 0; i < kPrepared; ++i) EXPECT_EQ(votes->at(i).vote, Vote::kYes);
  for (size_t i = kPrepared; i < asked.size(); ++i) EXPECT_EQ(votes->at(i).vote, Vote::kNo) << i;
  EXPECT_EQ(votes->at(kPrepared).error.cause, Cause::kNotPrepared) << votes->at(kPrepared).error;
  const WorkError& wrong_gid = votes->at(kPrepared + 1).error;
  EXPECT_EQ(wrong_gid.cause, Cause::kNotPrepared);
  EXPECT_NE(wrong_gid.detail.find(ToString(asked[0].gid)), std::string::npos) << wrong_gid;
  const WorkError& wrong_database = votes->at(kPrepared + 2).error;
  EXPECT_EQ(wrong_database.cause, Cause::kWrongDatabase);
  EXPECT_NE(wrong_database.detail.find("another"), std::string::npos) << wrong_database;
  EXPECT_EQ(votes->at(kPrepared + 3).error.cause, Cause::kMisuse);
  // The evidence is that of any vote.
  EXPECT_EQ(Finisher()->Commit(asked[0].gid, votes->at(0).evidence, JournalWord::kNothing).finish,
            Finish::kDone);
}

TEST_F(PostgresAppHeld, EndsABranchUnderTheRoleThatOwnsIt) {
  Sql(std::string("GRANT ") + kQuotedOwner + " TO modest");
  auto finish = Finisher(Modest());
  EXPECT_TRUE(finish->CheckRole(kOwner).ok()) << finish->CheckRole(kOwner).ToString();
  const Gid committed = NewGid();
  const Gid rolled_back = NewGid();
  PrepareAsOwner(committed, 1);
  PrepareAsOwner(rolled_back, 2);
  const Evidence evidence = VoteYes(*finish, committed);
  FinishAnswer answer = finish->Commit(committed, evidence, JournalWord::kNothing);
  EXPECT_EQ(answer.finish, Finish::kDone) << answer;
  // The session still is the owner's, and is asked for something else in between.
  answer = finish->Rollback(rolled_back, VoteYes(*finish, rolled_back));
  EXPECT_EQ(answer.finish, Finish::kDone) << answer;
  // Then a branch of its own: back to itself.
  const Gid own = NewGid();
  const Evidence own_evidence = Prepared(own, 3, Modest());
  PrepareAsOwner(rolled_back, 4);
  EXPECT_EQ(finish->Rollback(rolled_back, "").finish, Finish::kDone);
  answer = finish->Commit(own, own_evidence, JournalWord::kNothing);
  EXPECT_EQ(answer.finish, Finish::kDone) << answer;
  EXPECT_TRUE(RowExists(1));
  EXPECT_FALSE(RowExists(2));
  EXPECT_TRUE(RowExists(3));
}

TEST_F(PostgresAppHeld, WithoutMembershipTheGrantIsNamed) {
  auto finish = Finisher(Modest());
  Status role = finish->CheckRole(kOwner);
  EXPECT_EQ(role.code(), Code::kInvalidArgument);
  ExpectHasGrant(role.message());
  EXPECT_EQ(finish->CheckRole("no such role").code(), Code::kInvalidArgument);
  EXPECT_TRUE(finish->CheckRole("").ok());
  EXPECT_TRUE(finish->CheckRole("modest").ok());

  const Gid gid = NewGid();
  PrepareAsOwner(gid, 1);
  PrepareAnswer vote = Vote(*finish, gid);
  EXPECT_EQ(vote.vote, Vote::kNo);
  EXPECT_EQ(vote.error.cause, Cause::kPermission);
  ExpectHasGrant(vote.error.detail);
  FinishAnswer answer = finish->Commit(gid, "", JournalWord::kNothing);
  EXPECT_EQ(answer.finish, Finish::kRefused) << answer;
  EXPECT_TRUE(answer.no_effect);
  ExpectHasGrant(answer.detail);
  EXPECT_TRUE(Listed(gid));

  // The same session does it once it may.
  Sql(std::string("GRANT ") + kQuotedOwner + " TO modest");
  EXPECT_TRUE(finish->CheckRole(kOwner).ok());
  answer = finish->Commit(gid, VoteYes(*finish, gid), JournalWord::kNothing);
  EXPECT_EQ(answer.finish, Finish::kDone) << answer;
}

// A branch is listed before its PREPARE has waited for the synchronous standby, and stays so when
// that wait is broken off: a failover would lose it.
TEST_F(PostgresAppHeld, WhatNoStandbyHasConfirmedIsNoYes) {
  Session session(Options());
  const Gid gid = NewGid();
  ASSERT_TRUE(session.Run("SET client_min_messages = error"));
  ASSERT_TRUE(session.Run(StatementsOf(gid).begin));
  ASSERT_TRUE(session.Run("INSERT INTO t VALUES (1, 0)"));
  Sql("ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
  Sql("SELECT pg_reload_conf()");
  ASSERT_TRUE(test_support::WaitUntil(std::chrono::seconds(20), [] {
    return Scalar("SHOW synchronous_standby_names") == "nobody";
  }));
  auto break_off = [] {
    EXPECT_TRUE(test_support::WaitUntil(std::chrono::seconds(20), [] {
      return Scalar(
                 "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity"
                 " WHERE wait_event = 'SyncRep'") == "1";
    }));
  };
  std::thread canceller(break_off);
  EXPECT_TRUE(session.Run(StatementsOf(gid).prepare)) << "all it hears is a warning";
  canceller.join();
  EXPECT_TRUE(Listed(gid));
  canceller = std::thread(break_off);
  auto votes = Finisher()->LookUp({{.gid = gid}});
  canceller.join();
  EXPECT_EQ(votes.status().code(), Code::kUnavailable) << votes.status().ToString();

  Sql("ALTER SYSTEM RESET synchronous_standby_names");
  Sql("SELECT pg_reload_conf()");
  ASSERT_TRUE(test_support::WaitUntil(
      std::chrono::seconds(20), [] { return Scalar("SHOW synchronous_standby_names").empty(); }));
  EXPECT_EQ(Vote(*Finisher(), gid).vote, Vote::kYes);
}

TEST_F(PostgresAppHeld, ABranchWhoseOwnerIsGoneIsNoYesAndCanBeEnded) {
  Sql("CREATE ROLE passing LOGIN");
  Sql("GRANT ALL ON t TO passing");
  const Gid gid = NewGid();
  {
    Session session(Options());
    ASSERT_TRUE(session.Run("SET ROLE passing"));
    PrepareInsert(session, gid, 1);
  }
  Sql("REVOKE ALL ON t FROM passing");
  Sql("DROP ROLE passing");
  for (const ConnectOptions& options : {Modest(), Options()}) {
    PrepareAnswer vote = Vote(*Finisher(options), gid);
    EXPECT_EQ(vote.vote, Vote::kNo) << options.user;
    EXPECT_EQ(vote.error.cause, Cause::kPermission) << vote.error;
    EXPECT_NE(vote.error.detail.find("is gone"), std::string::npos) << vote.error;
  }
  EXPECT_EQ(Finisher(Modest())->Rollback(gid, "").finish, Finish::kRefused);
  EXPECT_TRUE(Listed(gid));
  FinishAnswer answer = Finisher()->Rollback(gid, "");
  EXPECT_EQ(answer.finish, Finish::kDone) << answer;
  EXPECT_FALSE(Listed(gid));
}

TEST_F(PostgresAppHeld, AbsenceIsTheApplicationsOwnDoing) {
  Session session(Options());
  auto finish = Finisher();
  const Gid committed = NewGid();
  PrepareInsert(session, committed, 1);
  const Evidence evidence = VoteYes(*finish, committed, true);
  ASSERT_TRUE(session.Run(StatementsOf(committed).commit));
  FinishAnswer answer = finish->Commit(committed, evidence, JournalWord::kNothing);
  EXPECT_EQ(answer.finish, Finish::kDone) << answer;

  const Gid betrayed = NewGid();
  PrepareInsert(session, betrayed, 2);
  const Evidence broken = VoteYes(*finish, betrayed, true);
  ASSERT_TRUE(session.Run(StatementsOf(betrayed).rollback));
  answer = finish->Commit(betrayed, broken, JournalWord::kNothing);
  EXPECT_EQ(answer.finish, Finish::kHeuristicRollback) << "the server remembers better: " << answer;

  // Absent since the abort came first; its late PREPARE is found by the scan.
  const Gid late = NewGid();
  ASSERT_TRUE(session.Run(StatementsOf(late).begin));
  const Evidence nothing = finish->SessionEvidence({.gid = late});
  EXPECT_EQ(finish->Rollback(late, nothing).finish, Finish::kDone);
  ASSERT_TRUE(session.Run(StatementsOf(late).prepare));
  EXPECT_EQ(RecoveredGids(*finish), std::vector<Gid>{late});
  EXPECT_EQ(finish->Rollback(late, nothing).finish, Finish::kDone);
  EXPECT_FALSE(Listed(late));
}

#if defined(ASSENT_FAILPOINTS)
TEST_F(PostgresAppHeld, MutantOwnerIgnoredIsCaught) {
  Sql(std::string("GRANT ") + kQuotedOwner + " TO modest");
  const Gid gid = NewGid();
  PrepareAsOwner(gid, 1);
  ScopedMutant mutant(Mutant::kOwnerIgnored);
  FinishAnswer answer = Finisher(Modest())->Commit(gid, "", JournalWord::kNothing);
  EXPECT_EQ(answer.finish, Finish::kRefused) << "EndsABranchUnderTheRole... sees it: " << answer;
  EXPECT_TRUE(Listed(gid));
}

TEST_F(PostgresAppHeld, MutantUnlistedVotesYesIsCaught) {
  ScopedMutant mutant(Mutant::kUnlistedVotesYes);
  EXPECT_EQ(Vote(*Finisher(), NewGid()).vote, Vote::kYes) << "VotesYesForWhatIsListed... sees it";
}
#endif

}  // namespace
}  // namespace assent::adapters
