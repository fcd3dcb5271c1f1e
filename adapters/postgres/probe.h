// The doctor's checks.
#pragma once

#include "adapters/postgres/connection.h"
#include "adapters/resource_manager.h"

namespace assent::adapters::postgres {

Result<ProbeReport> ProbeServer(Connection& connection, const ConnectOptions& options);

}  // namespace assent::adapters::postgres
