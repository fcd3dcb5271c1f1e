// How long to wait before the next attempt: doubling, bounded, and never the same for two nodes.
#pragma once

#include <algorithm>
#include <cstdint>
#include <random>
#include <utility>

#include "base/clock.h"

namespace assent::txlog {

// Not thread-safe.
class Backoff {
 public:
  Backoff(Duration min, Duration max, uint64_t seed)
      : min_(min), max_(max), next_(min), random_(seed) {}

  // Between half of the step and all of it.
  Duration Next() {
    const auto step = std::exchange(next_, std::min(next_ * 2, max_)).count();
    return Duration(std::uniform_int_distribution<Duration::rep>(step / 2, step)(random_));
  }
  // About the longest, at once: what a refusal calls for, since only people can end it.
  Duration Longest() {
    next_ = max_;
    return Next();
  }
  void Reset() { next_ = min_; }

 private:
  const Duration min_;
  const Duration max_;
  Duration next_;
  std::mt19937_64 random_;
};

}  // namespace assent::txlog
