// Medians over the rounds of the log's bench, as a table for people and as JSON for machines.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "tests/bench/load.h"

namespace assent::bench {

// What was measured, in the order of the tables.
enum class System {
  kDisk,
  kOursOne,
  kOursOneDriver,
  kOursThree,
  kOursThreeSocket,
  kEtcdOne,
  kEtcdThree,
  kEtcdThreeAtOnce,  // One put carries all that are in flight.
  kOursOnEtcdThree,
};
std::string NameOf(System system);

// One measurement.
struct LogSample {
  int round = 0;
  System system = System::kDisk;
  size_t in_flight = 1;
  Rates rates;
};

// The medians of one system at one number of entries in flight; each number has its own.
struct LogLine {
  System system = System::kDisk;
  size_t in_flight = 1;
  Rates rates;
};

// By entries in flight, then by system.
std::vector<LogLine> Summarize(const std::vector<LogSample>& samples);

// By name: one_node_1_inflight_over_disk, with "_through_driver" too, and
// three_nodes_N_inflight_over_etcd, of entries per second, and p99_N_inflight_over_etcd; with
// "_through_socket" where our entries came through one, too. And etcd_engine_N_inflight_over_puts,
// of our log in three nodes of etcd over plain puts there, and ..._over_one_put, over a put that
// carries all N. Each is the median of the ratios
// within each round, where both had the machine's load of the same minute. What was not measured is
// not there.
std::map<std::string, double> Ratios(const std::vector<LogSample>& samples);

std::string LogTable(const std::vector<LogLine>& lines);

// What else to know of a run.
struct LogRun {
  double load_before = 0;  // The machine's load average.
  bool realtime = false;   // All processes went before any other.
};
// {"bench": "log", "results": [...], "ratios": {...}, "samples": [...]}
std::string LogJson(const LogRun& run, const std::vector<LogSample>& samples);

}  // namespace assent::bench
