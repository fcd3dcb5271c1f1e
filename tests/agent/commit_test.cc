// An agent over a real link: open, work, prepare, commit, roll back, and every verb twice.
#include <gmock/gmock.h>

#include "tests/agent/agent_fixture.h"

namespace assent::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class CommitTest : public AgentFixture {};

TEST_F(CommitTest, ABranchIsOpenedPreparedAndCommitted) {
  StartServing();
  const std::string gid = Opened({"write a"});
  v1::ExecuteReply reply;
  ASSERT_TRUE(Execute(gid, 2, {"write b", "select"}, &reply).ok());
  ASSERT_EQ(reply.results_size(), 2);
  EXPECT_EQ(reply.results(1).rows(0).values(0).integer(), 42);

  coordinator_->Prepare(gid);
  auto vote = coordinator_->NextVote();
  ASSERT_TRUE(vote.has_value());
  EXPECT_EQ(vote->gid(), gid);
  EXPECT_EQ(vote->vote(), v1::BranchVote::YES);
  EXPECT_EQ(vote->evidence(), "fake=1");
  EXPECT_THAT(database_.Prepared(), ElementsAre(GidOf(gid)));
  EXPECT_THAT(database_.Effects(), IsEmpty());

  coordinator_->Finish(gid, true, vote->evidence());
  auto finished = coordinator_->NextFinished();
  ASSERT_TRUE(finished.has_value());
  EXPECT_EQ(finished->gid(), gid);
  EXPECT_EQ(finished->state(), v1::BRANCH_STATE_COMMITTED);
  EXPECT_THAT(database_.Effects(), ElementsAre("a", "b"));
  EXPECT_THAT(database_.Prepared(), IsEmpty());
}

TEST_F(CommitTest, APreparedBranchIsRolledBackWhenTold) {
  StartServing();
  const std::string gid = PreparedBranch("a");
  coordinator_->Finish(gid, false);
  auto finished = coordinator_->NextFinished();
  ASSERT_TRUE(finished.has_value());
  EXPECT_EQ(finished->state(), v1::BRANCH_STATE_ROLLED_BACK);
  EXPECT_THAT(database_.Effects(), IsEmpty());
  EXPECT_THAT(database_.Prepared(), IsEmpty());
}

TEST_F(CommitTest, AnAttachedBranchIsCommittedOnItsOwnSession) {
  database_.SetAttached(true);
  StartServing();
  const std::string gid = PreparedBranch("a");
  coordinator_->Finish(gid, true, "fake=1");
  auto finished = coordinator_->NextFinished();
  ASSERT_TRUE(finished.has_value());
  // A session of the finish pool would have waited for ever.
  EXPECT_EQ(finished->state(), v1::BRANCH_STATE_COMMITTED);
  EXPECT_THAT(database_.Effects(), ElementsAre("a"));
}

TEST_F(CommitTest, EveryVerbToldTwiceReachesTheDatabaseOnce) {
  StartServing();
  const std::string gid = Opened({"write a"});
  coordinator_->Prepare(gid);
  ASSERT_EQ(coordinator_->NextVote()->vote(), v1::BranchVote::YES);
  coordinator_->Prepare(gid);
  ASSERT_EQ(coordinator_->NextVote()->vote(), v1::BranchVote::YES);
  coordinator_->Finish(gid, true, "fake=1");
  ASSERT_EQ(coordinator_->NextFinished()->state(), v1::BRANCH_STATE_COMMITTED);
  coordinator_->Finish(gid, true, "fake=1");
  ASSERT_EQ(coordinator_->NextFinished()->state(), v1::BRANCH_STATE_COMMITTED);
  coordinator_->Forget(gid);
  coordinator_->Forget(gid);
  EXPECT_EQ(database_.CountsOf(GidOf(gid)).prepares, 1);
  EXPECT_EQ(database_.CountsOf(GidOf(gid)).commits, 1);
}

TEST_F(CommitTest, AReadOnlyBranchVotesSoAndLeavesNothing) {
  StartServing();
  const std::string gid = Opened({"select"}, true);
  coordinator_->Prepare(gid);
  EXPECT_EQ(coordinator_->NextVote()->vote(), v1::BranchVote::READ_ONLY);
  EXPECT_THAT(database_.Prepared(), IsEmpty());
}

TEST_F(CommitTest, AFailedStatementDoomsTheBranch) {
  StartServing();
  const std::string gid = Opened({"write a"});
  v1::ExecuteReply reply;
  ASSERT_TRUE(Execute(gid, 2, {"fail", "write b"}, &reply).ok());
  ASSERT_EQ(reply.results_size(), 1);
  EXPECT_TRUE(reply.results(0).error().branch_doomed());
  EXPECT_EQ(reply.results(0).error().cause(), v1::BRANCH_CAUSE_STATEMENT_FAILED);
  auto lost = coordinator_->NextLost();
  ASSERT_TRUE(lost.has_value());
  EXPECT_EQ(lost->gid(), gid);
  coordinator_->Prepare(gid);
  auto vote = coordinator_->NextVote();
  EXPECT_EQ(vote->vote(), v1::BranchVote::NO);
  EXPECT_EQ(vote->cause(), v1::BRANCH_CAUSE_STATEMENT_FAILED);
  EXPECT_EQ(vote->database_code(), "42601");
}

TEST_F(CommitTest, AFailureThatWasToBeSurvivedDoesNotDoom) {
  StartServing();
  const std::string gid = Opened({"write a"});
  v1::ExecuteReply reply;
  ASSERT_TRUE(Execute(gid, 2, {"fail"}, &reply, true).ok());
  EXPECT_FALSE(reply.results(0).error().branch_doomed());
  coordinator_->Prepare(gid);
  EXPECT_EQ(coordinator_->NextVote()->vote(), v1::BranchVote::YES);
}

TEST_F(CommitTest, PrepareWhileAStatementRunsVotesNo) {
  StartServing();
  const std::string gid = Opened({"write a"});
  std::thread worker([&] {
    v1::ExecuteReply reply;
    EXPECT_TRUE(Execute(gid, 2, {"block"}, &reply).ok());
    EXPECT_EQ(reply.results(0).error().database_code(), "57014");
  });
  EXPECT_TRUE(Eventually([&] { return database_.blocked() == 1; }));
  coordinator_->Prepare(gid);
  auto vote = coordinator_->NextVote();
  EXPECT_EQ(vote->vote(), v1::BranchVote::NO);
  EXPECT_EQ(vote->cause(), v1::BRANCH_CAUSE_STATEMENT_RUNNING);
  worker.join();  // Interrupted, not waited for.
}

TEST_F(CommitTest, AnInterruptIsRepeatedUntilTheStatementEnds) {
  StartServing();
  const std::string gid = Opened({"write a"});
  std::thread worker([&] {
    v1::ExecuteReply reply;
    EXPECT_TRUE(Execute(gid, 2, {"block"}, &reply).ok());
  });
  EXPECT_TRUE(Eventually([&] { return database_.blocked() == 1; }));
  database_.LoseCancels(1);
  coordinator_->Finish(gid, false);
  worker.join();  // Nobody lets go of the statement.
  EXPECT_EQ(coordinator_->NextFinished()->state(), v1::BRANCH_STATE_ROLLED_BACK);
}

TEST_F(CommitTest, ABranchThatIsBeingOpenedTakesNoOtherWork) {
  StartServing();
  coordinator_->Disregard();
  const Gtrid gtrid = coordinator_->NextGtrid();
  std::thread opener([&] {
    v1::OpenReply reply;
    EXPECT_TRUE(Open(ToString(gtrid), "1", {"block"}, &reply).ok());
  });
  EXPECT_TRUE(Eventually([&] { return database_.blocked() == 1; }));
  // Its gid can be guessed.
  const Gid gid{.gtrid = gtrid, .bqual = {.resource = "orders_pg", .branch = 2, .attempt = 1}};
  std::thread joiner([&] {
    v1::ExecuteReply reply;
    EXPECT_TRUE(Execute(ToString(gid), 1, {"select"}, &reply).ok());
    EXPECT_EQ(reply.results_size(), 1);
  });
  v1::ExecuteReply reply;
  EXPECT_EQ(DetailOf(Execute(ToString(gid), 2, {"select"}, &reply)).reason(),
            v1::REASON_SEQUENCE_GAP);
  database_.LetGo();
  opener.join();
  joiner.join();
}

TEST_F(CommitTest, PrepareOfAnUnknownBranchVotesNo) {
  StartServing();
  coordinator_->Prepare(ToString(OtherGid()));
  auto vote = coordinator_->NextVote();
  EXPECT_EQ(vote->vote(), v1::BranchVote::NO);
  EXPECT_EQ(vote->cause(), v1::BRANCH_CAUSE_UNKNOWN_BRANCH);
}

TEST_F(CommitTest, APrepareThatFailsVotesNoWithItsCause) {
  StartServing();
  const std::string gid = Opened({"write a"});
  database_.FailPrepares(
      1,
      {.cause = adapters::Cause::kSerialization, .code = "40001", .detail = "could not serialize"});
  coordinator_->Prepare(gid);
  auto vote = coordinator_->NextVote();
  EXPECT_EQ(vote->vote(), v1::BranchVote::NO);
  EXPECT_EQ(vote->cause(), v1::BRANCH_CAUSE_SERIALIZATION);
  EXPECT_EQ(vote->database_code(), "40001");
}

TEST_F(CommitTest, ARepeatedOpenAnswersAsTheFirst) {
  StartServing();
  const std::string gtrid = ToString(coordinator_->NextGtrid());
  v1::OpenReply first;
  v1::OpenReply second;
  ASSERT_TRUE(Open(gtrid, "1", {"select"}, &first).ok());
  ASSERT_TRUE(Open(gtrid, "1", {"select"}, &second).ok());
  EXPECT_EQ(first.gid(), second.gid());
  EXPECT_EQ(second.results(0).rows(0).values(0).integer(), 42);
  EXPECT_EQ(database_.CountsOf(GidOf(first.gid())).starts, 1);
  v1::OpenReply other;
  ASSERT_TRUE(Open(gtrid, "2", {}, &other).ok());
  EXPECT_NE(first.gid(), other.gid());
}

TEST_F(CommitTest, ARepeatedSeqReplaysAndAGapIsRefused) {
  StartServing();
  const std::string gid = Opened({});
  v1::ExecuteReply first;
  v1::ExecuteReply again;
  ASSERT_TRUE(Execute(gid, 1, {"select"}, &first).ok());
  ASSERT_TRUE(Execute(gid, 1, {"fail"}, &again).ok());  // What it says now does not matter.
  ASSERT_EQ(again.results_size(), 1);
  EXPECT_EQ(again.results(0).rows(0).values(0).integer(), 42);
  v1::ExecuteReply none;
  const grpc::Status gap = Execute(gid, 3, {"select"}, &none);
  EXPECT_EQ(gap.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(DetailOf(gap).reason(), v1::REASON_SEQUENCE_GAP);
}

TEST_F(CommitTest, WorkAfterPrepareIsRefused) {
  StartServing();
  const std::string gid = PreparedBranch("a");
  v1::ExecuteReply reply;
  const grpc::Status status = Execute(gid, 2, {"write b"}, &reply);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(DetailOf(status).reason(), v1::REASON_NOT_ACTIVE);
}

TEST_F(CommitTest, ADeadlineRollsAnOpenBranchBack) {
  StartServing();
  coordinator_->SetRemaining(300);
  const std::string gid = Opened({"write a"});
  auto lost = coordinator_->NextLost();
  ASSERT_TRUE(lost.has_value());
  EXPECT_EQ(lost->gid(), gid);
  v1::ExecuteReply reply;
  const grpc::Status status = Execute(gid, 2, {"write b"}, &reply);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(DetailOf(status).reason(), v1::REASON_BRANCH_LOST);
  EXPECT_THAT(status.error_message(), HasSubstr("deadline"));
}

TEST_F(CommitTest, ALostSessionIsALostBranch) {
  StartServing();
  const std::string gid = Opened({"write a"});
  v1::ExecuteReply reply;
  ASSERT_TRUE(Execute(gid, 2, {"lose"}, &reply).ok());
  EXPECT_EQ(reply.results(0).error().cause(), v1::BRANCH_CAUSE_CONNECTION_LOST);
  EXPECT_EQ(coordinator_->NextLost()->gid(), gid);
  coordinator_->Prepare(gid);
  auto vote = coordinator_->NextVote();
  EXPECT_EQ(vote->vote(), v1::BranchVote::NO);
  EXPECT_EQ(vote->cause(), v1::BRANCH_CAUSE_CONNECTION_LOST);
}

TEST_F(CommitTest, CommitIsRetriedUntilTheDatabaseDoesIt) {
  StartServing();
  const std::string gid = PreparedBranch("a");
  database_.FailCommits(3, {.finish = adapters::Finish::kTransient, .detail = "busy"});
  coordinator_->Finish(gid, true, "fake=1");
  auto waits = coordinator_->NextFinished();
  ASSERT_TRUE(waits.has_value());
  EXPECT_EQ(waits->state(), v1::BRANCH_STATE_COMMITTING);
  EXPECT_EQ(waits->detail(), "busy");
  EXPECT_EQ(coordinator_->NextFinished()->state(), v1::BRANCH_STATE_COMMITTED);
  EXPECT_THAT(database_.Effects(), ElementsAre("a"));
}

TEST_F(CommitTest, ACommitWhoseAnswerWasLostIsNoHazard) {
  StartServing();
  const std::string gid = PreparedBranch("a");
  database_.LoseCommitAnswers(1);
  coordinator_->Finish(gid, true, "fake=1");
  EXPECT_EQ(coordinator_->NextFinished()->state(), v1::BRANCH_STATE_COMMITTING);
  EXPECT_EQ(coordinator_->NextFinished()->state(), v1::BRANCH_STATE_COMMITTED);
  EXPECT_EQ(database_.CountsOf(GidOf(gid)).commits, 1);
}

}  // namespace
}  // namespace assent::agent
