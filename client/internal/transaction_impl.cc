#include "client/internal/transaction_impl.h"

#include <utility>

#include "base/random.h"
#include "client/internal/convert.h"

namespace assent::client::internal {
namespace {

template <typename Reply>
bool IsSettled(const Reply& reply) {
  return FromProto(reply.outcome()) != Outcome::kUnknown;
}

CommitResult UnknownBecause(const Failure& failure) {
  CommitResult result;
  result.why_unknown = failure.status;
  return result;
}

}  // namespace

bool MayAskAgain(const Failure& failure) {
  switch (failure.status.code()) {
    case Code::kInvalidArgument:
    case Code::kFailedPrecondition:
    case Code::kPermissionDenied:
    case Code::kUnauthenticated:
    case Code::kUnimplemented:
      return false;
    case Code::kOk:
    case Code::kCancelled:
    case Code::kUnknown:
    case Code::kDeadlineExceeded:
    case Code::kNotFound:
    case Code::kAlreadyExists:
    case Code::kResourceExhausted:
    case Code::kAborted:
    case Code::kOutOfRange:
    case Code::kInternal:
    case Code::kUnavailable:
    case Code::kDataLoss:
      return true;  // Anything unforeseen leaves the outcome in doubt: ask.
  }
  return true;
}

TransactionImpl::TransactionImpl(std::shared_ptr<Coordinators> coordinators, std::string gtrid,
                                 MonotonicTime deadline, bool already_committed)
    : coordinators_(std::move(coordinators)),
      gtrid_(std::move(gtrid)),
      deadline_(deadline),
      already_committed_(already_committed) {}

Status TransactionImpl::TakesWork() {
  MutexLock lock(mutex_);
  if (already_committed_) {
    return FailedPrecondition(
        "transaction " + gtrid_ +
        " was committed before under this client key: there is nothing to do");
  }
  if (ended_) {
    return FailedPrecondition("transaction " + gtrid_ +
                              " takes no more work: Commit or Rollback was called; begin another");
  }
  if (doom_) {
    return Aborted("transaction " + gtrid_ +
                   " can only roll back now: " + doom_->error.status.message());
  }
  return Ok();
}

std::string TransactionImpl::NextOpenId() {
  MutexLock lock(mutex_);
  if (open_id_prefix_.empty()) open_id_prefix_ = RandomUuid();
  return open_id_prefix_ + "." + std::to_string(++opens_);
}

void TransactionImpl::Doom(AbortCause as, const WorkError& error) {
  MutexLock lock(mutex_);
  if (!doom_) doom_ = DoomReason{as, error};
}

std::optional<WorkError> TransactionImpl::failure() {
  MutexLock lock(mutex_);
  if (!doom_) return std::nullopt;
  return doom_->error;
}

CommitResult TransactionImpl::Commit(const CommitOptions& options) {
  bool rolls_back = false;
  {
    MutexLock lock(mutex_);
    if (final_) return *final_;
    ended_ = true;
    // Once a Rollback was sent, a later Commit must not be: work may be missing.
    rolls_back = rolls_back_ = rolls_back_ || doom_.has_value();
  }
  if (already_committed_) {
    CommitResult result;
    result.outcome = Outcome::kCommitted;
    return Keep(result);
  }
  return Keep(rolls_back ? SendRollback(options.retry_for) : SendCommit(options));
}

CommitResult TransactionImpl::Rollback(milliseconds retry_for) {
  {
    MutexLock lock(mutex_);
    if (final_) return *final_;
    ended_ = true;
    rolls_back_ = true;
  }
  if (already_committed_) return Commit({});
  return Keep(SendRollback(retry_for));
}

void TransactionImpl::Abandon() {
  {
    MutexLock lock(mutex_);
    // After a Commit that ended unknown the outcome is the caller's to find out, not ours to
    // change.
    if (ended_ || already_committed_) return;
    ended_ = true;
    rolls_back_ = true;
  }
  (void)SendRollback(coordinators_->options().destructor_timeout);
}

CommitResult TransactionImpl::SendCommit(const CommitOptions& options) {
  v1::CommitRequest request;
  request.set_gtrid(gtrid_);
  request.set_acknowledgement(options.ack == Acknowledgement::kDecided
                                  ? v1::ACKNOWLEDGEMENT_DECIDED
                                  : v1::ACKNOWLEDGEMENT_APPLIED);
  v1::CommitReply reply;
  Failure failure = coordinators_->Call<v1::CommitRequest, v1::CommitReply>(
      "Commit", &Coordinators::Stub::Commit, request, &reply,
      {std::chrono::steady_clock::now() + options.retry_for, MayAskAgain}, IsSettled);
  return failure.status.ok() ? FromProto(reply) : UnknownBecause(failure);
}

CommitResult TransactionImpl::SendRollback(milliseconds retry_for) {
  v1::RollbackRequest request;
  request.set_gtrid(gtrid_);
  v1::RollbackReply reply;
  Failure failure = coordinators_->Call<v1::RollbackRequest, v1::RollbackReply>(
      "Rollback", &Coordinators::Stub::Rollback, request, &reply,
      {std::chrono::steady_clock::now() + retry_for, MayAskAgain}, IsSettled);
  return failure.status.ok() ? FromProto(reply) : UnknownBecause(failure);
}

CommitResult TransactionImpl::Keep(CommitResult result) {
  MutexLock lock(mutex_);
  // The coordinator knows at most that Rollback was called; what made the library call it is known
  // here. A restart of the coordinator explains a lost branch, but not a failed statement.
  const AbortCause told = result.abort.cause;
  if (result.aborted() && doom_ &&
      (told == AbortCause::kClientRollback || told == AbortCause::kUnspecified ||
       (told == AbortCause::kPresumed && doom_->as == AbortCause::kBranchVotedNo))) {
    const WorkError& error = doom_->error;
    result.abort = {doom_->as, error.resource, error.cause, error.database_code,
                    error.status.message()};
  }
  if (!result.unknown()) final_ = result;
  return result;
}

}  // namespace assent::client::internal
