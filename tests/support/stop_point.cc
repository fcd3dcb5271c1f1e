#include "tests/support/stop_point.h"

#include <unistd.h>

#include <utility>

#include "base/check.h"

namespace assent::test_support {
namespace {

constexpr const char* kReport = "at/reached";

}  // namespace

StopPoint::StopPoint(std::string step, int visit) : step_(std::move(step)), visit_(visit) {
  ASSENT_CHECK(dir_.MakeDirForUnprivileged("at").ok());
}

Environment StopPoint::Env() const {
  return {{"ASSENT_STOP_AT", step_ + ":" + std::to_string(visit_)},
          {"ASSENT_STOP_FILE", dir_.File(kReport)}};
}

bool StopPoint::IsReached() const { return access(dir_.File(kReport).c_str(), F_OK) == 0; }

Status StopPoint::WaitReached(std::chrono::milliseconds timeout) const {
  if (WaitUntil(timeout, [this] { return IsReached(); })) return Ok();
  return DeadlineExceeded("step " + step_ + ":" + std::to_string(visit_) +
                          " was not reached within " + std::to_string(timeout.count()) + " ms");
}

void StopPoint::Release() { unlink(dir_.File(kReport).c_str()); }

}  // namespace assent::test_support
