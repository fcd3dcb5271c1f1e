// The text that a scrape gets.
#include "base/metrics/page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace assent::metrics {
namespace {

using ::testing::HasSubstr;

TEST(PageTest, CountersAndGauges) {
  Counter committed;
  committed.Add(3);
  Gauge live;
  live.Set(-2);
  Page page;
  page.Counters("x_total", "Ended.")
      .Series({{"outcome", "committed"}}, committed)
      .Series({{"outcome", "aborted"}, {"why", "no"}}, 0);
  page.Gauges("x_live", "Alive.").Series({}, live);
  EXPECT_EQ(page.Text(),
            "# HELP x_total Ended.\n"
            "# TYPE x_total counter\n"
            "x_total{outcome=\"committed\"} 3\n"
            "x_total{outcome=\"aborted\",why=\"no\"} 0\n"
            "# HELP x_live Alive.\n"
            "# TYPE x_live gauge\n"
            "x_live -2\n");
}

TEST(PageTest, AHistogramIsCumulativeAndInSeconds) {
  Histogram histogram;
  histogram.Observe(std::chrono::microseconds(60));
  histogram.Observe(std::chrono::milliseconds(3));
  histogram.Observe(std::chrono::minutes(2));
  Page page;
  page.Histograms("x_seconds", "How long.").Series({{"verb", "commit"}}, histogram);
  const std::string text = page.Text();
  EXPECT_THAT(text, HasSubstr("# TYPE x_seconds histogram\n"));
  EXPECT_THAT(text, HasSubstr("x_seconds_count{verb=\"commit\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("x_seconds_sum{verb=\"commit\"} 120.00306\n"));
  EXPECT_THAT(text, HasSubstr("x_seconds_bucket{verb=\"commit\",le=\"5e-05\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("x_seconds_bucket{verb=\"commit\",le=\"0.0001\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("x_seconds_bucket{verb=\"commit\",le=\"0.002\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("x_seconds_bucket{verb=\"commit\",le=\"0.005\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("x_seconds_bucket{verb=\"commit\",le=\"50\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("x_seconds_bucket{verb=\"commit\",le=\"+Inf\"} 3\n"));
}

TEST(PageTest, LargeTotalsAreExact) {
  Counter bytes;
  bytes.Add(1'234'567'890'123);
  Page page;
  page.Counters("x_bytes_total", "Bytes.").Series({}, bytes);
  EXPECT_THAT(page.Text(), HasSubstr("x_bytes_total 1234567890123\n"));
}

TEST(PageTest, AFamilyMayBeFilledFromSeveralPlaces) {
  GaugesByLabel by_label;
  by_label.Of("log").Set(4);
  Page page;
  page.Gauges("x_depth", "Waits.").Series({{"queue", "driver"}}, 1);
  page.Gauges("x_other", "Other.").Series({}, 0);
  page.Gauges("x_depth", "Waits.").Series("queue", by_label);
  EXPECT_EQ(page.Text(),
            "# HELP x_depth Waits.\n"
            "# TYPE x_depth gauge\n"
            "x_depth{queue=\"driver\"} 1\n"
            "x_depth{queue=\"log\"} 4\n"
            "# HELP x_other Other.\n"
            "# TYPE x_other gauge\n"
            "x_other 0\n");
}

TEST(PageDeathTest, ANameHasOneTypeAndOneText) {
  Page page;
  page.Gauges("x_depth", "Waits.");
  EXPECT_DEATH(page.Gauges("x_depth", "Something else."), "");
  EXPECT_DEATH(page.Histograms("x_depth", "Waits."), "");
  EXPECT_DEATH(page.Counters("x_depths", "A counter's name ends in _total."), "");
  EXPECT_DEATH(page.Gauges("x_total", "A gauge's does not."), "");
}

}  // namespace
}  // namespace assent::metrics
