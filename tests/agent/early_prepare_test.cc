// Branches that are prepared with their last work, and branches that Begin has registered: fewer
// messages, the same rules.
#include <gmock/gmock.h>

#include "base/mutant.h"
#include "tests/agent/agent_fixture.h"

namespace assent::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class EarlyPrepareTest : public AgentFixture {
 protected:
  v1::ExecuteReply Prepared(const std::string& gid, const std::vector<std::string>& sql,
                            uint64_t seq = 2) {
    v1::ExecuteReply reply;
    const grpc::Status status = Execute(gid, seq, sql, &reply, false, true);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return reply;
  }
  // A gid that the coordinator has registered with Begin.
  Gid Registered() { return OtherGid(); }
  void CommitAndForget(const Gid& gid) {
    coordinator_->Finish(ToString(gid), true, "fake=1");
    EXPECT_EQ(coordinator_->NextFinished()->state(), v1::BRANCH_STATE_COMMITTED);
    coordinator_->Forget(ToString(gid));
  }
};

TEST_F(EarlyPrepareTest, TheLastExecuteAnswersWithTheVote) {
  StartServing();
  const uint64_t incarnation = coordinator_->NextHello()->agent_incarnation();
  const std::string gid = Opened({"write a"});
  const v1::ExecuteReply reply = Prepared(gid, {"write b", "select"});
  EXPECT_EQ(reply.results_size(), 2);
  ASSERT_TRUE(reply.verdict().has_ticket());
  EXPECT_EQ(reply.verdict().ticket().gid(), gid);
  EXPECT_EQ(reply.verdict().ticket().agent_incarnation(), incarnation);
  EXPECT_EQ(reply.verdict().ticket().evidence(), "fake=1");
  EXPECT_FALSE(reply.verdict().ticket().read_only());
  EXPECT_THAT(database_.Prepared(), ElementsAre(GidOf(gid)));

  // Commit came without the ticket: from memory, and it is the first that the link hears of it.
  coordinator_->Prepare(gid);
  auto vote = coordinator_->NextVote();
  ASSERT_TRUE(vote.has_value());
  EXPECT_EQ(vote->vote(), v1::BranchVote::YES);
  EXPECT_EQ(coordinator_->verdicts_waiting(), 0u);
  EXPECT_EQ(database_.CountsOf(GidOf(gid)).prepares, 1);
  coordinator_->Finish(gid, true, "fake=1");
  EXPECT_EQ(coordinator_->NextFinished()->state(), v1::BRANCH_STATE_COMMITTED);
  EXPECT_THAT(database_.Effects(), ElementsAre("a", "b"));
}

TEST_F(EarlyPrepareTest, NoWorkIsNeededToPrepare) {
  StartServing();
  const std::string gid = Opened({"write a"});
  EXPECT_TRUE(Prepared(gid, {}).verdict().has_ticket());
  EXPECT_THAT(database_.Prepared(), ElementsAre(GidOf(gid)));
}

TEST_F(EarlyPrepareTest, AReadOnlyBranchSaysSoAndIsOver) {
  StartServing();
  const std::string gid = Opened({"select"}, true);
  EXPECT_TRUE(Prepared(gid, {"select"}).verdict().ticket().read_only());
  EXPECT_THAT(database_.Prepared(), IsEmpty());
}

TEST_F(EarlyPrepareTest, AFailedStatementIsARefusal) {
  StartServing();
  const std::string gid = Opened({"write a"});
  const v1::ExecuteReply reply = Prepared(gid, {"fail", "write b"});
  EXPECT_EQ(reply.results_size(), 1);
  EXPECT_EQ(reply.verdict().refusal().cause(), v1::BRANCH_CAUSE_STATEMENT_FAILED);
  EXPECT_EQ(coordinator_->NextLost()->gid(), gid);  // The others need not wait.
  EXPECT_EQ(database_.CountsOf(GidOf(gid)).prepares, 0);
}

TEST_F(EarlyPrepareTest, AFailureThatWasToBeSurvivedPreparesNothing) {
  StartServing();
  const std::string gid = Opened({"write a"});
  v1::ExecuteReply reply;
  ASSERT_TRUE(Execute(gid, 2, {"fail"}, &reply, true, true).ok());
  EXPECT_FALSE(reply.has_verdict());
  EXPECT_TRUE(Prepared(gid, {"write b"}, 3).verdict().has_ticket());
}

TEST_F(EarlyPrepareTest, ARefusedPrepareIsARefusal) {
  StartServing();
  const std::string gid = Opened({"write a"});
  database_.FailPrepares(
      1,
      {.cause = adapters::Cause::kSerialization, .code = "40001", .detail = "could not serialize"});
  const v1::BranchRefusal refusal = Prepared(gid, {"write b"}).verdict().refusal();
  EXPECT_EQ(refusal.cause(), v1::BRANCH_CAUSE_SERIALIZATION);
  EXPECT_EQ(refusal.database_code(), "40001");
  EXPECT_EQ(coordinator_->NextLost()->gid(), gid);
}

// Whether it got prepared is not known, and the no stands: the abort is carried to the database.
TEST_F(EarlyPrepareTest, APrepareThatLosesItsSessionIsARefusal) {
  StartServing();
  const std::string gid = Opened({"write a"});
  database_.FailPrepares(1, {.cause = adapters::Cause::kConnectionLost,
                             .detail = "the connection was lost",
                             .session_lost = true});
  EXPECT_EQ(Prepared(gid, {"write b"}).verdict().refusal().cause(),
            v1::BRANCH_CAUSE_CONNECTION_LOST);
  coordinator_->Finish(gid, false);
  EXPECT_EQ(coordinator_->NextFinished()->state(), v1::BRANCH_STATE_ROLLED_BACK);
}

TEST_F(EarlyPrepareTest, ARepeatHearsTheSameTicketAndPreparesOnce) {
  StartServing();
  const std::string gid = Opened({"write a"});
  const v1::ExecuteReply first = Prepared(gid, {"write b"});
  const v1::ExecuteReply again = Prepared(gid, {"write b"});
  EXPECT_EQ(first.SerializeAsString(), again.SerializeAsString());
  EXPECT_EQ(database_.CountsOf(GidOf(gid)).prepares, 1);
}

TEST_F(EarlyPrepareTest, AfterItTheBranchTakesNoWork) {
  database_.SetAttached(true);  // It still has its session, so the seeded bug has something to hit.
  StartServing();
  const std::string gid = Opened({"write a"});
  ASSERT_TRUE(Prepared(gid, {"write b"}).verdict().has_ticket());
  v1::ExecuteReply reply;
  const grpc::Status status = Execute(gid, 3, {"write c"}, &reply);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(DetailOf(status).reason(), v1::REASON_NOT_ACTIVE);
#if defined(ASSENT_FAILPOINTS)
  const ScopedMutant mutant(Mutant::kEarlyPreparedWorks);
  EXPECT_TRUE(Execute(gid, 3, {"write c"}, &reply).ok());
#endif
}

TEST_F(EarlyPrepareTest, APrepareOverTheLinkWaitsForTheWorkThatPrepares) {
  StartServing();
  const std::string gid = Opened({"write a"});
  std::thread worker([&] {
    v1::ExecuteReply reply;
    EXPECT_TRUE(Execute(gid, 2, {"block"}, &reply, false, true).ok());
    EXPECT_TRUE(reply.verdict().has_ticket());
  });
  EXPECT_TRUE(Eventually([&] { return database_.blocked() == 1; }));
  coordinator_->Prepare(gid);
  WaitWelcomed();  // It has been taken in.
  EXPECT_EQ(coordinator_->verdicts_waiting(), 0u);
  database_.LetGo();
  EXPECT_EQ(coordinator_->NextVote()->vote(), v1::BranchVote::YES);
  worker.join();
  EXPECT_EQ(database_.CountsOf(GidOf(gid)).prepares, 1);
}

TEST_F(EarlyPrepareTest, AnAbortInterruptsTheWorkThatWasToPrepare) {
  StartServing();
  const std::string gid = Opened({"write a"});
  std::thread worker([&] {
    v1::ExecuteReply reply;
    EXPECT_TRUE(Execute(gid, 2, {"block"}, &reply, false, true).ok());
    EXPECT_TRUE(reply.verdict().has_refusal());
  });
  EXPECT_TRUE(Eventually([&] { return database_.blocked() == 1; }));
  coordinator_->Finish(gid, false);
  worker.join();
  EXPECT_EQ(coordinator_->NextFinished()->state(), v1::BRANCH_STATE_ROLLED_BACK);
  EXPECT_EQ(database_.CountsOf(GidOf(gid)).prepares, 0);
}

// ---- Branches of Begin --------------------------------------------------------------------------

TEST_F(EarlyPrepareTest, ARegisteredBranchIsOpenedWithoutTheCoordinator) {
  StartServing();
  coordinator_->IgnoreRegistrations(true);
  const Gid gid = Registered();
  v1::OpenReply reply;
  ASSERT_TRUE(OpenRegistered(gid, {"write a", "select"}, &reply).ok());
  EXPECT_EQ(reply.gid(), ToString(gid));
  EXPECT_EQ(reply.results_size(), 2);
  EXPECT_GT(reply.remaining_ms(), 0u);
  EXPECT_TRUE(Prepared(reply.gid(), {"write b"}).verdict().has_ticket());
  coordinator_->Finish(reply.gid(), true, "fake=1");
  EXPECT_EQ(coordinator_->NextFinished()->state(), v1::BRANCH_STATE_COMMITTED);
  EXPECT_THAT(database_.Effects(), ElementsAre("a", "b"));
}

TEST_F(EarlyPrepareTest, OneCallOpensWorksAndPrepares) {
  StartServing();
  const Gid gid = Registered();
  v1::OpenReply reply;
  ASSERT_TRUE(OpenRegistered(gid, {"write a"}, &reply, true).ok());
  ASSERT_TRUE(reply.verdict().has_ticket());
  EXPECT_EQ(reply.verdict().ticket().gid(), ToString(gid));
  EXPECT_THAT(database_.Prepared(), ElementsAre(gid));
  v1::ExecuteReply more;
  EXPECT_EQ(DetailOf(Execute(ToString(gid), 2, {"write b"}, &more)).reason(),
            v1::REASON_NOT_ACTIVE);
}

TEST_F(EarlyPrepareTest, ARepeatedOpenByGidAnswersAsTheFirst) {
  StartServing();
  const Gid gid = Registered();
  v1::OpenReply first;
  v1::OpenReply again;
  ASSERT_TRUE(OpenRegistered(gid, {"write a", "select"}, &first, true).ok());
  ASSERT_TRUE(OpenRegistered(gid, {"write a", "select"}, &again, true).ok());
  EXPECT_EQ(first.verdict().SerializeAsString(), again.verdict().SerializeAsString());
  EXPECT_EQ(again.results(1).rows(0).values(0).integer(), 42);
  EXPECT_EQ(database_.CountsOf(gid).starts, 1);
  EXPECT_EQ(database_.CountsOf(gid).prepares, 1);
  v1::ExecuteReply replayed;  // Open with statements counts as seq 1.
  ASSERT_TRUE(Execute(ToString(gid), 1, {}, &replayed).ok());
  EXPECT_EQ(replayed.results_size(), 2);
  EXPECT_TRUE(replayed.verdict().has_ticket());
#if defined(ASSENT_FAILPOINTS)
  const ScopedMutant mutant(Mutant::kOpenedTwice);
  (void)OpenRegistered(gid, {"write a"}, &again, true);
  EXPECT_EQ(database_.CountsOf(gid).prepares, 2);
#endif
}

TEST_F(EarlyPrepareTest, AnOpenThatComesAfterTheAbortIsRefused) {
  StartServing();
  const Gid gid = Registered();
  coordinator_->Finish(ToString(gid), false);
  EXPECT_EQ(coordinator_->NextFinished()->state(), v1::BRANCH_STATE_ROLLED_BACK);
  v1::OpenReply reply;
  EXPECT_EQ(DetailOf(OpenRegistered(gid, {"write a"}, &reply, true)).reason(),
            v1::REASON_NOT_ACTIVE);
  EXPECT_EQ(database_.CountsOf(gid).starts, 0);
}

// Its transaction has committed, the coordinator knows that every branch has, and the agent was
// told to forget: opened and prepared once more, it would be committed once more (rules 16.3 and
// I7).
TEST_F(EarlyPrepareTest, AnOpenThatComesAfterTheForgettingIsRefused) {
  StartServing();
  const Gid gid = Registered();
  v1::OpenReply reply;
  ASSERT_TRUE(OpenRegistered(gid, {"write a"}, &reply, true).ok());
  CommitAndForget(gid);
  grpc::Status status;
  ASSERT_TRUE(Eventually([&] {  // Until it has forgotten, it answers as to the first.
    status = OpenRegistered(gid, {"write a"}, &reply, true);
    return !status.ok();
  }));
  EXPECT_EQ(DetailOf(status).reason(), v1::REASON_NOT_ACTIVE);
  EXPECT_THAT(status.error_message(), HasSubstr("opened before"));
  EXPECT_EQ(database_.CountsOf(gid).starts, 1);
#if defined(ASSENT_FAILPOINTS)
  const ScopedMutant mutant(Mutant::kOpenedTwice);
  EXPECT_TRUE(OpenRegistered(gid, {"write a"}, &reply, true).ok());
  EXPECT_EQ(database_.CountsOf(gid).prepares, 2);
#endif
}

// As before, but the agent has restarted, and remembers nothing.
TEST_F(EarlyPrepareTest, AnOpenForTheAgentsPredecessorIsRefused) {
  StartServing();
  holder_ = coordinator_->agent_incarnation();
  const Gid gid = Registered();
  v1::OpenReply reply;
  ASSERT_TRUE(OpenRegistered(gid, {"write a"}, &reply, true).ok());
  CommitAndForget(gid);
  StopAgent();
  coordinator_->Disregard();
  StartServing();
  const grpc::Status status = OpenRegistered(gid, {"write a"}, &reply, true);
  EXPECT_EQ(DetailOf(status).reason(), v1::REASON_NOT_ACTIVE);
  EXPECT_THAT(status.error_message(), HasSubstr("restarted"));
  EXPECT_EQ(database_.CountsOf(gid).starts, 1);
#if defined(ASSENT_FAILPOINTS)
  const ScopedMutant mutant(Mutant::kOpenedTwice);
  EXPECT_TRUE(OpenRegistered(gid, {"write a"}, &reply, true).ok());
  EXPECT_EQ(database_.CountsOf(gid).prepares, 2);
#endif
}

// A restored group begins its terms and numbers anew; the permission to follow it may have been
// given before the agent worked for the group before.
TEST_F(EarlyPrepareTest, AnotherGroupsBranchIsNotTakenForOneOpenedBefore) {
  StartServing();
  StopAgent();
  coordinator_->Disregard();
  options_.repin = true;
  StartServing();
  Gid gid = Registered();
  v1::OpenReply reply;
  ASSERT_TRUE(OpenRegistered(gid, {"write a"}, &reply, true).ok());
  CommitAndForget(gid);
  v1::Welcome welcome = coordinator_->welcome();
  gid.gtrid.incarnation = welcome.group_incarnation() + 1;
  welcome.set_group_incarnation(gid.gtrid.incarnation);
  coordinator_->SetWelcome(welcome);
  coordinator_->DropLinks();
  grpc::Status status;
  EXPECT_TRUE(Eventually([&] {
    status = OpenRegistered(gid, {"write b"}, &reply, true);
    return status.ok();
  })) << status.error_message();
}

TEST_F(EarlyPrepareTest, AnOpenOfAnEpochThatIsOverIsRefused) {
  StartServing();
  const Gid gid = Registered();
  coordinator_->Lead(6, true);
  ASSERT_TRUE(Eventually([&] {
    v1::OpenReply reply;
    return Open(ToString(coordinator_->NextGtrid()), "later", {}, &reply).ok();
  }));
  v1::OpenReply reply;
  const grpc::Status status = OpenRegistered(gid, {"write a"}, &reply, true);
  EXPECT_EQ(DetailOf(status).reason(), v1::REASON_NOT_ACTIVE);
  EXPECT_THAT(status.error_message(), HasSubstr("begin anew"));
#if defined(ASSENT_FAILPOINTS)
  // The seeded bug: a vote of a transaction that nobody can decide any more.
  const ScopedMutant mutant(Mutant::kOldEpochOpened);
  EXPECT_TRUE(OpenRegistered(gid, {"write a"}, &reply, true).ok());
  EXPECT_EQ(database_.CountsOf(gid).prepares, 1);
#endif
}

// A repeat that comes after the agent's restart: preparing the gid once more would break rule 16.3.
TEST_F(EarlyPrepareTest, AnOpenOfWhatTheDatabaseListsIsRefused) {
  StartServing();
  const Gid gid = Registered();
  v1::OpenReply reply;
  ASSERT_TRUE(OpenRegistered(gid, {"write a"}, &reply, true).ok());
  StopAgent();
  coordinator_->Disregard();
  StartServing();
  EXPECT_EQ(coordinator_->NextInquiry()->gid(), ToString(gid));  // It has been listed.
  const grpc::Status status = OpenRegistered(gid, {"write a"}, &reply, true);
  EXPECT_EQ(DetailOf(status).reason(), v1::REASON_NOT_ACTIVE);
  EXPECT_THAT(status.error_message(), HasSubstr("lists"));
  EXPECT_EQ(database_.CountsOf(gid).prepares, 1);
}

TEST_F(EarlyPrepareTest, TheDeadlineOfARegisteredBranchIsTheCallers) {
  StartServing();
  const Gid gid = Registered();
  v1::OpenReply reply;
  ASSERT_TRUE(OpenRegistered(gid, {"write a"}, &reply, false, 300).ok());
  EXPECT_EQ(coordinator_->NextLost()->gid(), ToString(gid));
}

// Its transaction was aborted without it, or never heard of its vote.
TEST_F(EarlyPrepareTest, ABranchPreparedTooLateIsAskedAboutAndRolledBack) {
  StartServing();
  const Gid gid = Registered();
  v1::OpenReply reply;
  ASSERT_TRUE(OpenRegistered(gid, {"write a"}, &reply, true).ok());
  auto inquiry = coordinator_->NextInquiry();
  ASSERT_TRUE(inquiry.has_value());
  EXPECT_EQ(inquiry->gid(), ToString(gid));
  coordinator_->Answer(ToString(gid), v1::InquiryAnswer::ABORT);
  EXPECT_EQ(coordinator_->NextFinished()->state(), v1::BRANCH_STATE_ROLLED_BACK);
  EXPECT_THAT(database_.Prepared(), IsEmpty());
}

TEST_F(EarlyPrepareTest, BadOpensByGidAreRefusedByName) {
  StartServing();
  const Gid gid = Registered();
  v1::OpenRequest good;
  good.set_gid(ToString(gid));
  good.set_remaining_ms(1'000);
  good.set_agent_incarnation(coordinator_->agent_incarnation());
  auto refused = [&](const std::function<void(v1::OpenRequest&)>& spoil) {
    v1::OpenRequest request = good;
    spoil(request);
    v1::OpenReply reply;
    grpc::ClientContext context;
    const grpc::Status status = stub_->Open(&context, request, &reply);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    return status.error_message();
  };
  EXPECT_THAT(refused([](auto& r) { r.set_gid("nonsense"); }), HasSubstr("gid"));
  EXPECT_THAT(refused([](auto& r) { r.set_remaining_ms(0); }), HasSubstr("remaining_ms is 0"));
  EXPECT_THAT(refused([](auto& r) { r.set_remaining_ms(kRemainingMsMax + 1); }),
              HasSubstr(std::to_string(kRemainingMsMax)));
  EXPECT_THAT(refused([](auto& r) { r.set_agent_incarnation(0); }),
              HasSubstr("agent_incarnation is 0"));
  EXPECT_THAT(refused([](auto& r) { r.set_resource("stock_my"); }), HasSubstr("stock_my"));
  EXPECT_THAT(refused([&](auto& r) { r.set_gtrid(ToString(coordinator_->NextGtrid())); }),
              HasSubstr("gtrid"));
  v1::OpenReply reply;
  EXPECT_EQ(DetailOf(OpenRegistered(OtherGid("orders_pg", "elsewhere"), {}, &reply)).reason(),
            v1::REASON_FOREIGN_GTRID);
  Gid restored = OtherGid();
  ++restored.gtrid.incarnation;
  EXPECT_EQ(DetailOf(OpenRegistered(restored, {}, &reply)).reason(), v1::REASON_NOT_ACTIVE);
  EXPECT_EQ(DetailOf(OpenRegistered(OtherGid("stock_my"), {}, &reply)).reason(),
            v1::REASON_UNKNOWN_RESOURCE);
}

}  // namespace
}  // namespace assent::agent
