// The names under which a coordinator's metrics are exposed (docs/metrics.md lists them), and what
// its health is read from.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/metrics/page.h"
#include "base/rpc/link_metrics.h"
#include "coordinator/server/driver_metrics.h"
#include "coordinator/server/log_metrics.h"

namespace assent::coordinator {

void Expose(const DriverMetrics& metrics, metrics::Page& page);
void Expose(const LogMetrics& metrics, metrics::Page& page);
// `driver_queue`: what waits for the driver now.
void ExposeQueues(const DriverMetrics& metrics, size_t driver_queue, metrics::Page& page);

// Why this node does not serve, a sentence each; empty: it leads, and has applied its own term's
// entry.
std::vector<std::string> WhyNotServing(const DriverMetrics& metrics);

}  // namespace assent::coordinator
