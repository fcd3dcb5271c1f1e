// Reading the log over a link that is slow or breaks: answers that are too long never come.
#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "base/crc32c.h"
#include "tests/simulation/etcd_model.h"
#include "txlog/etcd/core/batch.h"
#include "txlog/etcd/core/member.h"

namespace assent::txlog::etcd {
namespace {

using simulation::EtcdModel;
using std::chrono::milliseconds;

constexpr char kPrefix[] = "assent/shop";
constexpr size_t kBytes = 1000;  // Of a batch.

// What comes of etcd's answers.
class Link {
 public:
  size_t bytes_max = ~size_t{0};                      // An answer that is larger
  Outcome too_large = NoAnswer{"Deadline Exceeded"};  // ends like this.
  size_t break_at_piece = 0;  // Of so many pieces of a snapshot one is lost.

  // Since the last Load.
  size_t reads = 0;
  size_t failures = 0;
  size_t pieces = 0;
  std::vector<int64_t> pages;  // How many keys each read of the log asked for.

  Outcome Carry(const Txn& txn, Outcome outcome) {
    const auto* done = std::get_if<Done>(&outcome);
    if (done == nullptr) return outcome;
    ++reads;
    const Range& range = std::get<Range>(txn.then[0]);
    if (range.limit != 0) pages.push_back(range.limit);
    if (range.key.find("/snapshots/") != std::string::npos) {
      if (break_at_piece != 0 && ++pieces % break_at_piece == 0) return NoAnswer{"broken"};
    }
    size_t bytes = 0;
    for (const auto& found : done->ranges) {
      for (const KeyValue& one : found) bytes += one.value.size();
    }
    if (bytes <= bytes_max) return outcome;
    ++failures;
    return too_large;
  }
};

class Loading : public testing::Test {
 protected:
  void Do(const Txn& txn) { ASSERT_TRUE(std::holds_alternative<Done>(etcd_.Execute(txn))); }

  // A group, and a process that knows nothing of it.
  void Begin(Slot batches, uint64_t page_bytes = 4 << 20) {
    etcd_ = {};
    events_.clear();
    last_ = applied_ = 0;
    Do({.then = {Put{layout_.identity(), "uuid shop"}, Put{layout_.term(), "1"}}});
    AddBatches(batches);
    Options options;
    options.prefix = kPrefix;
    options.owner = 1;
    options.address = "host:1";
    options.page_bytes = page_bytes;
    member_ = std::make_unique<Member>(options);
  }
  // Of one record each.
  void AddBatches(Slot count) {
    for (const Slot end = last_ + count; last_ < end;) {
      ++last_;
      const Batch batch{1, last_, {std::string(kBytes - kBatchBytes - kRecordBytes, 'x')}};
      Do({.then = {Put{layout_.Log(last_), Encode(batch)}}});
    }
  }
  // Of the first `index` batches.
  void MakeSnapshot(uint64_t pieces, Index index = 1) {
    const std::string piece = std::to_string(index);
    std::string state;
    for (uint64_t i = 0; i < pieces; ++i) state += piece;
    const SnapshotValue value{SnapshotName(1, index), index,        1, index, pieces,
                              state.size(),           Crc32c(state)};
    for (uint64_t i = 0; i < pieces; ++i) {
      Do({.then = {Put{layout_.Chunk(value.name, i), piece}}});
    }
    Do({.then = {Put{layout_.snapshot(), Text(value)}}});
  }

  // Whether it has read everything within so many reads. It gets no lease, and never leads.
  bool Load(size_t reads_max) {
    link_.reads = link_.failures = link_.pieces = 0;
    link_.pages.clear();
    while (member_->phase() != Member::Phase::kFollowing) {
      if (halted_ || link_.reads >= reads_max) return false;
      if (events_.empty()) {
        now_ += milliseconds(100);
        events_.emplace_back(Tick{});
      }
      Event event = std::move(events_.front());
      events_.pop_front();
      Step(std::move(event));
    }
    return applied_ == last_;
  }
  // As when the watch has broken.
  bool LoadAgain(size_t reads_max) {
    Step(WatchEnded{watch_, "broken"});
    return Load(reads_max);
  }

  Link link_;

 private:
  void Step(Event event) {
    for (Action& action : member_->Step(now_, std::move(event))) {
      if (const auto* sent = std::get_if<SendTxn>(&action)) {
        events_.emplace_back(
            TxnAnswered{sent->request, link_.Carry(sent->txn, etcd_.Execute(sent->txn))});
      } else if (const auto* apply = std::get_if<Apply>(&action)) {
        for (const Applied& one : apply->entries) EXPECT_EQ(one.index, ++applied_);
      } else if (const auto* restore = std::get_if<Restore>(&action)) {
        applied_ = restore->index;
      } else if (const auto* watch = std::get_if<StartWatch>(&action)) {
        watch_ = watch->watch;
      } else if (const auto* halt = std::get_if<Halt>(&action)) {
        halted_ = true;
        ADD_FAILURE() << halt->why;
      }
    }
  }

  const Layout layout_{kPrefix};
  EtcdModel etcd_;
  std::unique_ptr<Member> member_;
  MonotonicTime now_{std::chrono::hours(1)};
  Slot last_ = 0;
  Index applied_ = 0;
  uint64_t watch_ = 0;
  bool halted_ = false;
  std::deque<Event> events_;
};

TEST_F(Loading, AFastLinkIsReadInPagesThatGrow) {
  Begin(3000);
  EXPECT_TRUE(Load(10));
  EXPECT_EQ(link_.pages, (std::vector<int64_t>{64, 128, 256, 512, 1024, 1024}));
}

TEST_F(Loading, LargeBatchesAreReadInSmallPages) {
  Begin(134, /*page_bytes=*/3 * kBytes);
  EXPECT_TRUE(Load(30));
  link_.pages.resize(9);
  EXPECT_EQ(link_.pages, (std::vector<int64_t>{64, 32, 16, 8, 4, 2, 4, 2, 4}));
}

// Of so many batches an answer comes, of one more none does.
class SlowLink : public Loading, public testing::WithParamInterface<size_t> {};

TEST_P(SlowLink, IsReadToTheEnd) {
  for (const Outcome& how : {Outcome(NoAnswer{"Deadline Exceeded"}),
                             Outcome(NotDone{NotDone::Why::kTooLarge, "larger than max"})}) {
    link_.too_large = how;
    link_.bytes_max = GetParam() * kBytes;
    Begin(300);
    ASSERT_TRUE(Load(2000));
    // For each halving, and then seldom, to see whether the link carries more.
    EXPECT_LE(link_.failures, 6 + link_.pages.size() / 8);
    // What was found out is not forgotten.
    AddBatches(100);
    ASSERT_TRUE(LoadAgain(1000));
    EXPECT_LE(link_.failures, 1 + link_.pages.size() / 8);
    // Where the link is fast again, so are we.
    link_.bytes_max = ~size_t{0};
    AddBatches(3000);
    ASSERT_TRUE(LoadAgain(200));
    EXPECT_GE(link_.pages.back(), 64);
  }
}

INSTANTIATE_TEST_SUITE_P(Loading, SlowLink, testing::Values(1, 2, 3, 7, 20, 63));

// An etcd that is busy says nothing of pages.
TEST_F(Loading, OnlyAnswersThatAreTooLongMakePagesSmaller) {
  Begin(3000);
  link_.bytes_max = 10 * kBytes;
  link_.too_large = NotDone{NotDone::Why::kBusy, "too many requests"};
  EXPECT_FALSE(Load(20));
  EXPECT_GT(link_.failures, 5u);
  link_.bytes_max = ~size_t{0};
  EXPECT_TRUE(Load(10));
  EXPECT_EQ(link_.pages, (std::vector<int64_t>{64, 128, 256, 512, 1024, 1024}));
}

// What was read of a snapshot is not read again.
TEST_F(Loading, ALinkThatBreaksBringsASnapshotAllTheSame) {
  Begin(3);
  MakeSnapshot(50);
  link_.break_at_piece = 10;
  EXPECT_TRUE(Load(100));
  EXPECT_EQ(link_.pieces, 50u + 5u);
}

// But it is, where another one has come into force meanwhile.
TEST_F(Loading, PiecesOfTwoSnapshotsAreNotMixed) {
  Begin(3);
  MakeSnapshot(50);
  link_.break_at_piece = 10;
  EXPECT_FALSE(Load(15));
  MakeSnapshot(20, 2);
  EXPECT_TRUE(Load(100));
}

}  // namespace
}  // namespace assent::txlog::etcd
