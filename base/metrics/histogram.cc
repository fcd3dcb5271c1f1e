#include "base/metrics/histogram.h"

#include <algorithm>
#include <numeric>

namespace assent::metrics {

uint64_t Histogram::Reading::count() const {
  return std::accumulate(counts.begin(), counts.end(), uint64_t{0});
}

void Histogram::Observe(std::chrono::nanoseconds took) {
  const int64_t length = std::max<int64_t>(took.count(), 0);
  const auto bucket = std::lower_bound(kBounds.begin(), kBounds.end(), length) - kBounds.begin();
  counts_[static_cast<size_t>(bucket)].fetch_add(1, std::memory_order_relaxed);
  sum_.fetch_add(length, std::memory_order_relaxed);
}

Histogram::Reading Histogram::Read() const {
  Reading reading;
  for (size_t i = 0; i < counts_.size(); ++i) {
    reading.counts[i] = counts_[i].load(std::memory_order_relaxed);
  }
  reading.sum = std::chrono::nanoseconds(sum_.load(std::memory_order_relaxed));
  return reading;
}

}  // namespace assent::metrics
