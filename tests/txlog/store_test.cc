// Whose directory it is, full disks, suffixes and read-back: LogStore on a well-behaved disk.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/txlog/store_fixture.h"

namespace assent::txlog {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class Store : public StoreTest {
 protected:
  void ExpectRefused(LogStoreOptions options, Code code, const std::string& message) {
    Status s = TryOpen(std::move(options)).status();
    EXPECT_EQ(s.code(), code) << s.ToString();
    EXPECT_THAT(s.message(), HasSubstr(message));
  }
};

TEST_F(Store, BootstrapMakesTheFirstEntry) {
  Create();
  Open();
  EXPECT_EQ(recovered_.identity, kTestIdentity);
  EXPECT_EQ(recovered_.hard_state, (HardState{.term = 1, .vote = 1, .log_floor = 1}));
  EXPECT_EQ(recovered_.entries, (std::vector<Entry>{{1, 1, EntryType::kRecord, "first"}}));
}

TEST_F(Store, BootstrapRefusesADirectoryThatHoldsANode) {
  Create();
  Status s = LogStore::Create(disk_, kDirectory, kTestIdentity, First("first"));
  EXPECT_EQ(s.code(), Code::kFailedPrecondition);
  EXPECT_THAT(s.message(), HasSubstr("it belongs to a node already; start that node"));
}

TEST_F(Store, BootstrapRefusesADirectoryThatHoldsAnythingElse) {
  disk_.SetContent(kDirectory + "/precious", "letters");
  Status s = LogStore::Create(disk_, kDirectory, kTestIdentity, First("first"));
  EXPECT_EQ(s.code(), Code::kFailedPrecondition);
  EXPECT_THAT(s.message(), HasSubstr("is not empty (it holds 'precious')"));
}

TEST_F(Store, BootstrapNamesWhatIsWrongWithAnIdentity) {
  struct Case {
    NodeIdentity identity;
    const char* message;
  };
  const std::string uuid = kTestIdentity.cluster_uuid;
  const Case cases[] = {
      {{"Bank", uuid, 1}, "cluster 'Bank'"},
      {{"", uuid, 1}, "cluster ''"},
      {{"bank", "3f0c", 1}, "cluster_uuid '3f0c'"},
      {{"bank", uuid, 0}, "node_id 0"},
  };
  for (const Case& c : cases) {
    Status s = LogStore::Create(disk_, kDirectory, c.identity, First("first"));
    EXPECT_EQ(s.code(), Code::kInvalidArgument);
    EXPECT_THAT(s.message(), HasSubstr(c.message));
  }
  EXPECT_EQ(LogStore::Create(disk_, kDirectory, kTestIdentity, First("")).code(),
            Code::kInvalidArgument);
}

TEST_F(Store, BootstrapCutShortAnywhereRefusesToServeAndToStartAnew) {
  // Every changing call of a bootstrap, one after another.
  int cut = 0;
  for (int n = 1;; ++n) {
    SimDisk disk(n);
    disk.CrashAt(n);
    Status s = LogStore::Create(disk, kDirectory, kTestIdentity, First("first"));
    if (s.ok()) break;
    ++cut;
    disk.PowerLoss();
    Recovered recovered;
    Result<std::unique_ptr<LogStore>> store = LogStore::Open(
        disk, Options(), executor_, [](const Status&) {}, &recovered);
    if (store.ok()) {
      // Only the last call's effect came through: the directory is whole.
      EXPECT_EQ(recovered.entries.size(), 1u);
      continue;
    }
    EXPECT_EQ(store.status().code(), Code::kFailedPrecondition) << store.status().ToString();
    EXPECT_THAT(store.status().message(), HasSubstr("bootstrap"));
  }
  EXPECT_GT(cut, 8);
}

class RecordingObserver final : public LogObserver {
 public:
  void OnForced(const Forced& forced) override { batches.push_back(forced); }
  std::vector<Forced> batches;
};

TEST_F(Store, AnObserverHearsOfEachForcedBatchAndOfNoOtherWrite) {
  RecordingObserver observer;
  Create();
  LogStoreOptions options = Options();
  options.observer = &observer;
  auto store = TryOpen(options);
  ASSERT_TRUE(store.ok()) << store.status().ToString();
  store_ = std::move(*store);
  SetTerm(2);
  EXPECT_TRUE(observer.batches.empty()) << "the hard state is no record";
  ASSERT_TRUE(Append({"a"}).ok());
  ASSERT_TRUE(Append({"b", std::string(100, 'c'), "d"}).ok());
  ASSERT_EQ(observer.batches.size(), 2u);
  EXPECT_EQ(observer.batches[0].records, 1u);
  EXPECT_EQ(observer.batches[1].records, 3u);
  EXPECT_GT(observer.batches[1].bytes, 100u);
  EXPECT_GE(observer.batches[1].took.count(), 0);
}

TEST_F(Store, RefusesADirectoryThatWasNeverBootstrapped) {
  ExpectRefused(Options(), Code::kFailedPrecondition,
                "/sim holds no node: bootstrap it if this is a new cluster");
}

TEST_F(Store, RefusesADirectoryOfAnotherCluster) {
  Create();
  LogStoreOptions options = Options();
  options.cluster = "shop";
  ExpectRefused(options, Code::kFailedPrecondition,
                "belongs to cluster bank, this node is configured as shop");
}

TEST_F(Store, RefusesADirectoryOfANamesakeCluster) {
  Create();
  LogStoreOptions options = Options();
  options.cluster_uuid = "00000000-7a51-4d0b-9d7e-1c2b3a495867";
  ExpectRefused(options, Code::kFailedPrecondition, "belongs to the cluster of uuid 3f0c2f4e");
}

TEST_F(Store, RefusesADirectoryOfAnotherNode) {
  Create();
  LogStoreOptions options = Options();
  options.node_id = 2;
  ExpectRefused(options, Code::kFailedPrecondition,
                "belongs to node 1, this node is configured as 2");
}

TEST_F(Store, RefusesADirectoryInUse) {
  Create();
  Open();
  Recovered recovered;
  Status s = LogStore::Open(
                 disk_, Options(), executor_, [](const Status&) {}, &recovered)
                 .status();
  EXPECT_EQ(s.code(), Code::kFailedPrecondition);
  EXPECT_THAT(s.message(), HasSubstr("is in use by process"));
}

TEST_F(Store, RefusesSegmentSizesBeyondItsLimits) {
  Create();
  LogStoreOptions options = Options();
  options.segment_bytes = 4095;
  ExpectRefused(options, Code::kInvalidArgument, "segment_bytes 4095: 4096 to 1073741824");
  options.segment_bytes = kSegmentBytesMax + 1;
  ExpectRefused(options, Code::kInvalidArgument, "segment_bytes 1073741825");
}

TEST_F(Store, OneBatchCostsOneFlush) {
  Create();
  Open();
  SetTerm(2);
  ASSERT_TRUE(Append({"warm"}).ok());
  const int before = disk_.syncs();
  ASSERT_TRUE(Append({"a", "b", "c", "d"}).ok());
  EXPECT_EQ(disk_.syncs() - before, 1);
}

TEST_F(Store, BatchLargerThanASegmentGetsOneOfItsOwn) {
  Create();
  Open();
  SetTerm(2);
  const std::string large(kRecordBytesMax, 'l');
  ASSERT_TRUE(Append({large}).ok());
  ASSERT_TRUE(Append({"small"}).ok());
  Open();
  ASSERT_EQ(store_->last_index(), 3u);
  EXPECT_EQ(Payloads(), (std::vector<std::string>{"first", large, "small"}));
}

// Wherever the disk fills up, and however much of the batch was written before.
TEST_F(Store, FullDiskRefusesAndTheRefusedNeverComesBack) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    SimDisk disk(seed);
    ASSERT_TRUE(LogStore::Create(disk, kDirectory, kTestIdentity, First("first")).ok());
    Recovered recovered;
    auto open = [&] {
      Result<std::unique_ptr<LogStore>> store = LogStore::Open(
          disk, Options(), executor_, [](const Status&) {}, &recovered);
      EXPECT_TRUE(store.ok()) << seed << ": " << store.status().ToString();
      return std::move(*store);
    };
    auto append = [](LogStore& store, const std::string& record) {
      std::vector<Entry> entries(3);
      for (size_t i = 0; i < 3; ++i) {
        entries[i] = {.index = store.last_index() + 1 + i, .term = 1, .payload = record};
      }
      Status s = store.Write(entries);
      return s.ok() ? store.Force() : s;
    };
    std::unique_ptr<LogStore> store = open();
    // The third of these rolls over to a new segment.
    for (int n = 0; n < 4; ++n) {
      disk.FillAt(1);
      EXPECT_EQ(append(*store, std::string(500, '0' + n)).code(), Code::kResourceExhausted);
      disk.FillAt(0);
      if (seed % 2 == 0) {
        EXPECT_TRUE(append(*store, std::string(500, 'A' + n)).ok()) << "there is room again";
      }
    }
    const Index last = store->last_index();
    disk.PowerLoss();
    store.reset();
    recovered = Recovered();
    store = open();
    EXPECT_EQ(store->last_index(), last);
    for (const Entry& entry : recovered.entries) {
      EXPECT_TRUE(entry.payload == "first" || entry.payload[0] >= 'A') << "seed " << seed;
    }
  }
}

TEST_F(Store, RollOverWithoutRoomRefusesAndThenGoesOn) {
  Create();
  Open();
  SetTerm(2);
  ASSERT_TRUE(Append({"warm"}).ok());  // After a first batch the spare is made.
  disk_.SetRoom(0);
  int durable = 0;
  while (durable < 20) {
    Status s = Append({std::string(900, 'x')});
    if (!s.ok()) {
      EXPECT_EQ(s.code(), Code::kResourceExhausted) << s.ToString();
      break;
    }
    ++durable;
  }
  EXPECT_EQ(durable, 8) << "the rest of the segment, and the spare";
  EXPECT_EQ(Append({std::string(900, 'x')}).code(), Code::kResourceExhausted);
  EXPECT_TRUE(Append({"short"}).ok()) << "what fits is still taken";
  disk_.UnlimitedRoom();
  EXPECT_TRUE(Append({std::string(900, 'y')}).ok());
  Open();
  EXPECT_EQ(recovered_.entries.size(), 2u + 8 + 1 + 1);
}

TEST_F(Store, SnapshotWithoutRoomKeepsTheOldOne) {
  MakeThreeSegments();
  Open();
  ASSERT_TRUE(LogStore::WriteSnapshot(disk_, kDirectory, 3, 2, "three").ok());
  disk_.SetRoom(10);
  Status s = LogStore::WriteSnapshot(disk_, kDirectory, 5, 2, std::string(100, '5'));
  EXPECT_EQ(s.code(), Code::kResourceExhausted);
  Open();
  ASSERT_TRUE(recovered_.snapshot.has_value());
  EXPECT_EQ(recovered_.snapshot->state, "three");
}

TEST_F(Store, RemovalInStepsMayStopAnywhere) {
  for (int n = 1;; ++n) {
    SimDisk disk(n);
    disk.SetContent(kDirectory + "/large", std::string((3 << 20) + 1, 'x'));
    disk.CrashAt(n);
    Status s = RemoveInSteps(disk, kDirectory + "/large");
    if (s.ok()) {
      EXPECT_FALSE(disk.Exists(kDirectory + "/large"));
      EXPECT_EQ(n, 8) << "three steps of two calls, the removal, and none left to stop";
      break;
    }
  }
  EXPECT_TRUE(RemoveInSteps(disk_, kDirectory + "/never there").ok());
}

TEST_F(Store, ReadsBackWhatItWrote) {
  MakeThreeSegments();
  Open();
  Result<std::vector<Entry>> entries = store_->Read(5, 10);
  ASSERT_TRUE(entries.ok()) << entries.status().ToString();
  EXPECT_EQ(*entries, std::vector<Entry>(recovered_.entries.begin() + 4, recovered_.entries.end()));
  entries = store_->Read(8, 8);
  ASSERT_TRUE(entries.ok());
  EXPECT_EQ(entries->front().payload, "eight");
}

TEST_F(Store, ReadsBackNoMoreBytesThanAskedButOneEntry) {
  MakeThreeSegments();
  Open();
  auto last_of = [&](Index from, Index to, uint64_t bytes) {
    Result<std::vector<Entry>> read = store_->ReadWithin(from, to, bytes);
    EXPECT_TRUE(read.ok()) << read.status().ToString();
    EXPECT_EQ(read->front().index, from);
    return read->back().index;
  };
  const uint64_t large = RecordBytes(1300);
  EXPECT_EQ(last_of(2, 10, 0), 2u);
  EXPECT_EQ(last_of(2, 10, large), 2u);
  EXPECT_EQ(last_of(2, 10, 3 * large - 1), 3u);
  EXPECT_EQ(last_of(2, 10, 3 * large), 4u);  // Into the next segment.
  EXPECT_EQ(last_of(2, 4, 1 << 20), 4u);
  EXPECT_EQ(last_of(7, 99, 1 << 20), 10u);
  ASSERT_TRUE(LogStore::WriteSnapshot(disk_, kDirectory, 5, 2, "five").ok());
  store_->DropCovered(5, 2);
  EXPECT_EQ(store_->ReadWithin(5, 10, 1).status().code(), Code::kNotFound);
  EXPECT_EQ(last_of(6, 10, 0), 6u);
}

TEST_F(Store, ReadBackNoticesDamage) {
  MakeThreeSegments();
  Open();
  std::string bytes = disk_.Content(Segment(6));
  SegmentScan scan = ScanSegment(bytes);
  Result<std::unique_ptr<File>> file = disk_.Open(Segment(6));
  ASSERT_TRUE((*file)->WriteAt(scan.records[2].offset + kRecordHeaderBytes, "E").ok());
  Status s = store_->Read(6, 10).status();
  EXPECT_EQ(s.code(), Code::kDataLoss);
  EXPECT_THAT(s.message(), HasSubstr("entry 8 cannot be read back"));
}

TEST_F(Store, KnowsTheTermOfEachEntry) {
  MakeThreeSegments();
  Open();
  SetTerm(5);
  ASSERT_TRUE(Append({"eleven"}).ok());
  EXPECT_EQ(store_->TermAt(0), Term{0}) << "before everything";
  EXPECT_EQ(store_->TermAt(1), Term{1});
  EXPECT_EQ(store_->TermAt(2), Term{2});
  EXPECT_EQ(store_->TermAt(10), Term{2});
  EXPECT_EQ(store_->TermAt(11), Term{5});
  EXPECT_EQ(store_->TermAt(12), std::nullopt);
}

// A follower whose last entries lost the election, wherever the power fails meanwhile.
TEST_F(Store, SuffixTruncationLeavesAPrefixWhateverCrashes) {
  int cut = 0;
  for (Index keep = 1; keep <= 9; ++keep) {
    for (int n = 1; n < 40; ++n) {
      disk_.~SimDisk();
      new (&disk_) SimDisk(n * 100 + keep);
      MakeThreeSegments();
      Open();
      floor_ = 10;
      SetTerm(2);
      floor_ = 0;
      disk_.CrashAt(n);
      Status s = store_->TruncateAfter(keep);
      store_.reset();
      disk_.PowerLoss();
      Open();
      ASSERT_GE(store_->last_index(), keep);
      ASSERT_LE(store_->last_index(), 10u);
      if (s.ok()) {
        ASSERT_EQ(store_->last_index(), keep);
        SetTerm(3);
        ASSERT_TRUE(Append({"instead"}).ok());
        Open();
        EXPECT_EQ(recovered_.entries.size(), keep + 1);
        EXPECT_EQ(Payloads().back(), "instead");
        break;
      }
      ++cut;
    }
  }
  EXPECT_GT(cut, 50);
}

}  // namespace
}  // namespace assent::txlog
