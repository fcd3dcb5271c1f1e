#include "client/internal/transaction_impl.h"

#include <algorithm>
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

Status TransactionImpl::TakesWork() {
  MutexLock lock(mutex_);
  if (already_committed()) {
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

void TransactionImpl::AddRegistered(RegisteredBranch branch) {
  MutexLock lock(mutex_);
  registered_.push_back(std::move(branch));
}

std::optional<RegisteredBranch> TransactionImpl::TakeRegistered(const std::string& resource) {
  MutexLock lock(mutex_);
  auto it = std::ranges::find(registered_, resource, &RegisteredBranch::resource);
  if (it == registered_.end()) return std::nullopt;
  RegisteredBranch branch = std::move(*it);
  registered_.erase(it);
  return branch;
}

void TransactionImpl::KeepTicket(v1::Ticket ticket) {
  MutexLock lock(mutex_);
  std::erase_if(tickets_, [&](const v1::Ticket& old) { return old.gid() == ticket.gid(); });
  tickets_.push_back(std::move(ticket));
}

// ---- App-held branches --------------------------------------------------------------------------

void TransactionImpl::Hold(std::shared_ptr<AppBranchImpl> branch, const std::string& again) {
  AppBranches replaced;
  {
    MutexLock lock(mutex_);
    auto old = std::ranges::find_if(
        held_, [&](const auto& held) { return !again.empty() && held->gid() == again; });
    if (old != held_.end()) {
      replaced.push_back(std::move(*old));
      held_.erase(old);
    }
    std::erase_if(tickets_, [&](const v1::Ticket& ticket) { return ticket.gid() == again; });
    held_.push_back(std::move(branch));
  }
  AbandonAll(replaced);
  (void)FinishAll(replaced, Outcome::kAborted);
}

AppBranches TransactionImpl::held() {
  MutexLock lock(mutex_);
  return held_;
}

std::optional<WorkFailure> TransactionImpl::Prepare(const AppBranches& branches) {
  if (Status status = TakesWork(); !status.ok()) {
    return WorkFailure{.error = {.status = status, .doomed = status.code() == Code::kAborted}};
  }
  return PrepareAll(branches);
}

Status TransactionImpl::Finish(const AppBranches& branches, Outcome outcome) {
  FinishEnd end = FinishAll(branches, outcome);
  for (std::string& gid : end.committed) coordinators_->reports().Add(std::move(gid));
  return end.failed;
}

// ---- Roll-back-only -----------------------------------------------------------------------------

void TransactionImpl::Doom(AbortCause as, const WorkError& error) {
  MutexLock lock(mutex_);
  if (!doom_) doom_ = DoomReason{as, error};
}

std::optional<WorkError> TransactionImpl::failure() {
  MutexLock lock(mutex_);
  if (!doom_) return std::nullopt;
  return doom_->error;
}

void TransactionImpl::RollbackOnly(std::string why) {
  Doom(AbortCause::kClientRollback, {.status = Aborted(std::move(why)), .doomed = true});
  if (!joined()) return;
  {
    MutexLock lock(mutex_);
    if (final_) return;
  }
  (void)Keep(EndByRollback(coordinators_->options().destructor_timeout));
}

// ---- The end ------------------------------------------------------------------------------------

std::optional<CommitResult> TransactionImpl::Settled() {
  if (final_) return final_;
  CommitResult result;
  if (already_committed()) {
    result.outcome = Outcome::kCommitted;
    return result;
  }
  if (joined()) {
    result.why_unknown = FailedPrecondition(
        "transaction " + gtrid_ +
        " was joined: only who began it may end it; use RollbackOnly to make "
        "sure that it is not committed, and Client::Resolve to learn of its end");
    return result;
  }
  return std::nullopt;
}

CommitResult TransactionImpl::Commit(const CommitOptions& options) {
  bool doomed = false;
  {
    MutexLock lock(mutex_);
    if (auto settled = Settled()) return *settled;
    ended_ = true;
    doomed = rolls_back_ || doom_;
  }
  if (!doomed) {
    if (auto failure = PrepareAll(held())) Doom(failure->as, failure->error);
  }
  {
    MutexLock lock(mutex_);
    // Once a Rollback was sent, a later Commit must not be: work may be missing.
    doomed = rolls_back_ = rolls_back_ || doom_.has_value();
  }
  if (doomed) return Keep(EndByRollback(options.retry_for));
  const MonotonicTime give_up_at = std::chrono::steady_clock::now() + options.retry_for;
  return Keep(EndOwn(SendCommit(options.ack, give_up_at), options.ack, give_up_at));
}

CommitResult TransactionImpl::Rollback(milliseconds retry_for) {
  {
    MutexLock lock(mutex_);
    if (auto settled = Settled()) return *settled;
    ended_ = true;
    rolls_back_ = true;
  }
  return Keep(EndByRollback(retry_for));
}

void TransactionImpl::Abandon() {
  if (joined()) {
    // A failed PREPARE or a vote of no was not made good by another attempt.
    if (auto failure = FirstFailure(held())) Doom(failure->as, failure->error);
    if (AbandonAll(held())) {
      Doom(AbortCause::kClientRollback,
           {.status = Aborted("an app-held branch was left without Prepare"), .doomed = true});
    }
  }
  {
    MutexLock lock(mutex_);
    // After a Commit that ended unknown the outcome is the caller's to find out, not ours to
    // change. Of a joined transaction only a failure is told, so that no part of it is committed.
    if (ended_ || final_ || already_committed() || (joined() && !doom_)) return;
    ended_ = true;
    rolls_back_ = true;
  }
  (void)EndByRollback(coordinators_->options().destructor_timeout);
}

CommitResult TransactionImpl::EndByRollback(milliseconds retry_for) {
  AbandonAll(held());
  return EndOwn(SendRollback(retry_for), Acknowledgement::kDecided, {});
}

CommitResult TransactionImpl::EndOwn(CommitResult result, Acknowledgement ack,
                                     MonotonicTime give_up_at) {
  FinishEnd end = FinishAll(held(), result.outcome);
  if (!result.committed() || end.committed.empty()) return result;
  auto forget_ours = [&] {
    return std::erase_if(result.pending, [&](const PendingBranch& branch) {
      return std::ranges::find(end.committed, branch.gid) != end.committed.end();
    });
  };
  const bool all_told = forget_ours() > 0;
  for (const std::string& gid : end.committed) coordinators_->reports().Add(gid);
  if (all_told && result.pending.empty()) result.applied = !result.heuristic;
  // The coordinator did not wait for the others while it waited for us. Where one of ours failed it
  // would not wait either.
  if (result.applied || result.pending.empty() || !end.failed.ok() ||
      ack != Acknowledgement::kApplied) {
    return result;
  }
  CommitResult again = SendCommit(ack, give_up_at);
  if (!again.committed()) return result;
  result = std::move(again);
  forget_ours();
  return result;
}

CommitResult TransactionImpl::SendCommit(Acknowledgement ack, MonotonicTime give_up_at) {
  v1::CommitRequest request;
  request.set_gtrid(gtrid_);
  request.set_acknowledgement(ack == Acknowledgement::kDecided ? v1::ACKNOWLEDGEMENT_DECIDED
                                                               : v1::ACKNOWLEDGEMENT_APPLIED);
  {
    MutexLock lock(mutex_);
    request.mutable_tickets()->Assign(tickets_.begin(), tickets_.end());
  }
  coordinators_->reports().Take(request.mutable_finished());
  v1::CommitReply reply;
  Failure failure = coordinators_->Call<v1::CommitRequest, v1::CommitReply>(
      "Commit", &Coordinators::Stub::Commit, request, &reply, {give_up_at, MayAskAgain}, IsSettled);
  if (failure.status.ok()) return FromProto(reply);
  coordinators_->reports().PutBack(request.finished());
  return UnknownBecause(failure);
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
