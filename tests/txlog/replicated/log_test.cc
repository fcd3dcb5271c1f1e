// The log with its threads, of a group of one, on a real directory. Groups of several are tested
// without threads (engine_test.cc) and as processes (tests/system).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <future>

#include "base/log.h"
#include "tests/txlog/recording_listener.h"
#include "tests/txlog/sim_disk.h"
#include "txlog/replicated/replicated_log.h"
#include "txlog/storage/posix_disk.h"

namespace assent::txlog {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const NodeIdentity kIdentity{"bank", "3f0c2f4e-7a51-4d0b-9d7e-1c2b3a495867", 1};

class LogTest : public testing::Test {
 protected:
  LogTest() {
    SetLogLevel(LogLevel::kError);
    std::string pattern = std::filesystem::temp_directory_path() / "assent-txlog-XXXXXX";
    root_ = mkdtemp(pattern.data());
    options_.directory = root_ + "/node";
    options_.cluster = "bank";
    options_.segment_bytes = 64 << 10;
  }
  ~LogTest() override { std::filesystem::remove_all(root_); }

  // Entries 1 and 2 of term 1; the first start leads in term 2 and writes entry 3.
  Status MakeOn(Disk& disk) {
    return BootstrapGroup(disk, options_.directory, kIdentity, "first",
                          {{.id = 1, .peer_address = "a:1", .address = "a:2"}});
  }
  void MakeDirectory() {
    Status s = MakeOn(disk_);
    ASSERT_TRUE(s.ok()) << s.ToString();
  }

  std::unique_ptr<ReplicatedLog> MustOpen(Listener& listener) {
    Result<std::unique_ptr<ReplicatedLog>> log = TryOpen(listener);
    EXPECT_TRUE(log.ok()) << log.status().ToString();
    return log.ok() ? std::move(*log) : nullptr;
  }
  Result<std::unique_ptr<ReplicatedLog>> TryOpen(Listener& listener) {
    return ReplicatedLog::Open(options_, nullptr, listener);
  }

  static Fate Propose(DecisionLog& log, std::string record, Term term) {
    std::promise<Fate> fate;
    log.Propose(std::move(record), term, [&fate](Fate f) { fate.set_value(f); });
    return fate.get_future().get();
  }

  PosixDisk disk_;
  std::string root_;
  ReplicatedLogOptions options_;
};

TEST_F(LogTest, TellsEverythingAgainAfterARestart) {
  MakeDirectory();
  {
    RecordingListener listener;
    auto log = MustOpen(listener);
    EXPECT_EQ(Propose(*log, "a", 2), Fate::kDurable) << "it leads before it takes anything";
    EXPECT_EQ(Propose(*log, "b", 2), Fate::kDurable);
    ASSERT_TRUE(listener.WaitApplied(5));
    EXPECT_THAT(listener.story(), ElementsAre("lead 2", "apply 1 1 first", "apply 2 1", "apply 3 2",
                                              "apply 4 2 a", "apply 5 2 b"));
  }
  RecordingListener listener;
  auto log = MustOpen(listener);
  ASSERT_TRUE(listener.WaitApplied(6));
  EXPECT_THAT(listener.story(), ElementsAre("lead 3", "apply 1 1 first", "apply 2 1", "apply 3 2",
                                            "apply 4 2 a", "apply 5 2 b", "apply 6 3"));
}

class ForcedSizes final : public LogObserver {
 public:
  void OnForced(const Forced& forced) override {
    MutexLock lock(mutex_);
    records_.push_back(forced.records);
  }
  std::vector<size_t> records() {
    MutexLock lock(mutex_);
    return records_;
  }

 private:
  Mutex mutex_;
  std::vector<size_t> records_ GUARDED_BY(mutex_);
};

TEST_F(LogTest, WhatGoesWithTheNextSharesItsForcedWrite) {
  MakeDirectory();
  ForcedSizes sizes;
  options_.observer = &sizes;
  RecordingListener listener;
  std::vector<Fate> fates;  // Of the log thread alone until it has ended.
  auto note = [&fates](Fate fate) { fates.push_back(fate); };
  auto log = MustOpen(listener);
  ASSERT_TRUE(listener.WaitApplied(3));
  const size_t before = sizes.records().size();
  for (int i = 0; i < 20; ++i) {
    log->ProposeWithNext("lazy", 2, note);
    EXPECT_EQ(Propose(*log, "next", 2), Fate::kDurable);
  }
  log->ProposeWithNext("last", 2, note);  // Nothing comes behind which it could go.
  log.reset();
  const std::vector<size_t> all = sizes.records();
  EXPECT_EQ(std::vector<size_t>(all.begin() + static_cast<ptrdiff_t>(before), all.end()),
            std::vector<size_t>(20, 2));
  std::vector<Fate> expected(20, Fate::kDurable);
  expected.push_back(Fate::kInDoubt);
  EXPECT_EQ(fates, expected);
  const std::vector<std::string> story = listener.story();
  ASSERT_GE(story.size(), 6u);
  EXPECT_THAT(std::vector<std::string>(story.begin() + 4, story.begin() + 6),
              ElementsAre("apply 4 2 next", "apply 5 2 lazy"));
}

TEST_F(LogTest, RefusesADirectoryThatWasNotBootstrapped) {
  RecordingListener listener;
  Status s = TryOpen(listener).status();
  EXPECT_EQ(s.code(), Code::kFailedPrecondition) << s.ToString();
  EXPECT_THAT(s.message(), HasSubstr(options_.directory + " holds no node: bootstrap it"));
  std::filesystem::create_directory(options_.directory);
  s = TryOpen(listener).status();
  EXPECT_EQ(s.code(), Code::kFailedPrecondition) << s.ToString();
  EXPECT_TRUE(std::filesystem::is_empty(options_.directory)) << "it was only looked at";
  MakeDirectory();
}

TEST_F(LogTest, RefusesASecondOpenerAndNamesTheProcess) {
  MakeDirectory();
  RecordingListener first, second;
  auto log = MustOpen(first);
  Status s = TryOpen(second).status();
  EXPECT_EQ(s.code(), Code::kFailedPrecondition) << s.ToString();
  EXPECT_THAT(s.message(), HasSubstr("in use by process " + std::to_string(getpid())));
}

TEST_F(LogTest, FinishesWhatWasProposedBeforeItStops) {
  MakeDirectory();
  RecordingListener listener;
  auto log = MustOpen(listener);
  std::atomic<int> durable{0};
  for (int i = 0; i < 200; ++i) {
    log->Propose("r" + std::to_string(i), 2, [&](Fate fate) { durable += fate == Fate::kDurable; });
  }
  log.reset();
  EXPECT_EQ(durable, 200);
  EXPECT_EQ(listener.applied().back().index, 203u);
}

TEST_F(LogTest, BarrierComesAfterEverythingCommittedBefore) {
  MakeDirectory();
  RecordingListener listener;
  auto log = MustOpen(listener);
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(Propose(*log, "r", 2), Fate::kDurable);
    std::promise<std::pair<Status, size_t>> answer;
    log->ReadBarrier([&](Status s) { answer.set_value({s, listener.applied().size()}); });
    auto [status, applied] = answer.get_future().get();
    EXPECT_TRUE(status.ok());
    EXPECT_EQ(applied, 4u + i);
  }
}

TEST_F(LogTest, BatchesWhatGathersWhileTheDiskIsBusy) {
  SimDisk disk(1);
  ASSERT_TRUE(MakeOn(disk).ok());
  options_.disk = &disk;
  RecordingListener listener;
  auto log = MustOpen(listener);
  ASSERT_TRUE(listener.WaitApplied(3));
  // The log thread is held inside `done`, as by a slow flush.
  std::promise<void> held, gathered;
  std::shared_future<void> all_there = gathered.get_future().share();
  log->Propose("holds", 2, [&held, all_there](Fate) {
    held.set_value();
    all_there.wait();
  });
  held.get_future().wait();
  const int before = disk.syncs();
  std::atomic<int> after{0};
  std::promise<void> last;
  for (int i = 0; i < 100; ++i) {
    log->Propose("r", 2, [&, i](Fate) {
      after = disk.syncs();
      if (i == 99) last.set_value();
    });
  }
  gathered.set_value();
  last.get_future().wait();
  EXPECT_EQ(after - before, 1);
}

TEST_F(LogTest, SnapshotsWhenWantedAndStartsFromThem) {
  MakeDirectory();
  options_.snapshot_after_bytes = 100 << 10;
  Index covered = 0;
  {
    RecordingListener listener;
    auto log = MustOpen(listener);
    EXPECT_EQ(listener.snapshots_wanted(), 0);
    const std::string record(1000, 'r');
    for (int i = 0; i < 300; ++i) ASSERT_EQ(Propose(*log, record, 2), Fate::kDurable);
    ASSERT_TRUE(listener.WaitApplied(303));
    EXPECT_EQ(listener.snapshots_wanted(), 1) << "once, until it is given";
    covered = listener.applied().back().index;
    log->SaveSnapshot(covered, "the state");
    // Growth is counted from the snapshot on.
    for (int i = 0; i < 300; ++i) ASSERT_EQ(Propose(*log, record, 2), Fate::kDurable);
  }
  EXPECT_FALSE(std::filesystem::exists(options_.directory + "/segment-00000000000000000001"));
  RecordingListener listener;
  auto log = MustOpen(listener);
  ASSERT_TRUE(listener.WaitApplied(covered + 301));
  EXPECT_EQ(listener.story().front(), "snapshot " + std::to_string(covered) + " 2 the state");
  EXPECT_EQ(listener.applied().front().index, covered + 1);
  EXPECT_EQ(listener.applied().size(), 301u);
}

TEST_F(LogTest, FailedFlushEndsTheLogAndLeavesProposalsInDoubt) {
  SimDisk disk(1);
  ASSERT_TRUE(MakeOn(disk).ok());
  options_.disk = &disk;
  std::promise<Status> death;
  options_.on_death = [&](const Status& s) { death.set_value(s); };
  RecordingListener listener;
  auto log = MustOpen(listener);
  ASSERT_TRUE(listener.WaitApplied(3));
  disk.FailSyncAt(1);
  std::vector<Fate> lost;  // Of the log thread alone until it has ended.
  log->Propose("lost?", 2, [&lost](Fate fate) { lost.push_back(fate); });
  EXPECT_THAT(death.get_future().get().message(), HasSubstr("Input/output error"));
  EXPECT_EQ(Propose(*log, "after", 2), Fate::kInDoubt) << "nothing is written after that";
  log.reset();
  EXPECT_THAT(lost, ElementsAre(Fate::kInDoubt));
  EXPECT_EQ(listener.applied().size(), 3u);
}

using LogDeathTest = LogTest;

TEST_F(LogDeathTest, FailedFlushEndsTheProcess) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_DEATH(
      {
        SimDisk disk(1);
        if (!MakeOn(disk).ok()) std::exit(0);
        options_.disk = &disk;
        RecordingListener listener;
        auto log = MustOpen(listener);
        listener.WaitApplied(3);
        disk.FailSyncAt(1);
        Propose(*log, "lost?", 2);
      },
      "log_died.*Input/output error");
}

TEST_F(LogTest, AnotherProcessOnTheDirectoryIsRefusedUntilThisOneEnds) {
  MakeDirectory();
  int to_parent[2], to_child[2];
  ASSERT_EQ(pipe(to_parent), 0);
  ASSERT_EQ(pipe(to_child), 0);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  char byte = 0;
  if (child == 0) {
    PosixDisk disk;
    Result<std::unique_ptr<DirectoryLock>> lock = disk.Lock(options_.directory);
    (void)!write(to_parent[1], lock.ok() ? "y" : "n", 1);
    (void)!read(to_child[0], &byte, 1);
    _exit(0);
  }
  ASSERT_EQ(read(to_parent[0], &byte, 1), 1);
  EXPECT_EQ(byte, 'y');
  RecordingListener listener;
  Status s = TryOpen(listener).status();
  EXPECT_EQ(s.code(), Code::kFailedPrecondition);
  EXPECT_THAT(s.message(), HasSubstr("in use by process " + std::to_string(child)));
  EXPECT_EQ(write(to_child[1], "x", 1), 1);
  EXPECT_EQ(waitpid(child, nullptr, 0), child);
  for (int fd : {to_parent[0], to_parent[1], to_child[0], to_child[1]}) close(fd);
  MustOpen(listener);
}

}  // namespace
}  // namespace assent::txlog
