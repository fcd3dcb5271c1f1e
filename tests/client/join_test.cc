// A transaction that is passed on: the context, and what the one who joins may do.
#include "tests/client/fake_session.h"
#include "tests/client/fixture.h"

namespace assent::client {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(ContextTest, ComesBackAsItWent) {
  TransactionContext context("bank.0000000000001.0000.00000001.00000007", std::chrono::seconds(7));
  EXPECT_EQ(context.ToString(), "bank.0000000000001.0000.00000001.00000007;remaining-ms=7000");
  auto back = TransactionContext::Parse(context.ToString());
  ASSERT_TRUE(back.ok()) << back.status().ToString();
  EXPECT_EQ(back->gtrid(), context.gtrid());
  EXPECT_EQ(back->remaining(), context.remaining());
}

TEST(ContextTest, WhatNewerVersionsAddIsSkipped) {
  auto context = TransactionContext::Parse("g-1;mode=P;remaining-ms=12;x");
  ASSERT_TRUE(context.ok());
  EXPECT_EQ(context->remaining(), std::chrono::milliseconds(12));
}

TEST(ContextTest, AnythingElseIsRefusedAndShown) {
  for (const std::string& text :
       {std::string(), std::string("g-1"), std::string(";remaining-ms=1"),
        std::string("g 1;remaining-ms=1"), std::string("g-1;remaining-ms="),
        std::string("g-1;remaining-ms=-1"), std::string("g-1;remaining-ms=1x"),
        std::string("g-1;remaining-ms=99999999999999999999"),
        std::string("g-1;remaining-ms=86400001"), std::string(65, 'g') + ";remaining-ms=1",
        "g-1;" + std::string(300, 'x') + ";remaining-ms=1"}) {
    auto context = TransactionContext::Parse(text);
    ASSERT_FALSE(context.ok()) << text;
    EXPECT_EQ(context.status().code(), Code::kInvalidArgument);
    EXPECT_THAT(context.status().message(), HasSubstr("'" + text.substr(0, 200)));
  }
}

class JoinTest : public ClientTest {
 protected:
  Transaction Join(const Transaction& transaction) {
    auto context = TransactionContext::Parse(transaction.context().ToString());
    EXPECT_TRUE(context.ok()) << context.status().ToString();
    return client_.Join(*context);
  }
};

TEST_F(JoinTest, WorkOfBothIsOneTransaction) {
  Transaction root = Begin();
  {
    Transaction joined = Join(root);
    EXPECT_TRUE(joined.joined());
    EXPECT_EQ(joined.gtrid(), root.gtrid());
    EXPECT_GT(joined.remaining(), milliseconds(0));
    EXPECT_TRUE(Open(joined).Execute("one").ok());
  }
  EXPECT_TRUE(Open(root).Execute("two").ok());
  EXPECT_EQ(fake_agent_.opened(), 2u);  // Ids of both differ.
  EXPECT_EQ(coordinator_.script.Count("Rollback"), 0u);
  EXPECT_TRUE(root.Commit().committed());
}

TEST_F(JoinTest, OnlyWhoBeganItEndsIt) {
  Transaction root = Begin();
  Transaction joined = Join(root);
  EXPECT_TRUE(joined.Commit().unknown());
  EXPECT_TRUE(joined.Rollback().unknown());
  EXPECT_EQ(joined.Commit().why_unknown.code(), Code::kFailedPrecondition);
  EXPECT_TRUE(Open(joined).Execute("still").ok());
  EXPECT_EQ(coordinator_.script.calls().size(), 1u);
  EXPECT_TRUE(root.Commit().committed());
}

TEST_F(JoinTest, RollbackOnlyReachesTheOneWhoBeganIt) {
  Transaction root = Begin();
  {
    Transaction joined = Join(root);
    joined.RollbackOnly("out of stock");
    EXPECT_EQ(joined.Open(agent_, "orders_pg").status().code(), Code::kAborted);
    EXPECT_TRUE(joined.Commit().aborted());
  }
  EXPECT_EQ(coordinator_.script.Count("Rollback"), 1u);
  CommitResult result = root.Commit();
  EXPECT_TRUE(result.aborted());
  EXPECT_EQ(result.abort.cause, AbortCause::kClientRollback);
}

TEST_F(JoinTest, FailureInAJoinedTransactionCannotBeCommittedInPart) {
  Transaction root = Begin();
  {
    Transaction joined = Join(root);
    fake_agent_.script.Always("Execute", Step::kLoseReply);
    EXPECT_FALSE(Open(joined).Execute("one").ok());
  }
  EXPECT_TRUE(root.Commit().aborted());
}

TEST_F(JoinTest, SessionsOfAJoinedTransactionArePreparedAndLeft) {
  Transaction root = Begin();
  FakeSession session;
  {
    Transaction joined = Join(root);
    auto branch = joined.Enlist(agent_, "stock_my", session.Blocking());
    ASSERT_TRUE(branch.ok());
    EXPECT_EQ(fake_agent_.enlisted().at(0).app_held().finisher(), v1::FINISHER_AGENT);
    ASSERT_TRUE(joined.Prepare().ok());
  }
  EXPECT_TRUE(root.Commit().committed());
  EXPECT_THAT(session.ran(), ElementsAre("XA START e-1", "XA END e-1", "XA PREPARE e-1"));
}

TEST_F(JoinTest, SessionThatWasLeftWithoutPrepareRollsBack) {
  Transaction root = Begin();
  FakeSession session;
  {
    Transaction joined = Join(root);
    ASSERT_TRUE(joined.Enlist(agent_, "stock_my", session.Blocking()).ok());
  }
  EXPECT_EQ(session.ran().back(), "XA ROLLBACK e-1");
  EXPECT_TRUE(root.Commit().aborted());
}

// Here the branch may well be prepared, and the agent would vote yes for it; but the caller of the
// one who joined was told of a failure.
TEST_F(JoinTest, FailedPrepareOfAJoinedTransactionRollsBack) {
  Transaction root = Begin();
  FakeSession session;
  {
    Transaction joined = Join(root);
    ASSERT_TRUE(joined.Enlist(agent_, "stock_my", session.Blocking()).ok());
    session.Fail("XA PREPARE");
    EXPECT_FALSE(joined.Prepare().ok());
    EXPECT_EQ(coordinator_.script.Count("Rollback"), 0u);  // It could still be done anew.
    session.Recover();
  }
  EXPECT_EQ(coordinator_.script.Count("Rollback"), 1u);
  EXPECT_EQ(session.ran().back(), "XA ROLLBACK e-1");
  EXPECT_TRUE(root.Commit().aborted());
}

TEST_F(JoinTest, FailedPrepareThatWasDoneAnewIsNoFailure) {
  Transaction root = Begin();
  FakeSession session;
  FakeSession other(72);
  {
    Transaction joined = Join(root);
    auto branch = joined.Enlist(agent_, "stock_my", session.Blocking());
    ASSERT_TRUE(branch.ok());
    session.Fail("XA PREPARE");
    EXPECT_FALSE(joined.Prepare().ok());
    session.Recover();
    ASSERT_TRUE(joined.Enlist(agent_, "stock_my", other.Blocking(), {.again = branch->gid()}).ok());
    EXPECT_TRUE(joined.Prepare().ok());
  }
  EXPECT_EQ(coordinator_.script.Count("Rollback"), 0u);
  EXPECT_TRUE(root.Commit().committed());
}

TEST_F(JoinTest, JoinedSessionMayFinishByItself) {
  Transaction root = Begin();
  FakeSession session;
  Transaction joined = Join(root);
  auto branch = joined.Enlist(agent_, "stock_my", session.Blocking(), {.finisher = Finisher::kApp});
  ASSERT_TRUE(branch.ok());
  coordinator_.LeaveToApp("g-1", branch->gid(), "stock_my");
  ASSERT_TRUE(joined.Prepare().ok());
  EXPECT_TRUE(branch->Finish(client_.OutcomeOf("g-1")).ok());  // Not known yet: does nothing.
  EXPECT_EQ(session.ran().back(), "XA PREPARE e-1");

  CommitResult result = root.Commit();
  ASSERT_EQ(result.pending.size(), 1u);
  EXPECT_TRUE(result.pending[0].yours);
  EXPECT_TRUE(branch->Finish(client_.Resolve("g-1", std::chrono::seconds(10))).ok());
  EXPECT_EQ(session.ran().back(), "XA COMMIT e-1");
  Begin();
  EXPECT_THAT(coordinator_.finished(), ElementsAre("e-1"));
}

}  // namespace
}  // namespace assent::client
