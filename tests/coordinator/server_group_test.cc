// The group as the driver sees it: hints at the leader, changes of members, handing the lead over.
#include <gmock/gmock.h>

#include "tests/coordinator/driver_fixture.h"

namespace assent::coordinator {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;

class GroupTest : public DriverTest {
 protected:
  void Know(Term term, uint64_t leader) {
    driver_->OnGroup({.term = term,
                      .leader = leader,
                      .members = {{1, "a:7401", "a:7400"}, {2, "b:7401", "b:7400"}}});
    Pump();
  }
  Pending<MembershipAnswer> Transfer(uint64_t to, Duration drain) {
    Pending<MembershipAnswer> answer;
    driver_->Post(TransferCall{to, drain, answer.reply()});
    Pump();
    return answer;
  }
  Pending<MembershipAnswer> Change(txlog::MembershipChange change) {
    Pending<MembershipAnswer> answer;
    driver_->Post(ChangeCall{std::move(change), answer.reply()});
    Pump();
    return answer;
  }
};

TEST_F(GroupTest, AFollowerSaysWhereTheLeaderIs) {
  Boot();
  const Gtrid gtrid = Begin();
  log_.Lose(log_.term() + 1);
  Know(log_.term(), 2);
  auto begin = TryBegin();
  ASSERT_EQ(begin.code(), Code::kUnavailable);
  EXPECT_EQ(begin.refusal().reason, Reason::kNotLeader);
  EXPECT_EQ(begin.refusal().leader, "b:7400");
  EXPECT_EQ(begin.refusal().retry_delay_ms, 0u);
  EXPECT_THAT(begin.refusal().status.message(), HasSubstr("node 2 at b:7400"));
  EXPECT_EQ(Commit(gtrid).refusal().leader, "b:7400");
  EXPECT_EQ(Rollback(gtrid).refusal().leader, "b:7400");
  EXPECT_EQ(Get(gtrid).refusal().leader, "b:7400");
}

TEST_F(GroupTest, AgentsHearTheMembersAndWhenTheyChange) {
  Boot();
  Know(log_.term(), 1);
  auto agent = Connect("agent-pg", {"pg"}, 1);
  const auto& welcome = std::get<AgentWelcome>(*agent->welcome);
  ASSERT_EQ(welcome.members.size(), 2u);
  EXPECT_EQ(welcome.members[1].address, "b:7400");
  Know(log_.term(), 2);
  EXPECT_FALSE(agent->told.members.has_value()) << "who leads is told otherwise";
  driver_->OnGroup({.term = log_.term(), .leader = 1, .members = {{1, "a:7401", "a:7400"}}});
  Pump();
  ASSERT_TRUE(agent->told.members.has_value());
  EXPECT_EQ(agent->told.members->size(), 1u);
}

TEST_F(GroupTest, WithoutALeaderThereIsNoHint) {
  Boot();
  log_.Lose(log_.term() + 1);
  Know(log_.term(), 0);
  auto begin = TryBegin();
  ASSERT_EQ(begin.code(), Code::kUnavailable);
  EXPECT_EQ(begin.refusal().leader, "");
  EXPECT_GT(begin.refusal().retry_delay_ms, 0u);
}

// It was told of its own lead before the group says so: the hint would lead in a circle.
TEST_F(GroupTest, ALeaderThatStillReadsNamesNobody) {
  Boot();
  log_.Lose(log_.term() + 1);
  Know(log_.term(), 2);
  log_.Win(log_.term() + 1);
  Pump();
  EXPECT_EQ(TryBegin().refusal().leader, "");
}

TEST_F(GroupTest, AChangeIsPassedOnAndItsAnswerBack) {
  Boot();
  auto added = Change({.member = {3, "c:7401", "c:7400", false}});
  ASSERT_EQ(log_.changes.size(), 1u);
  EXPECT_EQ(log_.changes[0].change.member.id, 3u);
  EXPECT_FALSE(added.answered());
  log_.changes[0].done(Ok());
  EXPECT_TRUE(added.answered() && !added.refused());

  auto refused = Change({.kind = txlog::MembershipChange::Kind::kRemove, .member = {9}});
  log_.changes[1].done(NotFound("no such member"));
  EXPECT_EQ(refused.code(), Code::kNotFound);
  EXPECT_EQ(refused.refusal().reason, Reason::kNone);

  auto lost = Change({.kind = txlog::MembershipChange::Kind::kRemove, .member = {2}});
  log_.changes[2].done(Unavailable("lost"));
  // Nothing that invites to ask another node for it once more.
  EXPECT_EQ(lost.refusal().reason, Reason::kNone);

  log_.Lose(log_.term() + 1);
  Pump();
  EXPECT_EQ(Change({.member = {3}}).refusal().reason, Reason::kNotLeader);
  EXPECT_EQ(log_.changes.size(), 3u);
}

TEST_F(GroupTest, TheLeadIsHandedOverOnceNothingLives) {
  Boot();
  Pair pair = BeginPair();
  auto transfer = Transfer(2, seconds(10));
  EXPECT_TRUE(log_.transfers.empty());
  EXPECT_EQ(TryBegin().refusal().reason, Reason::kNotLeader);
  auto commit = CommitPair(pair, false);
  ASSERT_EQ(commit->outcome, Outcome::kCommitted);
  ASSERT_EQ(log_.transfers.size(), 1u);
  EXPECT_EQ(log_.transfers[0].to, 2u);
  log_.Lose(log_.term() + 1);
  log_.transfers[0].done(Ok());
  Pump();
  EXPECT_TRUE(transfer.answered() && !transfer.refused());
}

TEST_F(GroupTest, WhatDoesNotEndInTimeIsNotWaitedFor) {
  Boot();
  const Gtrid gtrid = Begin();
  auto transfer = Transfer(2, seconds(3));
  Pass(milliseconds(2'999));
  EXPECT_TRUE(log_.transfers.empty());
  Pass(milliseconds(1));
  ASSERT_EQ(log_.transfers.size(), 1u);
  auto commit = Commit(gtrid);
  log_.Lose(log_.term() + 1);
  log_.transfers[0].done(Ok());
  Pump();
  EXPECT_TRUE(transfer.answered() && !transfer.refused());
  EXPECT_TRUE(commit.answered());
}

TEST_F(GroupTest, AFailedTransferLeavesALeaderThatServes) {
  Boot();
  auto transfer = Transfer(2, seconds(3));
  ASSERT_EQ(log_.transfers.size(), 1u);
  log_.transfers[0].done(Unavailable("node 2 did not take over"));
  Pump();
  EXPECT_EQ(transfer.code(), Code::kUnavailable);
  EXPECT_FALSE(TryBegin().refused());
}

TEST_F(GroupTest, TwoWhoWantTheSameTransferShareIt) {
  Boot();
  Begin();
  auto first = Transfer(2, seconds(3));
  auto same = Transfer(2, seconds(3));
  auto other = Transfer(1, seconds(3));
  EXPECT_EQ(other.code(), Code::kFailedPrecondition);
  Pass(seconds(3));
  ASSERT_EQ(log_.transfers.size(), 1u);
  log_.transfers[0].done(Ok());
  Pump();
  EXPECT_TRUE(first.answered() && !first.refused());
  EXPECT_TRUE(same.answered() && !same.refused());
}

TEST_F(GroupTest, ALeadThatIsLostWhileDrainingEndsTheTransfer) {
  Boot();
  Begin();
  auto transfer = Transfer(2, seconds(3));
  log_.Lose(log_.term() + 1);
  Pump();
  EXPECT_EQ(transfer.code(), Code::kUnavailable);
  Pass(seconds(3));
  EXPECT_TRUE(log_.transfers.empty());
  log_.Win(log_.term() + 1);
  log_.ApplyNoop();
  Pump();
  EXPECT_FALSE(TryBegin().refused());
}

}  // namespace
}  // namespace assent::coordinator
