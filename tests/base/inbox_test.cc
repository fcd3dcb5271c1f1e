#include "base/inbox.h"

#include <gtest/gtest.h>

#include <thread>

namespace assent {
namespace {

using std::chrono::steady_clock;

TEST(Inbox, DrainTakesAllThatHasGathered) {
  Inbox<int> inbox(8);
  inbox.Post(1);
  inbox.Post(2);
  EXPECT_EQ(inbox.Drain(), (std::vector<int>{1, 2}));
}

TEST(Inbox, TryPostRefusesBeyondTheBound) {
  Inbox<int> inbox(2);
  EXPECT_TRUE(inbox.TryPost(1));
  EXPECT_TRUE(inbox.TryPost(2));
  EXPECT_FALSE(inbox.TryPost(3));
  EXPECT_TRUE(inbox.Post(4)) << "Post is for what must not be lost";
}

TEST(Inbox, DeadlineEndsTheWait) {
  Inbox<int> inbox(1);
  EXPECT_TRUE(inbox.DrainUntil(steady_clock::now()).empty());
}

TEST(Inbox, CloseWakesTheReaderAndKeepsWhatWasPosted) {
  Inbox<int> inbox(2);
  std::thread closer([&] {
    inbox.Post(7);
    inbox.Close();
  });
  std::vector<int> got = inbox.Drain();
  closer.join();
  if (got.empty()) got = inbox.Drain();
  EXPECT_EQ(got, std::vector<int>{7});
  EXPECT_TRUE(inbox.Drain().empty());
  EXPECT_FALSE(inbox.Post(8));
}

TEST(Inbox, ManyWritersLoseNothing) {
  Inbox<int> inbox(1);
  constexpr int kEach = 2000;
  std::vector<std::thread> writers;
  for (int w = 0; w < 4; ++w) {
    writers.emplace_back([&] {
      for (int i = 0; i < kEach; ++i) inbox.Post(i);
    });
  }
  size_t got = 0;
  while (got < 4 * kEach) got += inbox.Drain().size();
  for (auto& w : writers) w.join();
  EXPECT_EQ(got, size_t{4} * kEach);
}

}  // namespace
}  // namespace assent
