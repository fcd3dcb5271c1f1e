#include "client/internal/branch_impl.h"

#include <algorithm>
#include <variant>

#include "client/internal/convert.h"
#include "client/internal/results.h"

namespace assent::client::internal {
namespace {

std::optional<WorkError> WhyNotNow(TransactionImpl& transaction, const std::string& resource) {
  Status status = transaction.TakesWork();
  if (status.ok()) return std::nullopt;
  return WorkError{
      .status = status, .resource = resource, .doomed = status.code() == Code::kAborted};
}

}  // namespace

std::optional<WorkError> BranchImpl::WhyNoWork() {
  if (auto error = WhyNotNow(*transaction_, resource_)) return error;
  if (!prepared_) return std::nullopt;
  return WorkError{.status = FailedPrecondition("branch " + gid_ +
                                                " was prepared with its last work: it takes no "
                                                "more"),
                   .resource = resource_};
}

WorkError BranchImpl::Fail(WorkFailure failure) {
  failure.error.resource = resource_;
  if (failure.error.doomed) transaction_->Doom(failure.as, failure.error);
  return std::move(failure.error);
}

WorkResult<std::vector<ResultSet>> BranchImpl::Run(const std::vector<Statement>& statements,
                                                   bool last) {
  MutexLock lock(mutex_);
  if (auto error = WhyNoWork()) return *std::move(error);
  if (statements.empty() && !last) return std::vector<ResultSet>();
  v1::ExecuteRequest request;
  request.set_gid(gid_);
  request.set_seq(next_seq_);
  request.set_prepare(last);
  for (const Statement& statement : statements) ToProto(statement, request.add_statements());

  const std::string doing = "Execute on branch " + gid_;
  v1::ExecuteReply reply;
  auto failure = agent_->Work<v1::ExecuteRequest, v1::ExecuteReply>(
      doing, &AgentImpl::Stub::Execute, request, &reply, transaction_->deadline());
  if (failure) return Fail(*std::move(failure));
  ++next_seq_;
  auto results = ReadResults(reply.results(), statements.size(), doing);
  if (auto* failed = std::get_if<WorkFailure>(&results)) return Fail(std::move(*failed));
  prepared_ = last;
  if (auto refusal = ReadRefusal(reply.verdict(), doing)) return Fail(*std::move(refusal));
  if (reply.verdict().has_ticket()) transaction_->KeepTicket(reply.verdict().ticket());
  return std::get<std::vector<ResultSet>>(std::move(results));
}

WorkResult<StreamEnd> BranchImpl::Stream(const Statement& statement, const RowSink& sink) {
  MutexLock lock(mutex_);
  if (auto error = WhyNoWork()) return *std::move(error);
  v1::ExecuteRequest request;
  request.set_gid(gid_);
  request.set_seq(next_seq_);
  ToProto(statement, request.add_statements());
  StreamEnd end;
  try {
    if (auto failure = ReadStream(request, sink, &end)) return Fail(*std::move(failure));
  } catch (...) {  // The sink's. What the branch has done by now, nobody can tell.
    (void)Fail(Doomed(AbortCause::kClientRollback,
                      Aborted("the sink of a streamed result on branch " + gid_ + " threw")));
    throw;
  }
  return end;
}

std::optional<WorkFailure> BranchImpl::ReadStream(const v1::ExecuteRequest& request,
                                                  const RowSink& sink, StreamEnd* end) {
  const std::string doing = "ExecuteStream on branch " + gid_;
  if (Status size = agent_->CheckSize(doing, request.ByteSizeLong()); !size.ok()) {
    return Harmless(std::move(size));
  }
  grpc::ClientContext context;
  context.set_deadline(GrpcDeadline(Left(transaction_->deadline()) + AgentImpl::kDeadlineSlack));
  auto reader = agent_->stub().ExecuteStream(&context, request);
  v1::ExecutePart part;
  bool begun = false;
  bool wanted = true;
  while (reader->Read(&part)) {
    if (!begun) ++next_seq_;
    begun = true;
    for (const v1::Column& column : part.columns()) {
      end->columns.push_back({column.name(), column.type()});
    }
    for (const v1::Row& row : part.rows()) {
      ++end->rows;
      if (wanted) wanted = sink(end->columns, FromProto(row));
    }
    if (!part.end()) continue;
    // The result is whole, whatever becomes of the call's own end.
    if (part.has_error()) return ToFailure(part.error(), doing);
    end->rows_affected = part.rows_affected();
    return std::nullopt;
  }
  grpc::Status answer = reader->Finish();
  if (answer.ok()) {
    return Doomed(AbortCause::kBranchLost,
                  Internal(doing + ": the agent ended the result in its middle; please report "
                                   "this"));
  }
  Failure failure = ToFailure(answer, doing + " at agent " + agent_->options().endpoint);
  return Read(FailedCall{std::move(failure), /*unclear=*/begun}, milliseconds(0));
}

// ---- Opening ------------------------------------------------------------------------------------

namespace {

// One Open on its way.
struct OpenCall {
  v1::OpenRequest request;
  v1::OpenReply reply;
  grpc::ClientContext context;
  grpc::Status status;
  std::unique_ptr<grpc::ClientAsyncResponseReaderInterface<v1::OpenReply>> reader;
};

void WriteOpen(TransactionImpl& transaction, const BranchToOpen& wanted, v1::OpenRequest* request) {
  const OpenOptions& options = wanted.options;
  if (auto registered = transaction.TakeRegistered(wanted.resource)) {
    request->set_gid(std::move(registered->gid));
    request->set_agent_incarnation(registered->agent_incarnation);
    request->set_remaining_ms(static_cast<uint32_t>(Left(transaction.deadline()).count()));
  } else {
    request->set_gtrid(transaction.gtrid());
    request->set_resource(wanted.resource);
    request->set_open_id(transaction.NextOpenId());
  }
  request->set_isolation(ToProto(options.isolation));
  request->set_read_only(options.read_only);
  request->set_lock_timeout_ms(
      static_cast<uint32_t>(std::clamp<int64_t>(options.lock_timeout.count(), 0, UINT32_MAX)));
  for (const Statement& statement : options.statements) {
    ToProto(statement, request->add_statements());
  }
  request->set_prepare(options.prepare);
}

// `first`: as for AgentImpl::Call.
WorkResult<std::shared_ptr<BranchImpl>> FinishOpen(
    const std::shared_ptr<TransactionImpl>& transaction, const BranchToOpen& wanted,
    const v1::OpenRequest& request, v1::OpenReply* reply, const grpc::Status* first) {
  const std::string doing =
      "Open of resource '" + wanted.resource + "' for " + transaction->gtrid();
  auto failure = wanted.agent->Work<v1::OpenRequest, v1::OpenReply>(
      doing, &AgentImpl::Stub::Open, request, reply, transaction->deadline(), first);
  if (!failure) {
    const size_t expected = wanted.options.statements.size();
    auto results = ReadResults(reply->results(), expected, doing);
    auto* failed = std::get_if<WorkFailure>(&results);
    if (failed == nullptr) failure = ReadRefusal(reply->verdict(), doing);
    if (failed == nullptr && !failure) {
      if (reply->verdict().has_ticket()) transaction->KeepTicket(reply->verdict().ticket());
      // Open with statements counts as seq 1.
      return std::make_shared<BranchImpl>(
          transaction, wanted.agent,
          BranchImpl::Opened{reply->gid(), wanted.resource,
                             std::get<std::vector<ResultSet>>(std::move(results)),
                             expected == 0 ? 1u : 2u, wanted.options.prepare});
    }
    // The branch is open, but the caller gets no handle to go on with: nothing less than rolling
    // back is sure, also where the statement alone was undone.
    if (failed != nullptr) failure = std::move(*failed);
    failure->error.doomed = true;
    failure->error.status = Aborted(failure->error.status.message());
  } else if (!failure->error.doomed && !request.gid().empty()) {
    // Nothing was done: for the next.
    transaction->AddRegistered({wanted.resource, request.gid(), request.agent_incarnation()});
  }
  failure->error.resource = wanted.resource;
  if (failure->error.doomed) transaction->Doom(failure->as, failure->error);
  return failure->error;
}

}  // namespace

WorkResult<std::shared_ptr<BranchImpl>> OpenBranch(
    const std::shared_ptr<TransactionImpl>& transaction, const BranchToOpen& wanted) {
  if (auto error = WhyNotNow(*transaction, wanted.resource)) return *std::move(error);
  v1::OpenRequest request;
  WriteOpen(*transaction, wanted, &request);
  v1::OpenReply reply;
  return FinishOpen(transaction, wanted, request, &reply, nullptr);
}

WorkResult<std::vector<std::shared_ptr<BranchImpl>>> OpenBranches(
    const std::shared_ptr<TransactionImpl>& transaction, std::vector<BranchToOpen> wanted) {
  std::vector<std::shared_ptr<BranchImpl>> branches;
  if (wanted.empty()) return branches;
  if (auto error = WhyNotNow(*transaction, wanted.front().resource)) return *std::move(error);
  // The first try of each goes out before any is awaited; what has to be repeated is repeated one
  // after the other.
  grpc::CompletionQueue queue;
  std::vector<std::unique_ptr<OpenCall>> calls;
  for (const BranchToOpen& branch : wanted) {
    OpenCall& call = *calls.emplace_back(std::make_unique<OpenCall>());
    WriteOpen(*transaction, branch, &call.request);
    call.context.set_deadline(
        GrpcDeadline(Left(transaction->deadline()) + AgentImpl::kDeadlineSlack));
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
    WorkFailure doomed = Doomed(AbortCause::kBranchVotedNo, failed->status);
    failed->doomed = true;
    failed->status = doomed.error.status;
    transaction->Doom(doomed.as, *failed);
  }
  return *std::move(failed);
}

}  // namespace assent::client::internal
