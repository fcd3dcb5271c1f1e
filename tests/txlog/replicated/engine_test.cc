// The engine around the core: that disk, peers and owner are joined as the core expects. What Raft
// itself promises is tested at the core (tests/txlog/raft) and by the simulator.
#include <gmock/gmock.h>

#include <algorithm>
#include <utility>

#include "tests/txlog/replicated/group_fixture.h"
#include "txlog/storage/files.h"

namespace assent::txlog {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class EngineTest : public GroupFixture {
 protected:
  // Three that have settled, and who leads.
  uint64_t Three() {
    Bootstrap(3);
    StartAll();
    const uint64_t leader = WaitLeader();
    EXPECT_NE(leader, 0u);
    return leader;
  }
  uint64_t OtherThan(uint64_t a, uint64_t b = 0) {
    for (auto& [id, node] : nodes_) {
      if (id != a && id != b) return id;
    }
    return 0;
  }
};

TEST_F(EngineTest, AGroupOfOneLeadsAtOnceAndDecides) {
  Bootstrap(1);
  StartAll();
  ASSERT_EQ(WaitLeader(), 1u);
  auto fates = Propose(1, {"a", "b"});
  Settle();
  EXPECT_THAT(*fates, ElementsAre(Fate::kDurable, Fate::kDurable));
  EXPECT_THAT(Applied(1), ElementsAre("first", "a", "b"));
  EXPECT_THAT(*Barrier(1), ElementsAre(Ok()));

  const Term term = At(1).engine->raft().term();
  Kill(1);
  StartAll();
  ASSERT_EQ(WaitLeader(), 1u);
  EXPECT_GT(At(1).engine->raft().term(), term);
  EXPECT_THAT(Applied(1), ElementsAre("first", "a", "b"));
}

TEST_F(EngineTest, OneBatchIsOneFlush) {
  Bootstrap(1);
  StartAll();
  ASSERT_EQ(WaitLeader(), 1u);
  const int before = At(1).disk.syncs();
  auto fates = Propose(1, std::vector<std::string>(50, "record"));
  Settle();
  EXPECT_THAT(*fates, SizeIs(50));
  EXPECT_EQ(At(1).disk.syncs(), before + 1);
}

TEST_F(EngineTest, WhatWasTakenOneByOneIsOneFlushAndWaitsForIt) {
  Bootstrap(1);
  StartAll();
  ASSERT_EQ(WaitLeader(), 1u);
  const int before = At(1).disk.syncs();
  auto fates = Propose(1, {"a", "b", "c"});
  for (EngineInput& input : std::exchange(At(1).inputs, {})) {
    std::vector<EngineInput> one;
    one.push_back(std::move(input));
    At(1).engine->Take(std::move(one));
  }
  EXPECT_EQ(At(1).disk.syncs(), before);
  EXPECT_THAT(*fates, IsEmpty());
  EXPECT_THAT(Applied(1), ElementsAre("first"));

  At(1).engine->Flush();
  EXPECT_EQ(At(1).disk.syncs(), before + 1);
  EXPECT_THAT(*fates, Each(Fate::kDurable));
  EXPECT_THAT(Applied(1), ElementsAre("first", "a", "b", "c"));
}

TEST_F(EngineTest, ThreeAgreeAndForgetNothingWhenTheLeaderDies) {
  const uint64_t leader = Three();
  auto fates = Propose(leader, {"a", "b"});
  Settle();
  Tick(3);
  EXPECT_THAT(*fates, ElementsAre(Fate::kDurable, Fate::kDurable));
  for (uint64_t id : {1, 2, 3}) EXPECT_THAT(Applied(id), ElementsAre("first", "a", "b")) << id;

  Kill(leader);
  const uint64_t next = WaitLeader();
  ASSERT_NE(next, 0u);
  ASSERT_NE(next, leader);
  auto more = Propose(next, {"c"});
  Settle();
  EXPECT_THAT(*more, ElementsAre(Fate::kDurable));
  StartAll();
  Tick(30);
  EXPECT_THAT(Applied(leader), ElementsAre("first", "a", "b", "c"));
}

TEST_F(EngineTest, AMinorityDecidesNothingAndAnswersNoRead) {
  const uint64_t leader = Three();
  Isolate(leader);
  auto fates = Propose(leader, {"lost"});
  auto read = Barrier(leader);
  Tick(60);
  EXPECT_THAT(*fates, ElementsAre(Fate::kInDoubt));
  EXPECT_EQ(read->at(0).code(), Code::kUnavailable);
  const uint64_t next = Leader();
  ASSERT_NE(next, leader);
  auto kept = Propose(next, {"kept"});
  Settle();
  EXPECT_THAT(*kept, ElementsAre(Fate::kDurable));
  Heal();
  Tick(60);
  for (uint64_t id : {1, 2, 3}) EXPECT_THAT(Applied(id), ElementsAre("first", "kept")) << id;
}

TEST_F(EngineTest, AFollowerRefusesAndKnowsTheLeader) {
  const uint64_t leader = Three();
  const uint64_t follower = OtherThan(leader);
  auto fates = Propose(follower, {"no"});
  EXPECT_EQ(Barrier(follower)->at(0).code(), Code::kUnavailable);
  EXPECT_THAT(*fates, ElementsAre(Fate::kRefused));
  EXPECT_EQ(Change(follower, {.member = {9}})->at(0).code(), Code::kUnavailable);
  EXPECT_EQ(Transfer(follower, leader)->at(0).code(), Code::kUnavailable);
  const GroupProgress members = Members(follower);
  ASSERT_NE(members.group.Leader(), nullptr);
  EXPECT_EQ(members.group.Leader()->address, "node" + std::to_string(leader) + ":7400");
}

TEST_F(EngineTest, AProposalOfAnotherTermIsRefused) {
  const uint64_t leader = Three();
  std::vector<Fate> fates;
  for (Term term : {At(leader).engine->raft().term() - 1, At(leader).engine->raft().term() + 1}) {
    At(leader).inputs.push_back(
        ProposalAsked{"late", term, [&](Fate fate) { fates.push_back(fate); }});
  }
  At(leader).inputs.push_back(ProposalAsked{"", At(leader).engine->raft().term(),
                                            [&](Fate fate) { fates.push_back(fate); }});
  Settle();
  EXPECT_THAT(fates, ElementsAre(Fate::kRefused, Fate::kRefused, Fate::kRefused));
}

TEST_F(EngineTest, ALeaderWithAFullDiskGivesWayAndNothingIsLost) {
  options_.segment_bytes = 4096;
  const uint64_t leader = Three();
  At(leader).disk.SetRoom(0);
  // More than what the segments made ahead can hold.
  auto fates = Propose(leader, {std::string(20'000, 'x')});
  Settle();
  Tick(80);
  const uint64_t next = Leader();
  if (next == leader) GTEST_FAIL() << "a leader that cannot write leads on";
  auto kept = Propose(next, {"kept"});
  Settle();
  EXPECT_THAT(*kept, ElementsAre(Fate::kDurable));
  At(leader).disk.UnlimitedRoom();
  Tick(120);
  EXPECT_EQ(Applied(leader), Applied(next));
  EXPECT_THAT(At(leader).deaths, IsEmpty());
}

TEST_F(EngineTest, AFailedFlushEndsTheNodeAndAnswersInDoubt) {
  const uint64_t leader = Three();
  At(leader).disk.FailSyncAt(1);
  auto fates = Propose(leader, {"x"});
  Settle();
  ASSERT_THAT(At(leader).deaths, SizeIs(1));
  EXPECT_EQ(At(leader).deaths[0].code(), Code::kDataLoss);
  At(leader).engine->Close();
  EXPECT_THAT(*fates, ElementsAre(Fate::kInDoubt));
}

TEST_F(EngineTest, WhoeverWasAwayForLongCatchesUpBySnapshot) {
  options_.segment_bytes = 1 << 20;
  options_.snapshot_after_bytes = 1 << 20;
  const uint64_t leader = Three();
  const uint64_t away = OtherThan(leader);
  Kill(away);
  // More than a leader keeps in memory for those who are a little behind.
  for (int i = 0; i < 40; ++i) {
    (void)Propose(leader, {std::string(400'000, 'x')});
    Settle();
  }
  EXPECT_GT(At(leader).listener->snapshots_wanted(), 0);
  SaveSnapshot(leader, "state of many");
  SaveSnapshot(OtherThan(leader, away), "state of many");
  EXPECT_FALSE(At(leader).disk.Exists("/sim/" + SegmentName(1)));
  (void)Propose(leader, {"after"});
  Settle();
  ASSERT_TRUE(Start(away).ok());
  Tick(60);
  const std::vector<std::string> story = At(away).listener->story();
  EXPECT_EQ(std::count_if(story.begin(), story.end(),
                          [](const std::string& line) {
                            return line.find("state of many") != std::string::npos;
                          }),
            1);
  EXPECT_THAT(Applied(away).back(), "after");
  // And it is on its disk.
  Kill(away);
  ASSERT_TRUE(Start(away).ok());
  EXPECT_THAT(At(away).listener->story().front(), HasSubstr("state of many"));
}

TEST_F(EngineTest, AGroupGrowsAndShrinks) {
  Bootstrap(1);
  StartAll();
  ASSERT_EQ(WaitLeader(), 1u);
  (void)Propose(1, {"a"});
  Settle();
  Add(2);
  ASSERT_TRUE(Start(2).ok());
  auto added = Change(1, {.member = {2}});
  Tick(20);
  ASSERT_THAT(*added, ElementsAre(Ok()));
  EXPECT_THAT(Applied(2), ElementsAre("first", "a"));
  EXPECT_FALSE(Members(1).group.members[1].voter);
  auto promoted = Change(1, {.kind = MembershipChange::Kind::kPromote, .member = {2}});
  Tick(20);
  ASSERT_THAT(*promoted, ElementsAre(Ok()));
  EXPECT_TRUE(Members(2).group.members[1].voter);

  // Now two must agree.
  Kill(2);
  auto fates = Propose(1, {"alone"});
  Settle();
  EXPECT_THAT(*fates, IsEmpty());
  ASSERT_TRUE(Start(2).ok());
  Tick(60);
  EXPECT_EQ(Applied(1), Applied(2));

  const uint64_t leader = WaitLeader();
  auto removed =
      Change(leader, {.kind = MembershipChange::Kind::kRemove, .member = {OtherThan(leader)}});
  Tick(20);
  ASSERT_THAT(*removed, ElementsAre(Ok()));
  EXPECT_THAT(Members(leader).group.members, SizeIs(1));
  auto last = Change(leader, {.kind = MembershipChange::Kind::kRemove, .member = {leader}});
  EXPECT_EQ(last->at(0).code(), Code::kFailedPrecondition);
  auto alone = Propose(leader, {"alone again"});
  Settle();
  EXPECT_THAT(*alone, ElementsAre(Fate::kDurable));
}

// The leader finds itself removed in its own log, and then never was: that is no lost directory.
TEST_F(EngineTest, ARemovalThatIsTakenBackEndsNobody) {
  for (const bool restarted : {false, true}) {
    SCOPED_TRACE(restarted);
    const uint64_t leader = restarted ? WaitLeader() : Three();
    Isolate(leader);
    (void)Change(leader, {.kind = MembershipChange::Kind::kRemove, .member = {leader}});
    Settle();
    ASSERT_FALSE(At(leader).engine->raft().config().IsVoter(leader));
    if (restarted) {
      Kill(leader, /*power_loss=*/false);
      ASSERT_TRUE(Start(leader).ok());
    }
    const uint64_t next = WaitLeader();
    ASSERT_NE(next, leader);
    ASSERT_NE(next, 0u);
    Heal();
    Tick(30);
    EXPECT_THAT(At(leader).deaths, IsEmpty());
    EXPECT_TRUE(At(leader).engine->raft().config().IsVoter(leader));
    auto fates = Propose(WaitLeader(), {"after it"});
    Tick(5);
    EXPECT_THAT(*fates, ElementsAre(Fate::kDurable));
    EXPECT_THAT(Applied(leader).back(), "after it");
  }
}

TEST_F(EngineTest, WrongChangesAreNamed) {
  const uint64_t leader = Three();
  using Kind = MembershipChange::Kind;
  EXPECT_EQ(Change(leader, {.member = {2}})->at(0).code(), Code::kAlreadyExists);
  EXPECT_EQ(Change(leader, {.kind = Kind::kPromote, .member = {2}})->at(0).code(),
            Code::kFailedPrecondition);
  EXPECT_EQ(Change(leader, {.kind = Kind::kRemove, .member = {9}})->at(0).code(), Code::kNotFound);
  EXPECT_EQ(Transfer(leader, 9)->at(0).code(), Code::kNotFound);
  EXPECT_EQ(Transfer(leader, leader)->at(0).code(), Code::kFailedPrecondition);
}

TEST_F(EngineTest, TheLeadIsHandedOver) {
  const uint64_t leader = Three();
  const uint64_t to = OtherThan(leader);
  auto answer = Transfer(leader, to);
  Tick(5);
  EXPECT_THAT(*answer, ElementsAre(Ok()));
  EXPECT_EQ(Leader(), to);
  auto any = Transfer(to, 0);
  Tick(5);
  EXPECT_THAT(*any, ElementsAre(Ok()));
  EXPECT_NE(Leader(), to);
}

TEST_F(EngineTest, ATransferToADeadNodeFailsAndTheLeaderLeadsOn) {
  const uint64_t leader = Three();
  const uint64_t to = OtherThan(leader);
  Kill(to);
  auto answer = Transfer(leader, to);
  Tick(40);
  ASSERT_THAT(*answer, SizeIs(1));
  EXPECT_EQ(answer->at(0).code(), Code::kUnavailable);
  EXPECT_EQ(Leader(), leader);
  auto fates = Propose(leader, {"goes on"});
  Settle();
  EXPECT_THAT(*fates, ElementsAre(Fate::kDurable));
}

TEST_F(EngineTest, MembersShowHowFarEachIs) {
  const uint64_t leader = Three();
  const uint64_t away = OtherThan(leader);
  Kill(away);
  (void)Propose(leader, {"a"});
  Settle();
  Tick(30);
  const GroupProgress members = Members(leader);
  ASSERT_THAT(members.members, SizeIs(3));
  for (const MemberProgress& one : members.members) {
    EXPECT_EQ(one.reachable, one.member.id != away) << one.member.id;
    EXPECT_EQ(one.match_index == members.last_index, one.member.id != away) << one.member.id;
  }
}

TEST_F(EngineTest, GarbageFromAPeerIsDropped) {
  const uint64_t leader = Three();
  for (const char* bytes : {"", "\x01", "\x01\xff garbage of all kinds"}) {
    At(leader).inputs.push_back(MessageCame{OtherThan(leader), bytes});
  }
  Settle();
  auto fates = Propose(leader, {"fine"});
  Settle();
  EXPECT_THAT(*fates, ElementsAre(Fate::kDurable));
}

TEST_F(EngineTest, CloseAnswersWhatWaits) {
  const uint64_t leader = Three();
  Isolate(leader);
  auto fates = Propose(leader, {"x"});
  auto change =
      Change(leader, {.kind = MembershipChange::Kind::kRemove, .member = {OtherThan(leader)}});
  auto read = Barrier(leader);
  At(leader).engine->Close();
  EXPECT_THAT(*fates, ElementsAre(Fate::kInDoubt));
  ASSERT_THAT(*change, SizeIs(1));
  EXPECT_FALSE(change->at(0).ok());
  EXPECT_THAT(*read, SizeIs(1));
}

}  // namespace
}  // namespace assent::txlog
