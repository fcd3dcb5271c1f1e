// What an agent does after something went away: itself, its database, its coordinator.
#include <gmock/gmock.h>

#include "base/mutant.h"
#include "tests/agent/agent_fixture.h"

namespace assent::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class RecoveryTest : public AgentFixture {};

TEST_F(RecoveryTest, ARestartedAgentAsksAndCommits) {
  StartServing();
  const std::string gid = PreparedBranch("a");
  StopAgent();
  coordinator_->Disregard();
  options_.inquiry_age = std::chrono::minutes(10);  // The hello asks, not the age.
  StartAgent();
  auto inquiry = coordinator_->NextInquiry();
  ASSERT_TRUE(inquiry.has_value());
  EXPECT_EQ(inquiry->gid(), gid);
  EXPECT_EQ(inquiry->evidence(), "fake=1");
  coordinator_->Answer(gid, v1::InquiryAnswer::COMMIT);
  EXPECT_EQ(coordinator_->NextFinished()->state(), v1::BRANCH_STATE_COMMITTED);
  EXPECT_THAT(database_.Effects(), ElementsAre("a"));
}

TEST_F(RecoveryTest, ARestartedAgentCommitsWhatItIsToldWithoutAsking) {
  StartServing();
  const std::string gid = PreparedBranch("a");
  StopAgent();
  StartAgent();
  ASSERT_TRUE(coordinator_->WaitServed(1));
  coordinator_->Finish(gid, true, "fake=1");
  EXPECT_EQ(coordinator_->NextFinished()->state(), v1::BRANCH_STATE_COMMITTED);
  EXPECT_THAT(database_.Effects(), ElementsAre("a"));
}

TEST_F(RecoveryTest, AnAgentStoppedBeforeItCouldReportSaysCommittedAgain) {
  StartServing();
  const std::string gid = PreparedBranch("a");
  coordinator_->Finish(gid, true, "fake=1");
  ASSERT_EQ(coordinator_->NextFinished()->state(), v1::BRANCH_STATE_COMMITTED);
  StopAgent();
  StartAgent();
  ASSERT_TRUE(coordinator_->WaitServed(1));
  coordinator_->Finish(gid, true, "fake=1");  // Nothing is listed any more: DONE tells why.
  EXPECT_EQ(coordinator_->NextFinished()->state(), v1::BRANCH_STATE_COMMITTED);
  EXPECT_EQ(database_.CountsOf(GidOf(gid)).commits, 1);
}

TEST_F(RecoveryTest, AStrangersPreparedBranchIsAskedAboutAndRolledBack) {
  StartServing();
  const Gid stranger = OtherGid();
  database_.PutPrepared(stranger);
  auto inquiry = coordinator_->NextInquiry();
  ASSERT_TRUE(inquiry.has_value());
  EXPECT_EQ(inquiry->gid(), ToString(stranger));
  coordinator_->Answer(ToString(stranger), v1::InquiryAnswer::ABORT);
  EXPECT_EQ(coordinator_->NextFinished()->state(), v1::BRANCH_STATE_ROLLED_BACK);
  EXPECT_THAT(database_.Prepared(), IsEmpty());
}

TEST_F(RecoveryTest, PendingRetryAndHazardLeaveABranchPrepared) {
  StartServing();
  const Gid stranger = OtherGid();
  database_.PutPrepared(stranger);
  for (auto answer :
       {v1::InquiryAnswer::PENDING, v1::InquiryAnswer::RETRY, v1::InquiryAnswer::HAZARD}) {
    ASSERT_TRUE(coordinator_->NextInquiry().has_value());  // Asked again each time but the last.
    coordinator_->Answer(ToString(stranger), answer);
  }
  WaitWelcomed();  // The answers have been taken in.
  EXPECT_THAT(database_.Prepared(), ElementsAre(stranger));
}

TEST_F(RecoveryTest, BranchesOfOthersAreNeverTouched) {
  const Gid other_resource = OtherGid("stock_my");
  const Gid other_cluster = OtherGid("orders_pg", "elsewhere");
  database_.PutPrepared(other_resource);
  database_.PutPrepared(other_cluster);
  StartServing();
  const Gid ours = OtherGid();
  database_.PutPrepared(ours);
  EXPECT_EQ(coordinator_->NextInquiry()->gid(), ToString(ours));
  // Not even when told to.
  for (const Gid& gid : {other_resource, other_cluster}) {
    coordinator_->Answer(ToString(gid), v1::InquiryAnswer::ABORT);
    coordinator_->Finish(ToString(gid), false);
  }
  coordinator_->Finish(ToString(ours), false);
  EXPECT_EQ(coordinator_->NextFinished()->gid(), ToString(ours));
  EXPECT_THAT(database_.Prepared(), ::testing::UnorderedElementsAre(other_resource, other_cluster));
}

TEST_F(RecoveryTest, ALaterLeaderEndsOpenBranchesAndIsAskedAboutPreparedOnes) {
  options_.inquiry_age = std::chrono::minutes(10);
  StartServing();
  const std::string prepared = PreparedBranch("a");
  const std::string open = Opened({"write b"});
  coordinator_->Disregard();
  coordinator_->Lead(6, true);
  std::vector<std::string> lost{coordinator_->NextLost()->gid(), coordinator_->NextLost()->gid()};
  EXPECT_THAT(lost, ::testing::Contains(open));  // The other is the fixture's probe.
  EXPECT_THAT(database_.Prepared(), ElementsAre(GidOf(prepared)));
  EXPECT_EQ(coordinator_->NextInquiry()->gid(), prepared);
}

TEST_F(RecoveryTest, ALostLinkLosesNothing) {
  StartServing();
  const std::string open = Opened({"write a"});
  const std::string prepared = PreparedBranch("b");
  coordinator_->DropLinks();
  ASSERT_TRUE(coordinator_->WaitServed(1));
  // The same leader in the same term: the open branch goes on, votes are said again.
  coordinator_->Prepare(prepared);
  EXPECT_EQ(coordinator_->NextVote()->vote(), v1::BranchVote::YES);
  v1::ExecuteReply reply;
  EXPECT_TRUE(Execute(open, 2, {"write c"}, &reply).ok());
  coordinator_->Prepare(open);
  EXPECT_EQ(coordinator_->NextVote()->vote(), v1::BranchVote::YES);
  coordinator_->Finish(open, true);
  coordinator_->Finish(prepared, true);
  EXPECT_EQ(coordinator_->NextFinished()->state(), v1::BRANCH_STATE_COMMITTED);
  EXPECT_EQ(coordinator_->NextFinished()->state(), v1::BRANCH_STATE_COMMITTED);
  EXPECT_THAT(database_.Effects(), ElementsAre("a", "b", "c"));
}

// The abort went down with the link: the branch would keep its locks until the deadline.
TEST_F(RecoveryTest, AnOpenBranchIsAskedAboutAfterALostLink) {
  options_.inquiry_age = std::chrono::minutes(10);
  StartServing();
  const std::string open = Opened({"write a"});
  coordinator_->Disregard();
  coordinator_->DropLinks();
  std::vector<std::string> asked{coordinator_->NextInquiry()->gid(),
                                 coordinator_->NextInquiry()->gid()};
  EXPECT_THAT(asked, ::testing::Contains(open));  // The other is the fixture's probe.
  coordinator_->Answer(open, v1::InquiryAnswer::PENDING);
  v1::ExecuteReply reply;
  EXPECT_TRUE(Execute(open, 2, {"write b"}, &reply).ok());
  coordinator_->Answer(open, v1::InquiryAnswer::ABORT);
  auto finished = coordinator_->NextFinished();
  ASSERT_TRUE(finished.has_value());
  EXPECT_EQ(finished->gid(), open);
  EXPECT_EQ(finished->state(), v1::BRANCH_STATE_ROLLED_BACK);
}

TEST_F(RecoveryTest, WhatWasDoneIsSaidUntilItIsForgotten) {
  StartServing();
  const std::string gid = PreparedBranch("a");
  coordinator_->Finish(gid, true, "fake=1");
  ASSERT_EQ(coordinator_->NextFinished()->state(), v1::BRANCH_STATE_COMMITTED);
  coordinator_->DropLinks();
  auto again = coordinator_->NextFinished();
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(again->gid(), gid);
  EXPECT_EQ(again->state(), v1::BRANCH_STATE_COMMITTED);
  StopAgent();
  StartAgent();  // The journal remembers.
  EXPECT_EQ(coordinator_->NextFinished()->gid(), gid);
  ASSERT_TRUE(coordinator_->WaitServed(1));
  coordinator_->Forget(gid);
  WaitWelcomed();  // It has been taken in.
  StopAgent();
  coordinator_->Disregard();
  StartServing();
  const std::string other = PreparedBranch("b");
  coordinator_->Finish(other, true, "fake=1");
  EXPECT_EQ(coordinator_->NextFinished()->gid(), other);
}

// In one message they would be more than a coordinator takes.
TEST_F(RecoveryTest, ManyInquiriesDoNotBreakTheLink) {
  constexpr size_t kMany = 60'000;  // More than gRPC's 4 MiB for one message.
  for (size_t i = 0; i < kMany; ++i) database_.PutPrepared(OtherGid());
  options_.inquiry_age = std::chrono::minutes(10);
  StartAgent();
  ASSERT_TRUE(coordinator_->WaitServed(1));
  EXPECT_TRUE(Eventually([&] { return coordinator_->inquiries_waiting() >= kMany; }));
}

// Bytes of a database without an encoding, and text of megabytes: said in a way that can be heard.
TEST_F(RecoveryTest, WordsOfADatabaseDoNotBreakTheLink) {
  StartServing();
  const std::string smile = "\xF0\x9F\x99\x82";
  const std::string bad = "key \xE4\xF6\xC3, " + smile + "\xED\xA0\x80\xC0\xAF";
  for (const std::string& words : {bad, std::string(5 << 20, 'x')}) {
    database_.FailPrepares(1, {.cause = adapters::Cause::kDeadlock, .detail = words});
    const std::string gid = Opened({"write a"});
    coordinator_->Prepare(gid);
    auto vote = coordinator_->NextVote();
    ASSERT_TRUE(vote.has_value());
    EXPECT_EQ(vote->gid(), gid);
    if (words == bad) {
      EXPECT_EQ(vote->message(), "key ???, " + smile + "?????");
    } else {
      EXPECT_THAT(vote->message(), ::testing::SizeIs(4099));
    }
  }
}

TEST_F(RecoveryTest, ARegistrationInFlightSurvivesALostLink) {
  StartServing();
  coordinator_->IgnoreRegistrations(true);
  v1::OpenReply reply;
  std::thread opener([&] {
    EXPECT_TRUE(Open(ToString(coordinator_->NextGtrid()), "1", {"write a"}, &reply).ok());
  });
  const int before = coordinator_->messages_heard();
  EXPECT_TRUE(Eventually([&] { return coordinator_->messages_heard() > before + 1; }));
  coordinator_->IgnoreRegistrations(false);
  coordinator_->DropLinks();
  opener.join();
  EXPECT_FALSE(reply.gid().empty());
}

TEST_F(RecoveryTest, ARegistrationThatComesAfterItsEpochOpensNothing) {
  StartServing();
  coordinator_->IgnoreRegistrations(true);
  const Gtrid gtrid = coordinator_->NextGtrid();
  const int before = coordinator_->messages_heard();
  std::thread opener([&] {
    v1::OpenReply reply;
    EXPECT_EQ(DetailOf(Open(ToString(gtrid), "1", {"write a"}, &reply)).reason(),
              v1::REASON_NOT_ACTIVE);
  });
  EXPECT_TRUE(Eventually([&] { return coordinator_->messages_heard() > before + 1; }));
  coordinator_->IgnoreRegistrations(false);
  coordinator_->Lead(6, true);
  opener.join();
}

TEST_F(RecoveryTest, ASilentCoordinatorIsDialledAnew) {
  StartServing();
  coordinator_->Disregard();
  coordinator_->FallSilent(true);
  auto hello = coordinator_->NextHello();  // After three seconds.
  EXPECT_TRUE(hello.has_value());
}

TEST_F(RecoveryTest, ACommitOutlastsADatabaseThatIsAway) {
  StartServing();
  const std::string gid = PreparedBranch("a");
  database_.SetDown(true);
  coordinator_->Finish(gid, true, "fake=1");
  EXPECT_EQ(coordinator_->NextFinished()->state(), v1::BRANCH_STATE_COMMITTING);
  v1::OpenReply reply;
  EXPECT_TRUE(Eventually([&] {
    return Open(ToString(coordinator_->NextGtrid()), "1", {}, &reply).error_code() ==
           grpc::StatusCode::UNAVAILABLE;
  }));
  database_.SetDown(false);
  std::optional<v1::BranchFinished> finished;
  do {
    finished = coordinator_->NextFinished();
    ASSERT_TRUE(finished.has_value());
  } while (finished->state() == v1::BRANCH_STATE_COMMITTING);
  EXPECT_EQ(finished->state(), v1::BRANCH_STATE_COMMITTED);
  EXPECT_THAT(database_.Effects(), ElementsAre("a"));
  WaitWelcomed();  // And it serves again.
}

TEST_F(RecoveryTest, AnAttachedBranchOutlastsARestartOfItsDatabase) {
  database_.SetAttached(true);
  StartServing();
  const std::string gid = PreparedBranch("a");
  database_.SetDown(true);
  database_.SetDown(false);
  coordinator_->Finish(gid, true, "fake=1");
  std::optional<v1::BranchFinished> finished;
  do {
    finished = coordinator_->NextFinished();
    ASSERT_TRUE(finished.has_value());
  } while (finished->state() == v1::BRANCH_STATE_COMMITTING);
  EXPECT_EQ(finished->state(), v1::BRANCH_STATE_COMMITTED);
  EXPECT_THAT(database_.Effects(), ElementsAre("a"));
}

TEST_F(RecoveryTest, ADatabaseThatComesLateIsServedThen) {
  database_.SetDown(true);
  StartAgent();
  ASSERT_TRUE(coordinator_->WaitServed(0));
  database_.SetDown(false);
  EXPECT_TRUE(coordinator_->WaitServed(1));
}

TEST_F(RecoveryTest, ABranchThatSomebodyElseEndedIsReportedUntilForgotten) {
  options_.recovery_scan_interval = std::chrono::minutes(10);  // The commit shall find out.
  StartServing();
  const std::string gid = PreparedBranch("a");
  database_.TakePrepared(GidOf(gid));
  coordinator_->Finish(gid, true, "fake=1");
  EXPECT_EQ(coordinator_->NextFinished()->state(), v1::BRANCH_STATE_HAZARD);
  coordinator_->DropLinks();
  auto again = coordinator_->NextFinished();  // After the next hello.
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(again->state(), v1::BRANCH_STATE_HAZARD);
  // A restart must not turn it into our own work.
  StopAgent();
  StartAgent();
  ASSERT_TRUE(coordinator_->WaitServed(1));
  coordinator_->Finish(gid, true, "fake=1");
  EXPECT_EQ(coordinator_->NextFinished()->state(), v1::BRANCH_STATE_HAZARD);
}

TEST_F(RecoveryTest, ACommitThatWasNeverCarriedOutIsNoEvidence) {
  options_.recovery_scan_interval = std::chrono::minutes(10);
  StartServing();
  const std::string gid = PreparedBranch("a");
  database_.FailCommits(1, {.finish = adapters::Finish::kTransient,
                            .detail = "not sent yet: still attached",
                            .no_effect = true});
  database_.TakePrepared(GidOf(gid));  // By whoever else, before the second try.
  coordinator_->Finish(gid, true, "fake=1");
  ASSERT_EQ(coordinator_->NextFinished()->state(), v1::BRANCH_STATE_COMMITTING);
  EXPECT_EQ(coordinator_->NextFinished()->state(), v1::BRANCH_STATE_HAZARD);
}

TEST_F(RecoveryTest, APreparedBranchThatVanishesIsReportedUnasked) {
  StartServing();
  const std::string gid = PreparedBranch("a");
  ASSERT_EQ(coordinator_->NextInquiry()->gid(), gid);  // It has been listed.
  database_.TakePrepared(GidOf(gid));
  auto lost = coordinator_->NextLost();
  ASSERT_TRUE(lost.has_value());
  EXPECT_EQ(lost->gid(), gid);
}

TEST_F(RecoveryTest, APreparedBranchThatAnotherAgentFinishedDoesNotWaitForEver) {
  options_.inquiry_age = std::chrono::minutes(10);
  database_.SetReport({.server = "Fake 1.0", .identity = "fake-1", .prepared_max = 3});
  StartServing();
  const std::string gid = PreparedBranch("a");
  database_.TakePrepared(GidOf(gid));
  auto lost = coordinator_->NextLost();
  ASSERT_TRUE(lost.has_value());
  EXPECT_EQ(lost->gid(), gid);
  // A yes is not said again for what is not there.
  coordinator_->Prepare(gid);
  lost = coordinator_->NextLost();
  ASSERT_TRUE(lost.has_value());
  EXPECT_EQ(lost->gid(), gid);
  auto inquiry = coordinator_->NextInquiry();
  ASSERT_TRUE(inquiry.has_value());
  EXPECT_EQ(inquiry->gid(), gid);
  EXPECT_EQ(inquiry->evidence(), "fake=1");
  coordinator_->Answer(gid, v1::InquiryAnswer::ABORT);
  EXPECT_TRUE(coordinator_->NextFinished().has_value());
  // It takes no room any more: of three, one is kept in reserve and one is the fixture's probe.
  EXPECT_FALSE(Opened({"write b"}).empty());
}

TEST_F(RecoveryTest, AFinishedBranchThatIsListedAgainIsAskedAboutAgain) {
  StartServing();
  const std::string gid = PreparedBranch("a");
  coordinator_->Finish(gid, true, "fake=1");
  ASSERT_EQ(coordinator_->NextFinished()->state(), v1::BRANCH_STATE_COMMITTED);
  coordinator_->Disregard();
  database_.PutPrepared(GidOf(gid));  // Failed over to a standby that had missed the commit.
  EXPECT_EQ(coordinator_->NextInquiry()->gid(), gid);
  coordinator_->Answer(gid, v1::InquiryAnswer::COMMIT);
  EXPECT_EQ(coordinator_->NextFinished()->state(), v1::BRANCH_STATE_COMMITTED);
  EXPECT_THAT(database_.Prepared(), IsEmpty());
}

TEST_F(RecoveryTest, StoppingRollsBackWhatIsOpenAndKeepsWhatIsPrepared) {
  StartServing();
  const std::string prepared = PreparedBranch("a");
  const std::string open = Opened({"write b"});
  std::thread worker([&] {
    v1::ExecuteReply reply;
    EXPECT_FALSE(Execute(open, 2, {"block"}, &reply).ok());
  });
  EXPECT_TRUE(Eventually([&] { return database_.blocked() == 1; }));
  agent_.reset();  // The stub stays: its call is answered.
  worker.join();
  EXPECT_EQ(database_.sessions(), 0);
  EXPECT_THAT(database_.Prepared(), ElementsAre(GidOf(prepared)));
}

// ---- Which cluster ------------------------------------------------------------------------------

TEST_F(RecoveryTest, AnAgentPinsItsClusterAndRefusesAnother) {
  StartServing();
  StopAgent();
  coordinator_->Disregard();
  v1::Welcome other = coordinator_->welcome();
  other.set_group_incarnation(78);  // Restored from a backup.
  coordinator_->SetWelcome(other);
  StartAgent();
  auto hello = coordinator_->NextHello();
  ASSERT_TRUE(hello.has_value());
  EXPECT_EQ(hello->group_incarnation(), 77u);
  EXPECT_EQ(hello->cluster_uuid(), other.cluster_uuid());
  v1::OpenReply reply;
  const grpc::Status status = Open(ToString(coordinator_->NextGtrid()), "1", {}, &reply);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(DetailOf(status).reason(), v1::REASON_NOT_LEADER);

  StopAgent();
  options_.repin = true;
  StartServing();  // An operator allowed it.
  StopAgent();
  options_.repin = false;
  StartServing();  // For good.
}

TEST_F(RecoveryTest, ANodeOfTheGroupBeforeUsesUpNoPermissionToRepin) {
  StartServing();
  StopAgent();
  FakeCoordinator restored;
  v1::Welcome welcome = restored.welcome();
  welcome.set_group_incarnation(78);
  restored.SetWelcome(welcome);
  options_.coordinators.push_back(restored.address());
  options_.repin = true;
  StartAgent();  // The one or the other is met first.
  EXPECT_TRUE(restored.WaitServed(1));
  // Work of the restored group is done here, that of the group before is not.
  EXPECT_TRUE(Eventually([&] {
    v1::OpenReply reply;
    return Open(ToString(restored.NextGtrid()), "new", {}, &reply).ok();
  }));
  v1::OpenReply reply;
  const grpc::Status old = Open(ToString(coordinator_->NextGtrid()), "old", {}, &reply);
  EXPECT_EQ(old.error_code(), grpc::StatusCode::FAILED_PRECONDITION) << old.error_message();
  EXPECT_EQ(DetailOf(old).reason(), v1::REASON_NOT_ACTIVE);
  StopAgent();
  options_.repin = false;
  options_.coordinators = {coordinator_->address()};
  coordinator_->Disregard();
  StartAgent();
  EXPECT_EQ(coordinator_->NextHello()->group_incarnation(), 78u);
}

TEST_F(RecoveryTest, WhatWasPreparedUnderTheGroupBeforeIsAskedAboutAndObeyed) {
  StartServing();
  const std::string decided = PreparedBranch("a");
  const std::string lost = PreparedBranch("b");
  StopAgent();
  coordinator_->Disregard();
  v1::Welcome restored = coordinator_->welcome();
  restored.set_group_incarnation(78);
  coordinator_->SetWelcome(restored);
  options_.repin = true;
  StartAgent();
  for (int i = 0; i < 2; ++i) {
    auto inquiry = coordinator_->NextInquiry();
    ASSERT_TRUE(inquiry.has_value());
    coordinator_->Answer(inquiry->gid(), inquiry->gid() == decided ? v1::InquiryAnswer::COMMIT
                                                                   : v1::InquiryAnswer::HAZARD);
  }
  EXPECT_EQ(coordinator_->NextFinished()->gid(), decided);
  EXPECT_THAT(database_.Effects(), ElementsAre("a"));
  EXPECT_THAT(database_.Prepared(), ElementsAre(GidOf(lost)));
}

#if defined(ASSENT_FAILPOINTS)
TEST_F(RecoveryTest, AnAgentThatPinsUnaskedIsCaught) {
  StartServing();
  StopAgent();
  v1::Welcome other = coordinator_->welcome();
  other.set_group_incarnation(78);
  coordinator_->SetWelcome(other);
  ScopedMutant mutant(Mutant::kRepinUnasked);
  StartServing();  // Without the mutant: refused, see above.
}
#endif

TEST_F(RecoveryTest, TwoAgentsOnOneDirectoryAreRefused) {
  StartServing();
  Options second = options_;
  second.listen = "unix:" + directory_ + "/second.sock";
  auto server = Server::Start(second, [this](const ResourceOptions& r, const std::string& c) {
    return database_.MakeManager(c, r.name);
  });
  ASSERT_FALSE(server.ok());
  EXPECT_THAT(server.status().message(), HasSubstr(options_.data_dir));
}

}  // namespace
}  // namespace assent::agent
