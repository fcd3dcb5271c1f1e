// Single steps of an engine that is alone in its group, on a simulated disk: what it promises of
// its files, which no other member's could stand in for.
#include <gmock/gmock.h>

#include "tests/txlog/replicated/group_fixture.h"
#include "txlog/storage/files.h"

namespace assent::txlog {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

const std::string kDirectory = "/sim";

class GroupOfOne : public GroupFixture {
 protected:
  GroupOfOne() {
    options_.segment_bytes = 4096;
    options_.snapshot_after_bytes = 4000;
  }
  void Up() {
    Bootstrap(1);
    ASSERT_TRUE(Start(1).ok());
    ASSERT_EQ(Leader(), 1u) << "there is nobody to wait for";
  }
  // As after the death of the process.
  Status Restart() {
    Kill(1, /*power_loss=*/false);
    return Start(1);
  }
  SimDisk& disk() { return At(1).disk; }
  Term term() { return At(1).engine->raft().term(); }
  Term TermOnDisk() {
    return DecodeHardState(disk().Content(kDirectory + "/hard_state"), "")->term;
  }
  // In doubt as long as nothing was heard.
  Fate Commit(const std::string& record) {
    auto fates = Propose(1, {record});
    Settle();
    return fates->empty() ? Fate::kInDoubt : fates->front();
  }
  void Save(Index index, std::string state) {
    At(1).inputs.push_back(SnapshotGiven{index, std::move(state)});
    Settle();
  }
  bool HasSpare() { return disk().Exists(kDirectory + "/segment.spare"); }
};

TEST_F(GroupOfOne, NoTermIsLedTwiceWhateverFailsBehindIt) {
  Up();
  EXPECT_EQ(term(), 2u);
  // The term is forced before its no-op: if that one's flush fails, the next start takes another.
  Term before = 2;
  int failed_starts = 0;
  int failed_behind_the_term = 0;
  for (int n = 1; n < 20; ++n) {
    Kill(1, /*power_loss=*/false);
    disk().FailSyncAt(n);
    At(1).deaths.clear();
    Status s = Start(1);
    const Term after = TermOnDisk();
    if (s.ok() && At(1).deaths.empty()) {
      EXPECT_EQ(Leader(), 1u);
      EXPECT_EQ(term(), before + 1);
      EXPECT_EQ(after, term());
    } else {
      const Code code = s.ok() ? At(1).deaths.front().code() : s.code();
      EXPECT_EQ(code, Code::kDataLoss);
      ++failed_starts;
      failed_behind_the_term += after > before;
    }
    before = after;
  }
  EXPECT_GT(failed_starts, 3);
  EXPECT_GT(failed_behind_the_term, 0);
}

TEST_F(GroupOfOne, ARecordHasOneByteToAMillion) {
  Up();
  EXPECT_EQ(Commit(""), Fate::kRefused) << "an empty record is the log's own";
  EXPECT_EQ(Commit(std::string(kRecordBytesMax + 1, 'x')), Fate::kRefused);
  EXPECT_EQ(Commit(std::string(kRecordBytesMax, 'x')), Fate::kDurable);
  EXPECT_EQ(Commit("x"), Fate::kDurable);
}

TEST_F(GroupOfOne, SnapshotThatFailsIsAskedForAgainOnlyAfterMoreGrowth) {
  Up();
  const std::string record(468, 'r');  // 500 bytes with its header.
  auto wanted = [this] { return At(1).listener->snapshots_wanted(); };
  while (wanted() == 0) ASSERT_EQ(Commit(record), Fate::kDurable);
  disk().FillAt(1);
  Save(5, "too much");
  EXPECT_FALSE(disk().Exists(kDirectory + "/" + SnapshotName(5)));
  ASSERT_EQ(Commit(record), Fate::kDurable);
  EXPECT_EQ(wanted(), 1) << "not at once";
  ASSERT_EQ(Commit(record), Fate::kDurable);
  ASSERT_EQ(Commit(record), Fate::kDurable);
  EXPECT_EQ(wanted(), 2);
  const Index last = At(1).listener->applied().back().index;
  Save(last, "enough");
  EXPECT_TRUE(disk().Exists(kDirectory + "/" + SnapshotName(last)));
  EXPECT_FALSE(disk().Exists(kDirectory + "/" + SegmentName(1)));
  ASSERT_EQ(Commit(record), Fate::kDurable);
  EXPECT_EQ(wanted(), 2);
  EXPECT_THAT(At(1).deaths, IsEmpty());
}

TEST_F(GroupOfOne, AnOlderSnapshotThanTheLastIsIgnored) {
  Up();
  ASSERT_EQ(Commit("a"), Fate::kDurable);
  Save(4, "four");
  Save(3, "three");
  Save(4, "four again");
  EXPECT_FALSE(disk().Exists(kDirectory + "/" + SnapshotName(3)));
  ASSERT_TRUE(Restart().ok());
  EXPECT_EQ(At(1).listener->story().front(), "snapshot 4 2 four");
}

// Both wait for the slow thread, and the later word must not take back what the first has done.
TEST_F(GroupOfOne, AnOlderSnapshotGivenMeanwhileDoesNotReplaceTheNewer) {
  Up();
  ASSERT_EQ(Commit("a"), Fate::kDurable);
  At(1).inputs.push_back(SnapshotGiven{4, "four"});
  At(1).inputs.push_back(SnapshotGiven{3, "three"});
  Settle();
  EXPECT_FALSE(disk().Exists(kDirectory + "/" + SnapshotName(3)));
  ASSERT_TRUE(Restart().ok());
  EXPECT_EQ(At(1).listener->story().front(), "snapshot 4 2 four");
  EXPECT_THAT(Applied(1), IsEmpty());
}

TEST_F(GroupOfOne, FailedFlushOfASnapshotEndsTheNode) {
  Up();
  disk().FailSyncAt(1);
  Save(2, "two");
  EXPECT_THAT(At(1).deaths, SizeIs(1));
  std::vector<Fate> fates;
  At(1).inputs.push_back(ProposalAsked{"after", 2, [&fates](Fate fate) { fates.push_back(fate); }});
  Settle();
  EXPECT_THAT(fates, ElementsAre(Fate::kInDoubt)) << "nothing is written after that";
}

TEST_F(GroupOfOne, CleanStopMakesALostEndDamage) {
  for (const bool clean : {false, true}) {
    nodes_.clear();
    Up();
    ASSERT_EQ(Commit("last words"), Fate::kDurable);
    if (clean) At(1).engine->Close();
    const std::string segment = kDirectory + "/" + SegmentName(1);
    const std::string bytes = disk().Content(segment);
    disk().Flip(segment, ScanSegment(bytes).records.back().offset + kRecordHeaderBytes);
    EXPECT_EQ(Restart().code(), clean ? Code::kDataLoss : Code::kOk);
  }
}

TEST_F(GroupOfOne, StartOnAFullDiskUsesTheSpareAndThenWaitsForRoom) {
  Up();
  Settle();
  ASSERT_TRUE(HasSpare());
  disk().SetRoom(0);
  ASSERT_TRUE(Restart().ok());
  EXPECT_EQ(Leader(), 1u) << "the spare's room is enough for a new term";
  disk().SetRoom(0);
  ASSERT_FALSE(HasSpare());
  ASSERT_TRUE(Restart().ok());
  Tick(60);
  EXPECT_EQ(Leader(), 0u);
  EXPECT_THAT(At(1).listener->story(), IsEmpty());
  EXPECT_THAT(*Barrier(1), Each(testing::Property(&Status::code, Code::kUnavailable)));
  disk().UnlimitedRoom();
  Tick(60);
  EXPECT_EQ(Leader(), 1u);
  EXPECT_EQ(Commit("there is room"), Fate::kDurable);
  EXPECT_THAT(At(1).deaths, IsEmpty());
}

TEST_F(GroupOfOne, AFullDiskRefusesAndLaterProposalsSucceed) {
  Up();
  disk().SetRoom(0);
  std::vector<std::string> kept = {"first"};
  Fate fate = Fate::kDurable;
  for (int i = 0; i < 20 && fate == Fate::kDurable; ++i) {
    const std::string record = std::to_string(i) + std::string(900, 'x');
    fate = Commit(record);
    if (fate == Fate::kDurable) kept.push_back(record);
  }
  EXPECT_EQ(fate, Fate::kRefused);
  EXPECT_EQ(Commit("none"), Fate::kRefused);
  disk().UnlimitedRoom();
  ASSERT_EQ(WaitLeader(), 1u);
  kept.push_back("there is room again" + std::string(900, 'y'));
  EXPECT_EQ(Commit(kept.back()), Fate::kDurable);
  EXPECT_EQ(Applied(1), kept);
  Kill(1);
  ASSERT_TRUE(Start(1).ok());
  EXPECT_EQ(Applied(1), kept) << "what was refused never comes back";
}

}  // namespace
}  // namespace assent::txlog
