// Refusals that several calls of BranchService share, and how long to wait after them.
#pragma once

#include <chrono>
#include <string>

#include "participant-agent/server/events.h"

namespace assent::agent {

inline constexpr uint32_t kRetrySoonMs = 50;
inline constexpr uint32_t kRetryLaterMs = 500;

inline CallError NoLeader() {
  return {.code = Code::kUnavailable,
          .reason = v1::REASON_NOT_LEADER,
          .message = "no link to a coordinator that leads; retry",
          .retry_delay_ms = 200};
}

inline CallError KeyIsTaken(const std::string& by) {
  return {.code = Code::kInvalidArgument,
          .reason = v1::REASON_UNSPECIFIED,
          .message = "open_id is that of " + by + " of this transaction: give each its own"};
}

inline uint32_t RemainingMs(MonotonicTime deadline) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
      deadline - std::chrono::steady_clock::now());
  return left.count() < 0 ? 0 : static_cast<uint32_t>(left.count());
}

}  // namespace assent::agent
