#include "base/metrics/gauges_by_label.h"

#include <utility>

namespace assent::metrics {

Gauge& GaugesByLabel::Of(const std::string& value) {
  auto it = by_label_.find(value);
  if (it == by_label_.end() && by_label_.size() >= kSeriesMax && value != kOthers) {
    return Of(kOthers);
  }
  if (it == by_label_.end()) {
    auto series = std::make_unique<Series>();
    series->label = value;
    series->older = newest_.load(std::memory_order_relaxed);
    it = by_label_.emplace(value, std::move(series)).first;
    newest_.store(it->second.get(), std::memory_order_release);
  }
  return it->second->gauge;
}

}  // namespace assent::metrics
