// How a monitor hears of the log's work. Narrow on purpose: the log knows nothing of metrics.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace assent::txlog {

class LogObserver {
 public:
  // Records that became durable together: one write, one fdatasync.
  struct Forced {
    size_t records = 0;
    uint64_t bytes = 0;
    std::chrono::nanoseconds took{0};  // The fdatasync, without the write.
  };

  virtual ~LogObserver() = default;

  // Only records of the log, the no-ops of terms among them; not the hard state, snapshots, and
  // segments that are made ahead. Called on the thread that forces, and must not block.
  virtual void OnForced(const Forced& forced) = 0;
};

}  // namespace assent::txlog
