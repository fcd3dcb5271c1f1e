// Gauges of one name, told apart by a label whose values turn up while the program runs, such as
// resources. One thread adds to them; any thread reads, without a lock.
#pragma once

#include <atomic>
#include <cstddef>
#include <map>
#include <memory>
#include <string>

#include "base/metrics/counter.h"

namespace assent::metrics {

class GaugesByLabel {
 public:
  // Series are never removed, since whoever watches one would miss it. More values than this share
  // the series kOthers: what a program exposes must not grow with what it is told.
  static constexpr size_t kSeriesMax = 1'000;
  static constexpr const char* kOthers = "(others)";

  GaugesByLabel() = default;
  GaugesByLabel(const GaugesByLabel&) = delete;
  GaugesByLabel& operator=(const GaugesByLabel&) = delete;

  // The gauge of this label value, 0 at first. The reference is good for the life of this object.
  // The owner's thread only.
  Gauge& Of(const std::string& value);

  // Calls `visit(label value, gauge's value)` for each. Any thread.
  template <typename Visit>
  void ForEach(Visit&& visit) const {
    for (const Series* series = newest_.load(std::memory_order_acquire); series != nullptr;
         series = series->older) {
      visit(series->label, series->gauge.value());
    }
  }

 private:
  // Linked from the newest to the oldest, and complete before it is linked: that is all a reader
  // needs.
  struct Series {
    std::string label;
    Gauge gauge;
    const Series* older = nullptr;
  };

  std::map<std::string, std::unique_ptr<Series>> by_label_;  // The owner's thread only.
  std::atomic<const Series*> newest_{nullptr};
};

}  // namespace assent::metrics
