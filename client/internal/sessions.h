// Runs steps on several sessions of the application at the same time.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/status.h"
#include "client/app_session.h"

namespace assent::client::internal {

// Statements for one session, in order, stopping at the first that fails.
struct SessionStep {
  AppSession session;
  std::vector<std::string> statements;
};

struct SessionEnd {
  Status status;      // Of the statement that failed, or OK.
  size_t failed = 0;  // Its index.
};

// One end for each step. Sessions that can start without waiting need no thread, and one of those
// that can't needs none either: each other one gets a thread for this time. The statements before
// the last of a step are taken to be quick.
std::vector<SessionEnd> RunAtOnce(const std::vector<SessionStep>& steps);

// Runs all of them, whatever the others answer: for giving work up, where any may be in vain.
void RunRegardless(const SessionStep& step);

}  // namespace assent::client::internal
