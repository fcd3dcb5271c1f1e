// The vote: yes only for what the server lists.
#include <atomic>
#include <thread>

#include "tests/adapters/postgres_fixture.h"

namespace assent::adapters {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;
using testing::StartsWith;

class PostgresPrepare : public PostgresTest {
 protected:
  // The vote of a branch that runs these statements, none of which may fail.
  static PrepareAnswer VoteOf(const std::vector<std::string>& statements,
                              const StartOptions& options = {}) {
    auto session = Work();
    Gid gid = NewGid();
    Start(*session, gid, options);
    for (const std::string& sql : statements) Execute(*session, sql);
    PrepareAnswer answer = session->Prepare();
    EXPECT_EQ(Listed(gid), answer.vote == Vote::kYes) << answer.error;
    EXPECT_FALSE(answer.error.session_lost);
    // Whatever the vote, the session is free for the next branch.
    Start(*session, NewGid());
    Execute(*session, "SELECT 1");
    return answer;
  }
};

TEST_F(PostgresPrepare, YesCarriesTheTransactionAsEvidence) {
  auto session = Work();
  Gid gid = NewGid();
  Start(*session, gid);
  Execute(*session, "INSERT INTO t VALUES (1,1)");
  std::string xid = Execute(*session, "SELECT pg_current_xact_id()::text").rows.empty()
                        ? ""
                        : std::get<std::string>(
                              Execute(*session, "SELECT pg_current_xact_id()::text").rows[0][0]);
  Evidence evidence = PrepareYes(*session);
  EXPECT_THAT(evidence, StartsWith("xid=" + xid + " sys="));
  EXPECT_THAT(evidence, HasSubstr(*MakePostgres(Options())->Identity()));
  EXPECT_TRUE(Listed(gid));
  EXPECT_FALSE(RowExists(1));
}

TEST_F(PostgresPrepare, TheSessionIsFreeForTheNextBranch) {
  auto session = Work();
  std::vector<Gid> gids;
  for (int key = 1; key <= 3; ++key) {
    gids.push_back(NewGid());
    Start(*session, gids.back());
    Execute(*session, "INSERT INTO t VALUES ($1, 0)", {int64_t{key}});
    PrepareYes(*session);
  }
  for (const Gid& gid : gids) EXPECT_TRUE(Listed(gid));
}

TEST_F(PostgresPrepare, WhatChangesVotesYes) {
  Sql("INSERT INTO t VALUES (1,1)");
  EXPECT_EQ(VoteOf({"INSERT INTO t VALUES (2,2)"}).vote, Vote::kYes);
  EXPECT_EQ(VoteOf({"CREATE TABLE made (a int)"}).vote, Vote::kYes);
  EXPECT_EQ(VoteOf({"SELECT lo_create(0)"}).vote, Vote::kYes);
  EXPECT_EQ(VoteOf({"SELECT * FROM t WHERE k = 1 FOR UPDATE"}).vote, Vote::kYes);
  EXPECT_EQ(VoteOf({"WITH x AS (INSERT INTO t VALUES (3,3) RETURNING k) SELECT * FROM x"}).vote,
            Vote::kYes);
  EXPECT_EQ(VoteOf({"DO 'BEGIN INSERT INTO t VALUES (4,4); END'"}).vote, Vote::kYes);
}

TEST_F(PostgresPrepare, WhatOnlyReadsVotesReadOnly) {
  Sql("INSERT INTO t VALUES (1,1)");
  EXPECT_EQ(VoteOf({}).vote, Vote::kReadOnly);
  EXPECT_EQ(VoteOf({"SELECT * FROM t"}).vote, Vote::kReadOnly);
  EXPECT_EQ(VoteOf({"SELECT * FROM t"}, {.read_only = true}).vote, Vote::kReadOnly);
  EXPECT_EQ(VoteOf({"UPDATE t SET v = 2 WHERE k = 99"}).vote, Vote::kReadOnly);
  EXPECT_EQ(
      VoteOf({"SELECT * FROM t"}, {.isolation = Isolation::kSerializable, .read_only = true}).vote,
      Vote::kReadOnly);
}

TEST_F(PostgresPrepare, InDoubtAboutReadOnlyTheVoteIsYes) {
  // Locks that must outlast the vote.
  EXPECT_EQ(VoteOf({"LOCK TABLE t IN SHARE MODE"}).vote, Vote::kYes);
  EXPECT_EQ(VoteOf({"SELECT pg_advisory_xact_lock(1)"}).vote, Vote::kYes);
  // Work on another server leaves no transaction id here.
  Sql("CREATE FOREIGN DATA WRAPPER elsewhere");
  Sql("CREATE SERVER far FOREIGN DATA WRAPPER elsewhere");
  Sql("CREATE FOREIGN TABLE far_t (k int) SERVER far");
  EXPECT_EQ(VoteOf({"SELECT 1"}).vote, Vote::kYes);
  Sql("DROP FOREIGN DATA WRAPPER elsewhere CASCADE");
}

TEST_F(PostgresPrepare, WhatCannotBePreparedVotesNo) {
  Sql("CREATE FUNCTION tells() RETURNS void LANGUAGE plpgsql AS"
      " $$ BEGIN PERFORM pg_notify('channel', 'x'); END $$");
  Sql("CREATE FUNCTION hides() RETURNS void LANGUAGE plpgsql AS"
      " $$ BEGIN EXECUTE 'NOT' || 'IFY channel'; END $$");
  const std::vector<std::string> cases[] = {
      {"NOTIFY channel"},
      {"SELECT pg_notify('channel', 'x')"},
      {"SELECT tells()"},
      {"SELECT hides()"},
      {"INSERT INTO t VALUES (1,1)", "SELECT tells()"},
      {"LISTEN channel"},
      {"CREATE TEMP TABLE tmp (a int)"},
      {"CREATE TEMP TABLE tmp ON COMMIT DROP AS SELECT 1"},
      {"DECLARE c CURSOR WITH HOLD FOR SELECT 1"},
      {"INSERT INTO t VALUES (1,1)", "SELECT pg_export_snapshot()"},
  };
  for (const auto& statements : cases) {
    PrepareAnswer answer = VoteOf(statements);
    EXPECT_EQ(answer.vote, Vote::kNo) << statements.back();
    EXPECT_EQ(answer.error.cause, Cause::kNotPreparable) << statements.back() << answer.error;
    EXPECT_EQ(answer.error.code, "0A000");
  }
  Sql("DROP FUNCTION tells()");
  Sql("DROP FUNCTION hides()");
}

TEST_F(PostgresPrepare, ASavepointHidesNoWrite) {
  EXPECT_EQ(VoteOf({"SAVEPOINT a", "INSERT INTO t VALUES (1,1)", "RELEASE a"}).vote, Vote::kYes);
}

TEST_F(PostgresPrepare, DeferredConstraintsAreCheckedByTheVote) {
  Sql("CREATE TABLE child (k int REFERENCES t DEFERRABLE INITIALLY DEFERRED)");
  PrepareAnswer answer = VoteOf({"INSERT INTO child VALUES (99)"});
  EXPECT_EQ(answer.vote, Vote::kNo);
  EXPECT_EQ(answer.error.cause, Cause::kStatementFailed);
  EXPECT_EQ(answer.error.code, "23503");
  Sql("DROP TABLE child");
}

TEST_F(PostgresPrepare, SerializationFailureIsNamed) {
  Sql("INSERT INTO t VALUES (1,1),(2,2)");
  auto one = Work();
  auto two = Work();
  const StartOptions serializable{.isolation = Isolation::kSerializable};
  Start(*one, NewGid(), serializable);
  Start(*two, NewGid(), serializable);
  // Write skew: each reads what the other writes.
  Execute(*one, "SELECT sum(v) FROM t");
  Execute(*two, "SELECT sum(v) FROM t");
  Execute(*one, "UPDATE t SET v = 0 WHERE k = 1");
  Execute(*two, "UPDATE t SET v = 0 WHERE k = 2");
  PrepareYes(*one);
  PrepareAnswer answer = two->Prepare();
  EXPECT_EQ(answer.vote, Vote::kNo);
  EXPECT_EQ(answer.error.cause, Cause::kSerialization) << answer.error;
}

TEST_F(PostgresPrepare, ADuplicateGidIsRefusedAndTheFirstIsKept) {
  Gid gid = NewGid();
  Prepared(gid, 1);
  auto session = Work();
  Start(*session, gid);
  Execute(*session, "INSERT INTO t VALUES (2,2)");
  PrepareAnswer answer = session->Prepare();
  EXPECT_EQ(answer.vote, Vote::kNo);
  EXPECT_EQ(answer.error.cause, Cause::kDuplicateGid);
  ASSERT_TRUE(Listed(gid));
  EXPECT_EQ(Finisher()->Commit(gid, "", JournalWord::kNothing).finish, Finish::kDone);
  EXPECT_TRUE(RowExists(1));
  EXPECT_FALSE(RowExists(2));
}

TEST_F(PostgresPrepare, TheOwnerIsTheRoleThatFinishes) {
  auto session = Work();
  Gid gid = NewGid();
  Start(*session, gid);
  Execute(*session, "SET ROLE app");
  Execute(*session, "INSERT INTO t VALUES (1,1)");
  PrepareYes(*session);
  EXPECT_EQ(Scalar("SELECT owner FROM pg_prepared_xacts"), "postgres");
}

// What a failed transaction votes, with the server's own answer alone to go by.
Vote VoteOfFailedTransaction(WorkSession& session, const Gid& gid) {
  EXPECT_FALSE(session.Start(gid, {}).has_value());
  EXPECT_TRUE(
      std::holds_alternative<ResultSet>(session.Execute("INSERT INTO t VALUES (1,1)", {}, false)));
  EXPECT_TRUE(std::holds_alternative<WorkError>(session.Execute("SELECT nonsense", {}, false)));
  return session.Prepare().vote;
}

TEST_F(PostgresPrepare, AFailedTransactionVotesNo) {
  auto session = Work();
  Gid gid = NewGid();
  EXPECT_EQ(VoteOfFailedTransaction(*session, gid), Vote::kNo);
  EXPECT_FALSE(Listed(gid));
}

#if defined(ASSENT_FAILPOINTS)
TEST_F(PostgresPrepare, SeededBugFailedTransactionVotesYes) {
  auto session = Work();
  Gid gid = NewGid();
  ScopedMutant mutant(Mutant::kFailedTransactionVotesYes);
  EXPECT_EQ(VoteOfFailedTransaction(*session, gid), Vote::kYes);
  EXPECT_FALSE(Listed(gid)) << "a yes for a branch that does not exist is what the mutant shows";
}
#endif

TEST_F(PostgresPrepare, ALookUpThatFailsNeverVotesYes) {
  Sql("REVOKE SELECT ON pg_prepared_xacts FROM PUBLIC");
  ConnectOptions options = Options();
  options.user = "app";
  auto session = Work(options);
  Gid gid = NewGid();
  Start(*session, gid);
  Execute(*session, "INSERT INTO t VALUES (1,1)");
  PrepareAnswer answer = session->Prepare();
  Sql("GRANT SELECT ON pg_prepared_xacts TO PUBLIC");
  EXPECT_EQ(answer.vote, Vote::kNo);
  EXPECT_EQ(answer.error.cause, Cause::kPermission) << answer.error;
  EXPECT_TRUE(answer.error.session_lost) << "that is: the outcome is not known";
  EXPECT_TRUE(Listed(gid)) << "and here it was prepared";
}

TEST_F(PostgresPrepare, ACancelBehindPrepareDoesNotTurnTheVote) {
  // The look-up needs pg_database and so waits for this lock, while the branch is prepared already.
  // So would every new connection: the sessions are opened before.
  auto blocker = Work();
  auto observer = Work();
  auto session = Work();
  Gid gid = NewGid();
  Start(*session, gid);
  Execute(*session, "INSERT INTO t VALUES (1,1)");
  const ResultSet pid = Execute(*session, "SELECT pg_backend_pid()");
  Start(*observer, NewGid());
  Start(*blocker, NewGid());
  Execute(*blocker, "LOCK TABLE pg_database IN ACCESS EXCLUSIVE MODE");
  bool waited = false;
  std::thread canceller([&] {
    waited = test_support::WaitUntil(std::chrono::seconds(20), [&] {
      return !Execute(*observer,
                      // Others wait for it too: autovacuum, whenever it starts.
                      "SELECT 1 FROM pg_locks WHERE NOT granted AND pid = $1"
                      " AND relation = 'pg_database'::regclass",
                      pid.rows.at(0))
                  .rows.empty();
    });
    session->Cancel();
    EXPECT_TRUE(blocker->Rollback());
  });
  PrepareAnswer answer = session->Prepare();
  canceller.join();
  EXPECT_TRUE(waited);
  EXPECT_EQ(answer.vote, Vote::kYes) << answer.error;
  EXPECT_TRUE(Listed(gid));
  auto branches = Finisher()->Recover();
  ASSERT_TRUE(branches.ok());
  ASSERT_EQ(branches->size(), 1u);
  EXPECT_EQ(branches->front().evidence, answer.evidence);
}

// PREPARE then succeeds with a mere warning, but a failover would lose the branch.
TEST_F(PostgresPrepare, AWaitForTheStandbyBrokenOffIsNoYes) {
  auto session = Work();
  Gid gid = NewGid();
  Start(*session, gid);
  Execute(*session, "INSERT INTO t VALUES (1,1)");
  Execute(*session, "SET client_min_messages = error");
  Sql("ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
  Sql("SELECT pg_reload_conf()");
  ASSERT_TRUE(test_support::WaitUntil(std::chrono::seconds(20), [] {
    return Scalar("SHOW synchronous_standby_names") == "nobody";
  }));
  std::thread canceller([&] {
    EXPECT_TRUE(test_support::WaitUntil(std::chrono::seconds(20), [] {
      return Scalar("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'") == "1";
    }));
    session->Cancel();
  });
  PrepareAnswer answer = session->Prepare();
  canceller.join();
  Sql("ALTER SYSTEM RESET synchronous_standby_names");
  Sql("SELECT pg_reload_conf()");
  ASSERT_TRUE(test_support::WaitUntil(
      std::chrono::seconds(20), [] { return Scalar("SHOW synchronous_standby_names").empty(); }));
  EXPECT_EQ(answer.vote, Vote::kNo);
  EXPECT_EQ(answer.error.cause, Cause::kUnavailable) << answer.error;
  EXPECT_TRUE(answer.error.session_lost) << "the recovery scan has to look";
  EXPECT_TRUE(Listed(gid));
}

// Cancels that arrive at any moment, also between PREPARE and the look-up, never part the vote from
// what the server lists.
TEST_F(PostgresPrepare, TheVoteIsTrueUnderCancels) {
  // PREPARE takes less time than a cancel needs to arrive, so by luck alone none may ever hit.
  // A deferred trigger that sleeps runs inside PREPARE.
  Sql("CREATE TABLE slow (id int)");
  Sql("CREATE FUNCTION sleep_a_little() RETURNS trigger LANGUAGE plpgsql AS "
      "'BEGIN PERFORM pg_sleep(0.05); RETURN NULL; END'");
  Sql("CREATE CONSTRAINT TRIGGER sleeps AFTER INSERT ON slow DEFERRABLE INITIALLY DEFERRED "
      "FOR EACH ROW EXECUTE FUNCTION sleep_a_little()");
  int yes = 0;
  int no = 0;
  int unknown = 0;
  // On a machine so busy that no cancel arrives in time, go on until one does.
  for (int round = 0; round < 50 || (no + unknown == 0 && round < 500); ++round) {
    auto session = Work();  // A new one: a cancel may come late and hit the next verb.
    Gid gid = NewGid();
    Start(*session, gid);
    Execute(*session, "INSERT INTO t VALUES ($1, 0)", {int64_t{1000 + round}});
    if (round % 4 == 0) Execute(*session, "INSERT INTO slow VALUES (1)");
    std::atomic<int> cancels = 0;
    std::atomic<bool> stop = false;
    std::thread canceller([&] {
      while (!stop) {
        session->Cancel();
        ++cancels;
      }
    });
    // Half of the rounds begin in the midst of the cancels.
    if (round % 2 == 0) {
      while (cancels == 0) std::this_thread::yield();
    }
    PrepareAnswer answer = session->Prepare();
    stop = true;
    canceller.join();
    if (answer.error.session_lost) {
      ++unknown;
      EXPECT_EQ(answer.vote, Vote::kNo);
      continue;
    }
    ASSERT_EQ(Listed(gid), answer.vote == Vote::kYes) << answer.error;
    if (answer.vote == Vote::kYes) {
      ++yes;
      Sql("ROLLBACK PREPARED '" + ToString(gid) + "'");
    } else {
      ++no;
      EXPECT_EQ(answer.error.code, "57014") << answer.error;
    }
  }
  Sql("DROP TABLE slow");
  Sql("DROP FUNCTION sleep_a_little");
  RecordProperty("yes", yes);
  RecordProperty("no", no);
  RecordProperty("unknown", unknown);
  EXPECT_GT(no + unknown, 0) << "no cancel has hit";
}

}  // namespace
}  // namespace assent::adapters
