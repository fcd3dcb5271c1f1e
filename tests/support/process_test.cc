#include "tests/support/process.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <thread>

#include "tests/support/paths.h"
#include "tests/support/temp_dir.h"

namespace assent::test_support {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

bool Alive(pid_t pid) { return kill(pid, 0) == 0; }

TEST(TempDir, IsRemovedWithItsContents) {
  std::string path;
  {
    TempDir dir;
    path = dir.path();
    ASSERT_TRUE(dir.MakeDirForUnprivileged("sub").ok());
    ASSERT_TRUE(WriteFile(dir.File("sub/file"), "x").ok());
    EXPECT_EQ(ReadFile(dir.File("sub/file")), "x");
    EXPECT_LT(path.size(), 70u);
  }
  EXPECT_NE(access(path.c_str(), F_OK), 0);
}

TEST(TempDir, IsLeftBehindWhenKept) {
  std::string path;
  {
    TempDir dir;
    dir.Keep();
    path = dir.path();
  }
  EXPECT_EQ(rmdir(path.c_str()), 0);
}

TEST(Process, ReportsExitCodeAndSignal) {
  auto process = Process::Spawn({"sh", "-c", "exit 7"});
  ASSERT_TRUE(process.ok()) << process.status().ToString();
  auto status = (*process)->Wait(seconds(10));
  ASSERT_TRUE(status.has_value());
  EXPECT_EQ(status->code, 7);

  auto sleeper = Process::Spawn({"sleep", "100"});
  ASSERT_TRUE(sleeper.ok());
  EXPECT_FALSE((*sleeper)->Wait(milliseconds(20)).has_value());
  EXPECT_TRUE((*sleeper)->Running());
  (*sleeper)->Kill9();
  EXPECT_EQ((*sleeper)->Wait(milliseconds(0))->signal, SIGKILL);
}

TEST(Process, NamesAMissingProgram) {
  auto process = Process::Spawn({"no-such-program-here"});
  ASSERT_FALSE(process.ok());
  EXPECT_EQ(process.status().code(), Code::kNotFound);
}

TEST(Process, IsKilledAndReapedAtDestruction) {
  pid_t pid = -1;
  {
    auto process = Process::Spawn({"sleep", "100"});
    ASSERT_TRUE(process.ok());
    pid = (*process)->pid();
    ASSERT_TRUE(Alive(pid));
  }
  EXPECT_FALSE(Alive(pid));
}

TEST(Process, OutlivesTheThreadThatSpawnedIt) {
  std::unique_ptr<Process> process;
  std::thread([&] { process = std::move(*Process::Spawn({"sleep", "100"})); }).join();
  EXPECT_FALSE(process->Wait(milliseconds(100)).has_value());
}

// A harness that is killed; run by the test below in a process of its own.
TEST(DISABLED_Harness, SpawnsAChildAndIsKilled) {
  auto process = Process::Spawn({"sleep", "100"});
  ASSERT_TRUE(process.ok());
  ASSERT_TRUE(WriteFile(std::getenv("PID_FILE"), std::to_string((*process)->pid())).ok());
  raise(SIGKILL);
}

TEST(Process, DiesWithTheHarness) {
  TempDir dir;
  auto harness =
      Process::Spawn({assent::tests::BinDir() + "/test_support_test",
                      "--gtest_also_run_disabled_tests", "--gtest_filter=DISABLED_Harness.*"},
                     {{"PID_FILE", dir.File("pid")}, {"GTEST_OUTPUT", ""}});
  ASSERT_TRUE(harness.ok());
  auto status = (*harness)->Wait(seconds(30));
  ASSERT_TRUE(status.has_value());
  ASSERT_EQ(status->signal, SIGKILL);
  pid_t child = std::atoi(ReadFile(dir.File("pid")).c_str());
  ASSERT_GT(child, 0);
  // It is somebody else's to reap now; a zombie has no command line.
  EXPECT_TRUE(WaitUntil(seconds(10), [child] {
    return ReadFile("/proc/" + std::to_string(child) + "/cmdline").empty();
  }));
}

TEST(Process, RunsAsTheUnprivilegedUserWithItsOutputInAFile) {
  TempDir dir;
  SpawnOptions options;
  options.unprivileged = true;
  Status done = RunToEnd({"sh", "-c", "id -u; echo $COLOUR"}, {{"COLOUR", "green"}}, options,
                         dir.File("out"), seconds(10));
  ASSERT_TRUE(done.ok()) << done.ToString();
  EXPECT_EQ(ReadFile(dir.File("out")), std::to_string(FindUnprivilegedUser().uid) + "\ngreen\n");
}

TEST(RunToEnd, CarriesTheOutputOfAFailure) {
  TempDir dir;
  Status done =
      RunToEnd({"sh", "-c", "echo it broke >&2; exit 3"}, {}, {}, dir.File("out"), seconds(10));
  EXPECT_NE(done.message().find("it broke"), std::string::npos) << done.ToString();
  EXPECT_NE(done.message().find("exit 3"), std::string::npos) << done.ToString();
}

TEST(PickFreePort, NeverGivesAPortTwice) {
  std::vector<uint16_t> ports;
  for (int i = 0; i < 50; ++i) ports.push_back(PickFreePort());
  std::sort(ports.begin(), ports.end());
  EXPECT_EQ(std::adjacent_find(ports.begin(), ports.end()), ports.end());
}

}  // namespace
}  // namespace assent::test_support
