// Agent links of the driver: hellos, what is said again, routing of phase two, inquiries, reports.
#include "tests/coordinator/driver_fixture.h"

namespace assent::coordinator {
namespace {

using namespace std::chrono_literals;

class AgentsTest : public DriverTest {
 protected:
  static AgentHello Hello(const std::string& agent_id, uint64_t incarnation = 1) {
    return {.agent_id = agent_id,
            .incarnation = incarnation,
            .resources = {{.name = "pg", .kind = "postgresql", .identity = "db-1"}},
            .peer = "peer-of-" + agent_id};
  }
  static Code CodeOf(const FakeAgent& agent) {
    const auto* refusal = std::get_if<Refusal>(&*agent.welcome);
    return refusal == nullptr ? Code::kOk : refusal->status.code();
  }
  static std::string MessageOf(const FakeAgent& agent) {
    return std::get<Refusal>(*agent.welcome).status.message();
  }
};

TEST_F(AgentsTest, WelcomeNamesTheGroupAndTheLeader) {
  Boot();
  auto agent = Dial(Hello("a"));
  const AgentWelcome& welcome = std::get<AgentWelcome>(*agent->welcome);
  EXPECT_EQ(welcome.group.cluster_uuid, kUuid);
  EXPECT_EQ(welcome.group.incarnation, kIncarnation);
  EXPECT_EQ(welcome.leadership, (LeadershipNews{log_.term(), true}));
}

TEST_F(AgentsTest, AnAgentPinnedElsewhereIsRefused) {
  Boot();
  AgentHello uuid = Hello("a");
  uuid.cluster_uuid = "99999999-2222-4333-8444-555555555555";
  auto other_cluster = Dial(uuid);
  EXPECT_EQ(CodeOf(*other_cluster), Code::kFailedPrecondition);
  EXPECT_NE(MessageOf(*other_cluster).find(kUuid), std::string::npos);
  AgentHello incarnation = Hello("a");
  incarnation.cluster_uuid = kUuid;
  incarnation.group_incarnation = kIncarnation + 1;
  EXPECT_EQ(CodeOf(*Dial(incarnation)), Code::kFailedPrecondition);
  incarnation.group_incarnation = kIncarnation;
  EXPECT_EQ(CodeOf(*Dial(incarnation)), Code::kOk);
}

TEST_F(AgentsTest, HellosThatMakeNoSenseAreRefused) {
  limits_.resources_per_agent_max = 2;
  Boot();
  EXPECT_EQ(CodeOf(*Dial(Hello(""))), Code::kInvalidArgument);
  EXPECT_EQ(CodeOf(*Dial(Hello("a b"))), Code::kInvalidArgument);
  EXPECT_EQ(CodeOf(*Dial(Hello("a", 0))), Code::kInvalidArgument);
  AgentHello hello = Hello("a");
  hello.resources[0].name = "PG";
  EXPECT_EQ(CodeOf(*Dial(hello)), Code::kInvalidArgument);
  hello = Hello("a");
  hello.resources.push_back(hello.resources[0]);
  EXPECT_EQ(CodeOf(*Dial(hello)), Code::kInvalidArgument);
  hello.resources.push_back(hello.resources[0]);
  EXPECT_EQ(CodeOf(*Dial(hello)), Code::kResourceExhausted);
}

TEST_F(AgentsTest, TwoLiveAgentsCantHaveOneId) {
  Boot();
  auto first = Dial(Hello("a", 1));
  auto second = Dial(Hello("a", 2));
  EXPECT_EQ(CodeOf(*second), Code::kAlreadyExists);
  EXPECT_NE(MessageOf(*second).find("peer-of-a"), std::string::npos);
  EXPECT_FALSE(first->closed);
}

TEST_F(AgentsTest, ARestartedAgentIsNotLockedOutByItsSilentLink) {
  Boot();
  auto first = Dial(Hello("a", 1));
  Pass(limits_.link_takeover);
  auto second = Dial(Hello("a", 2));
  EXPECT_EQ(CodeOf(*second), Code::kOk);
  EXPECT_TRUE(first->closed);
  Disconnect(*first);  // The old link's end must not take the new one with it.
  EXPECT_EQ(GetStatus().agents.size(), 1u);
}

TEST_F(AgentsTest, TheSameAgentDialsAgainAtOnce) {
  Boot();
  auto first = Dial(Hello("a", 1));
  auto second = Dial(Hello("a", 1));
  EXPECT_EQ(CodeOf(*second), Code::kOk);
  EXPECT_TRUE(first->closed);
}

TEST_F(AgentsTest, OneResourceNameStandsForOneDatabase) {
  Boot();
  auto first = Dial(Hello("a"));
  AgentHello other = Hello("b");
  other.resources[0].identity = "db-2";
  auto second = Dial(other);
  EXPECT_EQ(CodeOf(*second), Code::kFailedPrecondition);
  EXPECT_NE(MessageOf(*second).find("db-1"), std::string::npos);
  EXPECT_NE(MessageOf(*second).find("db-2"), std::string::npos);
  EXPECT_EQ(CodeOf(*Dial(Hello("b"))), Code::kOk);
}

TEST_F(AgentsTest, ARepeatedRegisterIsAnsweredAlike) {
  Boot();
  auto agent = Connect("a", {"pg"});
  Gtrid gtrid = Begin();
  RegisterAnswer first = TryOpen(*agent, gtrid, "pg", 1);
  RegisterAnswer again = TryOpen(*agent, gtrid, "pg", 1);
  RegisterAnswer other = TryOpen(*agent, gtrid, "pg", 2);
  EXPECT_EQ(first.gid, again.gid);
  EXPECT_NE(first.gid, other.gid);
  EXPECT_EQ(first.remaining, Duration(limits_.transaction_timeout));
}

TEST_F(AgentsTest, RegisterSaysWhyItIsRefused) {
  Boot();
  auto agent = Connect("a", {"pg"});
  Gtrid gtrid = Begin();
  EXPECT_EQ(TryOpen(*agent, gtrid, "my", 1).refusal.reason, Reason::kUnknownResource);
  Gtrid foreign = gtrid;
  foreign.cluster = "other";
  EXPECT_EQ(TryOpen(*agent, foreign, "pg", 2).refusal.reason, Reason::kForeignGtrid);
  Gid branch = Open(*agent, gtrid, "pg");
  Commit(gtrid);
  EXPECT_EQ(TryOpen(*agent, gtrid, "pg", 3).refusal.reason, Reason::kNotActive);
  VoteOn(*agent, branch, Vote::kYes);
  RegisterAnswer committed = TryOpen(*agent, gtrid, "pg", 4);
  EXPECT_EQ(committed.refusal.reason, Reason::kNotActive);
  EXPECT_NE(committed.refusal.status.message().find("is committed"), std::string::npos);
  Gtrid over = Begin();
  Rollback(over);
  RegisterAnswer aborted = TryOpen(*agent, over, "pg", 5);
  EXPECT_EQ(aborted.refusal.status.code(), Code::kFailedPrecondition);
  EXPECT_NE(aborted.refusal.status.message().find("begin a new one"), std::string::npos);
}

TEST_F(AgentsTest, PrepareIsSaidAgainToTheHolderWhenItDialsAgain) {
  Boot();
  Pair pair = BeginPair();
  Disconnect(*pg_);
  auto commit = Commit(pair.gtrid);
  VoteOn(*my_, pair.my, Vote::kYes);
  pg_ = Connect("agent-pg", {"pg"});
  ASSERT_TRUE(pg_->ToldToPrepare(pair.pg));
  EXPECT_EQ(pg_->told.prepares.back().remaining, Duration(limits_.prepare_timeout));
  VoteOn(*pg_, pair.pg, Vote::kYes);
  EXPECT_EQ(codec_.Count<Decision>(), 1u);
}

TEST_F(AgentsTest, AnUnpreparedBranchDiesWithItsAgent) {
  Boot();
  Pair open = BeginPair();
  Pair preparing = BeginPair();
  auto commit = Commit(preparing.gtrid);
  Disconnect(*pg_);
  pg_ = Connect("agent-pg", {"pg"}, /*incarnation=*/2);
  EXPECT_EQ(commit->outcome, Outcome::kAborted);
  EXPECT_EQ(commit->abort->cause, AbortCause::kBranchLost);
  EXPECT_EQ(commit->abort->gid, preparing.pg);
  EXPECT_EQ(Commit(open.gtrid)->abort->cause, AbortCause::kBranchLost);
  EXPECT_EQ(my_->ToldToAbort(open.my), 1u);
}

TEST_F(AgentsTest, AYesOutlivesItsAgent) {
  Boot();
  Pair pair = BeginPair();
  auto commit = Commit(pair.gtrid);
  VoteOn(*pg_, pair.pg, Vote::kYes);
  Disconnect(*pg_);
  pg_ = Connect("agent-pg", {"pg"}, /*incarnation=*/2);
  VoteOn(*my_, pair.my, Vote::kYes);
  EXPECT_EQ(pg_->ToldToCommit(pair.pg), 1u);
  Report(*pg_, pair.pg);
  Report(*my_, pair.my);
  EXPECT_TRUE(commit->applied);
}

TEST_F(AgentsTest, AnAbsentAgentIsAwaitedForPrepareTimeoutAndNamed) {
  Boot();
  Pair pair = BeginPair();
  Disconnect(*my_);
  auto commit = Commit(pair.gtrid);
  VoteOn(*pg_, pair.pg, Vote::kYes);
  Pass(limits_.prepare_timeout - 1ms);
  EXPECT_FALSE(commit.answered());
  Pass(1ms);
  EXPECT_EQ(commit->abort->cause, AbortCause::kAgentUnreachable);
  EXPECT_EQ(commit->abort->gid, pair.my);
  EXPECT_EQ(pg_->ToldToAbort(pair.pg), 1u);
}

TEST_F(AgentsTest, AConnectedAgentThatDoesNotVoteIsATimeout) {
  Boot();
  Pair pair = BeginPair();
  auto commit = Commit(pair.gtrid);
  Pass(limits_.prepare_timeout);
  EXPECT_EQ(commit->abort->cause, AbortCause::kPrepareTimeout);
}

TEST_F(AgentsTest, AnAbortThatFoundNoLinkIsSaidOnTheNextOne) {
  Boot();
  Pair pair = BeginPair();
  Disconnect(*pg_);
  Rollback(pair.gtrid);
  EXPECT_EQ(my_->ToldToAbort(pair.my), 1u);
  pg_ = Connect("agent-pg", {"pg"});
  EXPECT_EQ(pg_->ToldToAbort(pair.pg), 1u);
}

// Agents whose ids are made up by whatever starts them come once and never again.
TEST_F(AgentsTest, UnsaidAbortsOfAgentsThatNeverComeBackAreDropped) {
  Boot();
  auto other = Connect("agent-lost", {"pg"});
  auto later = Connect("agent-back", {"pg"});
  Gid first = Open(*other, Begin(), "pg");
  Gid last = Open(*later, Begin(), "pg");
  Disconnect(*other);
  Disconnect(*later);
  Rollback(first.gtrid);
  auto filler = Connect("agent-filler", {"pg"});
  std::vector<Gtrid> gtrids;
  for (int i = 0; i < 9'999; ++i) {
    gtrids.push_back(Begin());
    Open(*filler, gtrids.back(), "pg");
  }
  Disconnect(*filler);
  for (const Gtrid& gtrid : gtrids) Rollback(gtrid);
  Rollback(last.gtrid);
  EXPECT_EQ(Connect("agent-back", {"pg"})->ToldToAbort(last), 1u);
  EXPECT_EQ(Connect("agent-lost", {"pg"})->ToldToAbort(first), 0u);
}

TEST_F(AgentsTest, PhaseTwoGoesToWhicheverAgentServesTheResourceNow) {
  Boot();
  Pair pair = BeginPair();
  auto other = Connect("agent-pg-2", {"pg"});
  CommitPair(pair);
  EXPECT_EQ(pg_->ToldToCommit(pair.pg), 1u);
  EXPECT_EQ(other->ToldToCommit(pair.pg), 0u);
  Disconnect(*pg_);
  Pass(limits_.resend);
  EXPECT_EQ(other->ToldToCommit(pair.pg), 1u);
}

TEST_F(AgentsTest, CommitIsResentEverMoreSlowlyAndAtOnceToWhoDials) {
  Boot();
  Pair pair = BeginPair();
  CommitPair(pair);
  Pass(limits_.resend);
  EXPECT_EQ(pg_->ToldToCommit(pair.pg), 2u);
  Pass(limits_.resend);
  EXPECT_EQ(pg_->ToldToCommit(pair.pg), 2u);
  Pass(limits_.resend);
  EXPECT_EQ(pg_->ToldToCommit(pair.pg), 3u);
  for (int i = 0; i < 20; ++i) Pass(limits_.resend_max);
  EXPECT_GE(pg_->ToldToCommit(pair.pg), 20u);
  Disconnect(*pg_);
  pg_ = Connect("agent-pg", {"pg"}, 2);
  EXPECT_EQ(pg_->ToldToCommit(pair.pg), 1u);
  Report(*pg_, pair.pg);
  for (int i = 0; i < 3; ++i) Pass(limits_.resend_max);
  EXPECT_EQ(pg_->ToldToCommit(pair.pg), 1u);
}

TEST_F(AgentsTest, AfterARestartEveryUnfinishedBranchIsToldToCommit) {
  Boot();
  Pair pair = BeginPair();
  CommitPair(pair);
  Report(*pg_, pair.pg);
  Restart();
  pg_ = Connect("agent-pg", {"pg"});
  my_ = Connect("agent-my", {"my"});
  EXPECT_EQ(pg_->ToldToCommit(pair.pg), 1u);
  EXPECT_EQ(pg_->told.finishes.back().evidence, "xid:1");
  EXPECT_EQ(my_->ToldToCommit(pair.my), 1u);
  auto commit = Commit(pair.gtrid);
  Report(*pg_, pair.pg);
  Report(*my_, pair.my);
  EXPECT_TRUE(commit->applied);
  Pass(limits_.end_delay);
  EXPECT_TRUE(pg_->ToldToForget(pair.pg));
  EXPECT_TRUE(my_->ToldToForget(pair.my));
  Restart();
  pg_ = Connect("agent-pg", {"pg"});
  EXPECT_EQ(pg_->ToldToCommit(pair.pg), 0u);
}

TEST_F(AgentsTest, InquiriesAreAnsweredFromTheRecords) {
  Boot();
  Pair pair = BeginPair();
  EXPECT_EQ(Ask(*pg_, pair.pg), AgentAnswer::kPending);
  log_.mode = FakeLog::Mode::kHold;
  CommitPair(pair);
  EXPECT_EQ(Ask(*pg_, pair.pg), AgentAnswer::kPending);
  log_.ApplyHeld();
  Pump();
  EXPECT_EQ(Ask(*pg_, pair.pg), AgentAnswer::kCommit);
  EXPECT_EQ(pg_->told.answers.back().evidence, "xid:1");
  Gid other_attempt = pair.pg;
  ++other_attempt.bqual.attempt;
  EXPECT_EQ(Ask(*pg_, other_attempt), AgentAnswer::kAbort);
  Gid foreign = pair.pg;
  foreign.gtrid.cluster = "other";
  EXPECT_EQ(Ask(*pg_, foreign), AgentAnswer::kForeign);
  Pair aborted = BeginPair();
  Rollback(aborted.gtrid);
  EXPECT_EQ(Ask(*pg_, aborted.pg), AgentAnswer::kAbort);
}

TEST_F(AgentsTest, ALateYesHearsTheAbortAndMakesNoTransaction) {
  Boot();
  Pair pair = BeginPair();
  Rollback(pair.gtrid);
  VoteOn(*pg_, pair.pg, Vote::kYes);
  EXPECT_EQ(pg_->ToldToAbort(pair.pg), 2u);
  EXPECT_TRUE(List().transactions.empty());
  Restart();
  pg_ = Connect("agent-pg", {"pg"});
  VoteOn(*pg_, pair.pg, Vote::kYes);
  EXPECT_EQ(pg_->ToldToAbort(pair.pg), 1u);
  EXPECT_TRUE(List().transactions.empty());
}

TEST_F(AgentsTest, ACommitByHandOfAnAbortedTransactionIsKeptUntilForgotten) {
  Boot();
  Pair pair = BeginPair();
  Rollback(pair.gtrid);
  Report(*pg_, pair.pg, BranchViewState::kHeuristicCommit, "a DBA committed it");
  EXPECT_TRUE(pg_->ToldToForget(pair.pg)) << "it is on record";
  EXPECT_EQ(codec_.Count<Heuristic>(), 1u);
  Report(*pg_, pair.pg, BranchViewState::kHeuristicCommit, "a DBA committed it");
  EXPECT_EQ(codec_.Count<Heuristic>(), 1u) << "a repeat is answered, not recorded again";

  Restart();
  Pending<TransactionView> view = Get(pair.gtrid);
  EXPECT_EQ(view->state, ViewState::kHeuristic);
  EXPECT_EQ(view->outcome, Outcome::kAborted) << "the decision stands";
  ASSERT_EQ(view->branches.size(), 1u);
  EXPECT_EQ(view->branches[0].state, BranchViewState::kHeuristicCommit);
  EXPECT_EQ(view->branches[0].detail, "a DBA committed it");
  EXPECT_EQ(List().transactions.size(), 1u);
  EXPECT_EQ(GetStatus().heuristic, 1u);
  EXPECT_TRUE(Commit(pair.gtrid)->heuristic) << "a warning beside ABORTED";

  EXPECT_EQ(Forget(pair.gtrid).code(), Code::kOk);
  EXPECT_EQ(Get(pair.gtrid)->state, ViewState::kAborted);
  EXPECT_EQ(GetStatus().heuristic, 0u);
  EXPECT_EQ(Forget(pair.gtrid).code(), Code::kNotFound);
}

TEST_F(AgentsTest, AHeuristicOutcomeIsLoggedAndKeptUntilForgotten) {
  Boot();
  Pair pair = BeginPair();
  auto commit = CommitPair(pair);
  Report(*my_, pair.my);
  EXPECT_EQ(Forget(pair.gtrid).code(), Code::kFailedPrecondition);
  Report(*pg_, pair.pg, BranchViewState::kHeuristicRollback, "a DBA rolled it back");
  EXPECT_EQ(commit->outcome, Outcome::kCommitted);
  EXPECT_TRUE(commit->heuristic);
  EXPECT_FALSE(commit->applied);
  EXPECT_TRUE(pg_->ToldToForget(pair.pg));
  EXPECT_EQ(codec_.Count<Heuristic>(), 1u);
  Pass(1s);
  EXPECT_EQ(codec_.Count<End>(), 0u);

  Restart();
  auto view = Get(pair.gtrid);
  EXPECT_EQ(view->state, ViewState::kHeuristic);
  EXPECT_EQ(view->branches.at(0).state, BranchViewState::kHeuristicRollback);
  EXPECT_EQ(view->branches.at(0).detail, "a DBA rolled it back");
  EXPECT_EQ(GetStatus().heuristic, 1u);
  EXPECT_EQ(Forget(pair.gtrid).code(), Code::kFailedPrecondition);  // `my` is told again.
  my_ = Connect("agent-my", {"my"});
  Report(*my_, pair.my);
  EXPECT_FALSE(Forget(pair.gtrid).refused());
  EXPECT_EQ(GetStatus().heuristic, 0u);
  EXPECT_EQ(Forget(pair.gtrid).code(), Code::kNotFound);
  EXPECT_EQ(Commit(pair.gtrid)->outcome, Outcome::kCommitted);
}

TEST_F(AgentsTest, ABranchReportedRolledBackAfterTheCommitDecisionIsNeverSilent) {
  Boot();
  Pair pair = BeginPair();
  auto commit = CommitPair(pair);
  Report(*my_, pair.my);
  Report(*pg_, pair.pg, BranchViewState::kRolledBack, "not there");
  EXPECT_TRUE(commit->heuristic);
}

TEST_F(AgentsTest, AReportAfterEndIsToldToForget) {
  Boot();
  Pair pair = BeginPair();
  CommitPair(pair);
  Report(*pg_, pair.pg);
  Report(*my_, pair.my);
  Pass(limits_.end_delay);
  pg_->told.forget.clear();
  Report(*pg_, pair.pg);
  EXPECT_TRUE(pg_->ToldToForget(pair.pg));
}

TEST_F(AgentsTest, AllThatWasHandledTogetherIsSentTogether) {
  Boot();
  auto agent = Connect("a", {"pg"});
  std::vector<Gtrid> gtrids;
  for (int i = 0; i < 10; ++i) {
    gtrids.push_back(Begin());
    Open(*agent, gtrids.back(), "pg");
  }
  const size_t before = agent->batches;
  for (const Gtrid& gtrid : gtrids) {
    driver_->Post(CommitCall{.gtrid = gtrid, .reply = [](Answer<CommitAnswer>) {}});
  }
  Pump();
  EXPECT_EQ(agent->told.prepares.size(), 10u);
  EXPECT_EQ(agent->batches, before + 1);
}

}  // namespace
}  // namespace assent::coordinator
