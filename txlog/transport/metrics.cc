#include "txlog/transport/metrics.h"

#include <utility>

namespace assent::txlog {

PeerCounters& TransportMetrics::Of(MemberId member) {
  // No member has the id 0.
  if (by_member_.size() >= kSeriesMax && !by_member_.contains(member)) member = 0;
  std::unique_ptr<Series>& series = by_member_[member];
  if (!series) {
    series = std::make_unique<Series>();
    series->label = member == 0 ? "(others)" : std::to_string(member);
    series->older = newest_.load(std::memory_order_relaxed);
    newest_.store(series.get(), std::memory_order_release);
  }
  return series->counters;
}

}  // namespace assent::txlog
