// A named stop point (base/failpoint.h) in a process under test: the process stops there, and the
// test kills it, or a database, or lets it go on.
#pragma once

#include <chrono>
#include <string>

#include "base/status.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace assent::test_support {

// One stop of one process: give Environment() to its Spawn. Works for programs that run as the
// unprivileged user too. Not thread-safe.
class StopPoint {
 public:
  // Stops the `visit`-th time (from 1) that the process reaches `step`.
  explicit StopPoint(std::string step, int visit = 1);
  StopPoint(const StopPoint&) = delete;
  StopPoint& operator=(const StopPoint&) = delete;

  Environment Env() const;
  bool IsReached() const;
  // DEADLINE_EXCEEDED: not reached in time, or a build without ASSENT_FAILPOINTS; names the step.
  Status WaitReached(std::chrono::milliseconds timeout) const;
  // Lets the stopped thread go on. A step that is not reached yet will still stop.
  void Release();

  const std::string& step() const { return step_; }

 private:
  std::string step_;
  int visit_;
  TempDir dir_;
};

}  // namespace assent::test_support
