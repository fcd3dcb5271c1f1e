// Branches that applications hold (docs/protocols.md 5): enlisted, looked up, ended by either side,
// and every race of that section that an agent can see.
#include <gmock/gmock.h>

#include "base/mutant.h"
#include "tests/agent/agent_fixture.h"

namespace assent::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class AppHeldTest : public AgentFixture {
 protected:
  AppHeldTest() { options_.finish_grace = std::chrono::milliseconds(100); }

  // The session of an application.
  v1::AppHeld NewSession(v1::Finisher finisher = v1::FINISHER_AGENT) {
    session_ = database_.AppConnect();
    v1::AppHeld app_held;
    app_held.set_connection_id(std::to_string(session_));
    app_held.set_finisher(finisher);
    return app_held;
  }
  v1::EnlistRequest EnlistRequestOf(const v1::AppHeld& app_held, const std::string& open_id = "1") {
    v1::EnlistRequest request;
    request.set_gtrid(ToString(coordinator_->NextGtrid()));
    request.set_resource("orders_pg");
    request.set_open_id(open_id);
    *request.mutable_app_held() = app_held;
    return request;
  }
  std::string EnlistedBranch(const v1::AppHeld& app_held) {
    v1::EnlistReply reply;
    const grpc::Status status = Enlist(EnlistRequestOf(app_held), &reply);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return reply.gid();
  }
  // Registered with Begin and prepared; this agent has not heard of it.
  std::string UnheardBranch(const std::string& effect) {
    const Gid gid = OtherGid();
    database_.AppPrepare(session_, gid, effect);
    return ToString(gid);
  }
  // One that has voted yes over the link.
  std::string VotedBranch(const v1::AppHeld& app_held, const std::string& effect) {
    const std::string gid = UnheardBranch(effect);
    coordinator_->Prepare(gid, &app_held);
    auto vote = coordinator_->NextVote();
    EXPECT_TRUE(vote.has_value() && vote->vote() == v1::BranchVote::YES) << gid;
    if (vote.has_value()) evidence_ = vote->evidence();
    return gid;
  }
  // Until the agent has taken in all that was said over the link before; its database may be away.
  void WaitTakenIn() {
    const std::string unknown = ToString(OtherGid());
    coordinator_->Prepare(unknown);
    auto vote = coordinator_->NextVote();
    EXPECT_TRUE(vote.has_value() && vote->gid() == unknown);
  }
  v1::BranchState NextFinishedState() {
    std::optional<v1::BranchFinished> finished;
    do {
      finished = coordinator_->NextFinished();
    } while (finished.has_value() && finished->state() == v1::BRANCH_STATE_COMMITTING);
    EXPECT_TRUE(finished.has_value());
    return finished.has_value() ? finished->state() : v1::BRANCH_STATE_UNSPECIFIED;
  }

  uint64_t session_ = 0;  // The last one.
  std::string evidence_;  // Of the last vote.
};

// ---- Enlist -------------------------------------------------------------------------------------

TEST_F(AppHeldTest, EnlistHandsOutAGidAndItsStatements) {
  StartServing();
  coordinator_->Disregard();
  const v1::AppHeld app_held = NewSession(v1::FINISHER_APP);
  v1::EnlistReply reply;
  ASSERT_TRUE(Enlist(EnlistRequestOf(app_held), &reply).ok());
  EXPECT_EQ(reply.kind(), "postgresql");
  EXPECT_GT(reply.remaining_ms(), 0u);
  EXPECT_THAT(reply.statements().begin(), ElementsAre("BEGIN"));
  ASSERT_EQ(reply.statements().prepare_size(), 1);
  EXPECT_THAT(reply.statements().prepare(0), HasSubstr("PREPARE TRANSACTION"));
  EXPECT_THAT(reply.statements().commit(), HasSubstr(ToString(GidOf(reply.gid()).gtrid)));
  auto registered = coordinator_->NextRegister();
  ASSERT_TRUE(registered.has_value());
  EXPECT_EQ(registered->app_held().connection_id(), app_held.connection_id());
  EXPECT_EQ(registered->app_held().finisher(), v1::FINISHER_APP);
}

TEST_F(AppHeldTest, ARepeatedEnlistAnswersAsTheFirst) {
  StartServing();
  const v1::EnlistRequest request = EnlistRequestOf(NewSession());
  v1::EnlistReply first;
  v1::EnlistReply again;
  ASSERT_TRUE(Enlist(request, &first).ok());
  ASSERT_TRUE(Enlist(request, &again).ok());
  EXPECT_EQ(first.SerializeAsString(), again.SerializeAsString());
  v1::OpenReply open;  // Ids of Open and Enlist are one space.
  EXPECT_EQ(Open(request.gtrid(), request.open_id(), {}, &open).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
}

// After an unclear PREPARE: a gid is never prepared twice, so the work gets a fresh one.
TEST_F(AppHeldTest, EnlistAgainNamesTheAttemptThatIsVoid) {
  StartServing();
  coordinator_->Disregard();
  v1::EnlistRequest request = EnlistRequestOf(NewSession());
  v1::EnlistReply first;
  ASSERT_TRUE(Enlist(request, &first).ok());
  request.set_open_id("2");
  request.set_again(first.gid());
  v1::EnlistReply second;
  ASSERT_TRUE(Enlist(request, &second).ok());
  EXPECT_NE(first.gid(), second.gid());
  EXPECT_EQ(coordinator_->NextRegister()->again(), "");
  EXPECT_EQ(coordinator_->NextRegister()->again(), first.gid());
  request.set_again(ToString(OtherGid()));  // Of another transaction.
  request.set_open_id("3");
  EXPECT_THAT(Enlist(request, &second).error_message(), HasSubstr("again"));
}

TEST_F(AppHeldTest, ARoleIsCheckedOnceAndBeforeAnythingIsRegistered) {
  StartServing();
  coordinator_->Disregard();
  v1::EnlistRequest request = EnlistRequestOf(NewSession());
  request.set_role("orders");
  v1::EnlistReply reply;
  const grpc::Status refused = Enlist(request, &reply);
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(refused.error_message(), HasSubstr("GRANT orders"));
  database_.AllowRole("orders");
  ASSERT_TRUE(Enlist(request, &reply).ok());
  request.set_open_id("2");
  ASSERT_TRUE(Enlist(request, &reply).ok());
  // One refused, one accepted, and one that was known.
  EXPECT_EQ(database_.look_counts().role_checks, 2);
  EXPECT_EQ(coordinator_->registers_waiting(), 2u);
}

TEST_F(AppHeldTest, BadEnlistsAreRefusedByName) {
  database_.SetAttached(true);
  StartServing();
  const v1::EnlistRequest good = EnlistRequestOf(NewSession());
  auto refused = [&](const std::function<void(v1::EnlistRequest&)>& spoil) {
    v1::EnlistRequest request = good;
    spoil(request);
    v1::EnlistReply reply;
    const grpc::Status status = Enlist(request, &reply);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    return status.error_message();
  };
  EXPECT_THAT(refused([](auto& r) { r.clear_app_held(); }), HasSubstr("app_held"));
  EXPECT_THAT(refused([](auto& r) { r.mutable_app_held()->set_connection_id("7; x"); }),
              HasSubstr("7; x"));
  EXPECT_THAT(refused([](auto& r) { r.mutable_app_held()->clear_connection_id(); }),
              HasSubstr("CONNECTION_ID()"));
  EXPECT_THAT(refused([](auto& r) { r.set_open_id(""); }), HasSubstr("open_id"));
  EXPECT_THAT(refused([](auto& r) { r.set_role(std::string(64, 'r')); }), HasSubstr("role"));
  EXPECT_THAT(refused([](auto& r) { r.set_again("nonsense"); }), HasSubstr("again"));
}

// ---- The vote -----------------------------------------------------------------------------------

TEST_F(AppHeldTest, VoteLooksAndAnswersWithATicket) {
  StartServing();
  const uint64_t incarnation = coordinator_->NextHello()->agent_incarnation();
  const v1::AppHeld app_held = NewSession();
  const std::string gid = EnlistedBranch(app_held);
  v1::VoteReply reply;
  ASSERT_TRUE(Vote(gid, nullptr, &reply).ok());
  EXPECT_EQ(reply.verdict().refusal().cause(), v1::BRANCH_CAUSE_NOT_PREPARED);
  database_.AppPrepare(session_, GidOf(gid), "a");
  ASSERT_TRUE(Vote(gid, nullptr, &reply).ok());  // A no binds nobody: it looks again.
  ASSERT_TRUE(reply.verdict().has_ticket());
  EXPECT_EQ(reply.verdict().ticket().gid(), gid);
  EXPECT_EQ(reply.verdict().ticket().agent_incarnation(), incarnation);
  EXPECT_THAT(reply.verdict().ticket().evidence(), HasSubstr("conn=" + app_held.connection_id()));
  // Commit came without it: from memory.
  coordinator_->Prepare(gid, &app_held);
  EXPECT_EQ(coordinator_->NextVote()->vote(), v1::BranchVote::YES);
  EXPECT_EQ(database_.look_counts().looks, 2);
}

TEST_F(AppHeldTest, APrepareOfWhatTheAgentNeverHeardOfIsLookedUp) {
  StartServing();
  const v1::AppHeld app_held = NewSession();
  const std::string prepared = UnheardBranch("a");
  const std::string not_prepared = ToString(OtherGid());
  coordinator_->Prepare(prepared, &app_held);
  EXPECT_EQ(coordinator_->NextVote()->vote(), v1::BranchVote::YES);
  auto vote_on_nothing = [&] {
    coordinator_->Prepare(not_prepared, &app_held);
    return *coordinator_->NextVote();
  };
  v1::BranchVote vote = vote_on_nothing();
  EXPECT_EQ(vote.vote(), v1::BranchVote::NO);
  EXPECT_EQ(vote.cause(), v1::BRANCH_CAUSE_NOT_PREPARED);
#if defined(ASSENT_FAILPOINTS)
  const ScopedMutant mutant(Mutant::kVoteWithoutLook);
  EXPECT_EQ(vote_on_nothing().vote(), v1::BranchVote::YES);
#endif
}

TEST_F(AppHeldTest, WhatGathersDuringALookGoesIntoTheNext) {
  StartServing();
  const v1::AppHeld app_held = NewSession();
  constexpr size_t kMany = 50;
  std::vector<std::string> gids;
  for (size_t i = 0; i < kMany; ++i) gids.push_back(UnheardBranch(std::to_string(i)));
  database_.HoldLooks(true);
  coordinator_->Prepare(gids[0], &app_held);
  EXPECT_TRUE(Eventually([&] { return database_.looking(); }));
  for (size_t i = 1; i < kMany; ++i) coordinator_->Prepare(gids[i], &app_held);
  WaitTakenIn();
  database_.HoldLooks(false);
  for (size_t i = 0; i < kMany; ++i) {
    ASSERT_EQ(coordinator_->NextVote()->vote(), v1::BranchVote::YES);
  }
  EXPECT_EQ(database_.look_counts().looks, 2);
  EXPECT_EQ(database_.look_counts().largest, kMany - 1);
}

TEST_F(AppHeldTest, AVoteOutlastsADatabaseThatIsAway) {
  StartServing();
  const v1::AppHeld app_held = NewSession();
  const std::string gid = UnheardBranch("a");
  database_.SetDown(true);
  v1::VoteReply reply;
  EXPECT_TRUE(Eventually(
      [&] { return Vote(gid, &app_held, &reply).error_code() == grpc::StatusCode::UNAVAILABLE; }));
  coordinator_->Prepare(gid, &app_held);
  WaitTakenIn();
  EXPECT_EQ(coordinator_->verdicts_waiting(), 0u);
  database_.SetDown(false);
  EXPECT_EQ(coordinator_->NextVote()->vote(), v1::BranchVote::YES);
}

TEST_F(AppHeldTest, ALookThatOnlyAnAdministratorCanMendIsANo) {
  StartServing();
  const v1::AppHeld app_held = NewSession();
  database_.FailLooks(2, PermissionDenied("grant XA_RECOVER_ADMIN"));  // A fresh session is tried.
  coordinator_->Prepare(UnheardBranch("a"), &app_held);
  auto vote = coordinator_->NextVote();
  EXPECT_EQ(vote->vote(), v1::BranchVote::NO);
  EXPECT_EQ(vote->cause(), v1::BRANCH_CAUSE_PERMISSION);
  EXPECT_THAT(vote->message(), HasSubstr("XA_RECOVER_ADMIN"));
}

TEST_F(AppHeldTest, AVoteWithoutItsSessionIsRefusedWhereTheSessionMatters) {
  database_.SetAttached(true);
  StartServing();
  const v1::AppHeld app_held = NewSession();
  const std::string gid = UnheardBranch("a");
  v1::VoteReply reply;
  ASSERT_TRUE(Vote(gid, nullptr, &reply).ok());
  EXPECT_EQ(reply.verdict().refusal().cause(), v1::BRANCH_CAUSE_UNKNOWN_BRANCH);
  EXPECT_THAT(reply.verdict().refusal().message(), HasSubstr("app_held"));
  ASSERT_TRUE(Vote(gid, &app_held, &reply).ok());
  EXPECT_TRUE(reply.verdict().has_ticket());
}

TEST_F(AppHeldTest, AVoteWithoutItsSessionIsLookedUpOnPostgres) {
  StartServing();
  NewSession();
  v1::VoteReply reply;
  ASSERT_TRUE(Vote(UnheardBranch("a"), nullptr, &reply).ok());
  EXPECT_TRUE(reply.verdict().has_ticket());
}

TEST_F(AppHeldTest, BadVotesAreRefusedByName) {
  StartServing();
  v1::VoteReply reply;
  EXPECT_THAT(Vote("nonsense", nullptr, &reply).error_message(), HasSubstr("gid"));
  v1::AppHeld bad;
  bad.set_connection_id("x");
  EXPECT_THAT(Vote(ToString(OtherGid()), &bad, &reply).error_message(), HasSubstr("connection_id"));
  EXPECT_EQ(DetailOf(Vote(ToString(OtherGid("stock_my")), nullptr, &reply)).reason(),
            v1::REASON_UNKNOWN_RESOURCE);
  EXPECT_EQ(DetailOf(Vote(ToString(OtherGid("orders_pg", "elsewhere")), nullptr, &reply)).reason(),
            v1::REASON_FOREIGN_GTRID);
  EXPECT_THAT(Vote(Opened({}), nullptr, &reply).error_message(), HasSubstr("not app-held"));
  v1::ExecuteReply executed;
  EXPECT_THAT(Execute(EnlistedBranch(NewSession()), 1, {"select"}, &executed).error_message(),
              HasSubstr("app-held"));
}

// ---- Commit -------------------------------------------------------------------------------------

TEST_F(AppHeldTest, TheAgentCommitsWhatIsTiedToItsApplication) {
  database_.SetAttached(true);
  StartServing();
  const v1::AppHeld app_held = NewSession();
  const std::string gid = VotedBranch(app_held, "a");
  EXPECT_TRUE(database_.AppConnected(session_));
  coordinator_->Finish(gid, true, evidence_, &app_held);
  EXPECT_EQ(NextFinishedState(), v1::BRANCH_STATE_COMMITTED);
  EXPECT_FALSE(database_.AppConnected(session_));
  EXPECT_THAT(database_.Effects(), ElementsAre("a"));
}

TEST_F(AppHeldTest, ARestartedAgentCommitsWhatItNeverHeardOf) {
  database_.SetAttached(true);
  StartServing();
  const v1::AppHeld app_held = NewSession();
  const std::string gid = VotedBranch(app_held, "a");
  StopAgent();
  StartAgent();
  ASSERT_TRUE(coordinator_->WaitServed(1));
  coordinator_->Finish(gid, true, evidence_, &app_held);
  EXPECT_EQ(NextFinishedState(), v1::BRANCH_STATE_COMMITTED);
  EXPECT_THAT(database_.Effects(), ElementsAre("a"));
}

TEST_F(AppHeldTest, AnotherAgentsVoteIsCommittedHere) {
  StartServing();
  const v1::AppHeld app_held = NewSession();
  const std::string gid = EnlistedBranch(app_held);  // But another agent looked and voted.
  database_.AppPrepare(session_, GidOf(gid), "a");
  coordinator_->Finish(gid, true, "fake=1 conn=1 app=holds", &app_held);
  EXPECT_EQ(NextFinishedState(), v1::BRANCH_STATE_COMMITTED);
  EXPECT_THAT(database_.Effects(), ElementsAre("a"));
}

// Its application has committed it, but did not say so, and the agent remembers nothing: what comes
// with COMMIT tells that its absence is as it should be.
TEST_F(AppHeldTest, ARestartedAgentTakesAnApplicationsCommitForDone) {
  database_.SetAttached(true);
  StartServing();
  const v1::AppHeld app_held = NewSession(v1::FINISHER_APP);
  const std::string gid = VotedBranch(app_held, "a");
  StopAgent();
  ASSERT_TRUE(database_.AppFinish(session_, GidOf(gid), true));
  StartAgent();
  ASSERT_TRUE(coordinator_->WaitServed(1));
  coordinator_->Finish(gid, true, evidence_, &app_held);
  EXPECT_EQ(NextFinishedState(), v1::BRANCH_STATE_COMMITTED);
  EXPECT_TRUE(database_.AppConnected(session_));
}

// The application has heard the decision and carried it out: no vote is withdrawn.
TEST_F(AppHeldTest, AnApplicationsOwnCommitIsNoLoss) {
  StartServing();
  const v1::AppHeld app_held = NewSession(v1::FINISHER_APP);
  const std::string gid = VotedBranch(app_held, "a");
  ASSERT_EQ(coordinator_->NextInquiry()->gid(), gid);  // It has been listed.
  coordinator_->Disregard();
  ASSERT_TRUE(database_.AppFinish(session_, GidOf(gid), true));
  EXPECT_EQ(coordinator_->NextInquiry()->gid(), gid);
  coordinator_->Answer(gid, v1::InquiryAnswer::COMMIT);
  EXPECT_EQ(NextFinishedState(), v1::BRANCH_STATE_COMMITTED);
  EXPECT_EQ(coordinator_->verdicts_waiting(), 0u);
#if defined(ASSENT_FAILPOINTS)
  const ScopedMutant mutant(Mutant::kAppsCommitIsLoss);
  const std::string other = VotedBranch(app_held, "b");
  ASSERT_TRUE(database_.AppFinish(session_, GidOf(other), true));
  EXPECT_EQ(coordinator_->NextLost()->gid(), other);
#endif
}

TEST_F(AppHeldTest, WhatItsApplicationCommittedIsForgotten) {
  options_.inquiry_age = std::chrono::minutes(10);
  database_.SetReport({.server = "Fake 1.0", .identity = "fake-1", .prepared_max = 3});
  StartServing();
  const v1::AppHeld app_held = NewSession(v1::FINISHER_APP);
  const std::string gid = VotedBranch(app_held, "a");
  ASSERT_TRUE(database_.AppFinish(session_, GidOf(gid), true));
  coordinator_->Forget(gid);
  // It takes no room any more: of three, one is kept in reserve and one is the fixture's probe.
  EXPECT_TRUE(Eventually([&] {
    v1::OpenReply reply;
    return Open(ToString(coordinator_->NextGtrid()), "1", {}, &reply).ok();
  }));
}

// A scan asked about it, and meanwhile the report, END and forget have passed. Such an answer
// brings no evidence: taken for a decision to carry out, it would find nothing and call that a
// hazard.
TEST_F(AppHeldTest, AnAnswerAboutWhatIsForgottenIsNoDecision) {
  options_.inquiry_age = std::chrono::minutes(10);
  StartServing();
  const v1::AppHeld app_held = NewSession(v1::FINISHER_APP);
  const std::string gid = VotedBranch(app_held, "a");
  ASSERT_TRUE(database_.AppFinish(session_, GidOf(gid), true));
  for (int i = 0; i < 2; ++i) {  // One may be lost: the agent may dial anew with what it serves.
    coordinator_->Forget(gid);
    WaitTakenIn();
  }
  coordinator_->Answer(gid, v1::InquiryAnswer::COMMIT);
  const v1::AppHeld next = NewSession();
  const std::string other = VotedBranch(next, "b");
  coordinator_->Finish(other, true, evidence_, &next);
  for (std::string told; told != other;) {
    auto finished = coordinator_->NextFinished();
    ASSERT_TRUE(finished.has_value());
    told = finished->gid();
    EXPECT_NE(told, gid);
  }
  EXPECT_EQ(database_.CountsOf(GidOf(gid)).commits, 0);
}

// Likewise of a branch that was enlisted here, where another agent has voted for it and committed
// it.
TEST_F(AppHeldTest, AnAnswerAboutWhatAnotherAgentHasEndedIsNoDecision) {
  options_.inquiry_age = std::chrono::minutes(10);
  StartServing();
  const std::string gid = EnlistedBranch(NewSession());
  coordinator_->Answer(gid, v1::InquiryAnswer::COMMIT);
  const v1::AppHeld next = NewSession();
  const std::string other = VotedBranch(next, "b");
  coordinator_->Finish(other, true, evidence_, &next);
  auto finished = coordinator_->NextFinished();
  ASSERT_TRUE(finished.has_value());
  EXPECT_EQ(finished->gid(), other);
  EXPECT_EQ(database_.CountsOf(GidOf(gid)).commits, 0);
}

// Nothing was decided, so it can't have been its application: somebody else ended it.
TEST_F(AppHeldTest, ABranchThatVanishesUndecidedIsLost) {
  StartServing();
  const v1::AppHeld app_held = NewSession(v1::FINISHER_APP);
  const std::string gid = VotedBranch(app_held, "a");
  database_.TakePrepared(GidOf(gid));
  while (coordinator_->verdicts_waiting() == 0) {
    auto inquiry = coordinator_->NextInquiry();
    ASSERT_TRUE(inquiry.has_value());
    coordinator_->Answer(gid, v1::InquiryAnswer::PENDING);
  }
  EXPECT_EQ(coordinator_->NextLost()->gid(), gid);
}

// Its application has committed it, and the coordinator gives it time to say so.
TEST_F(AppHeldTest, ABranchThatItsApplicationEndsWithinTheGraceIsNotLost) {
  StartServing();
  const v1::AppHeld app_held = NewSession(v1::FINISHER_APP);
  const std::string gid = VotedBranch(app_held, "a");
  ASSERT_TRUE(database_.AppFinish(session_, GidOf(gid), true));
  for (int i = 0; i < 2; ++i) {
    auto inquiry = coordinator_->NextInquiry();
    ASSERT_TRUE(inquiry.has_value());
    EXPECT_EQ(inquiry->gid(), gid);
    coordinator_->Answer(gid, v1::InquiryAnswer::LEFT_TO_APP);
  }
  // What a loss would come before.
  coordinator_->Finish(gid, true, evidence_, &app_held);
  auto finished = coordinator_->NextFinished();
  ASSERT_TRUE(finished.has_value());
  EXPECT_EQ(finished->gid(), gid);
  EXPECT_EQ(finished->state(), v1::BRANCH_STATE_COMMITTED);
  EXPECT_EQ(coordinator_->verdicts_waiting(), 0u);
}

TEST_F(AppHeldTest, ABranchThatVanishesFromItsAgentIsLost) {
  StartServing();
  const v1::AppHeld app_held = NewSession(v1::FINISHER_AGENT);
  const std::string gid = VotedBranch(app_held, "a");
  database_.TakePrepared(GidOf(gid));
  EXPECT_EQ(coordinator_->NextLost()->gid(), gid);
}

// ---- Abort --------------------------------------------------------------------------------------

TEST_F(AppHeldTest, AnAbortOfWhatWasNeverPreparedClosesNobodysSession) {
  database_.SetAttached(true);
  StartServing();
  const v1::AppHeld app_held = NewSession();
  const std::string gid = EnlistedBranch(app_held);
  coordinator_->Finish(gid, false, "", &app_held);
  EXPECT_EQ(NextFinishedState(), v1::BRANCH_STATE_ROLLED_BACK);
  EXPECT_TRUE(database_.AppConnected(session_));
  EXPECT_EQ(database_.CountsOf(GidOf(gid)).rollbacks, 0);
}

TEST_F(AppHeldTest, AnAbortOfWhatIsPreparedClosesTheSessionThatHoldsIt) {
  database_.SetAttached(true);
  StartServing();
  const v1::AppHeld app_held = NewSession();
  const std::string gid = UnheardBranch("a");  // And its vote was never asked for.
  coordinator_->Finish(gid, false, "", &app_held);
  EXPECT_EQ(NextFinishedState(), v1::BRANCH_STATE_ROLLED_BACK);
  EXPECT_FALSE(database_.AppConnected(session_));
  EXPECT_THAT(database_.Prepared(), IsEmpty());
}

TEST_F(AppHeldTest, AnApplicationIsGivenTimeToRollBackByItself) {
  options_.finish_grace = std::chrono::minutes(10);
  database_.SetAttached(true);
  StartServing();
  const v1::AppHeld app_held = NewSession(v1::FINISHER_APP);
  const std::string gid = VotedBranch(app_held, "a");
  coordinator_->Finish(gid, false, "", &app_held);
  WaitTakenIn();
  EXPECT_TRUE(database_.AppFinish(session_, GidOf(gid), false));
  EXPECT_TRUE(database_.AppConnected(session_));
}

TEST_F(AppHeldTest, ASilentApplicationLosesItsSession) {
  database_.SetAttached(true);
  StartServing();
  const v1::AppHeld app_held = NewSession(v1::FINISHER_APP);
  const std::string gid = VotedBranch(app_held, "a");
  coordinator_->Finish(gid, false, "", &app_held);
  EXPECT_EQ(NextFinishedState(), v1::BRANCH_STATE_ROLLED_BACK);
  EXPECT_FALSE(database_.AppConnected(session_));
  EXPECT_THAT(database_.Prepared(), IsEmpty());
  EXPECT_THAT(database_.Effects(), IsEmpty());
}

// Where nothing ties the branch to its session, nobody waits: locks are held meanwhile.
TEST_F(AppHeldTest, WhatIsTiedToNoSessionIsRolledBackAtOnce) {
  options_.finish_grace = std::chrono::minutes(10);
  StartServing();
  const v1::AppHeld app_held = NewSession(v1::FINISHER_APP);
  const std::string gid = VotedBranch(app_held, "a");
  coordinator_->Finish(gid, false, "", &app_held);
  EXPECT_EQ(NextFinishedState(), v1::BRANCH_STATE_ROLLED_BACK);
  EXPECT_THAT(database_.Prepared(), IsEmpty());
}

TEST_F(AppHeldTest, AnAbortOutlastsADatabaseThatIsAway) {
  StartServing();
  const v1::AppHeld app_held = NewSession();
  const std::string gid = UnheardBranch("a");
  database_.SetDown(true);
  coordinator_->Finish(gid, false, "", &app_held);
  WaitTakenIn();
  database_.SetDown(false);
  EXPECT_EQ(NextFinishedState(), v1::BRANCH_STATE_ROLLED_BACK);
  EXPECT_THAT(database_.Prepared(), IsEmpty());
}

// PREPARE after the abort: a stray, found by the scan. What the agent was told of its session when
// it was told to abort is what ends it now.
TEST_F(AppHeldTest, APrepareAfterTheAbortIsRolledBack) {
  database_.SetAttached(true);
  StartServing();
  auto prepares_late = [&] {
    const v1::AppHeld app_held = NewSession();
    const std::string gid = EnlistedBranch(app_held);
    coordinator_->Finish(gid, false, "", &app_held);
    EXPECT_EQ(NextFinishedState(), v1::BRANCH_STATE_ROLLED_BACK);
    coordinator_->Disregard();
    database_.AppPrepare(session_, GidOf(gid), "a");
    EXPECT_EQ(coordinator_->NextInquiry()->gid(), gid);
    coordinator_->Answer(gid, v1::InquiryAnswer::ABORT);
    return gid;
  };
  prepares_late();
  EXPECT_EQ(NextFinishedState(), v1::BRANCH_STATE_ROLLED_BACK);
  EXPECT_FALSE(database_.AppConnected(session_));
  EXPECT_THAT(database_.Prepared(), IsEmpty());
#if defined(ASSENT_FAILPOINTS)
  // The seeded bug: it stays, for as long as its application keeps its session.
  const ScopedMutant mutant(Mutant::kAbortForgetsSession);
  const std::string stuck = prepares_late();
  WaitWelcomed();
  EXPECT_TRUE(database_.AppConnected(session_));
  EXPECT_THAT(database_.Prepared(), ElementsAre(GidOf(stuck)));
#endif
}

TEST_F(AppHeldTest, AVoteAfterTheAbortIsANo) {
  options_.inquiry_age = std::chrono::minutes(10);
  StartServing();
  const v1::AppHeld app_held = NewSession();
  const std::string gid = EnlistedBranch(app_held);
  coordinator_->Finish(gid, false, "", &app_held);
  EXPECT_EQ(NextFinishedState(), v1::BRANCH_STATE_ROLLED_BACK);
  v1::VoteReply reply;
  ASSERT_TRUE(Vote(gid, &app_held, &reply).ok());
  EXPECT_EQ(reply.verdict().refusal().cause(), v1::BRANCH_CAUSE_UNKNOWN_BRANCH);
}

// A work request was delivered twice, and the second instance prepared after the commit.
TEST_F(AppHeldTest, OfTwoAttemptsOnlyTheOneThatIsDecidedTakesEffect) {
  StartServing();
  const v1::AppHeld first = NewSession();
  const std::string committed = VotedBranch(first, "first");
  coordinator_->Finish(committed, true, evidence_, &first);
  EXPECT_EQ(NextFinishedState(), v1::BRANCH_STATE_COMMITTED);
  coordinator_->Disregard();
  NewSession();
  const std::string late = UnheardBranch("second");
  EXPECT_EQ(coordinator_->NextInquiry()->gid(), late);
  coordinator_->Answer(late, v1::InquiryAnswer::ABORT);
  EXPECT_EQ(NextFinishedState(), v1::BRANCH_STATE_ROLLED_BACK);
  EXPECT_THAT(database_.Effects(), ElementsAre("first"));
}

TEST_F(AppHeldTest, ALeaderThatKnowsNothingOfTheVoteAbortsIt) {
  options_.inquiry_age = std::chrono::minutes(10);
  StartServing();
  const v1::AppHeld app_held = NewSession();
  const std::string gid = VotedBranch(app_held, "a");
  coordinator_->Disregard();
  coordinator_->Lead(6, true);
  EXPECT_EQ(coordinator_->NextInquiry()->gid(), gid);
  coordinator_->Answer(gid, v1::InquiryAnswer::ABORT);
  EXPECT_EQ(NextFinishedState(), v1::BRANCH_STATE_ROLLED_BACK);
  EXPECT_THAT(database_.Effects(), IsEmpty());
}

// A stray again, but a restart has lost what was told of it. The coordinator names the session.
TEST_F(AppHeldTest, AStrayWhoseSessionIsNamedLateIsRolledBack) {
  database_.SetAttached(true);
  StartServing();
  const v1::AppHeld app_held = NewSession();
  const std::string gid = UnheardBranch("a");
  EXPECT_EQ(coordinator_->NextInquiry()->gid(), gid);
  coordinator_->Answer(gid, v1::InquiryAnswer::ABORT);  // It can't say whose it is.
  WaitWelcomed();
  EXPECT_TRUE(database_.AppConnected(session_));
  coordinator_->Finish(gid, false, "", &app_held);
  EXPECT_EQ(NextFinishedState(), v1::BRANCH_STATE_ROLLED_BACK);
  EXPECT_THAT(database_.Prepared(), IsEmpty());
}

// ---- Time, leaders, death -----------------------------------------------------------------------

// The application dies after PREPARE: nothing is decided by age.
TEST_F(AppHeldTest, AnAbandonedBranchIsAskedAboutUntilItIsDecided) {
  StartServing();
  const v1::AppHeld app_held = NewSession();
  const std::string gid = EnlistedBranch(app_held);
  database_.AppPrepare(session_, GidOf(gid), "a");
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(coordinator_->NextInquiry()->gid(), gid);
    coordinator_->Answer(gid, v1::InquiryAnswer::PENDING);
  }
  EXPECT_THAT(database_.Prepared(), ElementsAre(GidOf(gid)));
  ASSERT_EQ(coordinator_->NextInquiry()->gid(), gid);
  coordinator_->Answer(gid, v1::InquiryAnswer::ABORT);
  EXPECT_EQ(NextFinishedState(), v1::BRANCH_STATE_ROLLED_BACK);
  EXPECT_THAT(database_.Prepared(), IsEmpty());
}

TEST_F(AppHeldTest, NeitherTimeNorALaterLeaderLosesIt) {
  options_.inquiry_age = std::chrono::minutes(10);
  StartServing();
  coordinator_->SetRemaining(1);
  const v1::AppHeld app_held = NewSession();
  const std::string gid = EnlistedBranch(app_held);
  database_.AppPrepare(session_, GidOf(gid), "a");
  v1::VoteReply reply;
  ASSERT_TRUE(Vote(gid, nullptr, &reply).ok());
  EXPECT_TRUE(reply.verdict().has_ticket());
  coordinator_->Disregard();
  coordinator_->SetRemaining(60'000);
  const std::string idle = EnlistedBranch(app_held);
  coordinator_->Lead(6, true);
  EXPECT_EQ(coordinator_->NextInquiry()->gid(), gid);  // All that is prepared, whatever its age.
  auto lost = coordinator_->NextLost();
  ASSERT_TRUE(lost.has_value());
  EXPECT_NE(lost->gid(), gid);  // It is the fixture's probe.
  EXPECT_NE(lost->gid(), idle);
  EXPECT_EQ(coordinator_->verdicts_waiting(), 0u);
}

TEST_F(AppHeldTest, StoppingAnswersWhoWaits) {
  StartServing();
  const v1::AppHeld app_held = NewSession();
  const std::string gid = EnlistedBranch(app_held);
  database_.HoldLooks(true);
  std::thread voter([&] {
    v1::VoteReply reply;
    const grpc::StatusCode code = Vote(gid, nullptr, &reply).error_code();
    // The look may just have come to its end.
    EXPECT_TRUE(code == grpc::StatusCode::UNAVAILABLE ||
                (code == grpc::StatusCode::OK && reply.has_verdict()))
        << code;
  });
  EXPECT_TRUE(Eventually([&] { return database_.looking(); }));
  std::thread stopper([&] { agent_.reset(); });
  // The look ends only when nobody takes its answer in any more.
  const std::string unknown = ToString(OtherGid());
  EXPECT_TRUE(Eventually([&] {
    v1::ExecuteReply reply;
    return Execute(unknown, 1, {"select"}, &reply).error_code() ==
           grpc::StatusCode::RESOURCE_EXHAUSTED;
  }));
  database_.HoldLooks(false);
  stopper.join();
  voter.join();
}

}  // namespace
}  // namespace assent::agent
