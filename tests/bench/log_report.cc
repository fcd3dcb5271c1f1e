#include "tests/bench/log_report.h"

#include <cmath>
#include <cstdio>
#include <functional>
#include <nlohmann/json.hpp>
#include <utility>

#include "tests/bench/median.h"

namespace assent::bench {
namespace {

using nlohmann::ordered_json;
using Measure = std::function<double(const Rates&)>;

double PerSecond(const Rates& rates) { return rates.per_second; }
double P99(const Rates& rates) { return static_cast<double>(rates.p99.count()); }

double Milliseconds(std::chrono::microseconds time) {
  return static_cast<double>(time.count()) / 1000;
}

double Rounded(double value) { return std::round(value * 1000) / 1000; }

// Nothing if the two were never measured in the same round.
std::vector<double> RatiosOf(const std::vector<LogSample>& samples, size_t in_flight, System above,
                             System below, const Measure& measure) {
  std::vector<double> ratios;
  for (const LogSample& one : samples) {
    if (one.system != above || one.in_flight != in_flight) continue;
    for (const LogSample& other : samples) {
      // The disk knows but one way, whatever is in flight.
      const bool same = other.system == System::kDisk || other.in_flight == in_flight;
      if (other.system != below || other.round != one.round || !same) continue;
      if (measure(other.rates) > 0) ratios.push_back(measure(one.rates) / measure(other.rates));
    }
  }
  return ratios;
}

ordered_json ToJson(const LogSample& sample) {
  return {{"round", sample.round},
          {"system", NameOf(sample.system)},
          {"in_flight", sample.in_flight},
          {"entries_per_second", std::round(sample.rates.per_second)},
          {"p50_ms", Milliseconds(sample.rates.p50)},
          {"p99_ms", Milliseconds(sample.rates.p99)},
          {"p999_ms", Milliseconds(sample.rates.p999)}};
}

}  // namespace

std::string NameOf(System system) {
  switch (system) {
    case System::kDisk:
      return "disk";
    case System::kOursOne:
      return "ours, one node";
    case System::kOursOneDriver:
      return "ours, one node, driver thread";
    case System::kOursThree:
      return "ours, three nodes, driver thread";
    case System::kOursThreeSocket:
      return "ours, three nodes, through gRPC";
    case System::kEtcdOne:
      return "etcd, one node";
    case System::kEtcdThree:
      return "etcd, three nodes";
    case System::kEtcdThreeAtOnce:
      return "etcd, three nodes, one put for all";
    case System::kOursOnEtcdThree:
      return "ours on etcd, three nodes";
  }
  return "";
}

std::vector<LogLine> Summarize(const std::vector<LogSample>& samples) {
  std::map<std::pair<size_t, System>, std::vector<Rates>> cells;
  for (const LogSample& sample : samples) {
    cells[{sample.in_flight, sample.system}].push_back(sample.rates);
  }
  std::vector<LogLine> lines;
  for (const auto& [cell, rates] : cells) {
    const auto median = [&all = rates](auto Rates::*member) {
      std::vector<std::remove_cvref_t<decltype(all[0].*member)>> values;
      for (const Rates& one : all) values.push_back(one.*member);
      return Median(std::move(values));
    };
    lines.push_back({cell.second,
                     cell.first,
                     {median(&Rates::per_second), median(&Rates::p50), median(&Rates::p99),
                      median(&Rates::p999)}});
  }
  return lines;
}

std::map<std::string, double> Ratios(const std::vector<LogSample>& samples) {
  std::map<std::string, double> ratios;
  const auto add = [&](const std::string& name, size_t in_flight, System above, System below,
                       const Measure& measure) {
    std::vector<double> found = RatiosOf(samples, in_flight, above, below, measure);
    if (!found.empty()) ratios[name] = Median(std::move(found));
  };
  add("one_node_1_inflight_over_disk", 1, System::kOursOne, System::kDisk, PerSecond);
  add("one_node_1_inflight_over_disk_through_driver", 1, System::kOursOneDriver, System::kDisk,
      PerSecond);
  for (const LogLine& line : Summarize(samples)) {
    const size_t n = line.in_flight;
    const std::string suffix = std::to_string(n) + "_inflight_over_etcd";
    add("three_nodes_" + suffix, n, System::kOursThree, System::kEtcdThree, PerSecond);
    add("p99_" + suffix, n, System::kOursThree, System::kEtcdThree, P99);
    add("three_nodes_" + suffix + "_through_socket", n, System::kOursThreeSocket,
        System::kEtcdThree, PerSecond);
    add("p99_" + suffix + "_through_socket", n, System::kOursThreeSocket, System::kEtcdThree, P99);
    const std::string engine = "etcd_engine_" + std::to_string(n) + "_inflight_over_";
    add(engine + "one_put", n, System::kOursOnEtcdThree, System::kEtcdThreeAtOnce, PerSecond);
    const std::string on_etcd = engine + "puts";
    add(on_etcd, n, System::kOursOnEtcdThree, System::kEtcdThree, PerSecond);
    add("p99_" + on_etcd, n, System::kOursOnEtcdThree, System::kEtcdThree, P99);
  }
  return ratios;
}

std::string LogTable(const std::vector<LogLine>& lines) {
  std::string table =
      "| in flight | system | entries/s | p50 ms | p99 ms | p99.9 ms | p99.9 over p50 |\n"
      "|--:|:--|--:|--:|--:|--:|--:|\n";
  for (const LogLine& line : lines) {
    const double p50 = Milliseconds(line.rates.p50);
    const double p999 = Milliseconds(line.rates.p999);
    char row[256];
    std::snprintf(row, sizeof row, "| %zu | %s | %.0f | %.2f | %.2f | %.2f | %.1f |\n",
                  line.in_flight, NameOf(line.system).c_str(), line.rates.per_second, p50,
                  Milliseconds(line.rates.p99), p999, p50 > 0 ? p999 / p50 : 0);
    table += row;
  }
  return table;
}

std::string LogJson(const LogRun& run, const std::vector<LogSample>& samples) {
  ordered_json json = {{"bench", "log"},
                       {"entry_bytes", kEntryBytes},
                       {"load_before", Rounded(run.load_before)},
                       {"realtime", run.realtime},
                       {"results", ordered_json::array()},
                       {"ratios", ordered_json::object()},
                       {"samples", ordered_json::array()}};
  for (const LogLine& line : Summarize(samples)) {
    json["results"].push_back(ToJson({0, line.system, line.in_flight, line.rates}));
    json["results"].back().erase("round");
  }
  for (const auto& [name, ratio] : Ratios(samples)) json["ratios"][name] = Rounded(ratio);
  for (const LogSample& sample : samples) json["samples"].push_back(ToJson(sample));
  return json.dump(2) + "\n";
}

}  // namespace assent::bench
