// What a failed piece of work means for its transaction: whether the caller may go on, or can only
// roll back.
#pragma once

#include <string>

#include "client/internal/rpc.h"
#include "client/outcome.h"

namespace assent::client::internal {

// A failed piece of work, and the cause that Commit will name if it dooms the transaction.
struct WorkFailure {
  WorkError error;
  AbortCause as = AbortCause::kUnspecified;
};

// A call that was not answered with success in the end.
struct FailedCall {
  Failure last;
  // Some try may have had its effect, so nothing short of an answer is harmless.
  bool unclear = false;
};

// Nothing was done, and the transaction lives on.
WorkFailure Harmless(Status status);
// The status becomes ABORTED, with the remedy.
WorkFailure Doomed(AbortCause as, const Status& status);

// `retry_for`: how long it was tried.
WorkFailure Read(const FailedCall& call, milliseconds retry_for);

// Worth another try: the answer was lost on the way, or says to come back.
bool IsPassing(const Failure& failure);

}  // namespace assent::client::internal
