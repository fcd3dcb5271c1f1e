// The doctor's checks: what must be set, and what had better be.
#pragma once

#include "adapters/mysql/connection.h"
#include "adapters/mysql/identity.h"
#include "adapters/resource_manager.h"

namespace assent::adapters::mysql {

// UNAVAILABLE if the connection is lost meanwhile.
Result<ProbeReport> RunProbe(Connection& connection, IdentityReader& identity,
                             const ConnectOptions& options);

}  // namespace assent::adapters::mysql
