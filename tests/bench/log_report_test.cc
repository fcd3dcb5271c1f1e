// The medians, ratios and JSON of the log's bench.
#include "tests/bench/log_report.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace assent::bench {
namespace {

using std::chrono::microseconds;

LogSample Sample(int round, System system, size_t in_flight, double per_second, int p99_us = 100) {
  return {round,
          system,
          in_flight,
          {per_second, microseconds(p99_us / 2), microseconds(p99_us), microseconds(2 * p99_us)}};
}

TEST(LogReport, EachNumberHasItsOwnMedian) {
  const auto lines =
      Summarize({Sample(1, System::kOursOne, 8, 300, 10), Sample(2, System::kOursOne, 8, 100, 40),
                 Sample(3, System::kOursOne, 8, 200, 20)});
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0].rates.per_second, 200);
  EXPECT_EQ(lines[0].rates.p99, microseconds(20));
  EXPECT_EQ(lines[0].rates.p999, microseconds(40));
}

TEST(LogReport, LinesAreOrderedByEntriesInFlight) {
  const auto lines =
      Summarize({Sample(1, System::kEtcdThree, 64, 1), Sample(1, System::kOursThree, 64, 1),
                 Sample(1, System::kEtcdThree, 8, 1)});
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[0].in_flight, 8u);
  EXPECT_EQ(lines[1].system, System::kOursThree);
  EXPECT_EQ(lines[2].system, System::kEtcdThree);
}

// The machine became ten times slower in the second round: the ratios don't notice.
TEST(LogReport, RatiosAreTakenWithinARound) {
  const auto ratios =
      Ratios({Sample(1, System::kDisk, 1, 1000), Sample(1, System::kOursOne, 1, 900),
              Sample(2, System::kDisk, 1, 100), Sample(2, System::kOursOne, 1, 90)});
  ASSERT_EQ(ratios.size(), 1u);
  EXPECT_DOUBLE_EQ(ratios.at("one_node_1_inflight_over_disk"), 0.9);
}

TEST(LogReport, RatiosOverEtcdCompareWhatIsEquallyInFlight) {
  const auto ratios = Ratios(
      {Sample(1, System::kOursThree, 1, 30, 50), Sample(1, System::kOursThree, 64, 600, 30),
       Sample(1, System::kOursThreeSocket, 64, 200, 45), Sample(1, System::kEtcdThree, 1, 10, 100),
       Sample(1, System::kEtcdThree, 64, 100, 60)});
  EXPECT_DOUBLE_EQ(ratios.at("three_nodes_1_inflight_over_etcd"), 3);
  EXPECT_DOUBLE_EQ(ratios.at("three_nodes_64_inflight_over_etcd"), 6);
  EXPECT_DOUBLE_EQ(ratios.at("p99_64_inflight_over_etcd"), 0.5);
  EXPECT_DOUBLE_EQ(ratios.at("three_nodes_64_inflight_over_etcd_through_socket"), 2);
  EXPECT_DOUBLE_EQ(ratios.at("p99_64_inflight_over_etcd_through_socket"), 0.75);
  EXPECT_FALSE(ratios.contains("one_node_1_inflight_over_disk"));
}

TEST(LogReport, OursOnEtcdIsComparedWithPutsThere) {
  const auto ratios = Ratios(
      {Sample(1, System::kOursOnEtcdThree, 64, 500, 30), Sample(1, System::kEtcdThree, 64, 100, 60),
       Sample(1, System::kEtcdThreeAtOnce, 64, 625, 1), Sample(1, System::kEtcdOne, 64, 200, 60)});
  ASSERT_EQ(ratios.size(), 3u);
  EXPECT_DOUBLE_EQ(ratios.at("etcd_engine_64_inflight_over_one_put"), 0.8);
  EXPECT_DOUBLE_EQ(ratios.at("etcd_engine_64_inflight_over_puts"), 5);
  EXPECT_DOUBLE_EQ(ratios.at("p99_etcd_engine_64_inflight_over_puts"), 0.5);
}

TEST(LogReport, JsonHasRatiosByName) {
  const auto json = nlohmann::json::parse(
      LogJson({.load_before = 0.5},
              {Sample(1, System::kDisk, 1, 1000), Sample(1, System::kOursOne, 1, 870, 250)}));
  EXPECT_EQ(json["bench"], "log");
  EXPECT_EQ(json["load_before"], 0.5);
  EXPECT_EQ(json["ratios"]["one_node_1_inflight_over_disk"], 0.87);
  EXPECT_EQ(json["results"][1]["system"], "ours, one node");
  EXPECT_EQ(json["results"][1]["p99_ms"], 0.25);
  EXPECT_EQ(json["samples"].size(), 2u);
}

TEST(Window, CountsWhatEndsWithinIt) {
  using std::chrono::milliseconds;
  const Window::Time begin{};
  Window window({.warm_up = milliseconds(100), .length = milliseconds(1000)}, begin);
  window.Add(begin, begin + milliseconds(99));  // Still warming up.
  window.Add(begin + milliseconds(98), begin + milliseconds(100));
  window.Add(begin + milliseconds(1090), begin + milliseconds(1099));
  EXPECT_FALSE(window.Over(begin + milliseconds(1099)));
  window.Add(begin, begin + milliseconds(1100));
  EXPECT_TRUE(window.Over(begin + milliseconds(1100)));
  const Rates rates = window.Take();
  EXPECT_EQ(rates.per_second, 2);
  EXPECT_NEAR(static_cast<double>(rates.p50.count()), 2000, 40);
  EXPECT_NEAR(static_cast<double>(rates.p999.count()), 9000, 150);
}

}  // namespace
}  // namespace assent::bench
