// The transport's counters on the page that a scrape reads. Apart from them, since the page knows
// Prometheus.
#pragma once

#include "base/metrics/page.h"
#include "txlog/transport/metrics.h"

namespace assent::txlog {

// Adds the assent_peer_... families to `page`. Thread-safe.
void Expose(const TransportMetrics& counters, metrics::Page& page);

}  // namespace assent::txlog
