#include "base/rpc/process.h"

#include <absl/synchronization/mutex.h>

namespace assent::rpc {

void PrepareProcess() { absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore); }

}  // namespace assent::rpc
