// What the wires cost: calls of clients and the link between coordinator and agent, without any
// database. Many calls of one kind, and what they took of the clock and of the processors at either
// end.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "tests/bench/histogram.h"

namespace assent::bench {

// What is measured, and at what one call of it stands for.
enum class WireOp {
  kBegin,   // Begin by libassent.
  kCommit,  // Commit by libassent of a transaction without a branch: nothing is logged.
  kLink,    // An agent registers a branch: over the link, through the driver, and back.
  kWhole,   // Begin, two branches registered, prepared, decided, logged and committed, by an agent
            // that only says yes.
};
std::string NameOf(WireOp op);

struct WireCost {
  WireOp op = WireOp::kBegin;
  int concurrency = 1;
  uint64_t calls = 0;
  std::chrono::nanoseconds wall{0};
  std::chrono::nanoseconds server_cpu{0};  // Of assentd, all threads.
  std::chrono::nanoseconds own_cpu{0};     // Of this process: clients, or the agent's end.
  uint64_t server_waits = 0;               // How often a thread of it gave up its processor.
  uint64_t own_waits = 0;
  Histogram latency;
};

// One assentd, a process of its own, with this process as its clients and its agent.
class WireBench {
 public:
  // `bin_dir`: where its assentd lies. Empty: beside this program.
  static Result<std::unique_ptr<WireBench>> Start(const std::string& bin_dir);
  virtual ~WireBench() = default;

  // `concurrency` calls at a time, for `length` at least. The errors are those of the calls: none
  // may fail.
  virtual Result<WireCost> Measure(WireOp op, int concurrency,
                                   std::chrono::milliseconds length) = 0;
};

}  // namespace assent::bench
