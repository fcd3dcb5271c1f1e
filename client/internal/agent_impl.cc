#include "client/internal/agent_impl.h"

#include <algorithm>
#include <thread>
#include <utility>
#include <variant>

#include "client/internal/convert.h"

namespace assent::client::internal {
namespace {

// The agent ends a branch at the deadline and says so: give it time to.
constexpr milliseconds kDeadlineSlack{2'000};

std::string Remedy() { return "; the transaction can only roll back now, begin anew"; }

WorkFailure Doomed(AbortCause as, Status status) {
  return {.error = {.status = Aborted(status.message() + Remedy()), .doomed = true}, .as = as};
}

// What an agent takes in one message is 16 MiB, wrapping included.
constexpr size_t kRequestBytesMax = (16 << 20) - (64 << 10);

WorkFailure Harmless(Status status) { return {.error = {.status = std::move(status)}}; }

// `unclear`: some try may have had its effect, so nothing short of an answer is harmless.
WorkFailure Read(const Failure& failure, bool unclear, milliseconds retry_for) {
  if (unclear || !failure.answered) {
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

// Worth another try: the answer was lost on the way, or says to come back.
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

}  // namespace

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

template <typename Request, typename Reply>
std::optional<WorkFailure> AgentImpl::Call(const std::string& doing, Method<Request, Reply> method,
                                           const Request& request, Reply* reply,
                                           MonotonicTime deadline, const grpc::Status* first) {
  // gRPC would only say so after the sending, and then nobody could tell what was done.
  if (size_t bytes = request.ByteSizeLong(); first == nullptr && bytes > kRequestBytesMax) {
    return Harmless(InvalidArgument(doing + ": a request of " + std::to_string(bytes) +
                                    " bytes: at most " + std::to_string(kRequestBytesMax) +
                                    " are allowed; send it in parts"));
  }
  Tries tries;
  for (;;) {
    grpc::Status answer;
    if (first != nullptr) {
      answer = *std::exchange(first, nullptr);
    } else {
      grpc::ClientContext context;
      context.set_deadline(GrpcDeadline(Left(deadline) + kDeadlineSlack));
      reply->Clear();
      answer = (stub_.get()->*method)(&context, request, reply);
    }
    if (answer.ok()) return std::nullopt;
    Failure failure = ToFailure(answer, doing + " at agent " + options_.endpoint);
    if (!TryAgain(failure, deadline, &tries))
      return Read(failure, tries.unclear, options_.retry_for);
  }
}

std::variant<std::vector<ResultSet>, WorkFailure> ReadResults(
    const google::protobuf::RepeatedPtrField<v1::StatementResult>& results, size_t expected,
    const std::string& doing, const std::string& resource) {
  std::vector<ResultSet> sets;
  for (const v1::StatementResult& result : results) {
    if (result.has_error()) {
      const v1::StatementError& error = result.error();
      WorkFailure failure;
      failure.as = AbortCause::kBranchVotedNo;
      failure.error.resource = resource;
      failure.error.cause = FromProto(error.cause());
      failure.error.database_code = error.database_code();
      failure.error.statement = sets.size();
      failure.error.doomed = error.branch_doomed();
      std::string message = doing + ": " + std::string(BranchCauseName(failure.error.cause)) +
                            (error.database_code().empty() ? "" : " " + error.database_code()) +
                            ": " + error.message();
      failure.error.status = error.branch_doomed() ? Aborted(message + Remedy())
                                                   : FailedPrecondition(std::move(message));
      return failure;
    }
    sets.push_back(FromProto(result));
  }
  if (sets.size() == expected) return sets;
  return Doomed(
      AbortCause::kBranchLost,
      Internal(doing + ": the agent answered " + std::to_string(sets.size()) + " results for " +
               std::to_string(expected) + " statements; please report this"));
}

WorkResult<std::vector<ResultSet>> BranchImpl::Run(const std::vector<Statement>& statements) {
  MutexLock lock(mutex_);
  if (Status status = transaction_->TakesWork(); !status.ok()) {
    return WorkError{
        .status = status, .resource = resource_, .doomed = status.code() == Code::kAborted};
  }
  if (statements.empty()) return std::vector<ResultSet>();
  v1::ExecuteRequest request;
  request.set_gid(gid_);
  request.set_seq(next_seq_);
  for (const Statement& statement : statements) ToProto(statement, request.add_statements());

  const std::string doing = "Execute on branch " + gid_;
  v1::ExecuteReply reply;
  std::optional<WorkFailure> failure = agent_->Call<v1::ExecuteRequest, v1::ExecuteReply>(
      doing, &AgentImpl::Stub::Execute, request, &reply, transaction_->deadline());
  if (!failure) {
    ++next_seq_;
    auto results = ReadResults(reply.results(), statements.size(), doing, resource_);
    if (auto* sets = std::get_if<std::vector<ResultSet>>(&results)) return std::move(*sets);
    failure = std::get<WorkFailure>(std::move(results));
  }
  failure->error.resource = resource_;
  if (failure->error.doomed) transaction_->Doom(failure->as, failure->error);
  return failure->error;
}

namespace {

// One Open on its way.
struct OpenCall {
  v1::OpenRequest request;
  v1::OpenReply reply;
  grpc::ClientContext context;
  grpc::Status status;
  std::unique_ptr<grpc::ClientAsyncResponseReaderInterface<v1::OpenReply>> reader;
};

std::optional<WorkError> WhyNoOpen(TransactionImpl& transaction, const std::string& resource) {
  Status status = transaction.TakesWork();
  if (status.ok()) return std::nullopt;
  return WorkError{
      .status = status, .resource = resource, .doomed = status.code() == Code::kAborted};
}

void WriteOpen(TransactionImpl& transaction, const BranchToOpen& wanted, v1::OpenRequest* request) {
  const OpenOptions& options = wanted.options;
  request->set_gtrid(transaction.gtrid());
  request->set_resource(wanted.resource);
  request->set_open_id(transaction.NextOpenId());
  request->set_isolation(ToProto(options.isolation));
  request->set_read_only(options.read_only);
  request->set_lock_timeout_ms(
      static_cast<uint32_t>(std::clamp<int64_t>(options.lock_timeout.count(), 0, UINT32_MAX)));
  for (const Statement& statement : options.statements) {
    ToProto(statement, request->add_statements());
  }
}

// `first`: as for AgentImpl::Call.
WorkResult<std::shared_ptr<BranchImpl>> FinishOpen(
    const std::shared_ptr<TransactionImpl>& transaction, const BranchToOpen& wanted,
    const v1::OpenRequest& request, v1::OpenReply* reply, const grpc::Status* first) {
  const std::string doing = "Open of resource '" + wanted.resource + "' for " + request.gtrid();
  std::optional<WorkFailure> failure = wanted.agent->Call<v1::OpenRequest, v1::OpenReply>(
      doing, &AgentImpl::Stub::Open, request, reply, transaction->deadline(), first);
  if (!failure) {
    const size_t expected = wanted.options.statements.size();
    auto results = ReadResults(reply->results(), expected, doing, wanted.resource);
    if (auto* sets = std::get_if<std::vector<ResultSet>>(&results)) {
      // Open with statements counts as seq 1.
      return std::make_shared<BranchImpl>(transaction, wanted.agent, reply->gid(), wanted.resource,
                                          std::move(*sets), expected == 0 ? 1 : 2);
    }
    // The branch is open, but the caller gets no handle to go on with: nothing less than rolling
    // back is sure, also where the statement alone was undone.
    failure = std::get<WorkFailure>(std::move(results));
    failure->error.doomed = true;
    failure->error.status = Aborted(failure->error.status.message());
  }
  failure->error.resource = wanted.resource;
  if (failure->error.doomed) transaction->Doom(failure->as, failure->error);
  return failure->error;
}

}  // namespace

WorkResult<std::shared_ptr<BranchImpl>> OpenBranch(
    const std::shared_ptr<TransactionImpl>& transaction, const BranchToOpen& wanted) {
  if (auto error = WhyNoOpen(*transaction, wanted.resource)) return *std::move(error);
  v1::OpenRequest request;
  WriteOpen(*transaction, wanted, &request);
  v1::OpenReply reply;
  return FinishOpen(transaction, wanted, request, &reply, nullptr);
}

WorkResult<std::vector<std::shared_ptr<BranchImpl>>> OpenBranches(
    const std::shared_ptr<TransactionImpl>& transaction, std::vector<BranchToOpen> wanted) {
  std::vector<std::shared_ptr<BranchImpl>> branches;
  if (wanted.empty()) return branches;
  if (auto error = WhyNoOpen(*transaction, wanted.front().resource)) return *std::move(error);
  // The first try of each goes out before any is awaited; what has to be repeated is repeated one
  // after the other.
  grpc::CompletionQueue queue;
  std::vector<std::unique_ptr<OpenCall>> calls;
  for (const BranchToOpen& branch : wanted) {
    OpenCall& call = *calls.emplace_back(std::make_unique<OpenCall>());
    WriteOpen(*transaction, branch, &call.request);
    call.context.set_deadline(GrpcDeadline(Left(transaction->deadline()) + kDeadlineSlack));
    call.reader = branch.agent->stub().AsyncOpen(&call.context, call.request, &queue);
    call.reader->Finish(&call.reply, &call.status, &call);
  }
  for (size_t i = 0; i < calls.size(); ++i) {
    void* tag = nullptr;
    bool ok = false;
    queue.Next(&tag, &ok);
  }
  std::optional<WorkError> failed;
  for (size_t i = 0; i < calls.size(); ++i) {
    auto branch =
        FinishOpen(transaction, wanted[i], calls[i]->request, &calls[i]->reply, &calls[i]->status);
    if (branch.ok()) {
      branches.push_back(*std::move(branch));
    } else if (!failed) {
      failed = branch.error();
    }
  }
  if (!failed) return branches;
  if (!failed->doomed) {
    // Other branches are open, and the caller gets no handle to them.
    failed->doomed = true;
    failed->status = Aborted(failed->status.message() + Remedy());
    transaction->Doom(AbortCause::kBranchVotedNo, *failed);
  }
  return *std::move(failed);
}

}  // namespace assent::client::internal
