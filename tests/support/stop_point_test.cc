#include "tests/support/stop_point.h"

#include <gtest/gtest.h>

#include <cstdio>

#include "base/failpoint.h"
#include "tests/support/paths.h"

namespace assent::test_support {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// What the child of the tests below runs.
TEST(DISABLED_StopPointChild, VisitsAStepTwice) {
  for (int visit = 1; visit <= 2; ++visit) {
    std::printf("before %d\n", visit);
    std::fflush(stdout);
    ASSENT_FAILPOINT("child.step");
  }
  std::printf("done\n");
}

class StopPointTest : public testing::Test {
 protected:
  std::unique_ptr<Process> SpawnChild(const StopPoint& stop) {
    Environment env = stop.Env();
    env["GTEST_OUTPUT"] = "";  // The runner counts our tests, not the child's.
    SpawnOptions options;
    options.stdout_file = options.stderr_file = dir_.File("out");
    auto child = Process::Spawn(
        {assent::tests::BinDir() + "/test_support_test", "--gtest_also_run_disabled_tests",
         "--gtest_filter=DISABLED_StopPointChild.*"},
        env, options);
    EXPECT_TRUE(child.ok()) << child.status().ToString();
    return child.ok() ? std::move(*child) : nullptr;
  }
  bool Said(const std::string& text) {
    return ReadFile(dir_.File("out")).find(text) != std::string::npos;
  }

 private:
  TempDir dir_;
};

#if defined(ASSENT_FAILPOINTS)
TEST_F(StopPointTest, StopsAtTheVisitAskedForUntilReleased) {
  StopPoint stop("child.step", 2);
  auto child = SpawnChild(stop);
  ASSERT_TRUE(child);
  Status reached = stop.WaitReached(seconds(30));
  ASSERT_TRUE(reached.ok()) << reached.ToString();
  EXPECT_TRUE(Said("before 2"));
  EXPECT_FALSE(child->Wait(milliseconds(50)).has_value());
  EXPECT_FALSE(Said("done"));
  stop.Release();
  auto status = child->Wait(seconds(30));
  ASSERT_TRUE(status.has_value());
  EXPECT_TRUE(status->ok()) << status->ToString();
  EXPECT_TRUE(Said("done"));
}
#endif

TEST_F(StopPointTest, NamesAStepThatWasNotReached) {
  StopPoint stop("no.such.step");
  auto child = SpawnChild(stop);
  ASSERT_TRUE(child);
  ASSERT_TRUE(child->Wait(seconds(30)).has_value());
  EXPECT_TRUE(Said("done"));
  Status reached = stop.WaitReached(milliseconds(0));
  EXPECT_EQ(reached.code(), Code::kDeadlineExceeded);
  EXPECT_NE(reached.message().find("no.such.step"), std::string::npos) << reached.ToString();
}

}  // namespace
}  // namespace assent::test_support
