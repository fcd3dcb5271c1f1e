// Where the time of one transfer goes, as its worker sees it.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace assent::bench {

// The calls of a transfer, in order. Each mode makes some of them.
enum class Call : uint8_t {
  kBegin,    // Begin at the coordinator.
  kStart,    // BEGIN and XA START.
  kWork,     // Both statements in both databases; agent-held: Open, which also prepares.
  kPrepare,  // PREPARE TRANSACTION, XA END and XA PREPARE.
  kCommit,   // Commit at the coordinator.
  kFinish,   // COMMIT PREPARED and XA COMMIT, where the worker does it.
};
inline constexpr size_t kCalls = 6;
inline constexpr std::array<const char*, kCalls> kCallNames = {"Begin",   "start",  "work",
                                                               "prepare", "Commit", "finish"};

// The calls of one transfer follow each other without a gap. Not thread-safe.
class CallTimes {
 public:
  void Begin() {
    last_ = std::chrono::steady_clock::now();
    times_ = {};
  }
  // The time since the last End, or since Begin, was this call's.
  void End(Call call) {
    const auto now = std::chrono::steady_clock::now();
    times_[static_cast<size_t>(call)] += now - last_;
    last_ = now;
  }
  // Zero: not made.
  const std::array<std::chrono::nanoseconds, kCalls>& times() const { return times_; }

 private:
  std::chrono::steady_clock::time_point last_;
  std::array<std::chrono::nanoseconds, kCalls> times_{};
};

}  // namespace assent::bench
