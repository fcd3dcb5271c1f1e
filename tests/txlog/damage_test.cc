// What a start makes of broken files: each case by name. A torn end is cut, everything else refuses
// with file, offset and remedy, and changes nothing.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/crc32c.h"
#include "tests/txlog/store_fixture.h"
#include "txlog/storage/bytes.h"

namespace assent::txlog {
namespace {

using testing::HasSubstr;

class Damage : public StoreTest {
 protected:
  Damage() { MakeThreeSegments(); }

  std::map<std::string, std::string> Everything() {
    std::map<std::string, std::string> files;
    Result<std::vector<std::string>> names = disk_.List(kDirectory);
    for (const std::string& name : *names) files[name] = disk_.Content(kDirectory + "/" + name);
    return files;
  }

  // The offset of an entry's record.
  uint64_t At(Index segment, Index index) {
    std::string bytes = disk_.Content(Segment(segment));
    SegmentScan scan = ScanSegment(bytes);
    return scan.records.at(index - segment).offset;
  }

  void ExpectRefused(Code code, const std::string& path, const std::string& what,
                     const std::string& remedy) {
    const auto before = Everything();
    Status s = TryOpen();
    EXPECT_EQ(s.code(), code) << s.ToString();
    EXPECT_THAT(s.message(), HasSubstr(path));
    EXPECT_THAT(s.message(), HasSubstr(what));
    EXPECT_THAT(s.message(), HasSubstr(remedy));
    EXPECT_TRUE(Everything() == before) << "a directory that is refused must be left alone";
  }
  void ExpectDataLoss(const std::string& path, uint64_t offset, const std::string& what) {
    ExpectRefused(Code::kDataLoss, path + " is damaged at offset " + std::to_string(offset), what,
                  "Nothing was changed. Bring the whole directory back from a backup");
  }
  void ExpectEndsAt(Index index) {
    Status s = TryOpen();
    ASSERT_TRUE(s.ok()) << s.ToString();
    EXPECT_EQ(store_->last_index(), index);
    EXPECT_EQ(recovered_.entries.size(), index);
    // And again, on what the first start left behind.
    Open();
    EXPECT_EQ(store_->last_index(), index);
  }
  void Truncate(Index segment, uint64_t size) {
    disk_.SetContent(Segment(segment), disk_.Content(Segment(segment)).substr(0, size));
  }
  void Zero(Index segment, uint64_t from, uint64_t to) {
    std::string bytes = disk_.Content(Segment(segment));
    std::fill(bytes.begin() + from, bytes.begin() + to, '\0');
    disk_.SetContent(Segment(segment), bytes);
  }
};

TEST_F(Damage, UndamagedIsReadWhole) { ExpectEndsAt(10); }

TEST_F(Damage, LastRecordTornInItsHeaderIsCut) {
  Zero(6, At(6, 10) + 8, 4096);
  ExpectEndsAt(9);
}

TEST_F(Damage, LastRecordTornInItsPayloadIsCut) {
  Zero(6, At(6, 10) + kRecordHeaderBytes + 1, 4096);
  ExpectEndsAt(9);
}

TEST_F(Damage, FileThatEndsInsideTheLastHeaderIsCut) {
  Truncate(6, At(6, 10) + 5);
  ExpectEndsAt(9);
}

TEST_F(Damage, FileThatEndsInsideTheLastPayloadIsCut) {
  Truncate(6, At(6, 10) + kRecordHeaderBytes + 1);
  ExpectEndsAt(9);
}

TEST_F(Damage, FileThatEndsBehindTheLastPayloadLosesNothing) {
  Truncate(6, At(6, 10) + kRecordHeaderBytes + 3);
  ExpectEndsAt(10);
  ASSERT_TRUE(Append({"eleven"}).ok());
  ExpectEndsAt(11);
}

TEST_F(Damage, FileThatEndsBetweenRecordsLosesNothingBefore) {
  Truncate(6, At(6, 10));
  ExpectEndsAt(9);
}

TEST_F(Damage, GarbageBehindTheEndIsCut) {
  std::string bytes = disk_.Content(Segment(6));
  bytes.replace(At(6, 10) + 40, 16, "garbage, garbage");
  disk_.SetContent(Segment(6), bytes);
  ExpectEndsAt(10);
  EXPECT_EQ(disk_.Content(Segment(6)).find("garbage"), std::string::npos);
}

TEST_F(Damage, FirstOfTheLastBatchLostAndTheSecondThereIsATornBatch) {
  Zero(6, At(6, 10), 4096);
  Zero(6, At(6, 8), At(6, 9));  // One sector came to the disk, the other not.
  ExpectEndsAt(7);
}

TEST_F(Damage, ATornBatchNeverComesBackBehindNewRecords) {
  Zero(6, At(6, 10), 4096);
  Zero(6, At(6, 8), At(6, 9));
  Open();
  SetTerm(3);
  ASSERT_TRUE(Append({"again"}).ok());  // As long as the lost one: the old "nine" would follow it.
  ExpectEndsAt(8);
  EXPECT_EQ(Payloads().back(), "again");
}

TEST_F(Damage, FlippedByteBeforeADurableBatchIsDataLoss) {
  const uint64_t offset = At(6, 8);
  disk_.Flip(Segment(6), offset + kRecordHeaderBytes);
  ExpectDataLoss(Segment(6), offset, "a record's checksum does not match its bytes");
}

TEST_F(Damage, FlippedLengthBeforeADurableBatchIsDataLoss) {
  const uint64_t offset = At(6, 8);
  disk_.Flip(Segment(6), offset + 6);
  ExpectDataLoss(Segment(6), offset, "a record's length reaches beyond the end of the file");
}

TEST_F(Damage, ZeroedRecordBeforeADurableBatchIsDataLoss) {
  const uint64_t offset = At(6, 7);
  Zero(6, offset, At(6, 8));
  ExpectDataLoss(Segment(6), offset, "a record's checksum does not match its bytes");
}

TEST_F(Damage, FlippedByteInAFormerSegmentIsDataLoss) {
  const uint64_t offset = At(4, 5);
  disk_.Flip(Segment(4), offset + 100);
  ExpectDataLoss(Segment(4), offset, "a record's checksum does not match its bytes");
}

TEST_F(Damage, FlippedByteInTheFirstRecordOfAllIsDataLoss) {
  disk_.Flip(Segment(1), kSegmentHeaderBytes + kRecordHeaderBytes);
  ExpectDataLoss(Segment(1), kSegmentHeaderBytes, "a record's checksum does not match its bytes");
}

TEST_F(Damage, FlippedByteInTheZeroesOfAFormerSegmentIsDataLoss) {
  disk_.Flip(Segment(4), 4090);
  ExpectDataLoss(Segment(4), At(4, 5) + RecordBytes(1300), "");
}

TEST_F(Damage, ShortenedFormerSegmentIsDataLoss) {
  const uint64_t offset = At(4, 5);
  Truncate(4, offset);
  ExpectDataLoss(Segment(4), offset,
                 "it ends at entry 4 of term 2, but the next segment begins at 6 after term 2");
}

TEST_F(Damage, DamagedHeaderOfAFormerSegmentIsDataLoss) {
  disk_.Flip(Segment(4), 3);
  ExpectDataLoss(Segment(4), 0, "header");
}

TEST_F(Damage, DamagedHeaderOfTheLastSegmentIsDataLoss) {
  disk_.Flip(Segment(6), 17);
  ExpectDataLoss(Segment(6), 0, "the segment's header is damaged");
}

TEST_F(Damage, LastSegmentWithoutHeaderIsAnUnfinishedRollOver) {
  disk_.SetContent(Segment(11), std::string(4096, '\0'));
  ExpectEndsAt(10);
  EXPECT_FALSE(disk_.Exists(Segment(11)));
}

TEST_F(Damage, EmptyLastSegmentIsAnUnfinishedRollOver) {
  disk_.SetContent(Segment(11), "");
  ExpectEndsAt(10);
}

TEST_F(Damage, MissingMiddleSegmentIsDataLoss) {
  ASSERT_TRUE(disk_.Remove(Segment(4)).ok());
  ExpectDataLoss(Segment(1), At(1, 3) + RecordBytes(1300), "ends at entry 3");
}

TEST_F(Damage, MissingFirstSegmentIsDataLoss) {
  ASSERT_TRUE(disk_.Remove(Segment(1)).ok());
  ExpectDataLoss(Segment(4), 0, "entries 1 to 3 before it are missing");
}

TEST_F(Damage, NoSegmentAtAllIsDataLoss) {
  for (Index first : {1, 4, 6}) ASSERT_TRUE(disk_.Remove(Segment(first)).ok());
  ExpectDataLoss(kDirectory, 0, "there is no segment of the log in it");
}

TEST_F(Damage, SegmentUnderAnotherNameIsDataLoss) {
  disk_.SetContent(Segment(6), disk_.Content(Segment(4)));
  ExpectDataLoss(Segment(6), 0, "it holds the segment of entry 4");
}

TEST_F(Damage, LogThatEndsBeforeItsFloorIsDataLossEvenIfItLooksTorn) {
  Open();
  floor_ = 10;
  SetTerm(3);
  store_.reset();
  const uint64_t offset = At(6, 10);
  disk_.Flip(Segment(6), offset + kRecordHeaderBytes);
  ExpectDataLoss(Segment(6), offset, "a record's checksum does not match its bytes");
}

TEST_F(Damage, LastSegmentRemovedBelowTheFloorIsDataLoss) {
  Open();
  floor_ = 10;
  SetTerm(3);
  store_.reset();
  ASSERT_TRUE(disk_.Remove(Segment(6)).ok());
  ExpectDataLoss(Segment(4), At(4, 5) + RecordBytes(1300),
                 "the log ends at entry 5 but was durable up to 10");
}

TEST_F(Damage, EntryOutOfPlaceIsDataLoss) {
  std::string bytes = disk_.Content(Segment(6));
  std::string stray;
  AppendRecord(stray, {.index = 12, .term = 2, .payload = "stray"}, 3000);
  const uint64_t offset = At(6, 10) + RecordBytes(3);
  bytes.replace(offset, stray.size(), stray);
  disk_.SetContent(Segment(6), bytes);
  ExpectDataLoss(Segment(6), offset, "entry 12 stands where entry 11 belongs");
}

TEST_F(Damage, EntryOfAnOlderTermIsDataLoss) {
  std::string bytes = disk_.Content(Segment(6));
  std::string stray;
  AppendRecord(stray, {.index = 11, .term = 1, .payload = "stray"}, 3000);
  const uint64_t offset = At(6, 10) + RecordBytes(3);
  bytes.replace(offset, stray.size(), stray);
  disk_.SetContent(Segment(6), bytes);
  ExpectDataLoss(Segment(6), offset, "entry 11 is of term 1, the one before it of term 2");
}

TEST_F(Damage, UnknownTypeOfEntryNeedsANewerProgram) {
  std::string bytes = disk_.Content(Segment(6));
  std::string record;
  AppendRecord(record, {.index = 11, .term = 2, .type = static_cast<EntryType>(9)}, 3000);
  bytes.replace(At(6, 10) + RecordBytes(3), record.size(), record);
  disk_.SetContent(Segment(6), bytes);
  ExpectRefused(Code::kFailedPrecondition, Segment(6), "of type 9",
                "start the newer program that wrote it");
}

TEST_F(Damage, SegmentOfANewerFormatNeedsANewerProgram) {
  std::string bytes = disk_.Content(Segment(6));
  std::string header;
  PutNumber(header, uint32_t{2});
  bytes.replace(12, 4, header);
  std::string crc;
  PutNumber(crc, Crc32c(std::string_view(bytes).substr(12, kSegmentHeaderBytes - 12)));
  bytes.replace(8, 4, crc);
  disk_.SetContent(Segment(6), bytes);
  ExpectRefused(Code::kFailedPrecondition, Segment(6), "the segment is of format 2",
                "start the newer program that wrote it");
}

TEST_F(Damage, HardStateFlippedIsDataLoss) {
  disk_.Flip(kDirectory + "/hard_state", 20);
  ExpectDataLoss(kDirectory + "/hard_state", 8, "the checksum does not match");
}

TEST_F(Damage, HardStateEmptyIsDataLoss) {
  disk_.SetContent(kDirectory + "/hard_state", "");
  ExpectDataLoss(kDirectory + "/hard_state", 0, "the file ends inside its header");
}

TEST_F(Damage, HardStateMissingIsDataLoss) {
  ASSERT_TRUE(disk_.Remove(kDirectory + "/hard_state").ok());
  ExpectDataLoss(kDirectory + "/hard_state", 0, "the file is missing");
}

TEST_F(Damage, HardStateOlderThanTheLogIsDataLoss) {
  disk_.SetContent(kDirectory + "/hard_state", EncodeHardState({.term = 1, .vote = 1}));
  ExpectDataLoss(kDirectory + "/hard_state", 0,
                 "it is of term 1, older than the log's last term 2");
}

TEST_F(Damage, NodeFileEditedByHandIsDataLoss) {
  std::string text = disk_.Content(kDirectory + "/node");
  text.replace(text.find("node_id=1"), 9, "node_id=2");
  disk_.SetContent(kDirectory + "/node", text);
  ExpectDataLoss(kDirectory + "/node", text.find("crc32c="), "nobody but the program may edit");
}

TEST_F(Damage, NodeFileLostIsRefused) {
  ASSERT_TRUE(disk_.Remove(kDirectory + "/node").ok());
  ExpectRefused(Code::kFailedPrecondition, kDirectory, "but no file 'node'",
                "bring it back from a backup");
}

TEST_F(Damage, NodeFileOfANewerFormatNeedsANewerProgram) {
  std::string text = "format_version=2\nshard=7\n";
  char crc[32];
  std::snprintf(crc, sizeof crc, "crc32c=%08x\n", static_cast<unsigned>(Crc32c(text)));
  disk_.SetContent(kDirectory + "/node", text + crc);
  ExpectRefused(Code::kFailedPrecondition, kDirectory + "/node", "of format 2",
                "start the newer program that wrote it");
}

class SnapshotDamage : public Damage {
 protected:
  SnapshotDamage() {
    Open();
    Status s = LogStore::WriteSnapshot(disk_, kDirectory, 5, 2, "state of five");
    EXPECT_TRUE(s.ok()) << s.ToString();
    covered_ = store_->DropCovered(5, 2);
    store_.reset();
  }
  const std::string path_ = kDirectory + "/" + SnapshotName(5);
  std::vector<std::string> covered_;
};

TEST_F(SnapshotDamage, UndamagedSnapshotStandsForWhatItCovers) {
  EXPECT_EQ(covered_, (std::vector<std::string>{Segment(1), Segment(4)}));
  Open();
  ASSERT_TRUE(recovered_.snapshot.has_value());
  EXPECT_EQ(*recovered_.snapshot, (Snapshot{5, 2, "state of five"}));
  EXPECT_EQ(recovered_.entries.front().index, 6u);
  EXPECT_EQ(store_->last_index(), 10u);
  EXPECT_EQ(store_->TermAt(5), Term{2});
  EXPECT_EQ(store_->TermAt(4), std::nullopt);
  EXPECT_FALSE(disk_.Exists(Segment(1))) << "covered segments are removed at the latest at start";
}

TEST_F(SnapshotDamage, RemovalOfCoveredSegmentsMayStopAnywhere) {
  ASSERT_TRUE(disk_.Remove(Segment(4)).ok());  // The older one is still there.
  Open();
  EXPECT_EQ(store_->last_index(), 10u);
}

TEST_F(SnapshotDamage, DamageInACoveredSegmentIsNoLoss) {
  disk_.Flip(Segment(4), 100);
  Open();
  EXPECT_EQ(store_->last_index(), 10u);
}

TEST_F(SnapshotDamage, FlippedStateIsDataLoss) {
  disk_.Flip(path_, kSnapshotHeaderBytes + 2);
  ExpectDataLoss(path_, 8, "the checksum does not match");
}

TEST_F(SnapshotDamage, ShortenedSnapshotIsDataLoss) {
  disk_.SetContent(path_, disk_.Content(path_).substr(0, 45));
  ExpectDataLoss(path_, 8, "the checksum does not match");
}

TEST_F(SnapshotDamage, SnapshotUnderAnotherNameIsDataLoss) {
  disk_.SetContent(kDirectory + "/" + SnapshotName(7), disk_.Content(path_));
  ExpectDataLoss(kDirectory + "/" + SnapshotName(7), 0, "it holds the snapshot of entry 5");
}

TEST_F(SnapshotDamage, LogThatEndsBeforeTheSnapshotIsDataLoss) {
  disk_.SetContent(kDirectory + "/" + SnapshotName(12),
                   EncodeSnapshotHeader(12, 2, "state of twelve") + "state of twelve");
  ExpectDataLoss(Segment(6), At(6, 10) + RecordBytes(3),
                 "the log ends at entry 10 but was durable up to 12");
}

TEST_F(SnapshotDamage, SnapshotLostAfterItsSegmentsWereRemovedIsDataLoss) {
  Open();
  store_.reset();
  ASSERT_TRUE(disk_.Remove(path_).ok());
  ExpectDataLoss(Segment(6), 0, "entries 1 to 5 before it are missing");
}

}  // namespace
}  // namespace assent::txlog
