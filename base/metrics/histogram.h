// How long things take: a count for each of a fixed row of buckets. An observation is a search and
// two relaxed additions; no lock.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace assent::metrics {

class Histogram {
 public:
  // Upper bounds of the buckets, included, in nanoseconds: 50 us to 50 s in steps of 1, 2, 5. One
  // row for all, so that any two can be compared. A last bucket takes what is longer.
  static constexpr std::array<int64_t, 19> kBounds = {
      50'000,        100'000,        200'000,        500'000,       1'000'000,
      2'000'000,     5'000'000,      10'000'000,     20'000'000,    50'000'000,
      100'000'000,   200'000'000,    500'000'000,    1'000'000'000, 2'000'000'000,
      5'000'000'000, 10'000'000'000, 20'000'000'000, 50'000'000'000};

  // What stands there now. The counts are those of one moment each, not of one together: an
  // observation that comes meanwhile may be in `counts` and not yet in `sum`.
  struct Reading {
    std::array<uint64_t, kBounds.size() + 1> counts{};  // Of each bucket alone.
    std::chrono::nanoseconds sum{0};

    uint64_t count() const;
  };

  // Thread-safe. What is below zero counts as zero.
  void Observe(std::chrono::nanoseconds took);
  Reading Read() const;

 private:
  std::array<std::atomic<uint64_t>, kBounds.size() + 1> counts_{};
  std::atomic<int64_t> sum_{0};  // Nanoseconds: enough for 292 years.
};

}  // namespace assent::metrics
