#include "tests/bench/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/bench/counts.h"
#include "tests/bench/processor_time.h"

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
          .aborted = 1,
          .calls = {{"Commit", 2.0 * round}},
          .cpu = {{"client", 100.0 * round}, {"agent-pg", 10}}};
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

TEST(ReportTest, FiguresHaveTheMediansOfTheirRounds) {
  std::vector<Line> lines = Summarize(ThreeRounds());
  ASSERT_EQ(lines[2].cpu.size(), 2u);
  EXPECT_EQ(lines[2].cpu[0].name, "client");
  EXPECT_DOUBLE_EQ(lines[2].cpu[0].value, 200);
  std::string table = FiguresTable(lines, &Line::cpu, "all");
  EXPECT_THAT(table, HasSubstr("|   client | agent-pg |      all |\n"));
  EXPECT_THAT(table, HasSubstr("| agent-held     |   200.00 |    10.00 |   210.00 |\n"));
}

TEST(ReportTest, FiguresThatOneModeLacksStandInTheirOrder) {
  std::vector<Line> lines(2);
  lines[0] = {.mode = "raw-seq", .calls = {{"start", 1}, {"finish", 3}}};
  lines[1] = {.mode = "app-held", .calls = {{"Begin", 9}, {"start", 1}, {"Commit", 2}}};
  std::string table = FiguresTable(lines, &Line::calls, "");
  EXPECT_THAT(table, HasSubstr("|    Begin |    start |   Commit |   finish |\n"));
  EXPECT_THAT(table, HasSubstr("|        - |     1.00 |        - |     3.00 |\n"));
  EXPECT_EQ(FiguresTable(lines, &Line::counts, "all"), "");
}

TEST(ReportTest, JsonHasTheFigures) {
  std::vector<Measurement> measured = ThreeRounds();
  auto json = nlohmann::json::parse(Json({}, Summarize(measured), measured));
  EXPECT_DOUBLE_EQ(json["results"][2]["cpu_us_per_transfer"]["agent_pg"], 10);
  EXPECT_DOUBLE_EQ(json["results"][2]["call_p50_ms"]["Commit"], 4);
}

TEST(FiguresTest, RisesArePerTransfer) {
  Figures risen = Risen({{"a", 10}, {"b", 1}}, {{"b", 5}, {"a", 10}, {"new", 7}}, 2);
  ASSERT_EQ(risen.size(), 2u);
  EXPECT_EQ(risen[0].name, "b");
  EXPECT_DOUBLE_EQ(risen[0].value, 2);
  EXPECT_DOUBLE_EQ(risen[1].value, 0);
}

TEST(CountsTest, AllSeriesOfACounterAreSummedUp) {
  const std::string page =
      "# TYPE sent_total counter\n"
      "sent_total{kind=\"a b\"} 3\n"
      "sent_total{kind=\"c\"} 1.5e2\n"
      "sent_total_more 1000\n"
      "forced_total 7\n";
  EXPECT_DOUBLE_EQ(SumOf(page, "sent_total"), 153);
  EXPECT_DOUBLE_EQ(SumOf(page, "forced_total"), 7);
  EXPECT_DOUBLE_EQ(SumOf(page, "other_total"), 0);
}

TEST(ProcessorTimeTest, ReadsTheFieldsBehindAnyName) {
  auto ticks =
      ParseStat("17 (a) b (c)) S 1 17 17 0 -1 4194560 1 2 3 4 500 60 7 8 20 0 1 0 99 4096\n");
  ASSERT_TRUE(ticks.ok()) << ticks.status().ToString();
  EXPECT_EQ(ticks->own, 560);
  EXPECT_EQ(ticks->ended_children, 15);
  EXPECT_FALSE(ParseStat("17 (cut").ok());
  EXPECT_FALSE(ParseStat("17 (short) S 1 17").ok());
}

TEST(ModesTest, AllAreFoundAndOthersRefusedByName) {
  for (const Mode& mode : Modes()) EXPECT_TRUE(FindMode(mode.name).ok()) << mode.name;
  EXPECT_THAT(
      FindMode("fast").status().message(),
      HasSubstr("mode \"fast\" is not known; give one of raw-overlapped, raw-seq, app-held"));
}

}  // namespace
}  // namespace assent::bench
