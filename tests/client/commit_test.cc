// Begin, Commit, Rollback, Resolve: what is repeated, and what the caller hears.
#include <thread>

#include "tests/client/fixture.h"

namespace assent::client {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class CommitTest : public ClientTest {};

TEST_F(CommitTest, LostReplyIsAskedForAgainWithTheSameGtrid) {
  coordinator_.script.Then("Commit", {Step::kLoseReply, Step::kLoseReply});
  Transaction transaction = Begin();
  CommitResult result = transaction.Commit();
  EXPECT_EQ(result.outcome, Outcome::kCommitted);
  EXPECT_TRUE(result.applied);
  EXPECT_THAT(coordinator_.script.calls(),
              ElementsAre("Begin ", "Commit g-1", "Commit g-1", "Commit g-1"));
}

TEST_F(CommitTest, RestartOfTheCoordinatorIsWaitedFor) {
  Transaction transaction = Begin();
  coordinator_server_.Stop();
  std::thread restart([&] {
    std::this_thread::sleep_for(milliseconds(300));
    coordinator_server_.Start();
  });
  CommitResult result = transaction.Commit();
  restart.join();
  EXPECT_EQ(result.outcome, Outcome::kCommitted) << result.ToString();
}

TEST_F(CommitTest, CallThatHangsIsRepeatedAfterTheTryTimeout) {
  coordinator_.script.Then("Commit", {Step::kHang});
  Transaction transaction = Begin();
  milliseconds taken = Time([&] { EXPECT_TRUE(transaction.Commit().committed()); });
  EXPECT_GE(taken, milliseconds(450));
  EXPECT_EQ(coordinator_.script.Count("Commit"), 2u);
}

TEST_F(CommitTest, UnknownIsTheAnswerOnceRetryForHasPassed) {
  coordinator_.script.Always("Commit", Step::kSayUnknown);
  Transaction transaction = Begin();
  CommitResult result;
  milliseconds taken = Time([&] { result = transaction.Commit({.retry_for = milliseconds(300)}); });
  EXPECT_EQ(result.outcome, Outcome::kUnknown);
  EXPECT_FALSE(result.why_unknown.ok());
  EXPECT_GE(taken, milliseconds(290));
  EXPECT_LT(taken, milliseconds(2'000));
  EXPECT_GT(coordinator_.script.Count("Commit"), 2u);

  // The question stays open, and may be asked again.
  coordinator_.script.Always("Commit", Step::kServe);
  EXPECT_EQ(transaction.Commit().outcome, Outcome::kCommitted);
}

TEST_F(CommitTest, UnknownWhenNobodyIsThere) {
  Transaction transaction = Begin();
  coordinator_server_.Stop();
  CommitResult result = transaction.Commit({.retry_for = milliseconds(200)});
  EXPECT_EQ(result.outcome, Outcome::kUnknown);
  EXPECT_THAT(result.ToString(), HasSubstr(coordinator_server_.endpoint()));
}

TEST_F(CommitTest, ForeignGtridIsUnknownAtOnceAndSaysWhy) {
  coordinator_.script.Always("Commit", Step::kForeign);
  Transaction transaction = Begin();
  CommitResult result;
  milliseconds taken = Time([&] { result = transaction.Commit(); });
  EXPECT_EQ(result.outcome, Outcome::kUnknown);
  EXPECT_EQ(result.why_unknown.code(), Code::kFailedPrecondition);
  EXPECT_EQ(coordinator_.script.Count("Commit"), 1u);
  EXPECT_LT(taken, milliseconds(5'000));
}

TEST_F(CommitTest, MemoryLostInARestartIsAbortedPresumedAndRetryable) {
  coordinator_.script.Then("Commit", {Step::kLostMemory});
  Transaction transaction = Begin();
  CommitResult result = transaction.Commit();
  EXPECT_EQ(result.outcome, Outcome::kAborted);
  EXPECT_EQ(result.abort.cause, AbortCause::kPresumed);
  EXPECT_TRUE(result.abort.retryable());
}

TEST_F(CommitTest, SecondCommitAnswersTheSameWithoutACall) {
  Transaction transaction = Begin();
  EXPECT_TRUE(transaction.Commit().committed());
  EXPECT_TRUE(transaction.Commit().committed());
  EXPECT_TRUE(transaction.Rollback().committed());
  EXPECT_EQ(coordinator_.script.Count("Commit"), 1u);
  EXPECT_EQ(coordinator_.script.Count("Rollback"), 0u);
}

TEST_F(CommitTest, CommitIsNeverSentAfterRollbackWasCalled) {
  coordinator_.script.Always("Rollback", Step::kRefuse);
  Transaction transaction = Begin();
  EXPECT_TRUE(transaction.Rollback(milliseconds(50)).unknown());
  EXPECT_TRUE(transaction.Commit({.retry_for = milliseconds(50)}).unknown());
  coordinator_.script.Always("Rollback", Step::kServe);
  EXPECT_TRUE(transaction.Commit().aborted());
  EXPECT_EQ(coordinator_.script.Count("Commit"), 0u);
}

TEST_F(CommitTest, RollbackAnswersAborted) {
  Transaction transaction = Begin();
  CommitResult result = transaction.Rollback();
  EXPECT_TRUE(result.aborted());
  EXPECT_EQ(result.abort.cause, AbortCause::kClientRollback);
  EXPECT_FALSE(result.abort.retryable());
}

// ---- The destructor ----

TEST_F(CommitTest, DestructorRollsAnUnfinishedTransactionBack) {
  { Transaction transaction = Begin(); }
  EXPECT_EQ(coordinator_.Decided("g-1"), v1::OUTCOME_ABORTED);
}

TEST_F(CommitTest, DestructorLeavesAnUnknownOutcomeAlone) {
  coordinator_.script.Always("Commit", Step::kSayUnknown);
  {
    Transaction transaction = Begin();
    EXPECT_TRUE(transaction.Commit({.retry_for = milliseconds(20)}).unknown());
  }
  EXPECT_EQ(coordinator_.script.Count("Rollback"), 0u);
}

TEST_F(CommitTest, DestructorIsBriefWhenNobodyIsThere) {
  milliseconds taken{};
  {
    auto transaction = std::make_unique<Transaction>(Begin());
    coordinator_server_.Stop();
    taken = Time([&] { transaction.reset(); });
  }
  EXPECT_LT(taken, milliseconds(1'000));
}

TEST_F(CommitTest, MovedFromTransactionIsNotRolledBackTwice) {
  {
    Transaction first = Begin();
    Transaction second = std::move(first);
    second = Begin();  // Drops g-1.
    EXPECT_EQ(coordinator_.Decided("g-1"), v1::OUTCOME_ABORTED);
    EXPECT_TRUE(second.Commit().committed());
  }
  EXPECT_EQ(coordinator_.script.Count("Rollback"), 1u);
}

// ---- Begin ----

TEST_F(CommitTest, BeginWaitsAsLongAsABusyCoordinatorAsks) {
  coordinator_.script.busy_delay_ms = 150;
  coordinator_.script.Then("Begin", {Step::kBusy, Step::kBusy});
  milliseconds taken = Time([&] { EXPECT_FALSE(Begin().gtrid().empty()); });
  EXPECT_GE(taken, milliseconds(300));
  EXPECT_EQ(coordinator_.script.Count("Begin"), 3u);
}

TEST_F(CommitTest, BeginGivesUpAndNamesTheCoordinator) {
  coordinator_server_.Stop();
  Status status;
  milliseconds taken = Time([&] { status = client_.Begin().status(); });
  EXPECT_EQ(status.code(), Code::kUnavailable);
  EXPECT_THAT(status.message(), HasSubstr(coordinator_server_.endpoint()));
  EXPECT_GE(taken, milliseconds(900));
  EXPECT_LT(taken, milliseconds(4'000));
}

TEST_F(CommitTest, BeginRefusesBadOptionsWithoutACall) {
  EXPECT_EQ(client_.Begin({.timeout = std::chrono::hours(2)}).status().code(),
            Code::kInvalidArgument);
  EXPECT_EQ(client_.Begin({.client_key = std::string(129, 'k')}).status().code(),
            Code::kInvalidArgument);
  EXPECT_EQ(client_.Begin({.label = std::string(129, 'l')}).status().code(),
            Code::kInvalidArgument);
  EXPECT_TRUE(coordinator_.script.calls().empty());
}

TEST_F(CommitTest, KeyThatWasCommittedNeedsNoSecondTransaction) {
  EXPECT_TRUE(Begin({.client_key = "transfer-1"}).Commit().committed());
  Transaction again = Begin({.client_key = "transfer-1"});
  EXPECT_TRUE(again.already_committed());
  EXPECT_EQ(again.gtrid(), "g-1");
  EXPECT_EQ(again.Open(agent_, "orders_pg").status().code(), Code::kFailedPrecondition);
  EXPECT_TRUE(again.Commit().committed());
  EXPECT_EQ(coordinator_.script.Count("Commit"), 1u);
  EXPECT_EQ(fake_agent_.opened(), 0u);
}

// ---- Several nodes ----

TEST_F(CommitTest, HintedLeaderIsAsked) {
  FakeCoordinator follower;
  FakeServer follower_server(&follower);
  follower.script.leader = coordinator_server_.endpoint();
  for (const char* verb : {"Begin", "Commit"}) follower.script.Always(verb, Step::kNotLeader);

  Client client = Connect({follower_server.endpoint()});  // Does not list the leader.
  auto transaction = client.Begin();
  ASSERT_TRUE(transaction.ok()) << transaction.status().ToString();
  EXPECT_TRUE(transaction->Commit().committed());
  EXPECT_EQ(follower.script.calls().size(), 1u);  // Asked once, then known.
}

// As a leader does that was cut off, until it has heard who came after it.
TEST_F(CommitTest, ANodeThatNamesItselfIsPassedOver) {
  FakeCoordinator deposed;
  FakeServer deposed_server(&deposed);
  deposed.script.leader = deposed_server.endpoint();
  deposed.script.Always("Begin", Step::kNotLeader);
  Client client = Connect({deposed_server.endpoint(), coordinator_server_.endpoint()});
  auto transaction = client.Begin();
  ASSERT_TRUE(transaction.ok()) << transaction.status().ToString();
  EXPECT_TRUE(transaction->Commit().committed());
  EXPECT_EQ(deposed.script.calls().size(), 1u);
}

// As where coordinators are pods, each at an address that was never there before.
TEST_F(CommitTest, LeadersAtEverNewAddressesAreFound) {
  FakeCoordinator follower;
  FakeServer follower_server(&follower);
  for (const char* verb : {"Begin", "Commit"}) follower.script.Always(verb, Step::kNotLeader);
  Client client = Connect({follower_server.endpoint()});
  for (int i = 0; i < 40; ++i) {
    FakeCoordinator leader;
    FakeServer server(&leader);
    follower.script.leader = server.endpoint();
    auto transaction = client.Begin();
    ASSERT_TRUE(transaction.ok()) << "leader " << i << ": " << transaction.status().ToString();
    EXPECT_TRUE(transaction->Commit().committed());
  }
}

TEST_F(CommitTest, DeadNodeIsPassedOver) {
  FakeCoordinator dead;
  FakeServer dead_server(&dead);
  dead_server.Stop();
  Client client = Connect({dead_server.endpoint(), coordinator_server_.endpoint()});
  auto transaction = client.Begin();
  ASSERT_TRUE(transaction.ok()) << transaction.status().ToString();
  EXPECT_TRUE(transaction->Commit().committed());
}

TEST_F(CommitTest, WrongEndpointsAreRefusedByName) {
  for (std::string endpoint : {"", "localhost", ":7400", "localhost:0", "localhost:x", "a:99999"}) {
    auto client = Client::Connect({.endpoints = {endpoint}});
    ASSERT_FALSE(client.ok()) << endpoint;
    EXPECT_EQ(client.status().code(), Code::kInvalidArgument);
    EXPECT_THAT(client.status().message(), HasSubstr("'" + endpoint + "'"));
  }
  EXPECT_FALSE(Client::Connect({.endpoints = {}}).ok());
  auto tls = Client::Connect({.tls = {.ca_file = "/does/not/exist.pem"}});
  ASSERT_FALSE(tls.ok());
  EXPECT_THAT(tls.status().message(), HasSubstr("/does/not/exist.pem"));
}

// ---- Asking later ----

TEST_F(CommitTest, ResolveWaitsUntilTheOutcomeIsKnown) {
  coordinator_.Decide("g-9", v1::OUTCOME_COMMITTED, v1::ABORT_CAUSE_UNSPECIFIED);
  coordinator_.script.Then("Get", {Step::kSayUnknown, Step::kLoseReply, Step::kRefuse});
  CommitResult result = client_.Resolve("g-9", std::chrono::seconds(10));
  EXPECT_TRUE(result.committed());
  EXPECT_TRUE(result.applied);
  EXPECT_EQ(coordinator_.script.Count("Commit"), 0u);  // It asks, it does not push.
}

TEST_F(CommitTest, OutcomeOfAsksOnce) {
  EXPECT_TRUE(client_.OutcomeOf("g-9").unknown());
  EXPECT_EQ(coordinator_.script.Count("Get"), 1u);
}

TEST_F(CommitTest, ResolveOfAForeignGtridEndsAtOnce) {
  coordinator_.script.Always("Get", Step::kForeign);
  CommitResult result = client_.Resolve("x-1", std::chrono::hours(1));
  EXPECT_TRUE(result.unknown());
  EXPECT_EQ(result.why_unknown.code(), Code::kFailedPrecondition);
}

}  // namespace
}  // namespace assent::client
