// What the log tells of its own work, kept for monitors. Thread-safe.
#pragma once

#include "base/metrics/counter.h"
#include "base/metrics/histogram.h"
#include "txlog/log_observer.h"

namespace assent::coordinator {

class LogMetrics final : public txlog::LogObserver {
 public:
  void OnForced(const Forced& forced) override {
    forced_writes.Add();
    records.Add(forced.records);
    bytes.Add(forced.bytes);
    fsync_seconds.Observe(forced.took);
  }

  metrics::Counter forced_writes;
  metrics::Counter records;
  metrics::Counter bytes;
  metrics::Histogram fsync_seconds;
};

}  // namespace assent::coordinator
