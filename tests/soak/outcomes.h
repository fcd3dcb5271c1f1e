// A group of three real coordinators that decides very many transactions: does it remember every
// outcome, across leaders, snapshots and restarts, and what does that cost? Without databases: an
// agent says yes to everything.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "tests/support/assent_processes.h"

namespace assent::soak {

struct OutcomesOptions {
  uint64_t count = 1'000'000;  // Commits.
  int clients = 48;            // Transactions under way at any time.
  // Evenly over the count, in turns: the leader is killed, a follower is killed and stays away for
  // a while, the leader is told to stop.
  int troubles = 12;
  // So many of them, and of those that were rolled back as large a share, are asked for again, of
  // each node. Those that a trouble aborted are asked for all.
  uint64_t samples = 10'000;
  // Bounds of each node, at any time.
  uint64_t memory_bytes_max = uint64_t{96} << 20;
  uint64_t disk_bytes_max = uint64_t{24} << 20;
  bool tls = false;               // Mutual TLS at every port, with TestCertificates().
  test_support::Toml settings;    // Of the coordinators; they win over ours.
  test_support::Environment env;  // Of the coordinators too.
  std::string bin_dir;            // Empty: beside this program.
  bool progress = false;          // A line now and then.
};

struct OutcomesReport {
  uint64_t committed = 0;
  uint64_t aborted = 0;       // By a trouble.
  uint64_t rolled_back = 0;   // By the client, now and then, so that not every answer is the same.
  int leaders = 0;            // Terms in which somebody led.
  int restarts = 0;           // Of single nodes.
  uint64_t asked_again = 0;   // Answers that were compared with what was told before.
  uint64_t memory_bytes = 0;  // The most of any node.
  uint64_t disk_bytes = 0;    // The most of any node.
  int snapshots = 0;          // Nodes that have one, at the end.
  std::chrono::milliseconds length{};
  std::vector<std::string> problems;  // Empty: all is as it should be.

  bool ok() const { return problems.empty(); }
  std::string ToString() const;
};

// Errors: the group could not be started, or does not go on. What is wrong with its answers or its
// use of memory and disk stands in the report.
Result<OutcomesReport> RunOutcomes(const OutcomesOptions& options);

}  // namespace assent::soak
