#include <algorithm>
#include <utility>

#include "client/assent.h"
#include "client/internal/convert.h"
#include "client/internal/coordinators.h"
#include "client/internal/transaction_impl.h"

namespace assent::client {
namespace {

using internal::Coordinators;
using internal::Failure;
using std::chrono::milliseconds;

constexpr size_t kNameBytesMax = 128;
constexpr size_t kPlannedBranchesMax = 64;
constexpr milliseconds kTimeoutMax = std::chrono::hours(1);

// An unclear Begin may be repeated: it costs an id, and what it began ends at its deadline.
bool MayBeginAgain(const Failure& failure) {
  return failure.status.code() == Code::kUnavailable ||
         failure.status.code() == Code::kResourceExhausted ||
         failure.status.code() == Code::kDeadlineExceeded;
}

Status CheckName(const char* name, const std::string& value) {
  if (value.size() <= kNameBytesMax) return Ok();
  return InvalidArgument(std::string(name) + " has " + std::to_string(value.size()) +
                         " bytes; at most " + std::to_string(kNameBytesMax) + " are allowed");
}

Status CheckBegin(const BeginOptions& options) {
  if (options.timeout < milliseconds(0) || options.timeout > kTimeoutMax) {
    return InvalidArgument("timeout is " + std::to_string(options.timeout.count()) +
                           " ms; give 0 for the default, or at most 1 h");
  }
  if (Status status = CheckName("client_key", options.client_key); !status.ok()) return status;
  if (options.branches.size() > kPlannedBranchesMax) {
    return InvalidArgument("branches has " + std::to_string(options.branches.size()) +
                           " entries; at most " + std::to_string(kPlannedBranchesMax) +
                           " are allowed; Open or Enlist the others");
  }
  return CheckName("label", options.label);
}

// Takes in the branches that Begin registered, and begins those of our own sessions.
Status TakeRegistered(const BeginOptions& options, const v1::BeginReply& reply,
                      internal::TransactionImpl* transaction) {
  for (size_t i = 0; i < options.branches.size(); ++i) {
    const PlannedBranch& planned = options.branches[i];
    v1::RegisteredBranch branch;
    if (i < static_cast<size_t>(reply.branches_size())) {
      branch = reply.branches(static_cast<int>(i));
    }
    if (!planned.session) {
      // Without a gid it was not registered (several agents serve the resource): Open does it.
      if (!branch.gid().empty()) {
        transaction->AddRegistered({planned.resource, branch.gid(), branch.agent_incarnation()});
      }
      continue;
    }
    if (branch.gid().empty() || !branch.has_statements()) {
      return Status(Code::kUnimplemented,
                    "the coordinator has not registered the app-held branch on '" +
                        planned.resource +
                        "' with Begin: it is older than this library; use Enlist instead");
    }
    transaction->Hold(std::make_shared<internal::AppBranchImpl>(
        internal::AppBranchImpl::Identity{branch.gid(), planned.resource, branch.kind(),
                                          branch.statements()},
        *planned.session, planned.finisher.value_or(Finisher::kApp)));
  }
  auto failure = internal::BeginAll(transaction->held());
  if (!failure) return Ok();
  transaction->Doom(failure->as, failure->error);
  return failure->error.status;
}

CommitResult Ask(Coordinators& coordinators, const std::string& gtrid,
                 const Coordinators::Patience& patience) {
  v1::GetRequest request;
  request.set_gtrid(gtrid);
  v1::GetReply reply;
  Failure failure = coordinators.Call<v1::GetRequest, v1::GetReply>(
      "Get", &Coordinators::Stub::Get, request, &reply, patience, [](const v1::GetReply& r) {
        return internal::FromProto(r.transaction().outcome()) != Outcome::kUnknown;
      });
  if (failure.status.ok()) return internal::FromProto(reply.transaction());
  CommitResult result;
  result.why_unknown = failure.status;
  return result;
}

}  // namespace

Result<Client> Client::Connect(ClientOptions options) {
  auto coordinators = Coordinators::Make(std::move(options));
  if (!coordinators.ok()) return coordinators.status();
  return Client(*std::move(coordinators));
}

Result<Transaction> Client::Begin(BeginOptions options) {
  if (Status status = CheckBegin(options); !status.ok()) return status;
  v1::BeginRequest request;
  request.set_timeout_ms(static_cast<uint32_t>(options.timeout.count()));
  request.set_client_key(options.client_key);
  request.set_label(options.label);
  for (const PlannedBranch& planned : options.branches) {
    v1::BranchRequest* branch = request.add_branches();
    branch->set_resource(planned.resource);
    if (!planned.session) continue;
    internal::ToProto(*planned.session, planned.finisher.value_or(Finisher::kApp),
                      branch->mutable_app_held());
  }
  impl_->reports().Take(request.mutable_finished());
  v1::BeginReply reply;
  Failure failure = impl_->Call<v1::BeginRequest, v1::BeginReply>(
      "Begin", &Coordinators::Stub::Begin, request, &reply,
      {std::chrono::steady_clock::now() + impl_->options().begin_retry_for, MayBeginAgain},
      [](const v1::BeginReply&) { return true; });
  if (!failure.status.ok()) {
    impl_->reports().PutBack(request.finished());
    if (failure.gtrid.empty()) return failure.status;
    return Status(failure.status.code(),
                  failure.status.message() + " (live transaction: " + failure.gtrid + ")");
  }
  using Origin = internal::TransactionImpl::Origin;
  const bool committed = reply.outcome() == v1::OUTCOME_COMMITTED;
  auto impl = std::make_shared<internal::TransactionImpl>(
      impl_, reply.gtrid(), std::chrono::steady_clock::now() + milliseconds(reply.remaining_ms()),
      committed ? Origin::kCommittedBefore : Origin::kBegun);
  Transaction transaction(impl);  // If it is not handed out, it is rolled back.
  if (committed || options.branches.empty()) return transaction;
  if (Status begun = TakeRegistered(options, reply, impl.get()); !begun.ok()) return begun;
  return transaction;
}

Transaction Client::Join(const TransactionContext& context) {
  return Transaction(std::make_shared<internal::TransactionImpl>(
      impl_, context.gtrid(), std::chrono::steady_clock::now() + context.remaining(),
      internal::TransactionImpl::Origin::kJoined));
}

CommitResult Client::OutcomeOf(const std::string& gtrid) {
  return Ask(*impl_, gtrid,
             {std::chrono::steady_clock::now() + impl_->options().try_timeout,
              internal::MayAskAgain, impl_->node_count()});
}

CommitResult Client::Resolve(const std::string& gtrid, milliseconds wait) {
  return Ask(*impl_, gtrid, {std::chrono::steady_clock::now() + wait, internal::MayAskAgain});
}

}  // namespace assent::client
