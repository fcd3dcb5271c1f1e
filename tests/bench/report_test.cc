#include "tests/bench/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace assent::bench {
namespace {

using std::chrono::microseconds;
using testing::HasSubstr;

Measurement Measured(const char* mode, int concurrency, int round, double per_second) {
  return {.mode = mode,
          .concurrency = concurrency,
          .round = round,
          .per_second = per_second,
          .p50 = microseconds(1000 * round),
          .p99 = microseconds(5000),
          .aborted = 1};
}

std::vector<Measurement> ThreeRounds() {
  return {Measured(kReferenceMode, 8, 1, 1000), Measured("agent-held", 8, 1, 500),
          Measured(kReferenceMode, 1, 1, 100),  Measured(kReferenceMode, 8, 2, 400),
          Measured("agent-held", 8, 2, 240),    Measured(kReferenceMode, 8, 3, 2000),
          Measured("agent-held", 8, 3, 800)};
}

TEST(ReportTest, LinesHaveTheMediansOfTheirRounds) {
  std::vector<Line> lines = Summarize(ThreeRounds());
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[0].concurrency, 1);
  EXPECT_EQ(lines[2].mode, "agent-held");
  EXPECT_DOUBLE_EQ(lines[2].per_second, 500);
  EXPECT_EQ(lines[2].p50, microseconds(2000));
  EXPECT_EQ(lines[2].aborted, 3u);
}

TEST(ReportTest, RatiosCompareWithinARound) {
  // 0.5, 0.6, 0.4; the ratio of the medians would be 0.5 too, but not with a round missing.
  EXPECT_DOUBLE_EQ(*Summarize(ThreeRounds())[2].ratio, 0.5);
  std::vector<Measurement> two = ThreeRounds();
  two.resize(5);
  EXPECT_DOUBLE_EQ(*Summarize(two)[2].ratio, 0.55);
}

TEST(ReportTest, WithoutTheReferenceThereIsNoRatio) {
  std::vector<Line> lines = Summarize({Measured("agent-held", 1, 1, 500)});
  EXPECT_FALSE(lines[0].ratio.has_value());
  EXPECT_THAT(Table(lines), HasSubstr(" - |"));
}

TEST(ReportTest, JsonNamesTheRatios) {
  std::vector<Measurement> measured = ThreeRounds();
  auto json = nlohmann::json::parse(Json({}, Summarize(measured), measured));
  EXPECT_EQ(json["ratios"].size(), 1u);
  EXPECT_DOUBLE_EQ(json["ratios"]["agent_held_over_raw_c8"], 0.5);
  EXPECT_EQ(json["results"].size(), 3u);
  EXPECT_EQ(json["results"][2]["transfers_per_second_of_rounds"].size(), 3u);
}

TEST(ModesTest, UnknownAndPlannedModesAreRefusedByName) {
  EXPECT_TRUE(FindMode("agent-held").ok());
  EXPECT_THAT(FindMode("app-held").status().message(),
              HasSubstr("mode \"app-held\" is not built yet; give one of raw-overlapped"));
  EXPECT_THAT(FindMode("fast").status().message(), HasSubstr("mode \"fast\" is not known"));
}

}  // namespace
}  // namespace assent::bench
