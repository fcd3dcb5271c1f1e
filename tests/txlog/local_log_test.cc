// The engine with its threads, on a real directory.
#include "txlog/local_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <future>

#include "tests/txlog/recording_listener.h"
#include "txlog/storage/posix_disk.h"

namespace assent::txlog {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const NodeIdentity kIdentity{"bank", "3f0c2f4e-7a51-4d0b-9d7e-1c2b3a495867", 1};

class LocalLogTest : public testing::Test {
 protected:
  LocalLogTest() {
    std::string pattern = std::filesystem::temp_directory_path() / "assent-txlog-XXXXXX";
    root_ = mkdtemp(pattern.data());
    options_.directory = root_ + "/node";
    options_.cluster = "bank";
    options_.segment_bytes = 64 << 10;
  }
  ~LocalLogTest() override { std::filesystem::remove_all(root_); }

  void MakeDirectory() {
    Status s = Bootstrap(disk_, options_.directory, kIdentity, "first");
    ASSERT_TRUE(s.ok()) << s.ToString();
  }

  std::unique_ptr<LocalLog> MustOpen(Listener& listener) {
    Result<std::unique_ptr<LocalLog>> log = LocalLog::Open(options_, listener);
    EXPECT_TRUE(log.ok()) << log.status().ToString();
    return log.ok() ? std::move(*log) : nullptr;
  }

  static Fate Propose(LocalLog& log, std::string record, Term term) {
    std::promise<Fate> fate;
    log.Propose(std::move(record), term, [&fate](Fate f) { fate.set_value(f); });
    return fate.get_future().get();
  }

  PosixDisk disk_;
  std::string root_;
  LocalLogOptions options_;
};

TEST_F(LocalLogTest, TellsEverythingAgainAfterARestart) {
  MakeDirectory();
  {
    RecordingListener listener;
    auto log = MustOpen(listener);
    EXPECT_EQ(log->term(), 2u);
    EXPECT_EQ(Propose(*log, "a", 2), Fate::kDurable);
    EXPECT_EQ(Propose(*log, "b", 2), Fate::kDurable);
    EXPECT_THAT(listener.story(), ElementsAre("apply 1 1 first", "lead 2", "apply 2 2",
                                              "apply 3 2 a", "apply 4 2 b"));
  }
  RecordingListener listener;
  auto log = MustOpen(listener);
  ASSERT_TRUE(listener.WaitApplied(5));
  EXPECT_THAT(listener.story(), ElementsAre("apply 1 1 first", "apply 2 2", "apply 3 2 a",
                                            "apply 4 2 b", "lead 3", "apply 5 3"));
}

TEST_F(LocalLogTest, RefusesAProposalOfAnotherTerm) {
  MakeDirectory();
  RecordingListener listener;
  auto log = MustOpen(listener);
  EXPECT_EQ(Propose(*log, "old", 1), Fate::kRefused);
  EXPECT_EQ(Propose(*log, "early", 3), Fate::kRefused);
  EXPECT_EQ(Propose(*log, "", 2), Fate::kRefused) << "an empty record is the log's own";
  EXPECT_EQ(Propose(*log, std::string(kRecordBytesMax + 1, 'x'), 2), Fate::kRefused);
  EXPECT_EQ(Propose(*log, std::string(kRecordBytesMax, 'x'), 2), Fate::kDurable);
}

TEST_F(LocalLogTest, RefusesADirectoryThatWasNotBootstrapped) {
  RecordingListener listener;
  Status s = LocalLog::Open(options_, listener).status();
  EXPECT_EQ(s.code(), Code::kFailedPrecondition) << s.ToString();
  EXPECT_THAT(s.message(), HasSubstr(options_.directory + " holds no node: bootstrap it"));
  std::filesystem::create_directory(options_.directory);
  s = LocalLog::Open(options_, listener).status();
  EXPECT_EQ(s.code(), Code::kFailedPrecondition) << s.ToString();
  EXPECT_TRUE(std::filesystem::is_empty(options_.directory)) << "it was only looked at";
  MakeDirectory();
}

TEST_F(LocalLogTest, RefusesASecondOpenerAndNamesTheProcess) {
  MakeDirectory();
  RecordingListener first, second;
  auto log = MustOpen(first);
  Status s = LocalLog::Open(options_, second).status();
  EXPECT_EQ(s.code(), Code::kFailedPrecondition) << s.ToString();
  EXPECT_THAT(s.message(), HasSubstr("in use by process " + std::to_string(getpid())));
}

}  // namespace
}  // namespace assent::txlog
