// The driver and its log: acting on what applying answers, leadership, refusals, END, snapshots.
#include "base/mutant.h"
#include "tests/coordinator/driver_fixture.h"

namespace assent::coordinator {
namespace {

using namespace std::chrono_literals;

class LogTest : public DriverTest {
 protected:
  // A pair of which both voted yes; the record is held by the log.
  Pair Propose(Pending<CommitAnswer>* commit, const std::string& key = "") {
    Pair pair = BeginPair(key);
    log_.mode = FakeLog::Mode::kHold;
    *commit = CommitPair(pair);
    EXPECT_EQ(log_.held.size(), 1u);
    return pair;
  }
};

TEST_F(LogTest, NothingIsServedBeforeTheOwnEntryIsApplied) {
  Boot();
  Pair pair = BeginPair();
  CommitPair(pair);
  Gtrid open = Begin();
  driver_ = std::make_unique<Driver>(limits_, clock_, codec_, [](Status) { FAIL(); });
  driver_->Attach(log_);
  FakeLog fresh;
  fresh.Append(1, codec_.Encode(GroupStart{
                      .cluster = "bank", .cluster_uuid = kUuid, .incarnation = kIncarnation}));
  driver_->OnLeadership(9, true);
  Pump();
  EXPECT_EQ(TryBegin().code(), Code::kUnavailable);
  EXPECT_EQ(TryBegin("key").refusal().reason, Reason::kNotLeader);
  EXPECT_EQ(Commit(open).code(), Code::kUnavailable);
  EXPECT_EQ(Rollback(open).code(), Code::kUnavailable);
  EXPECT_EQ(Forget(open).code(), Code::kUnavailable);
}

TEST_F(LogTest, NobodyHearsCommittedBeforeItIsApplied) {
  Boot();
  Pending<CommitAnswer> commit;
  Pair pair = Propose(&commit);
  log_.SayDurable();
  Pump();
  auto decided = Commit(pair.gtrid, false);
  EXPECT_FALSE(commit.answered());
  EXPECT_FALSE(decided.answered());
  EXPECT_EQ(pg_->ToldToCommit(pair.pg), 0u);
  log_.ApplyHeld();
  Pump();
  EXPECT_EQ(decided->outcome, Outcome::kCommitted);
  EXPECT_EQ(pg_->ToldToCommit(pair.pg), 1u);
}

// An entry that is durable but is applied under another term decides nothing.
TEST_F(LogTest, ADurableRecordThatApplyIgnoresIsAborted) {
  Boot();
  Pending<CommitAnswer> commit;
  Pair pair = Propose(&commit);
  log_.SayDurable();
  Pump();
  log_.ApplyHeld(log_.term() + 1);
  Pump();
  ASSERT_TRUE(commit.answered());
  EXPECT_EQ(commit->outcome, Outcome::kAborted);
  EXPECT_EQ(pg_->ToldToCommit(pair.pg), 0u);
  EXPECT_EQ(pg_->ToldToAbort(pair.pg), 1u);
}

TEST_F(LogTest, AKeyThatCommittedElsewhereAbortsTheLaterRecord) {
  Boot();
  Pending<CommitAnswer> commit;
  Pair pair = Propose(&commit, "order-1");
  Gtrid other = pair.gtrid;
  other.seq += 100;
  log_.ApplyFromOther(log_.term(),
                      codec_.Encode(Decision{.gtrid = other, .client_key = "order-1"}));
  log_.ApplyHeld();
  Pump();
  EXPECT_EQ(commit->outcome, Outcome::kAborted);
  EXPECT_EQ(commit->abort->cause, AbortCause::kKeyConflict);
}

TEST_F(LogTest, ARefusedProposalAborts) {
  Boot();
  Pair pair = BeginPair();
  log_.mode = FakeLog::Mode::kRefuse;
  auto commit = CommitPair(pair);
  EXPECT_EQ(commit->outcome, Outcome::kAborted);
  EXPECT_EQ(commit->abort->cause, AbortCause::kLogRefused);
  EXPECT_EQ(pg_->ToldToAbort(pair.pg), 1u);
}

TEST_F(LogTest, TimeAndVotesCanNotAbortWhatIsProposed) {
  Boot();
  Pending<CommitAnswer> commit;
  Pair pair = Propose(&commit);
  Pass(limits_.prepare_timeout);
  Pass(limits_.transaction_timeout);
  VoteOn(*pg_, pair.pg, Vote::kNo);
  Rollback(pair.gtrid);
  EXPECT_FALSE(commit.answered());
  EXPECT_EQ(pg_->ToldToAbort(pair.pg), 0u);
  EXPECT_EQ(Ask(*pg_, pair.pg), AgentAnswer::kPending);
  log_.ApplyHeld();
  Pump();
  EXPECT_EQ(pg_->ToldToCommit(pair.pg), 1u);
}

TEST_F(LogTest, InDoubtIsSettledOnlyByWhatIsAppliedLater) {
  Boot();
  Pending<CommitAnswer> committed;
  Pair first = Propose(&committed);
  Pending<CommitAnswer> aborted;
  auto one = log_.held.front();
  log_.held.clear();
  Pair second = Propose(&aborted);
  one.done(txlog::Fate::kInDoubt);
  log_.DropHeld(txlog::Fate::kInDoubt);
  Pump();
  EXPECT_FALSE(committed.answered());
  EXPECT_FALSE(aborted.answered());
  // The first one made it after all; then an entry of a later term closes the matter.
  log_.ApplyFromOther(one.term, one.record);
  log_.ApplyFromOther(one.term + 1);
  Pump();
  EXPECT_EQ(pg_->ToldToCommit(first.pg), 1u);
  EXPECT_EQ(aborted->outcome, Outcome::kAborted);
  EXPECT_EQ(pg_->ToldToCommit(second.pg), 0u);
}

TEST_F(LogTest, ASnapshotOfALaterTermSettlesWhatWasProposed) {
  Boot();
  Pending<CommitAnswer> committed;
  Pair first = Propose(&committed);
  auto one = log_.held.front();
  log_.held.clear();
  Pending<CommitAnswer> aborted;
  Pair second = Propose(&aborted);
  DecisionTable other(limits_.table);
  other.Apply(1, GroupStart{.cluster = "bank", .cluster_uuid = kUuid, .incarnation = kIncarnation});
  EXPECT_EQ(other.Apply(one.term, std::get<Decision>(*codec_.Decode(one.record))),
            ApplyAnswer::kAccepted);
  driver_->OnSnapshot(10, one.term + 1, codec_.EncodeState(other.state()));
  Pump();
  EXPECT_EQ(pg_->ToldToAbort(first.pg), 0u);
  EXPECT_EQ(Commit(first.gtrid, false)->outcome, Outcome::kCommitted);
  EXPECT_EQ(aborted->outcome, Outcome::kAborted);
}

TEST_F(LogTest, LosingLeadershipDestroysEveryLiveTransaction) {
  Boot();
  Pair active = BeginPair();
  Pair preparing = BeginPair();
  auto waiting = Commit(preparing.gtrid);
  Pending<CommitAnswer> proposed;
  Pair deciding = Propose(&proposed);
  Term term = log_.term();
  log_.Lose(term + 1);
  Pump();
  EXPECT_EQ(waiting.code(), Code::kUnavailable);
  EXPECT_EQ(proposed->outcome, Outcome::kUnknown);
  EXPECT_EQ(pg_->told.leadership, (LeadershipNews{term + 1, false}));
  EXPECT_EQ(TryBegin().code(), Code::kUnavailable);
  EXPECT_EQ(Ask(*pg_, active.pg), AgentAnswer::kRetry);

  // The next leader's no-op, then this node leads again: what was alive is aborted for good.
  log_.held.clear();
  log_.mode = FakeLog::Mode::kApply;
  log_.ApplyFromOther(term + 1);
  log_.Win(term + 2);
  log_.ApplyNoop();
  Pump();
  EXPECT_EQ(pg_->told.leadership, (LeadershipNews{term + 2, true}));
  EXPECT_EQ(Ask(*pg_, active.pg), AgentAnswer::kAbort);
  for (const Pair& pair : {active, preparing, deciding}) {
    auto commit = Commit(pair.gtrid);
    VoteOn(*pg_, pair.pg, Vote::kYes);
    VoteOn(*my_, pair.my, Vote::kYes);
    ASSERT_TRUE(commit.answered());
    EXPECT_EQ(commit->outcome, Outcome::kAborted);
    EXPECT_EQ(pg_->ToldToCommit(pair.pg), 0u);
  }
}

TEST_F(LogTest, ANewLeaderFinishesWhatTheOldOneDecided) {
  Boot();
  Pair pair = BeginPair();
  auto commit = CommitPair(pair);
  Term term = log_.term();
  log_.Lose(term + 1);
  Pump();
  EXPECT_EQ(commit->outcome, Outcome::kCommitted);
  EXPECT_FALSE(commit->applied);
  size_t told = pg_->ToldToCommit(pair.pg);
  Pass(limits_.resend);
  EXPECT_EQ(pg_->ToldToCommit(pair.pg), told);  // Not while another leads.
  log_.Win(term + 2);
  Pump();
  EXPECT_EQ(pg_->ToldToCommit(pair.pg), told);  // Not before its own entry is applied.
  log_.ApplyNoop();
  Pump();
  EXPECT_EQ(pg_->ToldToCommit(pair.pg), told + 1);
}

TEST_F(LogTest, EndsAreWrittenTogetherAndLazily) {
  Boot();
  std::vector<Pair> pairs;
  for (int i = 0; i < 5; ++i) {
    pairs.push_back(BeginPair());
    CommitPair(pairs.back());
    Report(*pg_, pairs.back().pg);
    Report(*my_, pairs.back().my);
  }
  EXPECT_EQ(codec_.Count<End>(), 0u);
  EXPECT_EQ(List().transactions.size(), 5u);
  Pass(limits_.end_delay);
  EXPECT_EQ(codec_.Count<End>(), 1u);
  EXPECT_TRUE(List().transactions.empty());
  for (const Pair& pair : pairs) EXPECT_EQ(Get(pair.gtrid)->state, ViewState::kEnded);
}

// The log forces what is proposed together at once.
TEST_F(LogTest, EndsThatHaveWaitedGoWithTheNextDecision) {
  Boot();
  Pair first = BeginPair();
  CommitPair(first);
  Report(*pg_, first.pg);
  Report(*my_, first.my);
  CommitPair(BeginPair());
  EXPECT_EQ(codec_.Count<End>(), 0u) << "others may come that are forgotten in the same message";
  Pass(limits_.end_delay / 2);
  CommitPair(BeginPair());
  EXPECT_EQ(codec_.Count<End>(), 1u);
  EXPECT_EQ(Get(first.gtrid)->state, ViewState::kEnded);
  Pass(limits_.end_delay);
  EXPECT_EQ(codec_.Count<End>(), 1u) << "nothing is left to go alone";
}

TEST_F(LogTest, AFullBatchOfEndsIsWrittenAtOnce) {
  limits_.end_batch_max = 2;
  Boot();
  for (int i = 0; i < 4; ++i) {
    Pair pair = BeginPair();
    CommitPair(pair);
    Report(*pg_, pair.pg);
    Report(*my_, pair.my);
  }
  EXPECT_EQ(codec_.Count<End>(), 2u);
}

TEST_F(LogTest, ARefusedEndIsTriedAgain) {
  Boot();
  Pair pair = BeginPair();
  CommitPair(pair);
  log_.mode = FakeLog::Mode::kRefuse;
  Report(*pg_, pair.pg);
  Report(*my_, pair.my);
  Pass(limits_.end_delay);
  EXPECT_EQ(List().transactions.size(), 1u);
  log_.mode = FakeLog::Mode::kApply;
  Pass(1s);
  EXPECT_TRUE(List().transactions.empty());
}

TEST_F(LogTest, EndsThatGatheredWhileTheLogRefusedThemAreNotOneHugeRecord) {
  limits_.end_batch_max = 2;
  Boot();
  std::vector<Pair> pairs;
  for (int i = 0; i < 5; ++i) {
    pairs.push_back(BeginPair());
    CommitPair(pairs.back());
  }
  log_.mode = FakeLog::Mode::kRefuse;
  for (const Pair& pair : pairs) {
    Report(*pg_, pair.pg);
    Report(*my_, pair.my);
  }
  Pass(limits_.end_delay);
  const size_t refused = codec_.Count<End>();
  log_.mode = FakeLog::Mode::kApply;
  Pass(1s);
  EXPECT_EQ(codec_.Count<End>(), refused + 3);
  EXPECT_TRUE(List().transactions.empty());
}

TEST_F(LogTest, ARefusedHeuristicIsTriedAgain) {
  Boot();
  Pair pair = BeginPair();
  auto commit = CommitPair(pair);
  Report(*my_, pair.my);
  log_.mode = FakeLog::Mode::kRefuse;
  Report(*pg_, pair.pg, BranchViewState::kHazard, "no evidence");
  EXPECT_FALSE(commit.answered());
  log_.mode = FakeLog::Mode::kApply;
  Pass(1s);
  EXPECT_TRUE(commit->heuristic);
}

// One retry a second, whatever number of branches and repeats: a full disk stays full for hours.
TEST_F(LogTest, RefusedHeuristicsDoNotMultiply) {
  Boot();
  Pair pair = BeginPair();
  CommitPair(pair);
  log_.mode = FakeLog::Mode::kRefuse;
  for (int i = 0; i < 3; ++i) {
    Report(*pg_, pair.pg, BranchViewState::kHazard, "no evidence");
    Report(*my_, pair.my, BranchViewState::kHazard, "no evidence");
  }
  for (int i = 0; i < 5; ++i) Pass(1s);
  const size_t before = codec_.Count<Heuristic>();
  Pass(1s);
  EXPECT_EQ(codec_.Count<Heuristic>(), before + 2);
}

TEST_F(LogTest, WhatIsNotOnRecordYetIsNotForgotten) {
  Boot();
  Pair pair = BeginPair();
  CommitPair(pair);
  Report(*pg_, pair.pg, BranchViewState::kHazard, "no evidence");
  log_.mode = FakeLog::Mode::kRefuse;
  Report(*my_, pair.my, BranchViewState::kHeuristicRollback, "a DBA rolled it back");
  log_.mode = FakeLog::Mode::kApply;
  EXPECT_EQ(Forget(pair.gtrid).code(), Code::kUnavailable);
  Pass(1s);
  EXPECT_EQ(codec_.Count<Heuristic>(), 3u);
  EXPECT_FALSE(Forget(pair.gtrid).refused());
}

TEST_F(LogTest, ARefusedForgetSaysSo) {
  Boot();
  Pair pair = BeginPair();
  CommitPair(pair);
  Report(*my_, pair.my);
  Report(*pg_, pair.pg, BranchViewState::kHazard);
  log_.mode = FakeLog::Mode::kRefuse;
  EXPECT_EQ(Forget(pair.gtrid).code(), Code::kUnavailable);
  log_.mode = FakeLog::Mode::kApply;
  EXPECT_FALSE(Forget(pair.gtrid).refused());
}

TEST_F(LogTest, RetentionIsCountedInTicksOfTheLeader) {
  limits_.table.outcome_retention_ticks = 2;
  Boot();
  Pair pair = BeginPair();
  CommitPair(pair);
  Report(*pg_, pair.pg);
  Report(*my_, pair.my);
  Pass(limits_.end_delay);
  EXPECT_EQ(Commit(pair.gtrid)->outcome, Outcome::kCommitted);
  for (int i = 0; i < 4; ++i) Pass(limits_.tick);
  EXPECT_EQ(codec_.Count<Tick>(), 4u);
  EXPECT_EQ(Commit(pair.gtrid)->outcome, Outcome::kExpired);
  EXPECT_EQ(Get(pair.gtrid)->state, ViewState::kExpired);
  EXPECT_EQ(Ask(*pg_, pair.pg), AgentAnswer::kHazard);
  // An agent that was away all the time must not keep what it did for ever.
  pg_->told.forget.clear();
  Report(*pg_, pair.pg);
  EXPECT_TRUE(pg_->ToldToForget(pair.pg));
}

TEST_F(LogTest, ASnapshotCarriesEverythingAcrossARestart) {
  Boot();
  Pair unfinished = BeginPair("order-1");
  CommitPair(unfinished);
  Pair ended = BeginPair();
  CommitPair(ended);
  Report(*pg_, ended.pg);
  Report(*my_, ended.my);
  Pass(limits_.end_delay);
  log_.WantSnapshot();
  Pump();
  EXPECT_EQ(log_.snapshots(), 1u);
  Restart();
  EXPECT_EQ(Get(ended.gtrid)->state, ViewState::kEnded);
  EXPECT_EQ(Get(unfinished.gtrid)->state, ViewState::kCommitted);
  EXPECT_EQ(TryBegin("order-1")->gtrid, unfinished.gtrid);
}

TEST_F(LogTest, ARecordThatCanNotBeReadStopsTheNode) {
  Boot();
  auto commit = Commit(BeginPair().gtrid);
  log_.ApplyFromOther(log_.term(), "?");
  Pump();
  ASSERT_TRUE(fatal_);
  EXPECT_EQ(fatal_->code(), Code::kFailedPrecondition);
  EXPECT_NE(fatal_->message().find("log entry 3 "), std::string::npos) << fatal_->message();
  EXPECT_EQ(commit.code(), Code::kUnavailable);
  TryBegin();  // Nothing is handled any more, and nothing breaks.
}

// ---- Seeded bugs: what the tests above catch, shown to be caught
// ---------------------------------

#if defined(ASSENT_FAILPOINTS)

TEST_F(LogTest, MutantActOnDurabilityTellsALie) {
  ScopedMutant mutant(Mutant::kActOnDurability);
  Boot();
  Pending<CommitAnswer> commit;
  Pair pair = Propose(&commit);
  log_.SayDurable();
  Pump();
  ASSERT_TRUE(commit.answered());
  EXPECT_EQ(commit->outcome, Outcome::kCommitted);
  log_.ApplyHeld(log_.term() + 1);
  Pump();
  EXPECT_EQ(Ask(*pg_, pair.pg), AgentAnswer::kAbort) << "the client was told COMMITTED";
}

TEST_F(LogTest, MutantLiveKeptAcrossTermsCommitsWhatWasAnsweredAborted) {
  ScopedMutant mutant(Mutant::kLiveKeptAcrossTerms);
  Boot();
  Pair pair = BeginPair();
  Term term = log_.term();
  log_.Lose(term + 1);  // Whose leader answers ABORT for the older epoch.
  log_.Win(term + 2);
  log_.ApplyNoop();
  Pump();
  CommitPair(pair);
  EXPECT_EQ(pg_->ToldToCommit(pair.pg), 1u) << "decided twice, differently";
}

TEST_F(LogTest, MutantAbortWhileProposingSplitsTheTransaction) {
  ScopedMutant mutant(Mutant::kAbortWhileProposing);
  Boot();
  Pending<CommitAnswer> commit;
  Pair pair = Propose(&commit);
  EXPECT_EQ(Rollback(pair.gtrid)->outcome, Outcome::kAborted);
  EXPECT_EQ(pg_->ToldToAbort(pair.pg), 1u);
  log_.ApplyHeld();
  Pump();
  EXPECT_EQ(pg_->ToldToCommit(pair.pg), 1u) << "rolled back and committed";
}

#endif

}  // namespace
}  // namespace assent::coordinator
