// Each bound of a soak: kept, and broken.
#include "tests/bench/soak_judge.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace assent::bench {
namespace {

using testing::HasSubstr;

constexpr uint64_t kMiB = 1 << 20;
constexpr SoakBounds kBounds = {.per_second_min = 1000,
                                .memory_bytes_max = 100 * kMiB,
                                .disk_bytes_max = 200 * kMiB,
                                .living = 2};
const std::vector<NodeUse> kFine = {{1, 100 * kMiB, 200 * kMiB}, {3, 1, 1}};

TEST(SoakJudge, AtItsBoundsAllIsWell) {
  SoakJudge judge(kBounds);
  EXPECT_EQ(judge.Add(5, 1000, kFine), "");
  EXPECT_EQ(judge.Verdict(), "");
}

TEST(SoakJudge, WhatGoesBeyondABoundIsNamed) {
  const struct {
    const char* why;
    double per_second;
    std::vector<NodeUse> living;
    const char* complaint;
  } cases[] = {
      {"no load at all", 0, kFine, "carried 0 entries/s"},
      {"nearly none", 999, kFine, "below 1000 it is no load"},
      {"no number", std::nan(""), kFine, "it is no load"},
      {"nobody is measured", 5000, {}, "0 nodes were measured, not 2"},
      {"one is left out", 5000, {kFine[0]}, "1 nodes were measured, not 2"},
      {"a process is gone", 5000, {kFine[0], {3, 0, 9}}, "node 3 holds no memory"},
      {"its directory is gone", 5000, {kFine[0], {3, 9, 0}}, "node 3 holds no file"},
      {"memory", 5000, {kFine[0], {3, 101 * kMiB, 1}}, "101 MiB of memory, more than 100 MiB"},
      {"disk", 5000, {{1, 1, 201 * kMiB}, kFine[1]}, "node 1 holds 201 MiB of disk"},
  };
  for (const auto& one : cases) {
    SCOPED_TRACE(one.why);
    SoakJudge judge(kBounds);
    EXPECT_THAT(judge.Add(5, one.per_second, one.living), HasSubstr(one.complaint));
    EXPECT_THAT(judge.Verdict(), HasSubstr(one.complaint));
  }
}

TEST(SoakJudge, LaterIntervalsDoNotMendAnEarlierOne) {
  SoakJudge judge(kBounds);
  judge.Add(5, 5000, kFine);
  judge.Add(5, 3, kFine);
  EXPECT_EQ(judge.Add(5, 5000, kFine), "");
  EXPECT_THAT(judge.Verdict(), HasSubstr("carried 3 entries/s"));
}

TEST(SoakJudge, WithoutAnIntervalNothingIsShown) {
  EXPECT_EQ(SoakJudge(kBounds).Verdict(), "no interval was measured");
}

TEST(SoakJudge, TheSummaryHasTheWorst) {
  SoakJudge judge(kBounds);
  judge.Add(5, 4000, {{1, 10 * kMiB, 20 * kMiB}, {2, 30 * kMiB, 5 * kMiB}});
  judge.Add(5, 2000, {{1, 11 * kMiB, 21 * kMiB}, {2, 12 * kMiB, 6 * kMiB}});
  EXPECT_EQ(judge.Summary(),
            "intervals=2 entries=30000 per_second=3000 slowest_per_second=2000 memory_max_mib=30 "
            "disk_max_mib=21");
}

}  // namespace
}  // namespace assent::bench
