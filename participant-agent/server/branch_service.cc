#include "participant-agent/server/branch_service.h"

#include <utility>

#include "base/rpc/status.h"
#include "participant-agent/server/convert.h"
#include "participant-agent/server/row_stream.h"

namespace assent::agent {
namespace {

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

// Which transaction, which resource, which call.
Status CheckWhere(const std::string& gtrid_text, const std::string& resource,
                  const std::string& open_id) {
  if (auto gtrid = ParseGtrid(gtrid_text); !gtrid.ok()) {
    return InvalidArgument("gtrid: " + gtrid.status().message());
  }
  if (!IsResourceName(resource)) {
    return InvalidArgument("resource is " + Shown(resource) +
                           ": give a name as in the agent's configuration, at most " +
                           std::to_string(kResourceBytesMax) + " bytes");
  }
  if (open_id.empty() || open_id.size() > kOpenIdBytesMax) {
    return InvalidArgument("open_id has " + std::to_string(open_id.size()) + " bytes: give 1 to " +
                           std::to_string(kOpenIdBytesMax));
  }
  return Ok();
}

// Of a branch that Begin registered: its gid says which.
Status CheckRegistered(const v1::OpenRequest& request) {
  auto gid = ParseGid(request.gid());
  if (!gid.ok()) return InvalidArgument("gid: " + gid.status().message());
  if (!request.gtrid().empty() && request.gtrid() != ToString(gid->gtrid)) {
    return InvalidArgument("gtrid is " + Shown(request.gtrid()) +
                           ", which is not that of gid: leave it empty");
  }
  if (!request.resource().empty() && request.resource() != gid->bqual.resource) {
    return InvalidArgument("resource is " + Shown(request.resource()) +
                           ", which is not that of gid: leave it empty");
  }
  if (request.remaining_ms() == 0 || request.remaining_ms() > kRemainingMsMax) {
    return InvalidArgument(
        "remaining_ms is " + std::to_string(request.remaining_ms()) +
        ": with gid, give the time left until the transaction's deadline, 1 to " +
        std::to_string(kRemainingMsMax));
  }
  if (request.agent_incarnation() == 0) {
    return InvalidArgument(
        "agent_incarnation is 0: with gid, give what stands beside it in Begin's answer");
  }
  return Ok();
}

Status CheckAppHeld(const v1::AppHeld& app_held) {
  const std::string& id = app_held.connection_id();
  if (id.size() > kConnectionIdDigitsMax ||
      id.find_first_not_of("0123456789") != std::string::npos) {
    return InvalidArgument(
        "app_held.connection_id is " + Shown(id) +
        ": give the decimal number that pg_backend_pid() or CONNECTION_ID() answers");
  }
  if (!v1::Finisher_IsValid(app_held.finisher())) {
    return InvalidArgument("app_held.finisher is " + std::to_string(app_held.finisher()) +
                           ": not one that this version knows");
  }
  return Ok();
}

}  // namespace

Status CheckOpen(const v1::OpenRequest& request) {
  if (request.gid().empty()) {
    if (Status status = CheckWhere(request.gtrid(), request.resource(), request.open_id());
        !status.ok()) {
      return status;
    }
  } else if (Status status = CheckRegistered(request); !status.ok()) {
    return status;
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

Status CheckStream(const v1::ExecuteRequest& request) {
  if (request.statements_size() != 1) {
    return InvalidArgument(std::to_string(request.statements_size()) +
                           " statements: a stream is of one");
  }
  if (request.prepare()) {
    return InvalidArgument(
        "prepare is set, and a stream carries no vote: prepare with an Execute after it, which may "
        "have no statements");
  }
  return CheckExecute(request);
}

Status CheckEnlist(const v1::EnlistRequest& request) {
  if (Status status = CheckWhere(request.gtrid(), request.resource(), request.open_id());
      !status.ok()) {
    return status;
  }
  if (!request.has_app_held()) {
    return InvalidArgument("app_held is missing: say which session prepares, and who finishes");
  }
  if (Status status = CheckAppHeld(request.app_held()); !status.ok()) return status;
  if (request.role().size() > kRoleBytesMax) {
    return InvalidArgument("role has " + std::to_string(request.role().size()) +
                           " bytes: at most " + std::to_string(kRoleBytesMax));
  }
  if (request.again().empty()) return Ok();
  auto again = ParseGid(request.again());
  if (!again.ok()) return InvalidArgument("again: " + again.status().message());
  if (ToString(again->gtrid) != request.gtrid() || again->bqual.resource != request.resource()) {
    return InvalidArgument("again is " + Shown(request.again()) +
                           ": give a gid of this gtrid and this resource");
  }
  return Ok();
}

Status CheckVote(const v1::VoteRequest& request) {
  if (auto gid = ParseGid(request.gid()); !gid.ok()) {
    return InvalidArgument("gid: " + gid.status().message());
  }
  return CheckAppHeld(request.app_held());
}

grpc::ServerUnaryReactor* BranchServiceImpl::Open(grpc::CallbackServerContext* context,
                                                  const v1::OpenRequest* request,
                                                  v1::OpenReply* reply) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  if (Status status = CheckOpen(*request); !status.ok()) {
    reactor->Finish(rpc::ToGrpc(status));
    return reactor;
  }
  OpenAsked asked{.call = {.request = request, .reply = reply, .done = Finisher(reactor)}};
  if (request->gid().empty()) {
    asked.gtrid = *ParseGtrid(request->gtrid());
  } else {
    asked.gid = *ParseGid(request->gid());
    asked.gtrid = asked.gid->gtrid;
  }
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

grpc::ServerWriteReactor<v1::ExecutePart>* BranchServiceImpl::ExecuteStream(
    grpc::CallbackServerContext*, const v1::ExecuteRequest* request) {
  const std::shared_ptr<RowStream> stream = RowStream::Begin(request);
  if (Status status = CheckStream(*request); !status.ok()) {
    stream->Fail({.code = status.code(), .message = status.message()});
  } else if (!driver_.TryPost(StreamAsked{.gid = *ParseGid(request->gid()), .stream = stream})) {
    stream->Fail(Full());
  }
  return stream.get();
}

grpc::ServerUnaryReactor* BranchServiceImpl::Enlist(grpc::CallbackServerContext* context,
                                                    const v1::EnlistRequest* request,
                                                    v1::EnlistReply* reply) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  if (Status status = CheckEnlist(*request); !status.ok()) {
    reactor->Finish(rpc::ToGrpc(status));
    return reactor;
  }
  EnlistAsked asked{.gtrid = *ParseGtrid(request->gtrid()),
                    .call = {.request = request, .reply = reply, .done = Finisher(reactor)}};
  if (!driver_.TryPost(std::move(asked))) reactor->Finish(ToGrpc(Full()));
  return reactor;
}

grpc::ServerUnaryReactor* BranchServiceImpl::Vote(grpc::CallbackServerContext* context,
                                                  const v1::VoteRequest* request,
                                                  v1::VoteReply* reply) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  if (Status status = CheckVote(*request); !status.ok()) {
    reactor->Finish(rpc::ToGrpc(status));
    return reactor;
  }
  VoteCalled asked{.gid = *ParseGid(request->gid()),
                   .call = {.request = request, .reply = reply, .done = Finisher(reactor)}};
  if (!driver_.TryPost(std::move(asked))) reactor->Finish(ToGrpc(Full()));
  return reactor;
}

}  // namespace assent::agent
