// Single steps of the one-node engine, on a simulated disk.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/txlog/recording_listener.h"
#include "tests/txlog/store_fixture.h"
#include "txlog/local_engine.h"

namespace assent::txlog {
namespace {

using testing::ElementsAre;

class Engine : public StoreTest {
 protected:
  Engine() { Create(); }

  Status Start() {
    engine_.reset();
    disk_.ProcessDeath();
    LocalLogOptions options{.directory = kDirectory,
                            .cluster = "bank",
                            .segment_bytes = 4096,
                            .snapshot_after_bytes = 4000,
                            .disk = &disk_,
                            .on_death = [this](const Status&) { ++deaths_; }};
    Result<std::unique_ptr<LocalEngine>> engine = LocalEngine::Open(
        options, listener_, executor_, executor_, [this](Index index, Term term, const Status& s) {
          snapshots_.push_back(s.code());
          engine_->SnapshotWritten(index, term, s);
        });
    if (!engine.ok()) return engine.status();
    engine_ = std::move(*engine);
    return Ok();
  }
  Fate Commit(const std::string& record) {
    Fate fate = Fate::kInDoubt;
    std::vector<Proposal> proposals;
    proposals.push_back({record, engine_->term(), [&fate](Fate f) { fate = f; }});
    engine_->Commit(std::move(proposals));
    return fate;
  }
  std::vector<Code> snapshots_;
  int deaths_ = 0;
  RecordingListener listener_;
  std::unique_ptr<LocalEngine> engine_;
};

TEST_F(Engine, RaisesTheTermEvenIfTheStartFailsBehindIt) {
  ASSERT_TRUE(Start().ok());
  EXPECT_EQ(engine_->term(), 2u);
  // The term is forced before the no-op, whose own flush fails: the next start takes another term.
  engine_.reset();
  disk_.ProcessDeath();
  for (int n = 1; n < 20; ++n) {
    disk_.FailSyncAt(n);
    Recovered before;
    const Term term_before = DecodeHardState(disk_.Content(kDirectory + "/hard_state"), "")->term;
    Status s = Start();
    const Term after = DecodeHardState(disk_.Content(kDirectory + "/hard_state"), "")->term;
    if (s.ok()) {
      EXPECT_EQ(engine_->term(), term_before + 1);
      EXPECT_EQ(after, engine_->term());
    } else {
      EXPECT_EQ(s.code(), Code::kDataLoss) << s.ToString();
    }
  }
}

TEST_F(Engine, AnswersInTheOrderOfItsPromises) {
  ASSERT_TRUE(Start().ok());
  engine_->Announce();
  std::vector<std::string> order;
  std::vector<Proposal> proposals;
  for (const char* record : {"a", "b"}) {
    proposals.push_back({record, 2, [&, record](Fate) {
                           order.push_back(std::string(record) + " after " +
                                           listener_.story().back());
                         }});
  }
  engine_->Commit(std::move(proposals));
  EXPECT_THAT(order, ElementsAre("a after apply 4 2 b", "b after apply 4 2 b"));
}

TEST_F(Engine, SnapshotThatFailsIsAskedForAgainOnlyAfterMoreGrowth) {
  ASSERT_TRUE(Start().ok());
  engine_->Announce();
  const std::string record(468, 'r');  // 500 bytes with its header.
  while (listener_.snapshots_wanted() == 0) ASSERT_EQ(Commit(record), Fate::kDurable);
  disk_.FillAt(1);
  engine_->SaveSnapshot(5, "too much");
  EXPECT_EQ(snapshots_.back(), Code::kResourceExhausted);
  ASSERT_EQ(Commit(record), Fate::kDurable);
  EXPECT_EQ(listener_.snapshots_wanted(), 1) << "not at once";
  ASSERT_EQ(Commit(record), Fate::kDurable);
  ASSERT_EQ(Commit(record), Fate::kDurable);
  EXPECT_EQ(listener_.snapshots_wanted(), 2);
  const Index last = listener_.applied().back().index;
  engine_->SaveSnapshot(last, "enough");
  EXPECT_EQ(snapshots_.back(), Code::kOk);
  EXPECT_FALSE(disk_.Exists(Segment(1)));
  ASSERT_EQ(Commit(record), Fate::kDurable);
  EXPECT_EQ(listener_.snapshots_wanted(), 2);
  EXPECT_EQ(deaths_, 0);
}

TEST_F(Engine, OlderSnapshotThanTheLastIsIgnored) {
  ASSERT_TRUE(Start().ok());
  engine_->Announce();
  ASSERT_EQ(Commit("a"), Fate::kDurable);
  engine_->SaveSnapshot(3, "three");
  engine_->SaveSnapshot(2, "two");
  engine_->SaveSnapshot(3, "three again");
  EXPECT_THAT(snapshots_, ElementsAre(Code::kOk));
}

TEST_F(Engine, FailedFlushOfASnapshotEndsTheProcess) {
  ASSERT_TRUE(Start().ok());
  engine_->Announce();
  disk_.FailSyncAt(1);
  engine_->SaveSnapshot(2, "two");
  EXPECT_EQ(deaths_, 1);
  EXPECT_EQ(Commit("after"), Fate::kInDoubt);
}

TEST_F(Engine, CleanStopMakesALostEndDamage) {
  ASSERT_TRUE(Start().ok());
  engine_->Announce();
  ASSERT_EQ(Commit("last words"), Fate::kDurable);
  engine_->Close();
  std::string bytes = disk_.Content(Segment(1));
  const uint64_t offset = ScanSegment(bytes).records.back().offset;
  disk_.Flip(Segment(1), offset + kRecordHeaderBytes);
  Status s = Start();
  EXPECT_EQ(s.code(), Code::kDataLoss) << s.ToString();
}

TEST_F(Engine, StartOnAFullDiskUsesTheSpareAndThenSaysSo) {
  ASSERT_TRUE(Start().ok());
  ASSERT_TRUE(disk_.Exists(kDirectory + "/segment.spare"));
  disk_.SetRoom(0);
  ASSERT_TRUE(Start().ok()) << "the spare's room is enough for a new term";
  disk_.SetRoom(0);
  ASSERT_FALSE(disk_.Exists(kDirectory + "/segment.spare"));
  Status s = Start();
  EXPECT_EQ(s.code(), Code::kResourceExhausted) << s.ToString();
  disk_.UnlimitedRoom();
  EXPECT_TRUE(Start().ok());
}

}  // namespace
}  // namespace assent::txlog
