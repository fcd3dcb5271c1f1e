// The bench "transfer": every mode at every concurrency, in turns, on the same databases.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/status.h"
#include "tests/bench/figures.h"
#include "tests/bench/worker.h"

namespace assent::bench {

struct TransferOptions {
  std::vector<Mode> modes;
  std::vector<int> concurrencies = {1, 8, 32};
  std::chrono::milliseconds length{
      5'000};  // Of one measurement; a fifth of it, before, is warm-up.
  int rounds = 3;
  client::Acknowledgement ack = client::Acknowledgement::kApplied;
};

// One mode at one concurrency in one round.
struct Measurement {
  std::string mode;
  int concurrency = 0;
  int round = 0;
  double per_second = 0;  // Committed transfers.
  std::chrono::microseconds p50{0};
  std::chrono::microseconds p99{0};
  uint64_t aborted = 0;
  Figures calls;   // The median of each call that the worker makes, in ms (tests/bench/calls.h).
  Figures cpu;     // Processor time of each program per transfer, in us, while it was measured.
  Figures counts;  // Per committed transfer, from the first one until all were over.
};

// Starts the house, measures, and after each measurement compares what was committed with what the
// databases hold: the sum of all balances, each worker's account, the number of transfers, that
// nothing is left prepared, and that the coordinator has nothing under way. `heard` is told of each
// measurement at once. The error says what went wrong, and in which measurement.
Result<std::vector<Measurement>> RunTransfer(const TransferOptions& options,
                                             const std::function<void(const Measurement&)>& heard);

}  // namespace assent::bench
