#include "adapters/resource_manager.h"
#include "participant-agent/server/server.h"
#include "coordinator/core/two_phase.h"
#include <pqxx/pqxx>
