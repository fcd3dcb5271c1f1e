// Branches on sessions of the application: what is run there, when, and what is told of it.
#include <thread>

#include "base/mutant.h"
#include "tests/client/fake_session.h"
#include "tests/client/fixture.h"

namespace assent::client {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

class AppHeldTest : public ClientTest {
 protected:
  // Both sessions in one transaction, by Begin alone.
  Transaction BeginBoth(Finisher finisher = Finisher::kApp) {
    return Begin({.branches = {{"orders_pg", pg_.Blocking(), finisher},
                               {"stock_my", my_.Blocking(), finisher}}});
  }
  AppBranch Enlist(Transaction& transaction, FakeSession& session, EnlistOptions options = {}) {
    auto branch = transaction.Enlist(agent_, "stock_my", session.Blocking(), std::move(options));
    EXPECT_TRUE(branch.ok()) << branch.status().ToString();
    return *std::move(branch);
  }
  // The reports go out within kWaitMax, but the machine may be slow.
  bool Reported(size_t count) {
    for (int i = 0; i < 1'000 && coordinator_.finished().size() < count; ++i) {
      std::this_thread::sleep_for(milliseconds(10));
    }
    return coordinator_.finished().size() == count;
  }

  FakeSession pg_{71};
  FakeSession my_{72};
};

TEST_F(AppHeldTest, WholeTransactionCostsTwoCallsAndNoneOfTheAgent) {
  Transaction transaction = BeginBoth();
  pg_.Run("work");
  CommitResult result = transaction.Commit();
  EXPECT_TRUE(result.committed());
  EXPECT_TRUE(result.applied) << result.ToString();
  EXPECT_THAT(coordinator_.script.calls(), ElementsAre("Begin ", "Commit g-1"));
  EXPECT_THAT(fake_agent_.script.calls(), IsEmpty());
  EXPECT_THAT(pg_.ran(), ElementsAre("BEGIN", "work", "PREPARE g-1/1", "COMMIT g-1/1"));
  EXPECT_THAT(my_.ran(),
              ElementsAre("XA START g-1/2", "XA END g-1/2", "XA PREPARE g-1/2", "XA COMMIT g-1/2"));
  auto told = coordinator_.app_held();
  ASSERT_EQ(told.size(), 2u);
  EXPECT_EQ(told[0].connection_id(), "71");
  EXPECT_EQ(told[0].finisher(), v1::FINISHER_APP);
}

TEST_F(AppHeldTest, ReportsRideInTheNextCall) {
  {
    Transaction first = BeginBoth();
    ASSERT_TRUE(first.Commit().committed());
  }
  Begin();
  EXPECT_THAT(coordinator_.finished(), UnorderedElementsAre("g-1/1", "g-1/2"));
  EXPECT_EQ(coordinator_.script.Count("ReportFinished"), 0u);
}

TEST_F(AppHeldTest, ReportsOfAFailedCallAreNotLost) {
  ASSERT_TRUE(BeginBoth().Commit().committed());
  coordinator_.script.Always("Begin", Step::kForeign);
  EXPECT_FALSE(client_.Begin().ok());
  coordinator_.script.Always("Begin", Step::kServe);
  EXPECT_TRUE(Reported(2));
}

TEST_F(AppHeldTest, ReportsOfAnIdleClientGoOutAlone) {
  ASSERT_TRUE(BeginBoth().Commit().committed());
  EXPECT_TRUE(Reported(2));
  EXPECT_EQ(coordinator_.script.Count("ReportFinished"), 1u);
  // And again, after the thread that sends them has slept.
  ASSERT_TRUE(BeginBoth().Commit().committed());
  EXPECT_TRUE(Reported(4));
}

TEST_F(AppHeldTest, DestructionOfTheClientReports) {
  std::optional<Client> client = Connect({coordinator_server_.endpoint()});
  {
    auto transaction = client->Begin({.branches = {{"orders_pg", pg_.Blocking()}}});
    ASSERT_TRUE(transaction.ok());
    ASSERT_TRUE(transaction->Commit().committed());
  }
  client.reset();
  EXPECT_THAT(coordinator_.finished(), ElementsAre("g-1/1"));
}

TEST_F(AppHeldTest, OthersArePendingSoCommitAsksOnceMoreAndReportsWithIt) {
  coordinator_.StayPending("files_pg", 1);
  Transaction transaction = BeginBoth();
  CommitResult result = transaction.Commit();
  EXPECT_TRUE(result.applied) << result.ToString();
  EXPECT_EQ(coordinator_.script.Count("Commit"), 2u);
  EXPECT_THAT(coordinator_.finished(), UnorderedElementsAre("g-1/1", "g-1/2"));
}

TEST_F(AppHeldTest, OthersThatStayPendingAreNamed) {
  coordinator_.StayPending("files_pg", 2);
  CommitResult result = BeginBoth().Commit();
  EXPECT_TRUE(result.committed());
  EXPECT_FALSE(result.applied);
  ASSERT_EQ(result.pending.size(), 1u);
  EXPECT_EQ(result.pending[0].resource, "files_pg");
  EXPECT_EQ(coordinator_.script.Count("Commit"), 2u);
}

TEST_F(AppHeldTest, DecidedDoesNotAskForTheOthers) {
  coordinator_.StayPending("files_pg", 2);
  CommitResult result = BeginBoth().Commit({.ack = Acknowledgement::kDecided});
  EXPECT_TRUE(result.committed());
  EXPECT_EQ(coordinator_.script.Count("Commit"), 1u);
  EXPECT_EQ(my_.ran().back(), "XA COMMIT g-1/2");
}

TEST_F(AppHeldTest, FailedOwnCommitIsLeftToTheAgentAndIsNoError) {
  my_.Fail("XA COMMIT");
  coordinator_.StayPending("files_pg", 5);
  CommitResult result = BeginBoth().Commit();
  EXPECT_TRUE(result.committed());
  EXPECT_FALSE(result.applied);
  ASSERT_EQ(result.pending.size(), 2u);
  EXPECT_TRUE(result.pending[0].yours);
  EXPECT_EQ(result.pending[0].resource, "stock_my");
  EXPECT_EQ(coordinator_.script.Count("Commit"), 1u);  // It would not wait either.
  EXPECT_TRUE(Reported(1));
  EXPECT_THAT(coordinator_.finished(), ElementsAre("g-1/1"));
}

TEST_F(AppHeldTest, FinisherAgentLeavesThePreparedSessionAlone) {
  Transaction transaction = BeginBoth(Finisher::kAgent);
  EXPECT_TRUE(transaction.Commit().committed());
  EXPECT_EQ(pg_.ran().back(), "PREPARE g-1/1");
  EXPECT_EQ(my_.ran().back(), "XA PREPARE g-1/2");
  EXPECT_EQ(coordinator_.app_held().at(1).finisher(), v1::FINISHER_AGENT);
}

// ---- What fails before the outcome ----

TEST_F(AppHeldTest, SessionThatCannotBeginRollsEverythingBack) {
  my_.Fail("XA START");
  auto transaction =
      client_.Begin({.branches = {{"orders_pg", pg_.Blocking()}, {"stock_my", my_.Blocking()}}});
  ASSERT_FALSE(transaction.ok());
  EXPECT_EQ(transaction.status().code(), Code::kAborted);
  EXPECT_THAT(transaction.status().message(), AllOf(HasSubstr("g-1/2"), HasSubstr("no: XA START")));
  EXPECT_EQ(coordinator_.Decided("g-1"), v1::OUTCOME_ABORTED);
  EXPECT_THAT(pg_.ran(), ElementsAre("BEGIN", "ROLLBACK"));
}

TEST_F(AppHeldTest, FailedPrepareIsNeverCommitted) {
  auto commit = [&] {
    pg_.Fail("PREPARE");
    Transaction transaction = BeginBoth();
    return transaction.Commit();
  };
  CommitResult result = commit();
  EXPECT_TRUE(result.aborted());
  EXPECT_EQ(result.abort.cause, AbortCause::kBranchVotedNo);
  EXPECT_EQ(result.abort.resource, "orders_pg");
  EXPECT_THAT(result.abort.message, HasSubstr("no: PREPARE"));
  EXPECT_EQ(coordinator_.script.Count("Commit"), 0u);
  // PostgreSQL's session is freed at once; the other's prepared branch only after ABORTED.
  EXPECT_THAT(pg_.ran(), ElementsAre("BEGIN", "PREPARE g-1/1", "ROLLBACK", "ROLLBACK g-1/1"));
  EXPECT_EQ(my_.ran().back(), "XA ROLLBACK g-1/2");

#if defined(ASSENT_FAILPOINTS)
  ScopedMutant mutant(Mutant::kAppIgnoresFailedPrepare);
  EXPECT_FALSE(commit().aborted());
#endif
}

// The rule that the whole protocol rests on: what may be prepared is not ended before the outcome.
TEST_F(AppHeldTest, UnclearPrepareIsEndedOnlyAfterTheOutcome) {
  auto ran_without_outcome = [&] {
    FakeSession session;
    session.Fail("XA PREPARE");
    coordinator_.script.Always("Rollback", Step::kRefuse);
    {
      Transaction transaction = Begin({.branches = {{"stock_my", session.Blocking()}}});
      EXPECT_TRUE(transaction.Commit({.retry_for = milliseconds(20)}).unknown());
      EXPECT_EQ(session.ran().back().substr(0, 10), "XA PREPARE");
      coordinator_.script.Always("Rollback", Step::kServe);
      EXPECT_TRUE(transaction.Commit().aborted());
    }
    return session.ran();
  };
  EXPECT_THAT(ran_without_outcome(), ElementsAre("XA START g-1/1", "XA END g-1/1",
                                                 "XA PREPARE g-1/1", "XA ROLLBACK g-1/1"));
}

#if defined(ASSENT_FAILPOINTS)
TEST_F(AppHeldTest, UnclearPrepareThatIsEndedEarlyWouldBeNoticed) {
  ScopedMutant mutant(Mutant::kAppEndsUnheard);
  my_.Fail("XA PREPARE");
  coordinator_.script.Always("Rollback", Step::kRefuse);
  Transaction transaction = Begin({.branches = {{"stock_my", my_.Blocking()}}});
  EXPECT_TRUE(transaction.Commit({.retry_for = milliseconds(20)}).unknown());
  EXPECT_EQ(my_.ran().back(), "XA ROLLBACK g-1/1");
}
#endif

TEST_F(AppHeldTest, UnknownOutcomeLeavesPreparedSessionsAlone) {
  coordinator_.script.Always("Commit", Step::kSayUnknown);
  {
    Transaction transaction = BeginBoth();
    EXPECT_TRUE(transaction.Commit({.retry_for = milliseconds(20)}).unknown());
    EXPECT_EQ(pg_.ran().back(), "PREPARE g-1/1");
    EXPECT_EQ(my_.ran().back(), "XA PREPARE g-1/2");
    coordinator_.script.Always("Commit", Step::kServe);
    EXPECT_TRUE(transaction.Commit().committed());
    EXPECT_EQ(my_.ran().back(), "XA COMMIT g-1/2");
    // Asking again prepared nothing twice.
    EXPECT_EQ(std::ranges::count(pg_.ran(), "PREPARE g-1/1"), 1);
  }
  coordinator_.script.Always("Commit", Step::kSayUnknown);
  {
    Transaction transaction = BeginBoth();
    EXPECT_TRUE(transaction.Commit({.retry_for = milliseconds(20)}).unknown());
  }
  EXPECT_EQ(my_.ran().back(), "XA PREPARE g-2/2");
  EXPECT_EQ(coordinator_.script.Count("Rollback"), 0u);
}

TEST_F(AppHeldTest, AbortedRollsThePreparedSessionsBack) {
  Transaction transaction = BeginBoth();
  coordinator_.Decide("g-1", v1::OUTCOME_ABORTED, v1::ABORT_CAUSE_DEADLINE_PASSED);
  CommitResult result = transaction.Commit();
  EXPECT_EQ(result.abort.cause, AbortCause::kDeadlinePassed);
  EXPECT_EQ(pg_.ran().back(), "ROLLBACK g-1/1");
  EXPECT_EQ(my_.ran().back(), "XA ROLLBACK g-1/2");
}

TEST_F(AppHeldTest, LeavingTheScopeGivesTheWorkUp) {
  { Transaction transaction = BeginBoth(); }
  EXPECT_THAT(pg_.ran(), ElementsAre("BEGIN", "ROLLBACK"));
  EXPECT_THAT(my_.ran(), ElementsAre("XA START g-1/2", "XA END g-1/2", "XA ROLLBACK g-1/2"));
  EXPECT_EQ(coordinator_.Decided("g-1"), v1::OUTCOME_ABORTED);

  {
    Transaction prepared = BeginBoth();
    ASSERT_TRUE(prepared.Prepare().ok());
  }
  EXPECT_EQ(pg_.ran().back(), "ROLLBACK g-2/1");
  EXPECT_EQ(my_.ran().back(), "XA ROLLBACK g-2/2");
}

TEST_F(AppHeldTest, KeyThatWasCommittedTouchesNoSession) {
  ASSERT_TRUE(Begin({.client_key = "k"}).Commit().committed());
  Transaction again = Begin({.client_key = "k", .branches = {{"orders_pg", pg_.Blocking()}}});
  EXPECT_TRUE(again.already_committed());
  EXPECT_THAT(again.app_branches(), IsEmpty());
  EXPECT_TRUE(again.Commit().committed());
  EXPECT_THAT(pg_.ran(), IsEmpty());
}

TEST_F(AppHeldTest, RollbackOnlyIsNeverCommitted) {
  Transaction transaction = BeginBoth();
  transaction.RollbackOnly("the cart is empty");
  EXPECT_EQ(transaction.Open(agent_, "orders_pg").status().code(), Code::kAborted);
  CommitResult result = transaction.Commit();
  EXPECT_TRUE(result.aborted());
  EXPECT_EQ(result.abort.cause, AbortCause::kClientRollback);
  EXPECT_EQ(result.abort.message, "the cart is empty");
  EXPECT_EQ(pg_.ran().back(), "ROLLBACK");
}

// ---- Enlist and Vote ----

TEST_F(AppHeldTest, EnlistRegistersAtTheAgent) {
  Transaction transaction = Begin();
  AppBranch branch = Enlist(transaction, my_, {.role = "clerk"});
  EXPECT_EQ(branch.gid(), "e-1");
  EXPECT_EQ(branch.kind(), "mariadb");
  v1::EnlistRequest request = fake_agent_.enlisted().at(0);
  EXPECT_EQ(request.app_held().connection_id(), "72");
  EXPECT_EQ(request.role(), "clerk");
  EXPECT_TRUE(transaction.Commit().committed());
  EXPECT_THAT(my_.ran(),
              ElementsAre("XA START e-1", "XA END e-1", "XA PREPARE e-1", "XA COMMIT e-1"));
}

TEST_F(AppHeldTest, LostReplyOfEnlistRegistersOneBranch) {
  Transaction transaction = Begin();
  fake_agent_.script.Then("Enlist", {Step::kLoseReply});
  Enlist(transaction, my_);
  EXPECT_EQ(fake_agent_.enlisted().size(), 1u);
  EXPECT_EQ(fake_agent_.script.Count("Enlist"), 2u);
}

TEST_F(AppHeldTest, UnclearEnlistIsNeverCommitted) {
  Transaction transaction = Begin();
  fake_agent_.script.Always("Enlist", Step::kLoseReply);
  EXPECT_TRUE(transaction.Enlist(agent_, "stock_my", my_.Blocking()).error().doomed);
  EXPECT_TRUE(transaction.Commit().aborted());
  EXPECT_EQ(coordinator_.script.Count("Commit"), 0u);
  EXPECT_THAT(my_.ran(), IsEmpty());
}

TEST_F(AppHeldTest, TicketsAreHandedInWithCommit) {
  Transaction transaction = BeginBoth();
  std::vector<AppBranch> branches = transaction.app_branches();
  ASSERT_EQ(branches.size(), 2u);
  EXPECT_EQ(branches[0].Vote(agent_).status().code(), Code::kFailedPrecondition);
  ASSERT_TRUE(branches[0].Prepare().ok());
  ASSERT_TRUE(branches[0].Vote(agent_).ok());
  ASSERT_TRUE(branches[0].Vote(agent_).ok());  // As often as one likes.
  EXPECT_TRUE(transaction.Commit().committed());
  v1::CommitRequest request = coordinator_.commits().at(0);
  ASSERT_EQ(request.tickets_size(), 1);
  EXPECT_EQ(request.tickets(0).gid(), "g-1/1");
  EXPECT_EQ(request.tickets(0).evidence(), "seen");
}

TEST_F(AppHeldTest, NoVoteIsNeverCommitted) {
  Transaction transaction = BeginBoth();
  ASSERT_TRUE(transaction.Prepare().ok());
  fake_agent_.Refuse(true);
  WorkStatus vote = transaction.app_branches()[1].Vote(agent_);
  EXPECT_EQ(vote.error().cause, BranchCause::kNotPrepared);
  EXPECT_TRUE(vote.error().doomed);
  EXPECT_EQ(vote.error().resource, "stock_my");
  CommitResult result = transaction.Commit();
  EXPECT_TRUE(result.aborted());
  EXPECT_EQ(result.abort.branch_cause, BranchCause::kNotPrepared);
  EXPECT_EQ(coordinator_.script.Count("Commit"), 0u);
}

TEST_F(AppHeldTest, AgentThatCannotBeAskedLeavesTheQuestionToCommit) {
  Transaction transaction = BeginBoth();
  ASSERT_TRUE(transaction.Prepare().ok());
  agent_server_.Stop();
  WorkStatus vote = transaction.app_branches()[0].Vote(agent_);
  EXPECT_FALSE(vote.ok());
  EXPECT_FALSE(vote.error().doomed);
  EXPECT_TRUE(transaction.Commit().committed());
  EXPECT_EQ(coordinator_.commits().at(0).tickets_size(), 0);
}

TEST_F(AppHeldTest, VoteOfYesSettlesAnUnclearPrepare) {
  my_.Fail("XA PREPARE");
  Transaction transaction = Begin();
  AppBranch branch = Enlist(transaction, my_);
  EXPECT_FALSE(branch.Prepare().ok());
  EXPECT_TRUE(branch.Vote(agent_).ok());
  EXPECT_TRUE(transaction.Commit().committed());
  EXPECT_EQ(my_.ran().back(), "XA COMMIT e-1");
}

TEST_F(AppHeldTest, UnclearPrepareMayBeDoneAnew) {
  my_.Fail("XA PREPARE");
  Transaction transaction = Begin();
  AppBranch branch = Enlist(transaction, my_);
  EXPECT_FALSE(branch.Prepare().ok());
  FakeSession fresh(73);
  AppBranch second = Enlist(transaction, fresh, {.again = branch.gid()});
  EXPECT_EQ(fake_agent_.enlisted().at(1).again(), "e-1");
  EXPECT_EQ(my_.ran().back(), "XA ROLLBACK e-1");  // Its vote is void by now.
  EXPECT_TRUE(transaction.Commit().committed());
  EXPECT_EQ(fresh.ran().back(), "XA COMMIT e-2");
  EXPECT_EQ(my_.ran().back(), "XA ROLLBACK e-1");
}

TEST_F(AppHeldTest, NoWorkIsTakenAfterCommit) {
  Transaction transaction = BeginBoth();
  AppBranch branch = transaction.app_branches()[0];
  ASSERT_TRUE(transaction.Commit().committed());
  EXPECT_EQ(branch.Prepare().status().code(), Code::kFailedPrecondition);
  EXPECT_EQ(transaction.Enlist(agent_, "stock_my", my_.Blocking()).status().code(),
            Code::kFailedPrecondition);
}

TEST_F(AppHeldTest, CoordinatorOfAnOlderVersionIsNamed) {
  auto transaction = client_.Begin({.branches = {{"served_twice", pg_.Blocking()}}});
  ASSERT_FALSE(transaction.ok());
  EXPECT_EQ(transaction.status().code(), Code::kUnimplemented);
  EXPECT_THAT(pg_.ran(), IsEmpty());
  EXPECT_FALSE(client_.Begin({.branches = std::vector<PlannedBranch>(65)}).ok());
}

}  // namespace
}  // namespace assent::client
