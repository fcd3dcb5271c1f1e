// What is counted on hot paths: one relaxed atomic each, no lock, so that a scrape can read at any
// moment and delay nobody (an addition costs about 6 ns; prometheus-cpp's own objects cost twice
// that, their histograms ten times, under a mutex).
#pragma once

#include <atomic>
#include <cstdint>

namespace assent::metrics {

// A total that only grows, from 0 at the start of the process. Thread-safe.
class Counter {
 public:
  void Add(uint64_t more = 1) { value_.fetch_add(more, std::memory_order_relaxed); }
  // For a total that its owner counts itself: takes it over. One thread alone, and no Add.
  void SetTotal(uint64_t total) { value_.store(total, std::memory_order_relaxed); }
  uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

// A number that goes up and down. Thread-safe.
class Gauge {
 public:
  void Set(int64_t value) { value_.store(value, std::memory_order_relaxed); }
  void Add(int64_t more) { value_.fetch_add(more, std::memory_order_relaxed); }
  int64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<int64_t> value_{0};
};

}  // namespace assent::metrics
