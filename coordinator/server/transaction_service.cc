#include "coordinator/server/transaction_service.h"

#include <string>
#include <utility>

#include "coordinator/server/call.h"

namespace assent::coordinator {
namespace {

Status CheckLength(const std::string& field, const std::string& value, size_t max) {
  if (value.size() <= max) return Ok();
  return InvalidArgument(field + " has " + std::to_string(value.size()) + " bytes, at most " +
                         std::to_string(max) + " are allowed: '" + value.substr(0, 32) + "...'");
}

}  // namespace

grpc::ServerUnaryReactor* TransactionService::Begin(grpc::CallbackServerContext* context,
                                                    const v1::BeginRequest* request,
                                                    v1::BeginReply* reply) {
  auto* reactor = context->DefaultReactor();
  Status key = CheckLength("client_key", request->client_key(), kClientKeyBytesMax);
  if (!key.ok()) return Refuse(reactor, key);
  Status label = CheckLength("label", request->label(), kLabelBytesMax);
  if (!label.ok()) return Refuse(reactor, label);
  Result<std::vector<BranchAsked>> branches = FromProto(request->branches());
  if (!branches.ok()) return Refuse(reactor, branches.status());
  Result<std::vector<Gid>> finished = FromProto("finished", request->finished());
  if (!finished.ok()) return Refuse(reactor, finished.status());
  return Forward(driver_, reactor,
                 BeginCall{.timeout = std::chrono::milliseconds(request->timeout_ms()),
                           .client_key = request->client_key(),
                           .label = request->label(),
                           .branches = std::move(*branches),
                           .finished = std::move(*finished),
                           .reply = Finisher<BeginAnswer>(reactor, reply)});
}

grpc::ServerUnaryReactor* TransactionService::Commit(grpc::CallbackServerContext* context,
                                                     const v1::CommitRequest* request,
                                                     v1::CommitReply* reply) {
  auto* reactor = context->DefaultReactor();
  Result<Gtrid> gtrid = ParseGtrid(request->gtrid());
  if (!gtrid.ok()) return Refuse(reactor, gtrid.status());
  if (request->acknowledgement() < v1::ACKNOWLEDGEMENT_UNSPECIFIED ||
      request->acknowledgement() > v1::ACKNOWLEDGEMENT_APPLIED) {
    return Refuse(reactor,
                  InvalidArgument("acknowledgement " + std::to_string(request->acknowledgement()) +
                                  ": must be DECIDED (1) or APPLIED (2)"));
  }
  Result<std::vector<Ticket>> tickets = FromProto(request->tickets());
  if (!tickets.ok()) return Refuse(reactor, tickets.status());
  Result<std::vector<Gid>> finished = FromProto("finished", request->finished());
  if (!finished.ok()) return Refuse(reactor, finished.status());
  return Forward(
      driver_, reactor,
      CommitCall{.gtrid = std::move(*gtrid),
                 .wait_for_applied = request->acknowledgement() != v1::ACKNOWLEDGEMENT_DECIDED,
                 .tickets = std::move(*tickets),
                 .finished = std::move(*finished),
                 .reply = Finisher<CommitAnswer>(reactor, reply)});
}

grpc::ServerUnaryReactor* TransactionService::ReportFinished(
    grpc::CallbackServerContext* context, const v1::ReportFinishedRequest* request,
    v1::ReportFinishedReply* reply) {
  auto* reactor = context->DefaultReactor();
  Result<std::vector<Gid>> gids = FromProto("gids", request->gids());
  if (!gids.ok()) return Refuse(reactor, gids.status());
  return Forward(driver_, reactor,
                 ReportCall{std::move(*gids), Finisher<ReportAnswer>(reactor, reply)});
}

grpc::ServerUnaryReactor* TransactionService::Rollback(grpc::CallbackServerContext* context,
                                                       const v1::RollbackRequest* request,
                                                       v1::RollbackReply* reply) {
  auto* reactor = context->DefaultReactor();
  Result<Gtrid> gtrid = ParseGtrid(request->gtrid());
  if (!gtrid.ok()) return Refuse(reactor, gtrid.status());
  return Forward(driver_, reactor,
                 RollbackCall{std::move(*gtrid), Finisher<RollbackAnswer>(reactor, reply)});
}

grpc::ServerUnaryReactor* TransactionService::Get(grpc::CallbackServerContext* context,
                                                  const v1::GetRequest* request,
                                                  v1::GetReply* reply) {
  auto* reactor = context->DefaultReactor();
  Result<Gtrid> gtrid = ParseGtrid(request->gtrid());
  if (!gtrid.ok()) return Refuse(reactor, gtrid.status());
  return Forward(driver_, reactor,
                 GetCall{std::move(*gtrid), Finisher<TransactionView>(reactor, reply)});
}

grpc::ServerUnaryReactor* TransactionService::List(grpc::CallbackServerContext* context,
                                                   const v1::ListRequest* request,
                                                   v1::ListReply* reply) {
  auto* reactor = context->DefaultReactor();
  ListCall call{.limit = request->limit() == 0 ? kListDefault : request->limit(),
                .reply = Finisher<ListAnswer>(reactor, reply)};
  if (call.limit > kListMax) {
    return Refuse(reactor,
                  InvalidArgument("limit " + std::to_string(call.limit) + ": at most " +
                                  std::to_string(kListMax) + " at once; go on with `after`"));
  }
  for (int state : request->states()) {
    if (state < v1::STATE_ACTIVE || state > v1::STATE_EXPIRED) {
      return Refuse(reactor, InvalidArgument("state " + std::to_string(state) +
                                             " is none of assent.v1.State"));
    }
    call.states.push_back(static_cast<ViewState>(state));
  }
  if (!request->after().empty()) {
    Result<Gtrid> after = ParseGtrid(request->after());
    if (!after.ok()) return Refuse(reactor, after.status());
    call.after = std::move(*after);
  }
  return Forward(driver_, reactor, std::move(call));
}

}  // namespace assent::coordinator
