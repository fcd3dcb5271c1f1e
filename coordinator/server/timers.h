// Timers of the driver: a sorted set, so that a finished transaction takes its timers with it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <utility>

#include "base/clock.h"
#include "base/ids.h"

namespace assent::coordinator {

enum class TimerKind {
  kDeadline,        // The transaction's own.
  kPrepareTimeout,  // Votes are awaited no longer.
  kApplyWait,       // Clients of a committed transaction wait no longer.
  kFinishGrace,     // Phase two: the application was silent for long enough.
  kResend,          // Phase two: tell again.
  kRetryHeuristic,  // The log refused a HEUR record.
  kFlushEnds,       // Write the ENDs that have gathered.
  kDrained,         // Live transactions have had their time: the lead is handed over.
  kDrawAgain,       // The log refused the group's incarnation.
  kTick,            // The group's clock for retention.
};

struct Timer {
  TimerKind kind = TimerKind::kTick;
  Gtrid gtrid;  // Unless kFlushEnds, kDrained, kDrawAgain or kTick.
};

// Not thread-safe.
class TimerQueue {
 public:
  using Id = std::pair<MonotonicTime, uint64_t>;

  Id Add(MonotonicTime when, Timer timer) {
    Id id{when, next_++};
    timers_.emplace(id, std::move(timer));
    return id;
  }
  // Fired or cancelled ones are ignored.
  void Cancel(const std::optional<Id>& id) {
    if (id) timers_.erase(*id);
  }
  std::optional<Timer> PopDue(MonotonicTime now) {
    auto first = timers_.begin();
    if (first == timers_.end() || first->first.first > now) return std::nullopt;
    Timer timer = std::move(first->second);
    timers_.erase(first);
    return timer;
  }
  // When to look again; `latest` if there is no timer before.
  MonotonicTime NextOr(MonotonicTime latest) const {
    if (timers_.empty()) return latest;
    return std::min(latest, timers_.begin()->first.first);
  }
  size_t size() const { return timers_.size(); }

 private:
  std::map<Id, Timer> timers_;
  uint64_t next_ = 0;
};

}  // namespace assent::coordinator
