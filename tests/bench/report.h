// Medians over the rounds, as a table for people and as JSON for machines.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tests/bench/transfer.h"

namespace assent::bench {

// The medians of one mode at one concurrency. Each number has its own median.
struct Line {
  std::string mode;
  int concurrency = 0;
  double per_second = 0;
  std::chrono::microseconds p50{0};
  std::chrono::microseconds p99{0};
  uint64_t aborted = 0;  // In all rounds.
  // Of per_second to that of kReferenceMode at the same concurrency: the median of the ratios
  // within each round, where both had the machine's load of the same minute. None: not measured.
  std::optional<double> ratio;
  Figures calls;  // As in Measurement, each the median over the rounds.
  Figures cpu;
  Figures counts;
};

// By concurrency, then in the order in which the modes were measured first.
std::vector<Line> Summarize(const std::vector<Measurement>& measurements);

// Markdown.
std::string Table(const std::vector<Line>& lines);
// One column for each name of `figures`, such as &Line::cpu, and a last one named `total`, if that
// is not empty, with their sum. Empty if no line has a figure.
std::string FiguresTable(const std::vector<Line>& lines, Figures Line::*figures,
                         const std::string& total);

// {"bench": "transfer", "results": [...], "ratios": {"agent_held_over_raw_c1": 0.5, ...}, ...}.
// "ratios" has every mode but the reference, under its name with '_' for '-'.
std::string Json(const TransferOptions& options, const std::vector<Line>& lines,
                 const std::vector<Measurement>& measurements);

}  // namespace assent::bench
