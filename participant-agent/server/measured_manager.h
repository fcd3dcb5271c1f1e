// A resource manager that counts and times each verb of another one: no caller needs to.
#pragma once

#include <memory>

#include "adapters/resource_manager.h"
#include "participant-agent/server/agent_metrics.h"

namespace assent::agent {

// `metrics` must outlive the answer and every session that it opens. Every virtual function of
// resource_manager.h is passed on; one that is added there must be added here.
std::unique_ptr<adapters::ResourceManager> Measured(
    std::unique_ptr<adapters::ResourceManager> manager, ResourceMetrics& metrics);

}  // namespace assent::agent
