#include "client/internal/agent_impl.h"

#include <algorithm>
#include <thread>

namespace assent::client::internal {

Status AgentImpl::CheckSize(const std::string& doing, size_t bytes) const {
  if (bytes <= kRequestBytesMax) return Ok();
  return InvalidArgument(doing + ": a request of " + std::to_string(bytes) + " bytes: at most " +
                         std::to_string(kRequestBytesMax) + " are allowed; send it in parts");
}

bool AgentImpl::TryAgain(const Failure& failure, MonotonicTime deadline, Tries* tries) const {
  if (!failure.answered) tries->unclear = true;
  if (!IsPassing(failure)) return false;
  auto now = std::chrono::steady_clock::now();
  if (!tries->give_up_at) {
    tries->give_up_at = std::min(now + options_.retry_for, deadline + kDeadlineSlack);
  }
  milliseconds delay = tries->backoff.Next(failure.retry_delay);
  if (now + delay >= *tries->give_up_at) return false;
  std::this_thread::sleep_for(delay);
  return true;
}

}  // namespace assent::client::internal
