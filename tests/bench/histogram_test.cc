#include "tests/bench/histogram.h"

#include <gtest/gtest.h>

namespace assent::bench {
namespace {

using std::chrono::microseconds;
using std::chrono::seconds;

TEST(HistogramTest, EmptyHasNoQuantile) { EXPECT_EQ(Histogram().Quantile(0.5), microseconds(0)); }

TEST(HistogramTest, SmallDurationsAreExact) {
  Histogram histogram;
  for (int us = 1; us <= 60; ++us) histogram.Add(microseconds(us));
  EXPECT_EQ(histogram.Quantile(0.5), microseconds(30));
  EXPECT_EQ(histogram.Quantile(1), microseconds(60));
  EXPECT_EQ(histogram.Quantile(0), microseconds(1));
}

TEST(HistogramTest, LargeDurationsAreRoundedUpByAtMostOneSixtyFourth) {
  for (int64_t us = 64; us < 60'000'000; us = us * 17 / 16 + 1) {
    Histogram histogram;
    histogram.Add(microseconds(us));
    EXPECT_GE(histogram.Quantile(0.5).count(), us);
    EXPECT_LE(histogram.Quantile(0.5).count(), us + us / 64) << us;
  }
}

TEST(HistogramTest, WhatIsOutsideCountsAsTheNearest) {
  Histogram histogram;
  histogram.Add(seconds(1000));
  EXPECT_EQ(histogram.count(), 1u);
  EXPECT_GE(histogram.Quantile(0.5), seconds(64));
}

TEST(HistogramTest, MergedCountsAreThoseOfOne) {
  Histogram fast, slow;
  for (int i = 0; i < 99; ++i) fast.Add(microseconds(10));
  slow.Add(microseconds(50));
  fast.Merge(slow);
  EXPECT_EQ(fast.count(), 100u);
  EXPECT_EQ(fast.Quantile(0.99), microseconds(10));
  EXPECT_EQ(fast.Quantile(1), microseconds(50));
}

}  // namespace
}  // namespace assent::bench
