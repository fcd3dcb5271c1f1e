// A snapshot from elsewhere takes the place of the log, and a directory without a first entry, as a
// node needs that joins a group.
#include <gtest/gtest.h>

#include "tests/txlog/store_fixture.h"

namespace assent::txlog {
namespace {

class Install : public StoreTest {
 protected:
  Status TryInstall(Index index, Term term, const std::string& state) {
    Status s = LogStore::WriteIncoming(disk_, kDirectory, index, term, state);
    return s.ok() ? store_->InstallIncoming(index, term) : s;
  }
  // As a follower that has heard of `term`.
  void Prepare(Term term) {
    MakeThreeSegments();  // Ends at entry 10 of term 2.
    Open();
    floor_ = 10;
    SetTerm(term);
    floor_ = 0;
  }
  void ExpectOnlyTheSnapshot(Index index, Term term, const std::string& state) {
    ASSERT_TRUE(recovered_.snapshot.has_value());
    EXPECT_EQ(*recovered_.snapshot, (Snapshot{index, term, state}));
    EXPECT_TRUE(recovered_.entries.empty());
    EXPECT_EQ(store_->last_index(), index);
    EXPECT_EQ(store_->last_term(), term);
    EXPECT_EQ(store_->TermAt(index), term);
    EXPECT_EQ(store_->TermAt(index - 1), std::nullopt);
  }
};

TEST_F(Install, OfWhatIsBeyondTheLogReplacesIt) {
  Prepare(4);
  ASSERT_TRUE(TryInstall(20, 3, "twenty").ok());
  EXPECT_EQ(store_->last_index(), 20u);
  EXPECT_EQ(store_->last_term(), 3u);
  EXPECT_EQ(store_->TermAt(10), std::nullopt);
  EXPECT_EQ(store_->BytesAfter(20), 0u);
  ASSERT_TRUE(Append({"21"}).ok());
  EXPECT_EQ(store_->Read(21, 21)->front().payload, "21");
  Open();
  EXPECT_EQ(*recovered_.snapshot, (Snapshot{20, 3, "twenty"}));
  EXPECT_EQ(Payloads(), std::vector<std::string>{"21"});
  for (Index first : {1, 4, 6}) EXPECT_FALSE(disk_.Exists(Segment(first)));
}

// The entries behind it are those of a leader that lost: they conflict with what was committed.
TEST_F(Install, OfAnotherTermInsideTheLogReplacesAllOfIt) {
  Prepare(4);
  ASSERT_TRUE(TryInstall(8, 3, "eight").ok());
  Open();
  ExpectOnlyTheSnapshot(8, 3, "eight");
  EXPECT_EQ(recovered_.hard_state.log_floor, 8u);
}

TEST_F(Install, OfAnEntryThatTheLogHoldsKeepsWhatFollows) {
  Prepare(4);
  ASSERT_TRUE(TryInstall(7, 2, "seven").ok());
  EXPECT_EQ(store_->last_index(), 10u);
  for (const std::string& path : store_->DropCovered(7, 2)) ASSERT_TRUE(disk_.Remove(path).ok());
  EXPECT_EQ(store_->TermAt(7), Term{2});
  Open();
  EXPECT_EQ(*recovered_.snapshot, (Snapshot{7, 2, "seven"}));
  EXPECT_EQ(Payloads(), (std::vector<std::string>{"eight", "nine", "ten"}));
}

TEST_F(Install, OverAnOlderSnapshotLeavesOnlyTheNewOne) {
  Prepare(4);
  ASSERT_TRUE(LogStore::WriteSnapshot(disk_, kDirectory, 5, 2, "five").ok());
  store_->DropCovered(5, 2);
  ASSERT_TRUE(TryInstall(30, 4, "thirty").ok());
  ASSERT_TRUE(TryInstall(40, 4, "forty").ok());
  Open();
  ExpectOnlyTheSnapshot(40, 4, "forty");
  EXPECT_FALSE(disk_.Exists(kDirectory + "/" + SnapshotName(5)));
  EXPECT_FALSE(disk_.Exists(kDirectory + "/" + SnapshotName(30)));
}

TEST_F(Install, AnIncomingOneThatWasNeverInstalledIsNothing) {
  Prepare(4);
  ASSERT_TRUE(LogStore::WriteIncoming(disk_, kDirectory, 20, 3, "twenty").ok());
  Open();
  EXPECT_EQ(store_->last_index(), 10u);
  EXPECT_FALSE(recovered_.snapshot.has_value());
  EXPECT_FALSE(disk_.Exists(kDirectory + "/" + IncomingName(20)));
}

// Before it is over, either the old log is there, whole, or the snapshot alone.
TEST_F(Install, CutShortAnywhereItIsDoneOrNotBegun) {
  for (const auto& [index, term] : {std::pair<Index, Term>{20, 3}, {8, 3}, {7, 2}}) {
    int not_begun = 0, done = 0;
    for (int n = 1; n < 100; ++n) {
      disk_.~SimDisk();
      new (&disk_) SimDisk(n * 100 + index);
      Prepare(4);
      disk_.CrashAt(n);
      Status s = TryInstall(index, term, "state");
      store_.reset();
      disk_.PowerLoss();
      // The next start may be cut short as well.
      disk_.CrashAt(1 + n % 7);
      (void)TryOpen(Options());
      store_.reset();
      disk_.PowerLoss();
      Open();
      ASSERT_TRUE(!s.ok() || recovered_.snapshot.has_value());
      if (recovered_.snapshot.has_value()) {
        ++done;
        EXPECT_EQ(*recovered_.snapshot, (Snapshot{index, term, "state"}));
        if (term == 2) {
          EXPECT_EQ(Payloads(), (std::vector<std::string>{"eight", "nine", "ten"}));
        } else {
          ExpectOnlyTheSnapshot(index, term, "state");
        }
      } else {
        ++not_begun;
        EXPECT_EQ(recovered_.entries.size(), 10u);
      }
      SetTerm(5);
      ASSERT_TRUE(Append({"later"}).ok());
      Open();
      EXPECT_EQ(Payloads().back(), "later");
      if (s.ok()) break;
    }
    EXPECT_GT(not_begun, 3) << index;
    EXPECT_GT(done, 1) << index;
  }
}

TEST_F(Install, ADamagedOneIsSaidSo) {
  Prepare(4);
  ASSERT_TRUE(LogStore::WriteIncoming(disk_, kDirectory, 20, 3, "twenty").ok());
  const std::string path = kDirectory + "/" + InstallName(20);
  ASSERT_TRUE(disk_.Rename(kDirectory + "/" + IncomingName(20), path).ok());
  ASSERT_TRUE(disk_.SyncDirectory(kDirectory).ok());
  disk_.Flip(path, kSnapshotHeaderBytes + 1);
  Status s = TryOpen();
  EXPECT_EQ(s.code(), Code::kDataLoss) << s.ToString();
  EXPECT_TRUE(disk_.Exists(Segment(1))) << "nothing was changed";
}

class Empty : public StoreTest {};

TEST_F(Empty, ADirectoryWithoutEntriesOpensAndTakesTheFirst) {
  ASSERT_TRUE(LogStore::Create(disk_, kDirectory, kTestIdentity, {}).ok());
  Open();
  EXPECT_EQ(recovered_.hard_state, HardState());
  EXPECT_EQ(store_->last_index(), 0u);
  EXPECT_EQ(store_->last_term(), 0u);
  EXPECT_EQ(store_->TermAt(0), Term{0});
  Open();
  SetTerm(3);
  ASSERT_TRUE(Append({"one", "two"}).ok());
  Open();
  EXPECT_EQ(Payloads(), (std::vector<std::string>{"one", "two"}));
}

TEST_F(Empty, ADirectoryWithoutEntriesTakesASnapshot) {
  ASSERT_TRUE(LogStore::Create(disk_, kDirectory, kTestIdentity, {}).ok());
  Open();
  SetTerm(3);
  ASSERT_TRUE(LogStore::WriteIncoming(disk_, kDirectory, 9, 2, "nine").ok());
  ASSERT_TRUE(store_->InstallIncoming(9, 2).ok());
  Open();
  EXPECT_EQ(*recovered_.snapshot, (Snapshot{9, 2, "nine"}));
  EXPECT_EQ(store_->last_index(), 9u);
}

TEST_F(Empty, SeveralFirstEntriesOfAnyType) {
  const std::vector<Entry> first = {
      {1, 1, EntryType::kRecord, "group"},
      {2, 1, EntryType::kConfig, "members"},
  };
  ASSERT_TRUE(LogStore::Create(disk_, kDirectory, kTestIdentity, first).ok());
  Open();
  EXPECT_EQ(recovered_.entries, first);
  EXPECT_EQ(recovered_.hard_state, (HardState{.term = 1, .vote = 1, .log_floor = 2}));
}

}  // namespace
}  // namespace assent::txlog
