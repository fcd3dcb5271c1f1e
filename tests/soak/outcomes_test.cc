// The same as assent-outcomes, for some thousand outcomes; and that what it looks for is found.
#include "tests/soak/outcomes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/doors_under_test.h"
#include "tests/support/memory_in_use.h"

namespace assent::soak {
namespace {

using testing::Contains;
using testing::HasSubstr;

// So small that snapshots come soon, and who was away needs one.
OutcomesOptions Small() {
  OutcomesOptions options;
  options.count = 4000;
  options.clients = 16;
  options.troubles = 3;
  options.samples = 1000;
  options.tls = test_support::TlsUnderTest();
  options.settings = {{"segment_bytes", "65536"}, {"snapshot_log_bytes", "65536"}};
  return options;
}

TEST(Outcomes, AreRememberedAcrossLeadersSnapshotsAndRestarts) {
  auto report = RunOutcomes(Small());
  ASSERT_TRUE(report.ok()) << report.status().ToString();
  std::printf("  %s\n", report->ToString().c_str());
  EXPECT_EQ(report->problems, std::vector<std::string>{});
  EXPECT_GE(report->committed, 4000u);
  EXPECT_GT(report->rolled_back, 0u);
  EXPECT_GE(report->leaders, 3);
  EXPECT_GE(report->restarts, 6);
  EXPECT_GE(report->asked_again, 6 * 1000u);
  EXPECT_EQ(report->snapshots, 3) << "nobody made one";
}

// ASSENT_MUTANT is an option of the programs, where seeded bugs are compiled in.
TEST(Outcomes, ThatASnapshotForgetsAreMissed) {
  OutcomesOptions options = Small();
  options.troubles = 0;
  options.env = {{"ASSENT_MUTANT", "snapshot_forgets_ended"}};
  auto report = RunOutcomes(options);
  ASSERT_TRUE(report.ok()) << report.status().ToString();
  EXPECT_THAT(report->problems, Contains(HasSubstr("was told COMMITTED, and is now ABORTED")));
}

TEST(Outcomes, WhatGoesBeyondItsBoundIsNamed) {
  OutcomesOptions options = Small();
  options.count = 500;
  options.troubles = 0;
  options.memory_bytes_max = options.disk_bytes_max = 64 << 10;
  auto report = RunOutcomes(options);
  ASSERT_TRUE(report.ok()) << report.status().ToString();
  for (const std::string& problem : report->problems) {
    EXPECT_THAT(problem, HasSubstr("more than 64 KiB"));
  }
  EXPECT_THAT(report->problems, Contains(HasSubstr("KiB of disk, more than 64 KiB")));
  if (test_support::MemoryInUse() == 0) return;  // No memory is measured in this build.
  EXPECT_THAT(report->problems, Contains(HasSubstr("KiB of memory, more than 64 KiB")));
}

}  // namespace
}  // namespace assent::soak
