// Latencies of one thread, merged when the threads have ended: no lock and no atomic on the way.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace assent::bench {

// Counts durations in buckets that are at most 1/64 wide of what they hold, from 1 us to 64 s (what
// is outside counts as the nearest). Not thread-safe.
class Histogram {
 public:
  void Add(std::chrono::nanoseconds duration);
  void Merge(const Histogram& other);

  uint64_t count() const { return count_; }
  // The duration that `share` (0 to 1) of all stay at or below, rounded up to its bucket's end.
  // 0 when empty.
  std::chrono::microseconds Quantile(double share) const;

 private:
  static constexpr int kFineBits = 6;
  static constexpr size_t kFine = size_t{1} << kFineBits;
  static constexpr size_t kBuckets = kFine * 21;

  static size_t BucketOf(uint64_t us);
  static uint64_t EndOf(size_t bucket);

  std::array<uint64_t, kBuckets> buckets_{};
  uint64_t count_ = 0;
};

}  // namespace assent::bench
