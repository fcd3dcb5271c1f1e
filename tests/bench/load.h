// A load of a log: so many entries under way at any time, each replaced when it is done.
#pragma once

#include <chrono>
#include <cstddef>

#include "tests/bench/histogram.h"

namespace assent::bench {

// Payload of an entry; for a key-value store, of key and value together.
inline constexpr size_t kEntryBytes = 128;

// Who proposes the next entry when one is applied, where the load comes from within.
enum class Proposer {
  kDriver,  // The owner, told by the log's thread: what a coordinator does.
  kLog,  // The log's own thread, at once: what the log alone can do, beside the disk's one thread.
};

struct Load {
  size_t in_flight = 1;
  std::chrono::milliseconds warm_up{500};
  std::chrono::milliseconds length{2000};
  Proposer proposer = Proposer::kDriver;
  // How many of them one put carries, as one value; only for key-value stores.
  size_t entries_at_once = 1;
};

struct Rates {
  double per_second = 0;
  std::chrono::microseconds p50{0};
  std::chrono::microseconds p99{0};
  std::chrono::microseconds p999{0};
};

// Counts what ends within the measured time of one load. Not thread-safe.
class Window {
 public:
  using Time = std::chrono::steady_clock::time_point;

  Window(const Load& load, Time begin)
      : from_(begin + load.warm_up), to_(from_ + load.length), seconds_(load.length) {}

  bool Over(Time now) const { return now >= to_; }
  void Add(Time begun, Time ended) {
    if (ended >= from_ && ended < to_) histogram_.Add(ended - begun);
  }
  Rates Take() const {
    return {static_cast<double>(histogram_.count()) / seconds_.count(), histogram_.Quantile(0.5),
            histogram_.Quantile(0.99), histogram_.Quantile(0.999)};
  }

 private:
  Time from_;
  Time to_;
  std::chrono::duration<double> seconds_;
  Histogram histogram_;
};

}  // namespace assent::bench
