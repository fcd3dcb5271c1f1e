// Branches that the application holds (docs/protocols.md section 5): who is asked about them, who
// ends them, and how long the application has for it.
#include "base/mutant.h"
#include "tests/coordinator/driver_fixture.h"

namespace assent::coordinator {
namespace {

using namespace std::chrono_literals;

// A branch of the application on `pg`, and an agent-held one on `my`.
class AppHeldTest : public DriverTest {
 protected:
  void Prepare(Finisher finisher) {
    if (!pg_) pg_ = Connect("agent-pg", {"pg"});
    if (!my_) my_ = Connect("agent-my", {"my"});
    std::vector<Gid> gids = BeginWith({{"pg", EndedBy(finisher)}, {"my", std::nullopt}});
    ASSERT_EQ(gids.size(), 2u);
    app_ = gids[0];
    held_ = gids[1];
  }
  Pending<CommitAnswer> CommitBoth(bool for_applied = true) {
    return Commit(app_.gtrid, for_applied,
                  {{.gid = app_, .agent_incarnation = 1, .evidence = "conn=4711"},
                   {.gid = held_, .agent_incarnation = 1}});
  }
  // Every branch that Get shows as committed.
  size_t CountCommitted() {
    size_t count = 0;
    const TransactionView view = *Get(app_.gtrid);
    for (const BranchView& branch : view.branches) {
      count += branch.state == BranchViewState::kCommitted ? 1 : 0;
    }
    return count;
  }

  Gid app_;
  Gid held_;
};

// ---- Who is asked
// ---------------------------------------------------------------------------------

TEST_F(AppHeldTest, EveryOrderSaysWhatTheAgentMustKnowOfTheSession) {
  Boot();
  Prepare(Finisher::kApp);
  Pass(300ms);
  auto commit = Commit(app_.gtrid);
  ASSERT_TRUE(pg_->ToldToPrepare(app_));
  AppHeldNews news = EndedBy(Finisher::kApp);
  news.age = 300ms;
  EXPECT_EQ(pg_->told.prepares[0].app_held, news);
  Pass(200ms);
  VoteOn(*my_, held_, Vote::kNo);
  ASSERT_EQ(pg_->ToldToAbort(app_), 1u);
  news.age = 500ms;
  EXPECT_EQ(pg_->told.finishes[0].app_held, news);
  EXPECT_EQ(commit->outcome, Outcome::kAborted);
}

TEST_F(AppHeldTest, EnlistNamesTheSessionAtItsAgent) {
  Boot();
  pg_ = Connect("agent-pg", {"pg"});
  AppHeldNews news = EndedBy(Finisher::kAgent);
  news.age = 50ms;
  RegisterAnswer enlisted =
      TryRegister(*pg_, {.request = 1, .gtrid = Begin(), .resource = "pg", .app_held = news});
  ASSERT_TRUE(enlisted.gid);
  Pass(10ms);
  Commit(enlisted.gid->gtrid);
  ASSERT_TRUE(pg_->ToldToPrepare(*enlisted.gid));
  news.age = 60ms;
  EXPECT_EQ(pg_->told.prepares[0].app_held, news);
}

TEST_F(AppHeldTest, ItOutlivesEveryAgent) {
  Boot();
  Prepare(Finisher::kAgent);
  Disconnect(*pg_);
  pg_ = Connect("agent-pg", {"pg"}, /*incarnation=*/2);
  auto commit = Commit(app_.gtrid, true, {{.gid = held_, .agent_incarnation = 1}});
  ASSERT_TRUE(pg_->ToldToPrepare(app_)) << "another life, which never heard of it";
  Disconnect(*pg_);
  pg_ = Connect("agent-pg", {"pg"}, /*incarnation=*/3);
  ASSERT_TRUE(pg_->ToldToPrepare(app_)) << "asked again, as nobody has answered";
  VoteOn(*pg_, app_, Vote::kYes);
  Report(*pg_, app_);
  Report(*my_, held_);
  EXPECT_TRUE(commit->applied);
}

TEST_F(AppHeldTest, WhenTheAgentThatWasAskedIsGoneAnotherIs) {
  Boot();
  Prepare(Finisher::kAgent);
  auto other = Connect("agent-pg-2", {"pg"}, /*incarnation=*/2);
  auto commit = Commit(app_.gtrid);
  EXPECT_TRUE(pg_->ToldToPrepare(app_));
  EXPECT_FALSE(other->ToldToPrepare(app_));
  Disconnect(*pg_);
  EXPECT_TRUE(other->ToldToPrepare(app_));
  // One that comes now need not look as well.
  EXPECT_FALSE(Connect("agent-pg-3", {"pg"}, 3)->ToldToPrepare(app_));
  VoteOn(*other, app_, Vote::kYes);
  VoteOn(*my_, held_, Vote::kYes);
  EXPECT_EQ(other->ToldToCommit(app_), 1u);
}

TEST_F(AppHeldTest, WithoutAnyAgentOfItsResourceCommitWaitsForOne) {
  Boot();
  Prepare(Finisher::kAgent);
  Disconnect(*pg_);
  auto commit = Commit(app_.gtrid, true, {{.gid = held_, .agent_incarnation = 1}});
  const std::string detail = Get(app_.gtrid)->branches.at(0).detail;
  EXPECT_NE(detail.find("session 4711"), std::string::npos) << detail;
  EXPECT_NE(detail.find("no agent of resource pg"), std::string::npos) << detail;
  Pass(limits_.prepare_timeout);
  EXPECT_EQ(commit->abort->cause, AbortCause::kAgentUnreachable);
  EXPECT_EQ(commit->abort->gid, app_);
  auto other = Connect("agent-pg-2", {"pg"}, /*incarnation=*/2);
  ASSERT_EQ(other->ToldToAbort(app_), 1u) << "any agent can roll it back";
  EXPECT_EQ(other->told.finishes[0].app_held->connection_id, "4711");
  EXPECT_EQ(Connect("agent-pg-3", {"pg"}, 3)->ToldToAbort(app_), 0u);
}

TEST_F(AppHeldTest, ItsAppDiesAfterPrepare) {
  Boot();
  Prepare(Finisher::kApp);
  EXPECT_EQ(Ask(*pg_, app_), AgentAnswer::kPending) << "nobody decides by age";
  Pass(limits_.transaction_timeout);
  EXPECT_EQ(pg_->ToldToAbort(app_), 1u);
  EXPECT_EQ(Ask(*pg_, app_), AgentAnswer::kAbort);
}

TEST_F(AppHeldTest, AVoteAfterTheAbortHearsItAndMakesNothing) {
  Boot();
  Prepare(Finisher::kApp);
  Rollback(app_.gtrid);
  VoteOn(*pg_, app_, Vote::kYes);
  EXPECT_EQ(pg_->ToldToAbort(app_), 2u);
  EXPECT_TRUE(List().transactions.empty());
  EXPECT_EQ(CommitBoth()->outcome, Outcome::kAborted);
}

TEST_F(AppHeldTest, ANewLeaderAbortsWhatWasVotedForUnderTheOldOne) {
  Boot();
  Prepare(Finisher::kApp);
  Commit(app_.gtrid);
  VoteOn(*pg_, app_, Vote::kYes);
  Restart();
  pg_ = Connect("agent-pg", {"pg"});
  EXPECT_EQ(CommitBoth()->outcome, Outcome::kAborted) << "votes are never collected again";
  EXPECT_EQ(Ask(*pg_, app_), AgentAnswer::kAbort);
}

// ---- Attempts
// -------------------------------------------------------------------------------------

TEST_F(AppHeldTest, AfterAnUnclearPrepareOnlyTheNewAttemptCounts) {
  Boot();
  Prepare(Finisher::kAgent);
  const Gid first = app_;
  RegisterAsked asked{.request = 1,
                      .gtrid = first.gtrid,
                      .resource = "pg",
                      .app_held = EndedBy(Finisher::kAgent),
                      .again = first};
  RegisterAnswer again = TryRegister(*pg_, asked);
  ASSERT_TRUE(again.gid);
  EXPECT_EQ(again.gid->bqual.branch, first.bqual.branch);
  EXPECT_EQ(again.gid->bqual.attempt, 2u);
  EXPECT_EQ(pg_->ToldToAbort(first), 1u) << "it may hold the locks that the same work needs";
  EXPECT_EQ(Ask(*pg_, first), AgentAnswer::kAbort);
  EXPECT_EQ(TryRegister(*pg_, asked).gid, again.gid) << "a repeated request";

  app_ = first;
  auto commit = CommitBoth();
  EXPECT_EQ(codec_.Count<Decision>(), 0u) << "a ticket of the old attempt is void";
  EXPECT_TRUE(pg_->ToldToPrepare(*again.gid));
  VoteOn(*pg_, *again.gid, Vote::kYes);
  Report(*pg_, *again.gid);
  Report(*my_, held_);
  EXPECT_TRUE(commit->applied);
  Pass(limits_.end_delay);
  ASSERT_EQ(GetStatus().unfinished, 0u);
  // A database that came back from an old copy may list either as prepared.
  for (int life = 0; life < 2; ++life) {
    EXPECT_EQ(Ask(*pg_, first), AgentAnswer::kAbort);
    EXPECT_EQ(Ask(*pg_, *again.gid), AgentAnswer::kCommit);
    Restart();
    pg_ = Connect("agent-pg", {"pg"});
  }
}

TEST_F(AppHeldTest, AReaderOfALaterAttemptLeavesNoAttemptToCommit) {
  Boot();
  Prepare(Finisher::kAgent);
  RegisterAnswer again = TryRegister(
      *pg_, {.request = 1, .gtrid = app_.gtrid, .resource = "pg", .app_held = {}, .again = app_});
  auto commit = Commit(app_.gtrid);
  VoteOn(*pg_, *again.gid, Vote::kReadOnly);
  VoteOn(*my_, held_, Vote::kYes);
  Report(*my_, held_);
  EXPECT_TRUE(commit->applied);
  Pass(limits_.end_delay);
  ASSERT_EQ(GetStatus().unfinished, 0u);
  EXPECT_EQ(Ask(*pg_, app_), AgentAnswer::kAbort);
  EXPECT_EQ(Ask(*my_, held_), AgentAnswer::kCommit);
}

TEST_F(AppHeldTest, AgainIsRefusedForWhatWasNeverGivenOut) {
  Boot();
  Prepare(Finisher::kAgent);
  Gid never = app_;
  never.bqual.attempt = 9;
  RegisterAnswer refused = TryRegister(
      *pg_, {.request = 1, .gtrid = app_.gtrid, .resource = "pg", .app_held = {}, .again = never});
  EXPECT_EQ(refused.refusal.status.code(), Code::kFailedPrecondition);
  EXPECT_NE(refused.refusal.status.message().find("again"), std::string::npos);
}

// ---- Who ends it
// ----------------------------------------------------------------------------------

TEST_F(AppHeldTest, WithFinisherAgentItIsEndedAsAnyOther) {
  Boot();
  Prepare(Finisher::kAgent);
  auto commit = CommitBoth();
  EXPECT_FALSE(commit.answered());
  ASSERT_EQ(pg_->ToldToCommit(app_), 1u);
  EXPECT_EQ(pg_->told.finishes[0].evidence, "conn=4711");
  EXPECT_EQ(pg_->told.finishes[0].app_held, EndedBy(Finisher::kAgent));
  Report(*pg_, app_);
  Report(*my_, held_);
  EXPECT_TRUE(commit->applied);
}

TEST_F(AppHeldTest, WithFinisherAppTheClientHearsAtOnceWhichAreItsOwn) {
  Boot();
  Prepare(Finisher::kApp);
  auto commit = CommitBoth();
  ASSERT_TRUE(commit.answered());
  EXPECT_EQ(commit->outcome, Outcome::kCommitted);
  EXPECT_FALSE(commit->applied);
  ASSERT_EQ(commit->pending.size(), 2u);
  EXPECT_TRUE(commit->pending[0].yours);
  EXPECT_FALSE(commit->pending[1].yours);
  EXPECT_EQ(my_->ToldToCommit(held_), 1u);
  EXPECT_EQ(pg_->ToldToCommit(app_), 0u);
  EXPECT_EQ(Ask(*pg_, app_), AgentAnswer::kLeftToApp) << "an inquiry is no way round the grace";
  VoteOn(*pg_, app_, Vote::kYes);
  EXPECT_EQ(pg_->ToldToCommit(app_), 0u) << "nor is a late vote";
  EXPECT_TRUE(CommitBoth().answered()) << "still the application's";

  EXPECT_FALSE(ReportFinished({app_}).refused());
  auto again = CommitBoth();
  EXPECT_FALSE(again.answered()) << "waits for `my`";
  Report(*my_, held_);
  EXPECT_TRUE(again->applied);
  Pass(limits_.finish_grace);
  EXPECT_EQ(pg_->ToldToCommit(app_), 0u);
  EXPECT_EQ(codec_.Count<End>(), 1u);
  EXPECT_TRUE(pg_->ToldToForget(app_));
  EXPECT_FALSE(ReportFinished({app_}).refused()) << "a repeat";

  // A vote that forget has overtaken: the agent remembers nothing, the record no evidence.
  pg_->told = {};
  VoteOn(*pg_, app_, Vote::kYes, "conn=4711");
  ASSERT_EQ(pg_->ToldToCommit(app_), 1u);
  EXPECT_EQ(pg_->told.finishes[0].evidence, "conn=4711");
}

TEST_F(AppHeldTest, DecidedAlsoSaysWhichAreTheClientsOwn) {
  Boot();
  Prepare(Finisher::kApp);
  auto commit = CommitBoth(/*for_applied=*/false);
  ASSERT_EQ(commit->pending.size(), 2u);
  EXPECT_TRUE(commit->pending[0].yours);
  EXPECT_FALSE(commit->pending[1].yours);
}

TEST_F(AppHeldTest, WhoIsSilentPastTheGraceIsFinishedByTheAgent) {
  Boot();
  Prepare(Finisher::kApp);
  CommitBoth();
  Report(*my_, held_);
  Pass(limits_.finish_grace - 1ms);
  EXPECT_EQ(pg_->ToldToCommit(app_), 0u);
  Disconnect(*pg_);
  pg_ = Connect("agent-pg", {"pg"}, /*incarnation=*/2);
  EXPECT_EQ(pg_->ToldToCommit(app_), 0u) << "saying hello is no way round the grace";
  Pass(1ms);
  ASSERT_EQ(pg_->ToldToCommit(app_), 1u);
  EXPECT_EQ(pg_->told.finishes[0].evidence, "conn=4711");
  EXPECT_EQ(pg_->told.finishes[0].app_held->finisher, Finisher::kApp);
  EXPECT_EQ(pg_->told.finishes[0].app_held->age, Duration(limits_.finish_grace));
  EXPECT_EQ(Ask(*pg_, app_), AgentAnswer::kCommit);
  auto commit = CommitBoth();
  EXPECT_FALSE(commit.answered()) << "it is the agent's now";
  Pass(limits_.resend);
  EXPECT_EQ(pg_->ToldToCommit(app_), 2u);
  Report(*pg_, app_);
  EXPECT_TRUE(commit->applied);
}

TEST_F(AppHeldTest, AReportAfterTheGraceStillCounts) {
  Boot();
  Prepare(Finisher::kApp);
  CommitBoth();
  Report(*my_, held_);
  Pass(limits_.finish_grace);
  ReportFinished({app_});
  Pass(limits_.end_delay);
  EXPECT_EQ(codec_.Count<End>(), 1u);
}

TEST_F(AppHeldTest, ReportsRideInBeginAndCommit) {
  Boot();
  Prepare(Finisher::kApp);
  CommitBoth();
  EXPECT_EQ(CountCommitted(), 0u);
  EXPECT_FALSE(TryBeginWith({}, {app_}).refused());
  EXPECT_EQ(CountCommitted(), 1u);

  Prepare(Finisher::kApp);
  CommitBoth();
  Commit(Begin(), true, {}, {app_});
  EXPECT_EQ(CountCommitted(), 1u);
}

TEST_F(AppHeldTest, AReportEndsNothingThatIsNotTheApplicationsToEnd) {
  Boot();
  Prepare(Finisher::kAgent);
  ReportFinished({app_, held_});
  CommitBoth();
  Gid other_attempt = app_;
  ++other_attempt.bqual.attempt;
  Gid unknown = app_;
  unknown.gtrid.seq += 100;
  Gid foreign = app_;
  foreign.gtrid.cluster = "other";
  EXPECT_FALSE(ReportFinished({app_, held_, other_attempt, unknown, foreign}).refused());
  EXPECT_EQ(CountCommitted(), 0u);
  Pass(limits_.resend);
  EXPECT_EQ(pg_->ToldToCommit(app_), 2u);
  EXPECT_EQ(my_->ToldToCommit(held_), 2u);
}

// What a finisher must know of the session stands in the evidence, so it needs no grace any more:
// who can't reach the leader for so long has lost its turn.
TEST_F(AppHeldTest, AfterARestartTheAgentIsToldAtOnce) {
  Boot();
  Prepare(Finisher::kApp);
  CommitBoth();
  Restart();
  pg_ = Connect("agent-pg", {"pg"});
  ASSERT_EQ(pg_->ToldToCommit(app_), 1u);
  EXPECT_EQ(pg_->told.finishes[0].evidence, "conn=4711");
  EXPECT_FALSE(pg_->told.finishes[0].app_held);
  ReportFinished({app_});
  EXPECT_EQ(CountCommitted(), 0u) << "the agent looks";
  auto commit = CommitBoth();
  EXPECT_EQ(commit.answered(), false);
  Pass(limits_.apply_wait);
  for (const PendingBranch& branch : commit->pending) EXPECT_FALSE(branch.yours);
}

TEST_F(AppHeldTest, ReportsAreRefusedWhereNobodyLeads) {
  Boot();
  Prepare(Finisher::kApp);
  CommitBoth();
  log_.Lose(log_.term() + 1);
  Pump();
  auto refused = ReportFinished({app_});
  EXPECT_EQ(refused.code(), Code::kUnavailable);
  EXPECT_EQ(refused.refusal().reason, Reason::kNotLeader);
}

TEST_F(AppHeldTest, AVoteThatIsWithdrawnBeforeTheDecisionAborts) {
  Boot();
  Prepare(Finisher::kApp);
  auto commit = Commit(app_.gtrid, true, {{.gid = app_, .agent_incarnation = 1}});
  Say(*pg_, {.lost = {{.gid = app_}}});
  EXPECT_EQ(commit->abort->cause, AbortCause::kBranchLost);
  EXPECT_EQ(commit->abort->gid, app_);
}

#if defined(ASSENT_FAILPOINTS)

// A report is no vote: whoever commits before the decision breaks the rules, and what says so is no
// proof that anything was prepared.
TEST_F(AppHeldTest, AReportBeforeTheDecisionThatCountsIsCaught) {
  Boot();
  for (const bool seeded : {false, true}) {
    Prepare(Finisher::kApp);
    Commit(app_.gtrid, true, {{.gid = held_, .agent_incarnation = 1}});
    std::optional<ScopedMutant> mutant;
    if (seeded) mutant.emplace(Mutant::kEarlyReportCounts);
    ReportFinished({app_});
    EXPECT_EQ(codec_.Count<Decision>(), seeded ? 1u : 0u);
  }
}

#endif

}  // namespace
}  // namespace assent::coordinator
