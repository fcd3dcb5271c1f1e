// Full load with a dead follower: does memory, and does the log on disk, stay bounded?
#pragma once

#include <chrono>

namespace assent::bench {

// Three nodes, 512 entries in flight for `length`, one follower stopped (SIGSTOP) for the first
// half and killed for the second; the log is compacted as it grows. Prints what each living node
// holds every few seconds, and ends at the first interval without load or beyond a bound
// (log_soak.cc). 0 if there was none: what main returns.
int SoakLog(std::chrono::duration<double, std::ratio<60>> length);

}  // namespace assent::bench
