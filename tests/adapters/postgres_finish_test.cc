// Phase two and recovery, on a healthy server.
#include <thread>

#include "tests/adapters/postgres_fixture.h"

namespace assent::adapters {
namespace {

using test_support::WaitUntil;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

class PostgresFinish : public PostgresTest {
 protected:
  static ConnectOptions As(const std::string& user) {
    ConnectOptions options = Options();
    options.user = user;
    return options;
  }
};

TEST_F(PostgresFinish, CommitIsIdempotent) {
  Gid gid = NewGid();
  Evidence evidence = Prepared(gid, 1);
  auto finisher = Finisher();
  EXPECT_EQ(finisher->Commit(gid, evidence, JournalWord::kNothing).finish, Finish::kDone);
  EXPECT_TRUE(RowExists(1));
  EXPECT_EQ(finisher->Commit(gid, evidence, JournalWord::kNothing).finish, Finish::kDone);
}

TEST_F(PostgresFinish, RollbackIsIdempotent) {
  Gid gid = NewGid();
  Evidence evidence = Prepared(gid, 1);
  auto finisher = Finisher();
  EXPECT_EQ(finisher->Rollback(gid, evidence).finish, Finish::kDone);
  EXPECT_FALSE(RowExists(1));
  EXPECT_EQ(finisher->Rollback(gid, evidence).finish, Finish::kDone);
  EXPECT_EQ(finisher->Rollback(gid, "").finish, Finish::kDone);
}

TEST_F(PostgresFinish, WhatADbaDidByHandIsSeen) {
  struct Case {
    const char* by_hand;
    Decision decision;
    Finish finish;
  };
  const Case cases[] = {
      {"COMMIT", Decision::kCommit, Finish::kDone},
      {"ROLLBACK", Decision::kCommit, Finish::kHeuristicRollback},
      {"ROLLBACK", Decision::kAbort, Finish::kDone},
      {"COMMIT", Decision::kAbort, Finish::kHeuristicCommit},
  };
  int key = 0;
  auto finisher = Finisher();
  for (const Case& c : cases) {
    Gid gid = NewGid();
    Evidence evidence = Prepared(gid, ++key);
    Sql(std::string(c.by_hand) + " PREPARED '" + ToString(gid) + "'");
    for (int time = 0; time < 2; ++time) {
      FinishAnswer answer = c.decision == Decision::kCommit
                                ? finisher->Commit(gid, evidence, JournalWord::kNothing)
                                : finisher->Rollback(gid, evidence);
      EXPECT_EQ(answer.finish, c.finish) << c.by_hand << " by hand, then: " << answer;
      EXPECT_FALSE(answer.session_lost);
    }
  }
}

// COMMIT of a gid that is not there, with nothing known of it.
FinishAnswer CommitUnknown(FinishSession& finisher, const Gid& gid) {
  return finisher.Commit(gid, "", JournalWord::kNothing);
}

TEST_F(PostgresFinish, AnUnknownIdIsNoSuccess) {
  auto finisher = Finisher();
  FinishAnswer answer = CommitUnknown(*finisher, NewGid());
  EXPECT_EQ(answer.finish, Finish::kHazard) << answer;
  EXPECT_EQ(answer.code, "42704");
}

#if defined(ASSENT_FAILPOINTS)
TEST_F(PostgresFinish, SeededBugUnknownIdIsSuccess) {
  auto finisher = Finisher();
  // The worst of it: rolled back by hand, and still taken for committed.
  Gid gid = NewGid();
  Evidence evidence = Prepared(gid, 1);
  Sql("ROLLBACK PREPARED '" + ToString(gid) + "'");
  ScopedMutant mutant(Mutant::kUnknownIdIsSuccess);
  EXPECT_EQ(CommitUnknown(*finisher, NewGid()).finish, Finish::kDone);
  EXPECT_EQ(finisher->Commit(gid, evidence, JournalWord::kNothing).finish, Finish::kDone);
  EXPECT_FALSE(RowExists(1));
}
#endif

TEST_F(PostgresFinish, TheJournalSpeaksWhereTheServerIsSilent) {
  auto finisher = Finisher();
  Gid gid = NewGid();
  Evidence evidence = Prepared(gid, 1);
  ASSERT_EQ(finisher->Rollback(gid, evidence).finish, Finish::kDone);
  // Older than the server's memory of transactions.
  Evidence forgotten = EvidenceWithXid(evidence, 100);
  for (const Evidence& silent : {Evidence(), forgotten}) {
    EXPECT_EQ(finisher->Commit(gid, silent, JournalWord::kNothing).finish, Finish::kHazard);
    EXPECT_EQ(finisher->Commit(gid, silent, JournalWord::kWill).finish, Finish::kDone);
    EXPECT_EQ(finisher->Commit(gid, silent, JournalWord::kDone).finish, Finish::kDone);
  }
  // The server's word weighs more than the journal's.
  EXPECT_EQ(finisher->Commit(gid, evidence, JournalWord::kWill).finish, Finish::kHeuristicRollback);
}

TEST_F(PostgresFinish, RollbackOfAnAbsentBranch) {
  auto finisher = Finisher();
  Gid gid = NewGid();
  Evidence evidence = Prepared(gid, 1);
  ASSERT_EQ(finisher->Commit(gid, evidence, JournalWord::kNothing).finish, Finish::kDone);
  EXPECT_EQ(finisher->Rollback(NewGid(), "").finish, Finish::kDone) << "never prepared";
  EXPECT_EQ(finisher->Rollback(gid, EvidenceWithXid(evidence, 100)).finish, Finish::kHazard);
  EXPECT_EQ(finisher->Rollback(gid, "what is this").finish, Finish::kHazard);
  EXPECT_EQ(finisher->Commit(gid, "what is this", JournalWord::kNothing).finish, Finish::kHazard);
}

TEST_F(PostgresFinish, AServerThatNeverReachedTheTransactionDidNotCommitIt) {
  auto finisher = Finisher();
  Evidence evidence = EvidenceWithXid(Prepared(NewGid(), 1), 1'000'000'000);
  EXPECT_EQ(finisher->Commit(NewGid(), evidence, JournalWord::kWill).finish,
            Finish::kHeuristicRollback);
  EXPECT_EQ(finisher->Rollback(NewGid(), evidence).finish, Finish::kDone);
}

TEST_F(PostgresFinish, CommittedOnAnotherTimelineIsNoProof) {
  auto finisher = Finisher();
  Gid gid = NewGid();
  Evidence evidence = Prepared(gid, 1);
  ASSERT_EQ(finisher->Commit(gid, evidence, JournalWord::kNothing).finish, Finish::kDone);
  size_t at = evidence.find(" tli=1");
  ASSERT_NE(at, std::string::npos);
  Evidence before = evidence.substr(0, at) + " tli=9";
  EXPECT_EQ(finisher->Commit(gid, before, JournalWord::kNothing).finish, Finish::kHazard);
  EXPECT_EQ(finisher->Commit(gid, before, JournalWord::kDone).finish, Finish::kDone);
  EXPECT_EQ(finisher->Rollback(gid, before).finish, Finish::kHazard);
}

TEST_F(PostgresFinish, AbsenceOnAnotherServerProvesNothing) {
  auto finisher = Finisher();
  Evidence evidence = Prepared(NewGid(), 1);
  Evidence elsewhere = "xid=800 sys=1234567 db=5 tli=1";
  FinishAnswer answer = finisher->Commit(NewGid(), elsewhere, JournalWord::kDone);
  EXPECT_EQ(answer.finish, Finish::kTransient) << answer;
  EXPECT_TRUE(answer.session_lost) << "the next session may reach the right one";
  EXPECT_EQ(Finisher()->Rollback(NewGid(), elsewhere).finish, Finish::kTransient);
}

TEST_F(PostgresFinish, ABusyBranchIsAskedAgain) {
  Gid gid = NewGid();
  Evidence evidence = Prepared(gid, 1);
  // COMMIT PREPARED waits for a replica that does not exist, and holds the branch meanwhile.
  Sql("ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
  Sql("SELECT pg_reload_conf()");
  ASSERT_TRUE(WaitUntil(std::chrono::seconds(20),
                        [] { return Scalar("SHOW synchronous_standby_names") == "nobody"; }));
  FinishAnswer first;
  std::thread holder([&] { first = Finisher()->Commit(gid, evidence, JournalWord::kNothing); });
  EXPECT_TRUE(WaitUntil(std::chrono::seconds(20), [] {
    return Scalar("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'") == "1";
  }));
  FinishAnswer commit = Finisher()->Commit(gid, evidence, JournalWord::kNothing);
  FinishAnswer rollback = Finisher()->Rollback(gid, evidence);
  Sql("ALTER SYSTEM RESET synchronous_standby_names");
  Sql("SELECT pg_reload_conf()");
  holder.join();
  EXPECT_EQ(commit.finish, Finish::kTransient) << commit;
  EXPECT_EQ(commit.code, "55000");
  EXPECT_EQ(rollback.finish, Finish::kTransient) << rollback;
  EXPECT_EQ(first.finish, Finish::kDone) << first;
  EXPECT_EQ(Finisher()->Commit(gid, evidence, JournalWord::kNothing).finish, Finish::kDone);
}

TEST_F(PostgresFinish, TwoSessionsThatCommitAtOnceAgree) {
  auto one = Finisher();
  auto two = Finisher();
  auto session = Work();
  for (int key = 1; key <= 60; ++key) {
    Gid gid = NewGid();
    Start(*session, gid);
    Execute(*session, "INSERT INTO t VALUES ($1, 0)", {int64_t{key}});
    Evidence evidence = PrepareYes(*session);
    auto commit = [&](FinishSession& finisher) {
      FinishAnswer answer = finisher.Commit(gid, evidence, JournalWord::kNothing);
      EXPECT_TRUE(answer.finish == Finish::kDone || answer.finish == Finish::kTransient) << answer;
      EXPECT_FALSE(answer.session_lost);
    };
    std::thread other([&] { commit(*one); });
    commit(*two);
    other.join();
    EXPECT_EQ(two->Commit(gid, evidence, JournalWord::kNothing).finish, Finish::kDone);
    EXPECT_TRUE(RowExists(key));
  }
}

TEST_F(PostgresFinish, AnotherRoleIsRefusedAndTheBranchKept) {
  Gid gid = NewGid();
  Evidence evidence = Prepared(gid, 1);  // As the superuser.
  auto finisher = Finisher(As("app"));
  FinishAnswer answer = finisher->Commit(gid, evidence, JournalWord::kNothing);
  EXPECT_EQ(answer.finish, Finish::kRefused) << answer;
  EXPECT_EQ(answer.code, "42501");
  EXPECT_EQ(finisher->Rollback(gid, evidence).finish, Finish::kRefused);
  EXPECT_TRUE(Listed(gid));
  EXPECT_THAT(RecoveredGids(*finisher), ElementsAre(gid)) << "listing needs no privilege";
}

TEST_F(PostgresFinish, AnOrdinaryRoleFinishesItsOwnBranches) {
  Gid gid = NewGid();
  Evidence evidence = Prepared(gid, 1, As("app"));
  auto finisher = Finisher(As("app"));
  EXPECT_EQ(finisher->Commit(gid, evidence, JournalWord::kNothing).finish, Finish::kDone);
  EXPECT_EQ(finisher->Commit(gid, evidence, JournalWord::kNothing).finish, Finish::kDone)
      << "evidence needs no privilege";
  EXPECT_TRUE(RowExists(1));
}

TEST_F(PostgresFinish, AnotherDatabaseIsRefusedAndSeesNothing) {
  Gid gid = NewGid();
  Evidence evidence = Prepared(gid, 1);
  ConnectOptions elsewhere = Options();
  elsewhere.database = "postgres";
  auto finisher = Finisher(elsewhere);
  FinishAnswer answer = finisher->Commit(gid, evidence, JournalWord::kNothing);
  EXPECT_EQ(answer.finish, Finish::kRefused) << answer;
  EXPECT_EQ(answer.code, "0A000");
  EXPECT_THAT(RecoveredGids(*finisher), IsEmpty());
  // Once it is gone, the other database's session is no judge of it either.
  Sql("ROLLBACK PREPARED '" + ToString(gid) + "'");
  answer = finisher->Commit(gid, evidence, JournalWord::kWill);
  EXPECT_EQ(answer.finish, Finish::kTransient) << answer;
  EXPECT_THAT(answer.detail, HasSubstr("prepared on sys="));
}

TEST_F(PostgresFinish, RecoverListsBranchesWithEvidenceAndAge) {
  EXPECT_THAT(RecoveredGids(*Finisher()), IsEmpty());
  Gid one = NewGid();
  Gid two = NewGid();
  Evidence of_one = Prepared(one, 1);
  Evidence of_two = Prepared(two, 2);
  auto branches = Finisher()->Recover();
  ASSERT_TRUE(branches.ok()) << branches.status().ToString();
  ASSERT_EQ(branches->size(), 2u);
  for (const PreparedBranch& branch : *branches) {
    EXPECT_TRUE(branch.gid == one || branch.gid == two);
    EXPECT_EQ(branch.evidence, branch.gid == one ? of_one : of_two) << "as voted";
    ASSERT_TRUE(branch.age.has_value());
    EXPECT_LT(branch.age->count(), 60);
  }
}

// A branch of another resource, another cluster and two of other programs, prepared.
struct Foreign {
  Gid resource;
  Gid cluster;
  std::vector<std::string> gids;
};

class PostgresForeign : public PostgresFinish {
 protected:
  static Foreign PrepareForeign() {
    Foreign foreign{.resource = NewGid("orders"), .cluster = NewGid(kResource, "testbank2")};
    foreign.gids = {ToString(foreign.resource), ToString(foreign.cluster), "somebody's own",
                    "assent:testbank.garbage:A.orders_pg.001.0001"};
    int key = 100;
    for (std::string gid : foreign.gids) {
      size_t quote = gid.find('\'');
      if (quote != std::string::npos) gid.insert(quote, "'");
      Sql("BEGIN; INSERT INTO t VALUES (" + std::to_string(++key) + ",0); PREPARE TRANSACTION '" +
          gid + "'");
    }
    return foreign;
  }
  static void ExpectUntouched(const Foreign& foreign) {
    EXPECT_EQ(Scalar("SELECT count(*) FROM pg_prepared_xacts"),
              std::to_string(foreign.gids.size()));
  }
};

TEST_F(PostgresForeign, BranchesAreNeitherReturnedNorTouched) {
  Foreign foreign = PrepareForeign();
  auto finisher = Finisher();
  EXPECT_THAT(RecoveredGids(*finisher), IsEmpty());
  for (const Gid& gid : {foreign.resource, foreign.cluster}) {
    EXPECT_EQ(finisher->Commit(gid, "", JournalWord::kNothing).finish, Finish::kRefused);
    EXPECT_EQ(finisher->Rollback(gid, "").finish, Finish::kRefused);
  }
  ExpectUntouched(foreign);
}

#if defined(ASSENT_FAILPOINTS)
TEST_F(PostgresForeign, SeededBugForeignBranchTouched) {
  Foreign foreign = PrepareForeign();
  auto finisher = Finisher();
  ScopedMutant mutant(Mutant::kForeignBranchTouched);
  EXPECT_THAT(RecoveredGids(*finisher), ElementsAre(foreign.resource));
  EXPECT_EQ(finisher->Rollback(foreign.resource, "").finish, Finish::kDone);
}
#endif

TEST_F(PostgresFinish, HandSqlWorksByHand) {
  auto resource = MakePostgres(Options());
  for (bool commit : {true, false}) {
    Gid gid = NewGid();
    Prepared(gid, commit ? 1 : 2);
    ResourceManager::ManualSql sql = resource->HandSql(gid);
    auto seen = Server().Query(sql.inspect);
    ASSERT_TRUE(seen.ok()) << seen.status().ToString();
    EXPECT_EQ(seen->size(), 1u);
    Sql(commit ? sql.commit : sql.rollback);
    EXPECT_FALSE(Listed(gid));
  }
  EXPECT_TRUE(RowExists(1));
  EXPECT_FALSE(RowExists(2));
}

}  // namespace
}  // namespace assent::adapters
