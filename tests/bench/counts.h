// What the programs and the databases have counted.
#pragma once

#include <string>

#include "base/status.h"
#include "tests/bench/figures.h"
#include "tests/support/deployment.h"

namespace assent::bench {

// Since each was started: protocol messages on the agents' links, the gRPC messages that carried
// them, and forced writes of the coordinator's log (all three by the /metrics of assentd, and left
// out where it has none); forced writes of either database. UNAVAILABLE: one could not be asked.
Result<Figures> ReadCounts(const test_support::Deployment& deployment);

// The sum of all series of a counter in a page of Prometheus' text format. 0 if there are none.
double SumOf(const std::string& page, const std::string& counter);

}  // namespace assent::bench
