// Open and Execute: nothing runs twice, and what ended unclear is never committed.
#include <thread>

#include "tests/client/fixture.h"

namespace assent::client {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

class WorkTest : public ClientTest {};

TEST_F(WorkTest, ParametersGoOutAndRowsComeBack) {
  Transaction transaction = Begin();
  Branch branch = Open(transaction);
  auto result =
      branch.Execute("SELECT", 7, "text", 2.5, true, nullptr, Bytes{std::string("\0x", 2)},
                     std::string("s"), UINT64_MAX, std::optional<int>());
  ASSERT_TRUE(result.ok()) << result.status().ToString();
  const Row& row = result->rows[0];
  EXPECT_EQ(*row[0].AsInt64(), 7);
  EXPECT_EQ(*row[1].AsText(), "text");
  EXPECT_EQ(*row[2].AsDouble(), 2.5);
  EXPECT_TRUE(*row[3].AsBool());
  EXPECT_TRUE(row[4].is_null());
  EXPECT_EQ(row[5].AsBytes()->size(), 2u);
  EXPECT_EQ(*result->At(0, "p6")->AsText(), "s");
  EXPECT_EQ(*row[7].AsText(), "18446744073709551615");
  EXPECT_TRUE(row[8].is_null());
  EXPECT_EQ(result->rows_affected, 1u);
}

TEST_F(WorkTest, LostRepliesDoNotRunAStatementTwice) {
  Transaction transaction = Begin();
  Branch branch = Open(transaction);
  fake_agent_.script.Then("Execute", {Step::kLoseReply, Step::kRefuse, Step::kServe, Step::kServe});
  ASSERT_TRUE(branch.Execute("one").ok());
  ASSERT_TRUE(branch.Execute("two").ok());
  EXPECT_THAT(fake_agent_.ran(), ElementsAre("one", "two"));
  EXPECT_TRUE(transaction.Commit().committed());
}

TEST_F(WorkTest, LostReplyOfOpenOpensOneBranch) {
  Transaction transaction = Begin();
  fake_agent_.script.Then("Open", {Step::kLoseReply});
  auto branch = transaction.Open(agent_, "orders_pg", {.statements = {{"first"}}});
  ASSERT_TRUE(branch.ok()) << branch.status().ToString();
  EXPECT_EQ(branch->open_results().size(), 1u);
  ASSERT_TRUE(branch->Execute("second").ok());  // Open with statements counted as seq 1.
  EXPECT_EQ(fake_agent_.opened(), 1u);
  EXPECT_THAT(fake_agent_.ran(), ElementsAre("first", "second"));
}

TEST_F(WorkTest, EveryOpenHasItsOwnId) {
  Transaction transaction = Begin();
  Open(transaction, "orders_pg");
  Open(transaction, "orders_pg");
  EXPECT_EQ(fake_agent_.opened(), 2u);
}

TEST_F(WorkTest, OpenAllAsksForEveryBranchBeforeItWaits) {
  Transaction transaction = Begin();
  fake_agent_.script.Then("Open", {Step::kRefuse, Step::kLoseReply});
  auto branches = transaction.OpenAll({{agent_, "orders_pg", {.statements = {{"one"}}}},
                                       {agent_, "stock_my", {.statements = {{"two"}}}}});
  ASSERT_TRUE(branches.ok()) << branches.status().ToString();
  ASSERT_EQ(branches->size(), 2u);
  EXPECT_EQ((*branches)[0].resource(), "orders_pg");
  EXPECT_EQ((*branches)[1].resource(), "stock_my");
  EXPECT_NE((*branches)[0].gid(), (*branches)[1].gid());
  // One after the other, the refused one would have been repeated before the other went out.
  auto calls = fake_agent_.script.calls();
  const std::string both = calls.at(0) + calls.at(1);
  EXPECT_THAT(both, AllOf(HasSubstr("orders_pg"), HasSubstr("stock_my")));
  // And what was repeated opened nothing twice.
  EXPECT_EQ(fake_agent_.opened(), 2u);
  EXPECT_EQ(fake_agent_.ran().size(), 2u);
  EXPECT_TRUE((*branches)[0].Execute("three").ok());  // seq 2.
  EXPECT_TRUE(transaction.Commit().committed());
}

TEST_F(WorkTest, OpenAllThatFailsInOneBranchRollsBackAll) {
  Transaction transaction = Begin();
  auto branches = transaction.OpenAll(
      {{agent_, "orders_pg", {.statements = {{"one"}}}},
       {agent_,
        "stock_my",
        {.statements = {{.sql = "fail 3", .parameters = {}, .keep_on_error = true}}}}});
  ASSERT_FALSE(branches.ok());
  EXPECT_EQ(branches.status().code(), Code::kAborted);
  EXPECT_EQ(branches.error().resource, "stock_my");
  EXPECT_TRUE(branches.error().doomed);
  EXPECT_TRUE(transaction.Commit().aborted());
  EXPECT_EQ(coordinator_.script.Count("Commit"), 0u);
}

TEST_F(WorkTest, OpenAllThatAnAgentRefusesLeavesNothingToCommit) {
  Transaction transaction = Begin();
  fake_agent_.script.Always("Open", Step::kRefuse);  // Harmless by itself.
  auto branches = transaction.OpenAll({{agent_, "orders_pg", {}}, {agent_, "stock_my", {}}});
  ASSERT_FALSE(branches.ok());
  EXPECT_TRUE(branches.error().doomed);
  EXPECT_TRUE(transaction.Commit().aborted());
  EXPECT_TRUE(Begin().OpenAll({})->empty());
}

TEST_F(WorkTest, RestartedAgentIsABranchLostAndTheTransactionRollsBack) {
  Transaction transaction = Begin();
  Branch branch = Open(transaction);
  fake_agent_.script.Then("Execute", {Step::kBranchLost});
  auto result = branch.Execute("one");
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.status().code(), Code::kAborted);
  EXPECT_TRUE(result.error().doomed);
  EXPECT_TRUE(result.error().retryable());
  CommitResult commit = transaction.Commit();
  EXPECT_TRUE(commit.aborted());
  EXPECT_EQ(commit.abort.cause, AbortCause::kBranchLost);
  EXPECT_EQ(commit.abort.resource, "orders_pg");
  EXPECT_TRUE(commit.abort.retryable());
  EXPECT_EQ(coordinator_.script.Count("Commit"), 0u);
}

TEST_F(WorkTest, UnclearExecuteIsNeverCommitted) {
  Transaction transaction = Begin();
  Branch branch = Open(transaction);
  fake_agent_.script.Always("Execute", Step::kLoseReply);
  auto result = branch.Execute("one");
  ASSERT_FALSE(result.ok());
  EXPECT_TRUE(result.error().doomed);
  EXPECT_THAT(result.status().message(), HasSubstr(agent_server_.endpoint()));
  EXPECT_THAT(fake_agent_.ran(), ElementsAre("one"));
  ASSERT_TRUE(transaction.failure().has_value());

  // Also the sister branch takes no more work.
  size_t calls = fake_agent_.script.calls().size();
  EXPECT_EQ(branch.Execute("two").status().code(), Code::kAborted);
  EXPECT_EQ(transaction.Open(agent_, "stock_my").status().code(), Code::kAborted);
  EXPECT_EQ(fake_agent_.script.calls().size(), calls);

  CommitResult commit = transaction.Commit();
  EXPECT_TRUE(commit.aborted());
  EXPECT_EQ(commit.abort.cause, AbortCause::kAgentUnreachable);
  EXPECT_EQ(coordinator_.script.Count("Commit"), 0u);
  EXPECT_EQ(coordinator_.Decided("g-1"), v1::OUTCOME_ABORTED);
}

// An unclear try followed by an honest refusal is unclear all the same.
TEST_F(WorkTest, RefusalAfterALostReplyDoesNotMakeItClear) {
  Transaction transaction = Begin();
  Branch branch = Open(transaction);
  fake_agent_.script.Then("Execute", {Step::kLoseReply});
  fake_agent_.script.Always("Execute", Step::kRefuse);
  EXPECT_TRUE(branch.Execute("one").error().doomed);
}

TEST_F(WorkTest, UnclearOpenIsNeverCommitted) {
  Transaction transaction = Begin();
  fake_agent_.script.Always("Open", Step::kLoseReply);
  EXPECT_TRUE(transaction.Open(agent_, "orders_pg").error().doomed);
  EXPECT_TRUE(transaction.Commit().aborted());
  EXPECT_EQ(coordinator_.script.Count("Commit"), 0u);
}

TEST_F(WorkTest, AbortedIsNotSaidWithoutTheCoordinator) {
  Transaction transaction = Begin();
  Branch branch = Open(transaction);
  ASSERT_FALSE(branch.Execute("fail 2").ok());
  coordinator_server_.Stop();
  EXPECT_TRUE(transaction.Commit({.retry_for = milliseconds(150)}).unknown());
  coordinator_server_.Start();
  EXPECT_TRUE(transaction.Commit().aborted());
}

TEST_F(WorkTest, FailedStatementCarriesItsCauseUpToCommit) {
  Transaction transaction = Begin();
  Branch branch = Open(transaction);
  auto result = branch.Execute("fail 2");
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().cause, BranchCause::kDeadlock);
  EXPECT_EQ(result.error().database_code, "40P01");
  EXPECT_TRUE(result.error().retryable());
  CommitResult commit = transaction.Commit();
  EXPECT_TRUE(commit.aborted());
  EXPECT_EQ(commit.abort.cause, AbortCause::kBranchVotedNo);
  EXPECT_EQ(commit.abort.branch_cause, BranchCause::kDeadlock);
  EXPECT_EQ(commit.abort.resource, "orders_pg");
  EXPECT_TRUE(commit.abort.retryable());
}

TEST_F(WorkTest, CoordinatorsOwnCauseIsKept) {
  Transaction transaction = Begin();
  Branch branch = Open(transaction);
  ASSERT_FALSE(branch.Execute("fail 1").ok());
  coordinator_.Decide("g-1", v1::OUTCOME_ABORTED, v1::ABORT_CAUSE_DEADLINE_PASSED);
  EXPECT_EQ(transaction.Commit().abort.cause, AbortCause::kDeadlinePassed);
}

// The agents end the branches of a coordinator that restarted: the restart is the cause.
TEST_F(WorkTest, RestartOfTheCoordinatorExplainsALostBranchButNotAFailedStatement) {
  coordinator_.script.Always("Rollback", Step::kLostMemory);
  Transaction lost = Begin();
  fake_agent_.script.Then("Execute", {Step::kBranchLost});
  ASSERT_FALSE(Open(lost).Execute("one").ok());
  EXPECT_EQ(lost.Commit().abort.cause, AbortCause::kPresumed);
  Transaction failed = Begin();
  ASSERT_FALSE(Open(failed).Execute("fail 2").ok());
  EXPECT_EQ(failed.Commit().abort.branch_cause, BranchCause::kDeadlock);
}

TEST_F(WorkTest, TryExecuteLeavesTheBranchAlive) {
  Transaction transaction = Begin();
  Branch branch = Open(transaction);
  auto result = branch.TryExecute("fail 1");
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.status().code(), Code::kFailedPrecondition);
  EXPECT_FALSE(result.error().doomed);
  EXPECT_FALSE(result.error().retryable());
  EXPECT_TRUE(branch.Execute("one").ok());
  EXPECT_TRUE(transaction.Commit().committed());
}

TEST_F(WorkTest, RunNamesTheStatementThatFailed) {
  Transaction transaction = Begin();
  Branch branch = Open(transaction);
  auto result = branch.Run({{"one"}, {"fail 1"}, {"three"}});
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().statement, 1u);
  EXPECT_THAT(fake_agent_.ran(), ElementsAre("one", "fail 1"));
}

TEST_F(WorkTest, FailedStatementOfOpenDoomsTheTransaction) {
  Transaction transaction = Begin();
  auto branch = transaction.Open(agent_, "orders_pg", {.statements = {{"fail 1", {}, true}}});
  ASSERT_FALSE(branch.ok());
  EXPECT_TRUE(branch.error().doomed);
  EXPECT_TRUE(transaction.Commit().aborted());
  EXPECT_EQ(coordinator_.script.Count("Commit"), 0u);
}

TEST_F(WorkTest, RefusalsThatDidNothingLeaveTheTransactionAlive) {
  Transaction transaction = Begin();
  fake_agent_.script.busy_delay_ms = 1'000;  // Longer than our patience.
  fake_agent_.script.Then("Open", {Step::kBusy, Step::kNoResource});
  auto busy = transaction.Open(agent_, "orders_pg");
  EXPECT_EQ(busy.status().code(), Code::kResourceExhausted);
  EXPECT_FALSE(busy.error().doomed);
  auto unknown = transaction.Open(agent_, "nowhere");
  EXPECT_EQ(unknown.status().code(), Code::kNotFound);
  EXPECT_THAT(unknown.status().message(), HasSubstr("served here: orders_pg"));
  EXPECT_FALSE(transaction.failure().has_value());
  Open(transaction);
  EXPECT_TRUE(transaction.Commit().committed());
}

TEST_F(WorkTest, BusyAgentIsWaitedFor) {
  Transaction transaction = Begin();
  fake_agent_.script.busy_delay_ms = 50;
  fake_agent_.script.Then("Open", {Step::kBusy, Step::kBusy});
  milliseconds taken = Time([&] { Open(transaction); });
  EXPECT_GE(taken, milliseconds(100));
}

TEST_F(WorkTest, HangingAgentCostsAtMostTheDeadline) {
  Transaction transaction = Begin({.timeout = milliseconds(300)});
  Branch branch = Open(transaction);
  fake_agent_.script.Always("Execute", Step::kHang);
  milliseconds taken = Time([&] { EXPECT_TRUE(branch.Execute("one").error().doomed); });
  EXPECT_LT(taken, milliseconds(4'000));
}

TEST_F(WorkTest, NoWorkAfterCommit) {
  Transaction transaction = Begin();
  Branch branch = Open(transaction);
  EXPECT_TRUE(transaction.Commit().committed());
  EXPECT_EQ(branch.Execute("late").status().code(), Code::kFailedPrecondition);
  EXPECT_EQ(transaction.Open(agent_, "orders_pg").status().code(), Code::kFailedPrecondition);
  EXPECT_TRUE(fake_agent_.ran().empty());
}

TEST_F(WorkTest, BranchThatOutlivesItsTransactionIsRefused) {
  auto transaction = std::make_unique<Transaction>(Begin());
  Branch branch = Open(*transaction);
  transaction.reset();
  EXPECT_EQ(branch.Execute("late").status().code(), Code::kFailedPrecondition);
}

TEST_F(WorkTest, BranchesWorkAtTheSameTime) {
  Transaction transaction = Begin();
  Branch orders = Open(transaction, "orders_pg");
  Branch stock = Open(transaction, "stock_my");
  auto work = [](Branch branch) {
    for (int i = 0; i < 50; ++i) EXPECT_TRUE(branch.Execute("x", i).ok());
  };
  // Two threads share one branch as well: its calls run one after another.
  std::thread first(work, orders), second(work, stock), third(work, stock);
  first.join(), second.join(), third.join();
  EXPECT_EQ(fake_agent_.ran().size(), 150u);
  EXPECT_TRUE(transaction.Commit().committed());
}

}  // namespace
}  // namespace assent::client
