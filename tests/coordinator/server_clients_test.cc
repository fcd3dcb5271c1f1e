// What clients of the driver hear: Begin, Commit, Rollback, retries, keys, limits.
#include "tests/coordinator/driver_fixture.h"

namespace assent::coordinator {
namespace {

using namespace std::chrono_literals;

class ClientsTest : public DriverTest {};

TEST_F(ClientsTest, CommitIsAnsweredOnceEveryBranchIsDone) {
  Boot();
  Pair pair = BeginPair();
  auto commit = Commit(pair.gtrid);
  EXPECT_TRUE(pg_->ToldToPrepare(pair.pg));
  EXPECT_TRUE(my_->ToldToPrepare(pair.my));
  VoteOn(*pg_, pair.pg, Vote::kYes, "xid:1");
  EXPECT_EQ(codec_.Count<Decision>(), 0u);
  VoteOn(*my_, pair.my, Vote::kYes);
  EXPECT_EQ(codec_.Count<Decision>(), 1u);
  EXPECT_EQ(pg_->ToldToCommit(pair.pg), 1u);
  EXPECT_EQ(pg_->told.finishes.back().evidence, "xid:1");
  Report(*pg_, pair.pg);
  EXPECT_FALSE(commit.answered());
  Report(*my_, pair.my);
  ASSERT_TRUE(commit.answered());
  EXPECT_EQ(commit->outcome, Outcome::kCommitted);
  EXPECT_TRUE(commit->applied);
  EXPECT_TRUE(commit->pending.empty());
}

TEST_F(ClientsTest, DecidedIsAnsweredBeforeAnyBranchIsDone) {
  Boot();
  Pair pair = BeginPair();
  auto commit = CommitPair(pair, /*for_applied=*/false);
  ASSERT_TRUE(commit.answered());
  EXPECT_EQ(commit->outcome, Outcome::kCommitted);
  EXPECT_FALSE(commit->applied);
  EXPECT_EQ(commit->pending.size(), 2u);
}

TEST_F(ClientsTest, ApplyWaitEndsWithThePendingBranchesAndWhatTheyWaitFor) {
  Boot();
  Pair pair = BeginPair();
  auto commit = CommitPair(pair);
  Report(*pg_, pair.pg);
  Report(*my_, pair.my, BranchViewState::kCommitting, "connection refused");
  Pass(limits_.apply_wait - 1ms);
  EXPECT_FALSE(commit.answered());
  Pass(1ms);
  ASSERT_TRUE(commit.answered());
  EXPECT_EQ(commit->outcome, Outcome::kCommitted);
  EXPECT_FALSE(commit->applied);
  ASSERT_EQ(commit->pending.size(), 1u);
  EXPECT_EQ(commit->pending[0].gid, pair.my);
  EXPECT_EQ(commit->pending[0].reason, "connection refused");

  Disconnect(*my_);
  auto again = Commit(pair.gtrid, false);
  EXPECT_EQ(again->pending.at(0).reason, "no agent of resource my is connected");
}

TEST_F(ClientsTest, EveryCommitOfOneTransactionHearsTheSame) {
  Boot();
  Pair pair = BeginPair();
  auto first = Commit(pair.gtrid);
  auto second = Commit(pair.gtrid);
  EXPECT_EQ(pg_->told.prepares.size(), 1u);
  VoteOn(*pg_, pair.pg, Vote::kYes);
  auto third = Commit(pair.gtrid);
  VoteOn(*my_, pair.my, Vote::kYes);
  auto fourth = Commit(pair.gtrid);  // Phase two runs.
  Report(*pg_, pair.pg);
  Report(*my_, pair.my);
  auto late = Commit(pair.gtrid);
  Pass(1s);  // END is on record.
  auto later = Commit(pair.gtrid);
  for (auto* commit : {&first, &second, &third, &fourth, &late, &later}) {
    ASSERT_TRUE(commit->answered());
    EXPECT_EQ((*commit)->outcome, Outcome::kCommitted);
    EXPECT_TRUE((*commit)->applied);
  }
}

TEST_F(ClientsTest, CommitWithoutBranchesOrWritesNeedsNoRecord) {
  Boot();
  auto empty = Commit(Begin());
  EXPECT_EQ(empty->outcome, Outcome::kCommitted);
  EXPECT_TRUE(empty->applied);

  Pair pair = BeginPair();
  auto reading = Commit(pair.gtrid);
  VoteOn(*pg_, pair.pg, Vote::kReadOnly);
  VoteOn(*my_, pair.my, Vote::kReadOnly);
  EXPECT_EQ(reading->outcome, Outcome::kCommitted);
  EXPECT_TRUE(reading->applied);
  EXPECT_EQ(codec_.Count<Decision>(), 0u);
  EXPECT_TRUE(pg_->told.finishes.empty());
}

TEST_F(ClientsTest, ANoVoteAbortsAndItsCauseIsHeardAgain) {
  Boot();
  Pair pair = BeginPair();
  auto commit = Commit(pair.gtrid);
  VoteOn(*pg_, pair.pg, Vote::kYes);
  Say(*my_, {.votes = {{.gid = pair.my,
                        .vote = Vote::kNo,
                        .failure = {.cause = 2, .database_code = "1213", .message = "deadlock"}}}});
  EXPECT_EQ(pg_->ToldToAbort(pair.pg), 1u);
  auto again = Commit(pair.gtrid);
  auto rollback = Rollback(pair.gtrid);
  for (const CommitAnswer* answer : {&*commit, &*again}) {
    EXPECT_EQ(answer->outcome, Outcome::kAborted);
    ASSERT_TRUE(answer->abort);
    EXPECT_EQ(answer->abort->cause, AbortCause::kBranchVotedNo);
    EXPECT_EQ(answer->abort->gid, pair.my);
    EXPECT_EQ(answer->abort->failure.database_code, "1213");
  }
  EXPECT_EQ(rollback->outcome, Outcome::kAborted);
  EXPECT_EQ(codec_.Count<Decision>(), 0u);
  EXPECT_EQ(Get(pair.gtrid)->state, ViewState::kAborted);
}

TEST_F(ClientsTest, OnlyTheNewestAbortCausesAreRemembered) {
  limits_.remembered_aborts_max = 2;
  Boot();
  std::vector<Gtrid> gtrids;
  for (int i = 0; i < 3; ++i) {
    gtrids.push_back(Begin());
    Rollback(gtrids.back());
  }
  EXPECT_EQ(Commit(gtrids[0])->abort->cause, AbortCause::kPresumed);
  EXPECT_EQ(Commit(gtrids[1])->abort->cause, AbortCause::kClientRollback);
  EXPECT_EQ(Commit(gtrids[2])->abort->cause, AbortCause::kClientRollback);
}

TEST_F(ClientsTest, RollbackAbortsAndTellsTheAgents) {
  Boot();
  Pair pair = BeginPair();
  auto rollback = Rollback(pair.gtrid);
  EXPECT_EQ(rollback->outcome, Outcome::kAborted);
  EXPECT_EQ(pg_->ToldToAbort(pair.pg), 1u);
  EXPECT_EQ(my_->ToldToAbort(pair.my), 1u);
  EXPECT_EQ(Commit(pair.gtrid)->outcome, Outcome::kAborted);
}

TEST_F(ClientsTest, RollbackHearsUnknownWhileTheDecisionIsUnderWayAndThenCommitted) {
  Boot();
  Pair pair = BeginPair();
  log_.mode = FakeLog::Mode::kHold;
  auto commit = CommitPair(pair);
  EXPECT_EQ(Rollback(pair.gtrid)->outcome, Outcome::kUnknown);
  log_.ApplyHeld();
  Pump();
  EXPECT_EQ(Rollback(pair.gtrid)->outcome, Outcome::kCommitted);
  Report(*pg_, pair.pg);
  Report(*my_, pair.my);
  EXPECT_EQ(commit->outcome, Outcome::kCommitted);
}

TEST_F(ClientsTest, AVanishedClientsTransactionIsRolledBackAtItsDeadline) {
  Boot();
  Pair pair = BeginPair();
  Pass(limits_.transaction_timeout);
  EXPECT_EQ(pg_->ToldToAbort(pair.pg), 1u);
  auto commit = Commit(pair.gtrid);
  EXPECT_EQ(commit->outcome, Outcome::kAborted);
  EXPECT_EQ(commit->abort->cause, AbortCause::kDeadlinePassed);
}

TEST_F(ClientsTest, BeginAsksForAtMostTheLongestTimeout) {
  Boot();
  auto refused = TryBegin("", limits_.transaction_timeout_max + 1ms);
  EXPECT_EQ(refused.code(), Code::kInvalidArgument);
  auto begun = TryBegin("", 5s);
  EXPECT_EQ(begun->remaining, Duration(5s));
}

TEST_F(ClientsTest, BeyondTheMostLiveTransactionsBeginIsRefusedWithADelay) {
  limits_.live_transactions_max = 2;
  Boot();
  Gtrid first = Begin();
  Begin();
  auto refused = TryBegin();
  EXPECT_EQ(refused.code(), Code::kResourceExhausted);
  EXPECT_EQ(refused.refusal().reason, Reason::kLimit);
  EXPECT_GT(refused.refusal().retry_delay_ms, 0u);
  Rollback(first);
  EXPECT_FALSE(TryBegin().refused());
}

TEST_F(ClientsTest, OnlySoManyCommitsMayWaitForOneTransaction) {
  limits_.waiters_max = 1;
  Boot();
  Pair pair = BeginPair();
  auto first = Commit(pair.gtrid);
  EXPECT_EQ(Commit(pair.gtrid).code(), Code::kResourceExhausted);
  EXPECT_FALSE(first.answered());
}

TEST_F(ClientsTest, AFullQueueTakesNoMoreCalls) {
  limits_.queue_max = 1;
  Boot();
  EXPECT_TRUE(driver_->TryPost(StatusCall{[](Answer<StatusAnswer>) {}}));
  EXPECT_FALSE(driver_->TryPost(StatusCall{[](Answer<StatusAnswer>) {}}));
}

TEST_F(ClientsTest, ForeignAndNeverIssuedGtridsAreRefusedByName) {
  Boot();
  Gtrid ours = Begin();
  Gtrid foreign = ours;
  foreign.cluster = "other";
  auto commit = Commit(foreign);
  EXPECT_EQ(commit.code(), Code::kFailedPrecondition);
  EXPECT_EQ(commit.refusal().reason, Reason::kForeignGtrid);
  EXPECT_NE(commit.refusal().status.message().find("cluster other"), std::string::npos);
  EXPECT_EQ(Rollback(foreign).refusal().reason, Reason::kForeignGtrid);
  EXPECT_EQ(Get(foreign).refusal().reason, Reason::kForeignGtrid);

  Gtrid never = ours;
  ++never.seq;
  EXPECT_EQ(Commit(never).code(), Code::kNotFound);
  Gtrid future = ours;
  ++future.epoch;
  EXPECT_EQ(Commit(future).code(), Code::kUnavailable);
  EXPECT_NE(Commit(future).refusal().status.message().find("term 3"), std::string::npos);

  Gtrid restored = ours;
  ++restored.incarnation;
  EXPECT_EQ(Commit(restored)->outcome, Outcome::kUnknown);
}

TEST_F(ClientsTest, ARepeatedCommitHearsTheSameAfterARestart) {
  Boot();
  Pair committed = BeginPair();
  CommitPair(committed);
  Pair aborted = BeginPair();
  Rollback(aborted.gtrid);
  Pair open = BeginPair();
  Restart();
  auto again = Commit(committed.gtrid, false);
  EXPECT_EQ(again->outcome, Outcome::kCommitted);
  EXPECT_FALSE(again->applied);
  EXPECT_EQ(Commit(aborted.gtrid)->outcome, Outcome::kAborted);
  auto presumed = Commit(open.gtrid);
  EXPECT_EQ(presumed->outcome, Outcome::kAborted);
  EXPECT_EQ(presumed->abort->cause, AbortCause::kPresumed);
}

TEST_F(ClientsTest, AClientKeyNamesOneTransaction) {
  Boot();
  Pair pair = BeginPair("order-1");
  auto live = TryBegin("order-1");
  EXPECT_EQ(live.code(), Code::kAlreadyExists);
  EXPECT_EQ(live.refusal().reason, Reason::kKeyInUse);
  EXPECT_EQ(live.refusal().gtrid, ToString(pair.gtrid));
  CommitPair(pair);
  auto decided = TryBegin("order-1");
  EXPECT_TRUE(decided->committed_before);
  EXPECT_EQ(decided->gtrid, pair.gtrid);
  Restart();
  EXPECT_EQ(TryBegin("order-1")->gtrid, pair.gtrid);

  Gtrid aborted = Begin("order-2");
  Rollback(aborted);
  EXPECT_NE(Begin("order-2"), aborted);
}

TEST_F(ClientsTest, BeyondTheMostKeysBeginWithAKeyIsRefused) {
  limits_.table.keys_max = 1;
  Boot();
  Begin("a");
  auto refused = TryBegin("b");
  EXPECT_EQ(refused.code(), Code::kResourceExhausted);
  EXPECT_FALSE(TryBegin().refused());
}

TEST_F(ClientsTest, ListShowsWhatIsAliveAndWhatIsUnfinishedOldestFirst) {
  Boot();
  Pair unfinished = BeginPair();
  CommitPair(unfinished);
  Pair active = BeginPair();
  ListAnswer list = List();
  ASSERT_EQ(list.transactions.size(), 2u);
  EXPECT_EQ(list.transactions[0].gtrid, unfinished.gtrid);
  EXPECT_EQ(list.transactions[0].state, ViewState::kCommitted);
  EXPECT_EQ(list.transactions[0].branches.at(0).state, BranchViewState::kCommitting);
  EXPECT_EQ(list.transactions[0].branches.at(0).evidence, "xid:1");
  EXPECT_EQ(list.transactions[1].state, ViewState::kActive);
  EXPECT_EQ(list.transactions[1].label, "label");
  EXPECT_EQ(list.transactions[1].branches.at(1).agent, "agent-my");

  Pending<ListAnswer> page;
  driver_->Post(ListCall{.limit = 1, .after = std::nullopt, .reply = page.reply()});
  Pump();
  EXPECT_TRUE(page->more);
  Pending<ListAnswer> rest;
  driver_->Post(ListCall{
      .limit = 1, .states = {}, .after = page->transactions.at(0).gtrid, .reply = rest.reply()});
  Pump();
  EXPECT_FALSE(rest->more);
  EXPECT_EQ(rest->transactions.at(0).gtrid, active.gtrid);
  Pending<ListAnswer> only;
  driver_->Post(ListCall{.states = {ViewState::kActive}, .reply = only.reply()});
  Pump();
  EXPECT_EQ(only->transactions.size(), 1u);
}

// UNAVAILABLE says that nothing was done, and this may still commit.
TEST_F(ClientsTest, StoppingLeavesOpenWhatIsProposed) {
  Boot();
  Pair pair = BeginPair();
  log_.mode = FakeLog::Mode::kHold;
  auto commit = CommitPair(pair);
  driver_->Stop();
  driver_->Run();
  ASSERT_FALSE(commit.refused());
  EXPECT_EQ(commit->outcome, Outcome::kUnknown);
}

TEST_F(ClientsTest, StoppingAnswersWhoeverWaits) {
  Boot();
  Pair deciding = BeginPair();
  Pair finishing = BeginPair();
  auto waiting = Commit(deciding.gtrid);
  auto decided = CommitPair(finishing);
  driver_->Stop();
  driver_->Run();
  EXPECT_EQ(waiting.code(), Code::kUnavailable);
  EXPECT_EQ(decided->outcome, Outcome::kCommitted);
  EXPECT_TRUE(pg_->closed);
  EXPECT_FALSE(driver_->TryPost(StatusCall{[](Answer<StatusAnswer>) {}}));
}

}  // namespace
}  // namespace assent::coordinator
