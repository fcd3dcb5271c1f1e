// The command line of assentctl.
#pragma once

#include <ostream>

#include "base/status.h"

namespace assent::ctl {

// Documented in docs/assentctl.md: scripts rely on them.
enum ExitCode : int {
  kExitOk = 0,
  kExitError = 1,          // It could not be done; standard error says why and what to do.
  kExitUsage = 2,          // The command line is wrong.
  kExitNeedsOperator = 3,  // It was answered, and something waits for a person.
};

// Says why on `err`; answers the exit code.
int Fail(const Status& status, std::ostream& err);

// Runs one command; never throws. Answers go to `out`, errors to `err`. Reads the environment
// (ASSENT_ENDPOINT, ASSENT_TLS_*) once; so not beside threads that change it.
int Run(int argc, const char* const* argv, std::ostream& out, std::ostream& err);

}  // namespace assent::ctl
