// Virtual time, and everything that is to happen in it: one queue, one thread, one source of
// chance. The same seed gives the same story, step by step.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <utility>

#include "base/clock.h"

namespace assent::simulation {

// Virtual, in microseconds.
using Micros = uint64_t;
inline constexpr Micros kMilli = 1'000;
inline constexpr Micros kSecond = 1'000'000;

class Timeline {
 public:
  // With `tracing` the last lines are kept, and every one printed if `printing`.
  Timeline(uint64_t seed, bool tracing, bool printing)
      : random_(seed), tracing_(tracing), printing_(printing) {}
  Timeline(const Timeline&) = delete;
  Timeline& operator=(const Timeline&) = delete;

  Micros now() const { return now_; }
  uint64_t steps() const { return steps_; }

  void After(Micros delay, std::function<void()> what) {
    queue_.emplace(std::pair(now_ + delay, next_++), std::move(what));
  }
  // Does what comes next; false if nothing does before `end`, which is then now.
  bool RunOne(Micros end);

  // Below `below`, which is not 0.
  uint64_t Draw(uint64_t below) { return random_() % below; }
  Micros Between(Micros low, Micros high) { return low + Draw(high - low + 1); }
  // So many in a thousand.
  bool Chance(unsigned permille) { return Draw(1'000) < permille; }

  // `line` makes the text, and runs only if somebody wants it.
  template <typename Line>
  void Trace(Line&& line) {
    if (tracing_) Keep(line());
  }
  // The last lines, oldest first.
  std::string Tail() const;

 private:
  void Keep(const std::string& line);

  std::mt19937_64 random_;
  const bool tracing_;
  const bool printing_;
  Micros now_ = 0;
  uint64_t next_ = 0;
  uint64_t steps_ = 0;
  std::map<std::pair<Micros, uint64_t>, std::function<void()>> queue_;
  std::deque<std::string> lines_;
};

// The monotonic clock of one machine, which may jump ahead.
class SimClock final : public Clock {
 public:
  explicit SimClock(const Timeline& timeline) : timeline_(timeline) {}
  MonotonicTime Now() const override {
    return MonotonicTime(std::chrono::hours(1)) + std::chrono::microseconds(timeline_.now()) +
           ahead_;
  }
  void Jump(std::chrono::microseconds by) { ahead_ += by; }

 private:
  const Timeline& timeline_;
  std::chrono::microseconds ahead_{0};
};

}  // namespace assent::simulation
