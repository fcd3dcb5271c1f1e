#include "participant-agent/server/branch_service.h"

#include <utility>

#include "base/rpc/status.h"

namespace assent::agent {
namespace {

grpc::Status ToGrpc(const CallError& error) {
  v1::ErrorDetail detail;
  detail.set_reason(error.reason);
  detail.set_retry_delay_ms(error.retry_delay_ms);
  return rpc::ToGrpc(Status(error.code, error.message), detail);
}

// gRPC lets any thread finish a reactor, once.
std::function<void(const CallError*)> Finisher(grpc::ServerUnaryReactor* reactor) {
  return [reactor](const CallError* error) {
    reactor->Finish(error == nullptr ? grpc::Status::OK : ToGrpc(*error));
  };
}

CallError Full() {
  return {.code = Code::kResourceExhausted,
          .reason = v1::REASON_LIMIT,
          .message = "the agent has " + std::to_string(kInboxMax) +
                     " requests waiting, its maximum, or is stopping; retry",
          .retry_delay_ms = 100};
}

// A text shown in a message, cut where it gets long.
std::string Shown(const std::string& text) {
  return '"' + (text.size() <= 100 ? text : text.substr(0, 100) + "...") + '"';
}

Status CheckStatements(const google::protobuf::RepeatedPtrField<v1::Statement>& statements) {
  if (static_cast<size_t>(statements.size()) > kStatementsMax) {
    return InvalidArgument(std::to_string(statements.size()) + " statements: at most " +
                           std::to_string(kStatementsMax) + " in one call");
  }
  for (const v1::Statement& statement : statements) {
    if (statement.sql().empty()) return InvalidArgument("a statement has no sql");
    if (statement.sql().size() > kSqlBytesMax) {
      return InvalidArgument("a statement has " + std::to_string(statement.sql().size()) +
                             " bytes of sql: at most " + std::to_string(kSqlBytesMax));
    }
    if (static_cast<size_t>(statement.parameters_size()) > kParametersMax) {
      return InvalidArgument("a statement has " + std::to_string(statement.parameters_size()) +
                             " parameters: at most " + std::to_string(kParametersMax));
    }
  }
  return Ok();
}

}  // namespace

Status CheckOpen(const v1::OpenRequest& request) {
  if (auto gtrid = ParseGtrid(request.gtrid()); !gtrid.ok()) {
    return InvalidArgument("gtrid: " + gtrid.status().message());
  }
  if (!IsResourceName(request.resource())) {
    return InvalidArgument("resource is " + Shown(request.resource()) +
                           ": give a name as in the agent's configuration, at most " +
                           std::to_string(kResourceBytesMax) + " bytes");
  }
  if (request.open_id().empty() || request.open_id().size() > kOpenIdBytesMax) {
    return InvalidArgument("open_id has " + std::to_string(request.open_id().size()) +
                           " bytes: give 1 to " + std::to_string(kOpenIdBytesMax));
  }
  if (!v1::IsolationLevel_IsValid(request.isolation())) {
    return InvalidArgument("isolation is " + std::to_string(request.isolation()) +
                           ": not one that this version knows");
  }
  return CheckStatements(request.statements());
}

Status CheckExecute(const v1::ExecuteRequest& request) {
  if (auto gid = ParseGid(request.gid()); !gid.ok()) {
    return InvalidArgument("gid: " + gid.status().message());
  }
  if (request.seq() == 0) return InvalidArgument("seq is 0: the first call has 1");
  return CheckStatements(request.statements());
}

grpc::ServerUnaryReactor* BranchServiceImpl::Open(grpc::CallbackServerContext* context,
                                                  const v1::OpenRequest* request,
                                                  v1::OpenReply* reply) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  if (Status status = CheckOpen(*request); !status.ok()) {
    reactor->Finish(rpc::ToGrpc(status));
    return reactor;
  }
  OpenAsked asked{.gtrid = *ParseGtrid(request->gtrid()),
                  .call = {.request = request, .reply = reply, .done = Finisher(reactor)}};
  if (!driver_.TryPost(std::move(asked))) reactor->Finish(ToGrpc(Full()));
  return reactor;
}

grpc::ServerUnaryReactor* BranchServiceImpl::Execute(grpc::CallbackServerContext* context,
                                                     const v1::ExecuteRequest* request,
                                                     v1::ExecuteReply* reply) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  if (Status status = CheckExecute(*request); !status.ok()) {
    reactor->Finish(rpc::ToGrpc(status));
    return reactor;
  }
  ExecuteAsked asked{.gid = *ParseGid(request->gid()),
                     .call = {.request = request, .reply = reply, .done = Finisher(reactor)}};
  if (!driver_.TryPost(std::move(asked))) reactor->Finish(ToGrpc(Full()));
  return reactor;
}

}  // namespace assent::agent
