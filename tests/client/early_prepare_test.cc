// Fewer messages of agent-held branches: registered with Begin, prepared with their last work. And
// results that are streamed.
#include "tests/client/fixture.h"

namespace assent::client {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class EarlyPrepareTest : public ClientTest {
 protected:
  std::vector<std::string> TicketGids() {
    std::vector<std::string> gids;
    const std::vector<v1::CommitRequest> commits = coordinator_.commits();
    if (commits.empty()) return gids;
    for (const v1::Ticket& ticket : commits.back().tickets()) gids.push_back(ticket.gid());
    return gids;
  }
};

TEST_F(EarlyPrepareTest, LastWorkOfEachBranchBringsItsTicket) {
  Transaction transaction = Begin({.branches = {{"orders_pg"}, {"stock_my"}}});
  auto branches =
      transaction.OpenAll({{agent_, "orders_pg", {.statements = {{"one"}}, .prepare = true}},
                           {agent_, "stock_my", {.statements = {{"two"}}}}});
  ASSERT_TRUE(branches.ok()) << branches.status().ToString();
  EXPECT_EQ((*branches)[0].gid(), "g-1/1");
  EXPECT_EQ((*branches)[1].gid(), "g-1/2");
  ASSERT_TRUE((*branches)[1].ExecuteLast("three", 3).ok());
  EXPECT_TRUE(transaction.Commit().committed());
  EXPECT_THAT(TicketGids(), ElementsAre("g-1/1", "g-1/2"));
}

TEST_F(EarlyPrepareTest, OpenNamesTheBranchThatBeginRegistered) {
  Transaction transaction = Begin({.branches = {{"orders_pg"}, {"served_twice"}}});
  EXPECT_EQ(Open(transaction, "orders_pg").gid(), "g-1/1");
  // A second one of the same resource is a branch of its own, and one that the coordinator did not
  // register is opened as ever.
  EXPECT_EQ(Open(transaction, "orders_pg").gid(), "b-2");
  EXPECT_EQ(Open(transaction, "served_twice").gid(), "b-3");
}

TEST_F(EarlyPrepareTest, RegisteredBranchThatWasRefusedIsTakenNextTime) {
  Transaction transaction = Begin({.branches = {{"orders_pg"}}});
  fake_agent_.script.Then("Open", {Step::kNoResource});
  EXPECT_FALSE(transaction.Open(agent_, "orders_pg").ok());
  EXPECT_EQ(Open(transaction, "orders_pg").gid(), "g-1/1");
}

TEST_F(EarlyPrepareTest, LostReplyOfARegisteredOpenOpensOnce) {
  Transaction transaction = Begin({.branches = {{"orders_pg"}}});
  fake_agent_.script.Then("Open", {Step::kLoseReply});
  auto branch = transaction.Open(agent_, "orders_pg", {.statements = {{"one"}}});
  ASSERT_TRUE(branch.ok());
  EXPECT_THAT(fake_agent_.ran(), ElementsAre("one"));
}

TEST_F(EarlyPrepareTest, LostReplyOfTheLastWorkIsAskedForAgain) {
  Transaction transaction = Begin();
  Branch branch = Open(transaction);
  fake_agent_.script.Then("Execute", {Step::kLoseReply});
  ASSERT_TRUE(branch.ExecuteLast("one").ok());
  EXPECT_TRUE(transaction.Commit().committed());
  EXPECT_THAT(TicketGids(), ElementsAre("b-1"));
  EXPECT_THAT(fake_agent_.ran(), ElementsAre("one"));
}

TEST_F(EarlyPrepareTest, PreparedBranchTakesNoMoreWork) {
  Transaction transaction = Begin();
  Branch branch = Open(transaction);
  ASSERT_TRUE(branch.RunLast({}).ok());
  auto late = branch.Execute("late");
  EXPECT_EQ(late.status().code(), Code::kFailedPrecondition);
  EXPECT_FALSE(late.error().doomed);
  EXPECT_TRUE(fake_agent_.ran().empty());
  EXPECT_TRUE(transaction.Commit().committed());
}

TEST_F(EarlyPrepareTest, VoteOfNoIsNeverCommitted) {
  fake_agent_.Refuse(true);
  for (bool at_open : {true, false}) {
    Transaction transaction = Begin();
    WorkError error;
    if (at_open) {
      error =
          transaction.Open(agent_, "orders_pg", {.statements = {{"one"}}, .prepare = true}).error();
    } else {
      error = Open(transaction).ExecuteLast("one").error();
    }
    EXPECT_EQ(error.status.code(), Code::kAborted);
    EXPECT_EQ(error.cause, BranchCause::kNotPrepared);
    EXPECT_EQ(error.resource, "orders_pg");
    EXPECT_TRUE(error.doomed);
    CommitResult result = transaction.Commit();
    EXPECT_TRUE(result.aborted());
    EXPECT_EQ(result.abort.branch_cause, BranchCause::kNotPrepared);
  }
  EXPECT_EQ(coordinator_.script.Count("Commit"), 0u);
}

TEST_F(EarlyPrepareTest, FailedLastStatementPreparesNothing) {
  Transaction transaction = Begin();
  Branch branch = Open(transaction);
  EXPECT_EQ(branch.ExecuteLast("fail 2").error().cause, BranchCause::kDeadlock);
  EXPECT_TRUE(transaction.Commit().aborted());
}

// ---- Streams ----

TEST_F(EarlyPrepareTest, StreamGivesEveryRowInOrder) {
  Transaction transaction = Begin();
  Branch branch = Open(transaction);
  int64_t next = 0;
  auto end = branch.ExecuteStream({"rows 1025"}, [&](const std::vector<Column>& columns, Row row) {
    EXPECT_EQ(columns.at(0).name, "n");
    EXPECT_EQ(*row.at(0).AsInt64(), next++);
    return true;
  });
  ASSERT_TRUE(end.ok()) << end.status().ToString();
  EXPECT_EQ(end->rows, 1025u);
  EXPECT_EQ(end->rows_affected, 1025u);
  EXPECT_EQ(next, 1025);
  ASSERT_TRUE(branch.Execute("after").ok());  // seq 2.
  EXPECT_TRUE(transaction.Commit().committed());
}

TEST_F(EarlyPrepareTest, StreamWhoseRowsAreNotWantedLeavesTheBranchAlive) {
  Transaction transaction = Begin();
  Branch branch = Open(transaction);
  int calls = 0;
  auto end =
      branch.ExecuteStream({"rows 100"}, [&](const auto&, const Row&) { return ++calls < 3; });
  ASSERT_TRUE(end.ok());
  EXPECT_EQ(calls, 3);
  EXPECT_EQ(end->rows, 100u);
  EXPECT_TRUE(branch.Execute("after").ok());
}

TEST_F(EarlyPrepareTest, StreamThatIsCutIsNeverCommitted) {
  Transaction transaction = Begin();
  Branch branch = Open(transaction);
  auto end = branch.ExecuteStream({"cut 25"}, [](const auto&, const Row&) { return true; });
  ASSERT_FALSE(end.ok());
  EXPECT_TRUE(end.error().doomed);
  EXPECT_EQ(fake_agent_.script.Count("ExecuteStream"), 1u);
  EXPECT_TRUE(transaction.Commit().aborted());
  EXPECT_EQ(coordinator_.script.Count("Commit"), 0u);
}

TEST_F(EarlyPrepareTest, StreamThatFailsSaysWhy) {
  Transaction transaction = Begin();
  Branch branch = Open(transaction);
  auto sink = [](const auto&, const Row&) { return true; };
  auto kept = branch.ExecuteStream({"fail 1", {}, /*keep_on_error=*/true}, sink);
  EXPECT_FALSE(kept.error().doomed);
  ASSERT_TRUE(branch.Execute("after").ok());
  auto doomed = branch.ExecuteStream({"fail 2"}, sink);
  EXPECT_TRUE(doomed.error().doomed);
  EXPECT_EQ(doomed.error().cause, BranchCause::kDeadlock);
}

TEST_F(EarlyPrepareTest, StreamThatWasRefusedDidNothing) {
  Transaction transaction = Begin();
  Branch branch = Open(transaction);
  fake_agent_.script.Then("ExecuteStream", {Step::kBusy});
  auto sink = [](const auto&, const Row&) { return true; };
  auto end = branch.ExecuteStream({"rows 1"}, sink);
  EXPECT_EQ(end.status().code(), Code::kResourceExhausted);
  EXPECT_FALSE(end.error().doomed);
  EXPECT_TRUE(branch.ExecuteStream({"rows 1"}, sink).ok());
}

TEST_F(EarlyPrepareTest, SinkThatThrowsDoomsTheTransaction) {
  Transaction transaction = Begin();
  Branch branch = Open(transaction);
  EXPECT_THROW((void)branch.ExecuteStream(
                   {"rows 100"},
                   [](const auto&, const Row&) -> bool { throw std::runtime_error("disk full"); }),
               std::runtime_error);
  ASSERT_TRUE(transaction.failure().has_value());
  EXPECT_THAT(transaction.failure()->status.message(), HasSubstr("threw"));
  EXPECT_TRUE(transaction.Commit().aborted());
}

}  // namespace
}  // namespace assent::client
