// A leader that stands still while the others go on without it, and wakes to old questions: what it
// answers then must not contradict them.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "base/status.h"
#include "tests/support/deployment.h"
#include "tests/system/probe.h"

namespace assent::system_tests {

struct ThawedLeader {
  // Wrong answers, one text each.
  std::vector<std::string> stale;
  // From SIGSTOP on.
  std::chrono::milliseconds next_commit{};
  test_support::AssentdProcess* node = nullptr;

  // Freezes the leader with a transaction at work, calls `then`, lets the others commit a
  // transaction, asks the frozen node about both so that the questions lie in its sockets, and
  // thaws it. Waits until it has stepped down. Errors: nobody leads or commits, or it does not step
  // down.
  static Result<ThawedLeader> Ask(test_support::Deployment& house, Probe& probe,
                                  const std::function<void(test_support::AssentdProcess&)>& then);
};

}  // namespace assent::system_tests
