// Named maxima and waiting times of the driver (docs/protocols.md section 4.4).
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>

#include "base/random.h"
#include "coordinator/core/decision_table.h"

namespace assent::coordinator {

struct Limits {
  // Random bits, for the incarnation of a new group.
  std::function<uint64_t()> draw = SystemRandom64;
  // ACTIVE, PREPARING and PROPOSED ones; beyond it Begin answers RESOURCE_EXHAUSTED.
  size_t live_transactions_max = 10'000;
  // Calls of clients that wait for the driver thread; beyond it RESOURCE_EXHAUSTED.
  size_t queue_max = 20'000;
  // Calls of Commit that wait for one transaction.
  size_t waiters_max = 64;
  size_t agents_max = 1'000;
  size_t resources_per_agent_max = 64;
  // Causes of aborts that are kept for a repeated Commit or Get, in memory only.
  size_t remembered_aborts_max = 10'000;
  // Gtrids in one END record.
  size_t end_batch_max = 256;

  std::chrono::milliseconds transaction_timeout{60'000};
  std::chrono::milliseconds transaction_timeout_max{3'600'000};
  std::chrono::milliseconds prepare_timeout{10'000};
  std::chrono::milliseconds apply_wait{5'000};
  // Phase two: a branch that the application ends by itself is left to it for so long.
  std::chrono::milliseconds finish_grace{2'000};
  // Phase two: an unanswered COMMIT is sent again after this; each time twice as late, up to the
  // maximum.
  std::chrono::milliseconds resend{2'000};
  std::chrono::milliseconds resend_max{30'000};
  std::chrono::milliseconds tick{60'000};
  // ENDs go to the log with the first decision after half of it, or alone after all of it.
  std::chrono::milliseconds end_delay{100};
  // A second link of an agent id takes over from one that has been silent for so long.
  std::chrono::milliseconds link_takeover{1'000};

  TableLimits table;
};

}  // namespace assent::coordinator
