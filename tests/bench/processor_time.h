// Processor time by program, from /proc.
#pragma once

#include <string>

#include "base/status.h"
#include "tests/bench/figures.h"
#include "tests/support/deployment.h"

namespace assent::bench {

// Microseconds of processor time, in user and in kernel mode, that the bench itself, assentd, each
// agent and each database (with all of its processes) have used since they started. In the kernel's
// ticks, usually of 10 ms. NOT_FOUND: a process is gone.
Result<Figures> ReadProcessorTime(const test_support::Deployment& deployment);

// Ticks that a /proc/PID/stat tells: of the process with all its threads, and of its children that
// were waited for. INVALID_ARGUMENT: it is no such text.
struct Ticks {
  long own = 0;
  long ended_children = 0;
};
Result<Ticks> ParseStat(const std::string& stat);

}  // namespace assent::bench
