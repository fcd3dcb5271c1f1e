#include "txlog/transport/outboxes.h"

#include <gtest/gtest.h>

#include "base/mutant.h"
#include "txlog/transport/backoff.h"
#include "txlog/transport/notices.h"

namespace assent::txlog {
namespace {

class OutboxesTest : public ::testing::Test {
 protected:
  SendResult Push(const std::string& text, MemberId to = 2) {
    return outboxes_.Push(to, Message(text), &wake_);
  }
  // How many messages of 1000 bytes a peer that takes nothing lets us queue, of 100.
  int Accepted() {
    int accepted = 0;
    for (int i = 0; i < 100; ++i) {
      if (Push(std::string(1000, 'x')) == SendResult::kQueued) ++accepted;
    }
    return accepted;
  }

  PeerCounters counters_;
  Outboxes outboxes_{2000, 10'000};
  bool wake_ = false;
};

TEST_F(OutboxesTest, KeepsTheOrderOfEachPeer) {
  PeerCounters other;
  outboxes_.Open(2, counters_);
  outboxes_.Open(3, other);
  for (const char* text : {"a", "b", "c"}) ASSERT_EQ(Push(text), SendResult::kQueued);
  ASSERT_EQ(Push("z", 3), SendResult::kQueued);
  const auto batches = outboxes_.Take();
  ASSERT_EQ(batches.size(), 2u);
  ASSERT_EQ(batches[0].messages.size(), 3u);
  EXPECT_EQ(*batches[0].messages[2].parts[0], "c");
  EXPECT_EQ(batches[1].to, 3u);
  EXPECT_TRUE(outboxes_.Take().empty());
}

TEST_F(OutboxesTest, DropsTheNewestWhenFullAndCountsUntilWritten) {
  outboxes_.Open(2, counters_);
  const int accepted = Accepted();
  EXPECT_GE(accepted, 8);
  EXPECT_LE(accepted, 10);
  EXPECT_EQ(counters_.messages_dropped.value(), static_cast<uint64_t>(100 - accepted));
  const auto batches = outboxes_.Take();
  EXPECT_EQ(Push(std::string(1000, 'x')), SendResult::kFull) << "what is taken still needs memory";
  outboxes_.Written(2, batches[0].messages[0].cost());
  EXPECT_EQ(Push(std::string(1000, 'x')), SendResult::kQueued);
}

TEST_F(OutboxesTest, ManyEmptyMessagesAreBoundedToo) {
  outboxes_.Open(2, counters_);
  int accepted = 0;
  while (accepted < 1000 && Push("") == SendResult::kQueued) ++accepted;
  EXPECT_LT(accepted, 100);
}

#if defined(ASSENT_FAILPOINTS)
TEST_F(OutboxesTest, ASeededBugInTheBoundIsCaught) {
  outboxes_.Open(2, counters_);
  ScopedMutant mutant(Mutant::kPeerQueueUnbounded);
  EXPECT_EQ(Accepted(), 100);
}
#endif

TEST_F(OutboxesTest, SaysWhyItDrops) {
  EXPECT_EQ(Push("a"), SendResult::kDown);
  outboxes_.Open(2, counters_);
  EXPECT_EQ(Push(std::string(2001, 'x')), SendResult::kTooLarge);
  EXPECT_EQ(Push("a"), SendResult::kQueued);
  outboxes_.Close(2);
  EXPECT_EQ(Push("a"), SendResult::kDown);
  EXPECT_EQ(counters_.messages_dropped.value(), 3u);
  outboxes_.Open(2, counters_);
  EXPECT_TRUE(outboxes_.Take().empty()) << "nothing of an earlier connection is left";
}

TEST_F(OutboxesTest, WakesASleeperOnce) {
  outboxes_.Open(2, counters_);
  Push("a");
  EXPECT_FALSE(wake_) << "nobody sleeps";
  EXPECT_FALSE(outboxes_.MaySleep()) << "something waits";
  outboxes_.Take();
  ASSERT_TRUE(outboxes_.MaySleep());
  Push("b");
  EXPECT_TRUE(wake_);
  Push("c");
  EXPECT_FALSE(wake_);
}

TEST(BackoffTest, DoublesUpToItsBoundAndBeginsAnew) {
  using std::chrono::milliseconds;
  Backoff backoff(milliseconds(20), milliseconds(100), 1);
  for (int step : {20, 40, 80, 100, 100}) {
    const Duration wait = backoff.Next();
    EXPECT_GE(wait, milliseconds(step) / 2);
    EXPECT_LE(wait, milliseconds(step));
  }
  backoff.Reset();
  EXPECT_LE(backoff.Next(), milliseconds(20));
  EXPECT_GE(backoff.Longest(), milliseconds(50));
}

TEST(NoticesTest, EachReasonOfEachPeerIsNewOnce) {
  Notices notices;
  EXPECT_TRUE(notices.IsNew("2", "cluster"));
  EXPECT_FALSE(notices.IsNew("2", "cluster"));
  EXPECT_TRUE(notices.IsNew("2", "version"));
  EXPECT_TRUE(notices.IsNew("3", "cluster"));
  notices.Forget("2");
  EXPECT_TRUE(notices.IsNew("2", "cluster"));
}

TEST(NoticesTest, StrangersCannotFillTheMemory) {
  Notices notices;
  size_t said = 0;
  for (int who = 0; who < 1000; ++who) {
    for (int why = 0; why < 100; ++why) {
      if (notices.IsNew(std::to_string(who), std::to_string(why))) ++said;
    }
  }
  EXPECT_EQ(said, Notices::kWhoMax * Notices::kReasonsMax);
}

}  // namespace
}  // namespace assent::txlog
