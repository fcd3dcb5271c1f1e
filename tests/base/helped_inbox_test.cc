#include "base/helped_inbox.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <optional>
#include <thread>
#include <vector>

#include "base/mutant.h"

namespace assent {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

// What was handled, where. Thread-safe.
class Record {
 public:
  void Add(int item) {
    MutexLock lock(mutex_);
    items_.push_back(item);
    threads_.push_back(std::this_thread::get_id());
    changed_.NotifyAll();
  }
  bool WaitFor(size_t count, milliseconds most = seconds(20)) {
    const auto until = steady_clock::now() + most;
    MutexLock lock(mutex_);
    while (items_.size() < count && changed_.WaitUntil(mutex_, until)) {
    }
    return items_.size() >= count;
  }
  std::vector<int> items() {
    MutexLock lock(mutex_);
    return items_;
  }
  std::thread::id last_thread() {
    MutexLock lock(mutex_);
    return threads_.back();
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  std::vector<int> items_ GUARDED_BY(mutex_);
  std::vector<std::thread::id> threads_ GUARDED_BY(mutex_);
};

class HelpedInboxTest : public testing::Test {
 protected:
  ~HelpedInboxTest() override { Stop(); }

  void Run(HelpedInbox<int>::Handler handle) {
    runner_.emplace(
        [this, handle = std::move(handle)] { inbox_.Run(handle, [this] { ++ends_; }); });
  }
  // As most handlers do.
  void RunRecording() {
    Run([this](const std::vector<int>& items) {
      for (int item : items) record_.Add(item);
      return steady_clock::now() + hours(1);
    });
  }
  void Stop() {
    inbox_.Close();
    if (runner_) runner_->join();
    runner_.reset();
  }

  HelpedInbox<int> inbox_{100'000};
  Record record_;
  int ends_ = 0;
  std::optional<std::thread> runner_;
};

TEST_F(HelpedInboxTest, APosterHandlesWhileNobodyElseDoes) {
  RunRecording();
  const auto until = steady_clock::now() + seconds(20);
  size_t posted = 0;
  do {  // At first the thread of Run may be at it.
    ASSERT_TRUE(inbox_.Post(0));
    ASSERT_TRUE(record_.WaitFor(++posted));
  } while (record_.last_thread() != std::this_thread::get_id() && steady_clock::now() < until);
  EXPECT_EQ(record_.last_thread(), std::this_thread::get_id());
}

TEST_F(HelpedInboxTest, PostAndWakeLeavesItToTheThreadOfRun) {
  RunRecording();
  for (size_t i = 1; i <= 100; ++i) {
    ASSERT_TRUE(inbox_.PostAndWake(0));
    ASSERT_TRUE(record_.WaitFor(i));
    EXPECT_NE(record_.last_thread(), std::this_thread::get_id());
  }
}

// What is posted while a poster handles is nobody's but the thread of Run's, which sleeps.
bool RestIsHandled() {
  HelpedInbox<int> inbox(8);
  Record record;
  std::atomic<bool> running{false};
  std::atomic<bool> entered{false};
  std::atomic<bool> released{false};
  const HelpedInbox<int>::Handler handle = [&](const std::vector<int>& items) {
    for (int item : items) {
      entered = true;
      while (item == 1 && !released) std::this_thread::yield();
      record.Add(item);
    }
    running = true;
    return steady_clock::now() + hours(1);
  };
  std::thread runner([&] { inbox.Run(handle, [] {}); });
  while (!running) std::this_thread::yield();
  std::thread poster([&] { inbox.Post(1); });
  while (!entered) std::this_thread::yield();
  inbox.Post(2);
  released = true;
  const bool handled = record.WaitFor(2, seconds(MutantOn(Mutant::kHelperLeavesRest) ? 1 : 20));
  poster.join();
  inbox.Close();
  runner.join();
  return handled && record.items() == std::vector<int>{1, 2};
}

TEST_F(HelpedInboxTest, WhatComesMeanwhileIsHandledToo) {
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(RestIsHandled());
}

// What the handler posts wakes nobody, and is handled all the same, whoever handles.
bool OwnPostsAreHandled(bool helped) {
  HelpedInbox<int> inbox(8);
  Record record;
  std::atomic<bool> running{false};
  const HelpedInbox<int>::Handler handle = [&](const std::vector<int>& items) {
    running = true;
    for (int item : items) {
      record.Add(item);
      if (item == 0) inbox.PostAndWake(1);
      if (item == 1) inbox.Post(2);
      if (item == 2) inbox.TryPost(3);
    }
    return steady_clock::now() + hours(1);
  };
  std::thread runner([&] { inbox.Run(handle, [] {}); });
  while (!running) std::this_thread::yield();
  if (helped) {
    inbox.Post(0);
  } else {
    inbox.PostAndWake(0);
  }
  const bool handled = record.WaitFor(4, seconds(MutantOn(Mutant::kHelperLeavesRest) ? 1 : 20));
  inbox.Close();
  runner.join();
  return handled && record.items() == std::vector<int>{0, 1, 2, 3};
}

TEST_F(HelpedInboxTest, WhatTheHandlerPostsComesNext) {
  for (int i = 0; i < 50; ++i) {
    EXPECT_TRUE(OwnPostsAreHandled(true));
    EXPECT_TRUE(OwnPostsAreHandled(false));
  }
}

#if defined(ASSENT_FAILPOINTS)
TEST_F(HelpedInboxTest, AHelperThatLeavesTheRestIsNoticed) {
  ScopedMutant mutant(Mutant::kHelperLeavesRest);
  bool all = true;
  // Now and then the thread of Run comes first and needs no help.
  for (int i = 0; i < 10 && all; ++i) all = RestIsHandled();
  EXPECT_FALSE(all);
}

TEST_F(HelpedInboxTest, AHelperThatLeavesWhatItPostedIsNoticed) {
  ScopedMutant mutant(Mutant::kHelperLeavesRest);
  bool all = true;
  for (int i = 0; i < 20 && all; ++i) all = OwnPostsAreHandled(true);
  EXPECT_FALSE(all);
}
#endif

TEST_F(HelpedInboxTest, ABatchOfAPosterMayAskForAnEarlierCall) {
  std::atomic<bool> asked{false};
  Run([&](const std::vector<int>& items) -> MonotonicTime {
    if (items.empty() && asked) record_.Add(-1);
    if (!items.empty()) asked = true;
    return steady_clock::now() + (items.empty() ? milliseconds(hours(1)) : milliseconds(10));
  });
  ASSERT_TRUE(inbox_.Post(0));
  EXPECT_TRUE(record_.WaitFor(1));
}

TEST_F(HelpedInboxTest, ManyPostersLoseNothingAndEachKeepsItsOrder) {
  constexpr int kPosters = 4;
  constexpr int kEach = 5000;
  std::vector<int> next(kPosters, 0);  // Of the handler alone: ThreadSanitizer watches.
  int handled = 0;
  Run([&](const std::vector<int>& items) {
    for (int item : items) {
      EXPECT_EQ(item % kEach, next[static_cast<size_t>(item / kEach)]++);
      if (++handled == kPosters * kEach) record_.Add(handled);
    }
    return steady_clock::now() + hours(1);
  });
  std::vector<std::thread> posters;
  for (int p = 0; p < kPosters; ++p) {
    posters.emplace_back([this, p] {
      for (int i = 0; i < kEach; ++i) inbox_.Post(p * kEach + i);
    });
  }
  for (std::thread& poster : posters) poster.join();
  EXPECT_TRUE(record_.WaitFor(1));
}

TEST_F(HelpedInboxTest, WhatWasPostedBeforeTheCloseIsHandledAndThenTheEndComesOnce) {
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(inbox_.Post(i));  // Nobody runs yet.
  inbox_.Close();
  EXPECT_FALSE(inbox_.Post(3));
  EXPECT_FALSE(inbox_.TryPost(3));
  RunRecording();
  Stop();
  EXPECT_EQ(record_.items(), (std::vector<int>{0, 1, 2}));
  EXPECT_EQ(ends_, 1);
}

TEST_F(HelpedInboxTest, TryPostRefusesBeyondTheBound) {
  HelpedInbox<int> inbox(2);
  EXPECT_TRUE(inbox.TryPost(1));
  EXPECT_TRUE(inbox.TryPost(2));
  EXPECT_FALSE(inbox.TryPost(3));
  EXPECT_TRUE(inbox.Post(4)) << "Post is for what must not be lost";
  EXPECT_EQ(inbox.Drain(), (std::vector<int>{1, 2, 4}));
}

}  // namespace
}  // namespace assent
