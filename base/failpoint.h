// Named stop points: ASSENT_STOP_AT=<step>[:n] makes the process report the n-th time (from 1) that
// it reaches <step>, and wait there, so that a test can kill it, or a database, at exactly that
// moment. Only in builds with ASSENT_FAILPOINTS=ON; release builds contain none of it.
#pragma once

#if defined(ASSENT_FAILPOINTS)

#include <string_view>

namespace assent::failpoint {

// If this is the step and the visit asked for: creates the file named by ASSENT_STOP_FILE with the
// step's name as content, then waits until somebody deletes that file (or kills the process). Only
// the calling thread waits. Environment is read once, at the first call. Thread-safe.
void Reached(std::string_view step);

}  // namespace assent::failpoint

#define ASSENT_FAILPOINT(step) ::assent::failpoint::Reached(step)
#else
#define ASSENT_FAILPOINT(step) ((void)0)
#endif
