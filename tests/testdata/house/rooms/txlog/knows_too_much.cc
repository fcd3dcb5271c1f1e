#include "assent/v1/log_records.pb.h"
#include "adapters/resource_manager.h"
#include <vector>
