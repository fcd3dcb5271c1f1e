#include "base/ids.h"
#include "base/log.h"
#include "coordinator/core/impure.h"
#include "coordinator/server/driver.h"
#include <chrono>
#include <mutex>
#include <sys/socket.h>
#include <vector>
// Asking for Now() in a comment is no harm.
auto start = std::chrono::steady_clock::now();
