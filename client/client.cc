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
  return CheckName("label", options.label);
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
  v1::BeginReply reply;
  Failure failure = impl_->Call<v1::BeginRequest, v1::BeginReply>(
      "Begin", &Coordinators::Stub::Begin, request, &reply,
      {std::chrono::steady_clock::now() + impl_->options().begin_retry_for, MayBeginAgain},
      [](const v1::BeginReply&) { return true; });
  if (!failure.status.ok()) {
    if (failure.gtrid.empty()) return failure.status;
    return Status(failure.status.code(),
                  failure.status.message() + " (live transaction: " + failure.gtrid + ")");
  }
  return Transaction(std::make_shared<internal::TransactionImpl>(
      impl_, reply.gtrid(), std::chrono::steady_clock::now() + milliseconds(reply.remaining_ms()),
      reply.outcome() == v1::OUTCOME_COMMITTED));
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
