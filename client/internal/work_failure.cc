#include "client/internal/work_failure.h"

#include <utility>

namespace assent::client::internal {

WorkFailure Harmless(Status status) { return {.error = {.status = std::move(status)}}; }

WorkFailure Doomed(AbortCause as, const Status& status) {
  return {.error = {.status = Aborted(status.message() +
                                      "; the transaction can only roll back now, begin anew"),
                    .doomed = true},
          .as = as};
}

WorkFailure Read(const FailedCall& call, milliseconds retry_for) {
  const Failure& failure = call.last;
  if (call.unclear || !failure.answered) {
    return Doomed(AbortCause::kAgentUnreachable,
                  {Code::kAborted, failure.status.message() + " (no clear answer within " +
                                       std::to_string(retry_for.count()) +
                                       " ms; what was asked may or may not have been done)"});
  }
  switch (failure.status.code()) {
    case Code::kInvalidArgument:
    case Code::kResourceExhausted:
    case Code::kUnavailable:
      return Harmless(failure.status);  // The doors promise that nothing was done.
    case Code::kNotFound:
      if (failure.reason == v1::REASON_UNKNOWN_RESOURCE) return Harmless(failure.status);
      return Doomed(AbortCause::kBranchLost, failure.status);
    case Code::kAborted:
      return Doomed(AbortCause::kBranchVotedNo, failure.status);
    case Code::kOk:
    case Code::kCancelled:
    case Code::kUnknown:
    case Code::kDeadlineExceeded:
    case Code::kAlreadyExists:
    case Code::kPermissionDenied:
    case Code::kFailedPrecondition:
    case Code::kOutOfRange:
    case Code::kUnimplemented:
    case Code::kInternal:
    case Code::kDataLoss:
    case Code::kUnauthenticated:
      return Doomed(AbortCause::kBranchLost, failure.status);
  }
  return Doomed(AbortCause::kBranchLost, failure.status);
}

bool IsPassing(const Failure& failure) {
  switch (failure.status.code()) {
    case Code::kUnavailable:
      return true;
    case Code::kResourceExhausted:
      // Without a detail it is gRPC's own "message too large", which does not pass.
      return failure.answered;
    case Code::kCancelled:
    case Code::kUnknown:
    case Code::kInternal:
    case Code::kDeadlineExceeded:
      return !failure.answered;
    case Code::kOk:
    case Code::kInvalidArgument:
    case Code::kNotFound:
    case Code::kAlreadyExists:
    case Code::kPermissionDenied:
    case Code::kFailedPrecondition:
    case Code::kAborted:
    case Code::kOutOfRange:
    case Code::kUnimplemented:
    case Code::kDataLoss:
    case Code::kUnauthenticated:
      return false;
  }
  return false;
}

}  // namespace assent::client::internal
