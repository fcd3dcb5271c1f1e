// What is counted on hot paths: exact under many writers, readable at any moment.
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "base/metrics/counter.h"
#include "base/metrics/gauges_by_label.h"
#include "base/metrics/histogram.h"

namespace assent::metrics {
namespace {

using std::chrono::nanoseconds;

TEST(CounterTest, ManyThreadsLoseNothingWhileOneReads) {
  constexpr int kThreads = 4;
  constexpr int kEach = 20'000;
  Counter counter;
  Gauge gauge;
  Histogram histogram;
  std::atomic<bool> done{false};
  std::thread reader([&] {
    uint64_t before = 0;
    while (!done.load()) {
      const uint64_t now = counter.value();
      EXPECT_GE(now, before);
      EXPECT_LE(histogram.Read().count(), uint64_t{kThreads} * kEach);
      before = now;
    }
  });
  std::vector<std::thread> writers;
  for (int i = 0; i < kThreads; ++i) {
    writers.emplace_back([&] {
      for (int n = 0; n < kEach; ++n) {
        counter.Add();
        gauge.Add(n % 2 == 0 ? 2 : -1);
        histogram.Observe(nanoseconds(1'000'000));
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  done.store(true);
  reader.join();
  EXPECT_EQ(counter.value(), uint64_t{kThreads} * kEach);
  EXPECT_EQ(gauge.value(), kThreads * kEach / 2);
  EXPECT_EQ(histogram.Read().count(), uint64_t{kThreads} * kEach);
  EXPECT_EQ(histogram.Read().sum, nanoseconds(1'000'000) * kThreads * kEach);
}

TEST(HistogramTest, ABoundIsIncludedInItsBucket) {
  struct Case {
    const char* why;
    int64_t took_ns;
    size_t bucket;
  };
  constexpr size_t kLast = Histogram::kBounds.size();
  const Case cases[] = {
      {"nothing", 0, 0},
      {"a clock that went back", -5, 0},
      {"the first bound", 50'000, 0},
      {"just above it", 50'001, 1},
      {"one millisecond", 1'000'000, 4},
      {"the last bound", 50'000'000'000, kLast - 1},
      {"longer than any bound", 50'000'000'001, kLast},
  };
  for (const Case& c : cases) {
    Histogram histogram;
    histogram.Observe(nanoseconds(c.took_ns));
    const Histogram::Reading reading = histogram.Read();
    EXPECT_EQ(reading.counts[c.bucket], 1u) << c.why;
    EXPECT_EQ(reading.count(), 1u) << c.why;
    EXPECT_EQ(reading.sum.count(), std::max<int64_t>(c.took_ns, 0)) << c.why;
  }
}

TEST(HistogramTest, BoundsRise) {
  for (size_t i = 1; i < Histogram::kBounds.size(); ++i) {
    EXPECT_LT(Histogram::kBounds[i - 1], Histogram::kBounds[i]);
  }
}

std::map<std::string, int64_t> Read(const GaugesByLabel& gauges) {
  std::map<std::string, int64_t> all;
  gauges.ForEach([&](const std::string& label, int64_t value) {
    EXPECT_TRUE(all.emplace(label, value).second) << label << " twice";
  });
  return all;
}

TEST(GaugesByLabelTest, ASeriesStaysWhenItIsZeroAgain) {
  GaugesByLabel gauges;
  EXPECT_TRUE(Read(gauges).empty());
  gauges.Of("orders_pg").Add(2);
  gauges.Of("stock_my").Add(1);
  gauges.Of("orders_pg").Add(-2);
  EXPECT_EQ(Read(gauges), (std::map<std::string, int64_t>{{"orders_pg", 0}, {"stock_my", 1}}));
}

TEST(GaugesByLabelTest, WhatIsTooManySharesOneSeries) {
  GaugesByLabel gauges;
  for (size_t i = 0; i < GaugesByLabel::kSeriesMax + 5; ++i) {
    gauges.Of("r" + std::to_string(i)).Add(1);
  }
  const auto all = Read(gauges);
  EXPECT_EQ(all.size(), GaugesByLabel::kSeriesMax + 1);
  EXPECT_EQ(all.at(GaugesByLabel::kOthers), 5);
}

TEST(GaugesByLabelTest, AReaderSeesEachSeriesWholeWhileOthersAreAdded) {
  GaugesByLabel gauges;
  std::atomic<bool> done{false};
  std::thread reader([&] {
    size_t before = 0;
    while (!done.load()) {
      const auto all = Read(gauges);
      EXPECT_GE(all.size(), before);
      for (const auto& [label, value] : all) EXPECT_FALSE(label.empty());
      before = all.size();
    }
  });
  for (int i = 0; i < 500; ++i) gauges.Of("resource_" + std::to_string(i)).Set(i);
  done.store(true);
  reader.join();
  EXPECT_EQ(Read(gauges).size(), 500u);
}

}  // namespace
}  // namespace assent::metrics
