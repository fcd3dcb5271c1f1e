// A follower that is sent a snapshot while its own log has parted from the group's, at the worst
// moments. The test plays the leader, node 1, and decides when slow work is over.
#include <gmock/gmock.h>

#include "tests/txlog/replicated/group_fixture.h"
#include "txlog/replicated/members.h"
#include "txlog/replicated/wire.h"

namespace assent::txlog {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class EngineInstall : public GroupFixture {
 protected:
  void Up() {
    Bootstrap(3);  // Entries 1 and 2, of term 1.
    ASSERT_TRUE(Start(2).ok());
    At(2).said.emplace();
    Say(2, raft::Heartbeat{});
  }
  // Entries 3 to 6 of term 2, which no majority ever had.
  void UpWithAFork() {
    Up();
    Say(2, raft::AppendEntries{2, 1, 2, {E(3, 2), E(4, 2), E(5, 2), E(6, 2)}});
    Say(5, raft::Heartbeat{});
    At(2).said->clear();
  }

  static raft::Entry E(Index index, Term term) {
    return {index, term, raft::EntryType::kRecord,
            std::make_shared<const std::string>("t" + std::to_string(term))};
  }
  static EngineInput From1(Term term, raft::Body body) {
    return MessageCame{1, EncodeMessage({.term = term, .body = std::move(body)})};
  }
  static raft::InstallSnapshot Snapshot(Index index, Term term) {
    std::vector<Member> members;
    for (uint64_t id : {1, 2, 3}) members.push_back({id, "a:1", "a:2"});
    return {{index, term, ToConfig(members)},
            0,
            std::make_shared<const std::string>("state of " + std::to_string(index)),
            true};
  }
  void Give(std::vector<EngineInput> inputs) { At(2).engine->Handle(std::move(inputs)); }
  void Say(Term term, raft::Body body) {
    std::vector<EngineInput> one;
    one.push_back(From1(term, std::move(body)));
    Give(std::move(one));
  }
  // Does all slow work; answers its results, for the test to give.
  std::vector<EngineInput> SlowWork() {
    while (At(2).spares.RunOne() || At(2).slow.RunOne()) {
    }
    std::vector<EngineInput> done(std::make_move_iterator(At(2).inputs.begin()),
                                  std::make_move_iterator(At(2).inputs.end()));
    At(2).inputs.clear();
    return done;
  }
  void Restart() {
    Kill(2);
    Status s = Start(2);
    ASSERT_TRUE(s.ok()) << s.ToString();
  }
  // The highest index that node 2 has ever acknowledged since the last look.
  Index Acknowledged() {
    Index most = 0;
    for (const std::string& bytes : *At(2).said) {
      const raft::Message message = *DecodeMessage(bytes);
      if (const auto* append = std::get_if<raft::AppendReply>(&message.body)) {
        if (append->success) most = std::max(most, append->match);
      } else if (const auto* heartbeat = std::get_if<raft::HeartbeatReply>(&message.body)) {
        most = std::max(most, heartbeat->match);
      } else if (const auto* install = std::get_if<raft::InstallSnapshotReply>(&message.body)) {
        if (install->installed) most = std::max(most, install->index);
      }
    }
    At(2).said->clear();
    return most;
  }
};

TEST_F(EngineInstall, IsNotAcknowledgedBeforeItIsDone) {
  UpWithAFork();
  Say(5, Snapshot(5, 5));
  std::vector<EngineInput> staged = SlowWork();
  staged.push_back(From1(5, raft::Heartbeat{.commit = 0, .sent = 5}));
  At(2).disk.CrashAt(1);  // In the first step of the install.
  Give(std::move(staged));
  EXPECT_LE(Acknowledged(), 2u);
  Restart();
  Say(5, raft::Heartbeat{.commit = 2, .sent = 5});
  EXPECT_THAT(Applied(2), ElementsAre("first"));
}

TEST_F(EngineInstall, IsAcknowledgedWhenItIsDone) {
  UpWithAFork();
  Say(5, Snapshot(5, 5));
  Give(SlowWork());
  EXPECT_EQ(Acknowledged(), 5u);
  Restart();
  EXPECT_THAT(At(2).listener->story().front(), testing::HasSubstr("state of 5"));
}

// The owner has its state already: a full disk before it must not make the log forget it.
TEST_F(EngineInstall, IsDoneThoughAWriteBeforeItFoundNoRoom) {
  UpWithAFork();
  Say(5, Snapshot(5, 5));
  std::vector<EngineInput> staged = SlowWork();
  staged.insert(staged.begin(), From1(5, raft::AppendEntries{2, 1, 2, {E(3, 4)}}));
  At(2).disk.FillAt(1);
  Give(std::move(staged));
  for (int i = 0; i < 30; ++i) {
    Give({});
    At(2).inputs.clear();
    std::vector<EngineInput> tick;
    tick.push_back(TickCame{});
    tick.push_back(From1(5, raft::Heartbeat{}));
    Give(std::move(tick));
  }
  Say(6, raft::Heartbeat{});
  Say(6, raft::AppendEntries{5, 5, 5, {E(6, 6)}});
  EXPECT_EQ(Acknowledged(), 6u);
  Restart();
  Say(6, raft::AppendEntries{6, 6, 6, {}});
  EXPECT_THAT(At(2).listener->story().front(), testing::HasSubstr("state of 5"));
  EXPECT_THAT(Applied(2), ElementsAre("t6"));
  EXPECT_THAT(At(2).deaths, IsEmpty());
}

TEST_F(EngineInstall, OfWhatTheDiskStillHoldsKeepsIt) {
  UpWithAFork();
  At(2).disk.SetRoom(0);
  Say(6, raft::AppendEntries{2, 1, 2, {E(3, 4)}});  // Cut in the core, refused by the disk.
  At(2).disk.UnlimitedRoom();
  Say(7, raft::Heartbeat{});
  Say(7, Snapshot(5, 2));
  Give(SlowWork());
  EXPECT_THAT(At(2).deaths, IsEmpty());
  Restart();
  EXPECT_THAT(At(2).listener->story().front(), testing::HasSubstr("state of 5"));
}

TEST_F(EngineInstall, OvertakesTheOwnSnapshot) {
  Up();
  Say(2, raft::AppendEntries{2, 1, 3, {E(3, 2)}});
  std::vector<EngineInput> both;
  both.push_back(SnapshotGiven{3, "own"});
  both.push_back(From1(2, Snapshot(10, 2)));
  Give(std::move(both));
  Give(SlowWork());
  Give(SlowWork());
  EXPECT_THAT(At(2).deaths, IsEmpty());
  Restart();
  EXPECT_THAT(At(2).listener->story().front(), testing::HasSubstr("state of 10"));
}

TEST_F(EngineInstall, OfATermThatTheDiskDoesNotKnowYet) {
  Up();
  At(2).disk.SetRoom(0);
  Say(5, Snapshot(5, 5));
  At(2).disk.UnlimitedRoom();
  Give(SlowWork());
  Give(SlowWork());
  EXPECT_THAT(At(2).deaths, IsEmpty());
  Restart();
}

// The second is written while the first, received before it, still waits to be installed.
TEST_F(EngineInstall, TwoInARowDoNotMixTheirFiles) {
  UpWithAFork();
  Say(5, Snapshot(5, 5));
  std::vector<EngineInput> staged = SlowWork();
  staged.push_back(From1(5, Snapshot(9, 5)));
  At(2).slow.at_once = true;
  Give(std::move(staged));
  At(2).slow.at_once = false;
  Give(SlowWork());
  EXPECT_THAT(At(2).deaths, IsEmpty());
  Restart();
  EXPECT_THAT(At(2).listener->story().front(), testing::HasSubstr("state of 9"));
}

}  // namespace
}  // namespace assent::txlog
