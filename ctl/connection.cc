#include "ctl/connection.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/rpc/connect_hint.h"
#include "base/rpc/status.h"

namespace assent::ctl {
namespace {

constexpr uint32_t kPageMax = 1000;  // ListRequest.limit.

Status CheckEndpoint(const std::string& endpoint) {
  if (endpoint.starts_with("unix:") && endpoint.size() > 5) return Ok();
  size_t colon = endpoint.rfind(':');
  if (colon != std::string::npos && colon > 0) {
    int port = 0;
    const char* end = endpoint.data() + endpoint.size();
    auto parsed = std::from_chars(endpoint.data() + colon + 1, end, port);
    if (parsed.ec == std::errc() && parsed.ptr == end && port >= 1 && port <= 65535) return Ok();
  }
  return InvalidArgument("endpoint '" + endpoint +
                         "' is not of the form host:port, such as 127.0.0.1:7400");
}

// Adds who was asked and what to do about it.
Status Explain(const ConnectionOptions& options, const Status& status,
               const v1::ErrorDetail& detail) {
  std::string who = "coordinator " + options.endpoint;
  if (detail.reason() == v1::REASON_NOT_LEADER) {
    return {status.code(),
            who + " does not lead: " + status.message() +
                (detail.leader().empty() ? "; ask another node with --endpoint"
                                         : "; ask the leader with --endpoint " + detail.leader())};
  }
  // Without a word from the server, these come from the way there.
  bool silent = detail.ByteSizeLong() == 0;
  if (silent && status.code() == Code::kUnavailable) {
    const std::string hint = rpc::ConnectHint(status.message());
    return Unavailable(who + " can't be reached: " + status.message() + hint +
                       (hint.empty() ? "; is assentd running there?" : ".") +
                       " Another address is given with --endpoint or ASSENT_ENDPOINT, TLS files "
                       "with --tls-ca-file, --tls-cert-file and --tls-key-file");
  }
  if (silent && status.code() == Code::kDeadlineExceeded) {
    return DeadlineExceeded(who + " did not answer within " +
                            std::to_string(options.timeout.count()) +
                            " ms; try again, or wait longer with --timeout-ms");
  }
  return {status.code(), who + ": " + status.message()};
}

}  // namespace

Connection::Connection(ConnectionOptions options, const std::shared_ptr<grpc::Channel>& channel)
    : options_(std::move(options)),
      transactions_(v1::TransactionService::NewStub(channel)),
      admin_(v1::AdminService::NewStub(channel)) {}

Result<Connection> Connection::Make(const ConnectionOptions& options) {
  if (Status status = CheckEndpoint(options.endpoint); !status.ok()) return status;
  auto credentials = rpc::ChannelCredentials(options.tls);
  if (!credentials.ok()) return credentials.status();
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(64 << 20);
  if (!options.tls_server_name.empty()) {
    arguments.SetSslTargetNameOverride(options.tls_server_name);
  }
  if (options.endpoint.starts_with("unix:")) *credentials = grpc::InsecureChannelCredentials();
  return Connection(options, grpc::CreateCustomChannel(options.endpoint, *credentials, arguments));
}

template <typename Stub, typename Request, typename Reply>
Status Connection::Call(Stub& stub,
                        grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Reply*),
                        const Request& request, Reply* reply) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + options_.timeout);
  grpc::Status answer = (stub.*method)(&context, request, reply);
  v1::ErrorDetail detail;
  Status status = rpc::FromGrpc(answer, &detail);
  return status.ok() ? status : Explain(options_, status, detail);
}

Result<v1::GetStatusReply> Connection::GetStatus() {
  v1::GetStatusReply reply;
  Status status =
      Call(*admin_, &v1::AdminService::StubInterface::GetStatus, v1::GetStatusRequest(), &reply);
  if (!status.ok()) return status;
  return reply;
}

Result<v1::ListReply> Connection::List(const std::vector<v1::State>& states, uint32_t limit) {
  v1::ListReply all;
  for (;;) {
    v1::ListRequest request;
    uint32_t have = static_cast<uint32_t>(all.transactions_size());
    request.set_limit(std::min(kPageMax, limit - have));
    for (v1::State state : states) request.add_states(state);
    if (have > 0) request.set_after(all.transactions(all.transactions_size() - 1).gtrid());
    v1::ListReply page;
    Status status =
        Call(*transactions_, &v1::TransactionService::StubInterface::List, request, &page);
    if (!status.ok()) return status;
    all.set_more(page.more());
    bool empty = page.transactions().empty();
    for (v1::Transaction& transaction : *page.mutable_transactions()) {
      *all.add_transactions() = std::move(transaction);
    }
    if (!page.more() || empty || static_cast<uint32_t>(all.transactions_size()) >= limit) {
      return all;
    }
  }
}

Result<v1::Transaction> Connection::Get(const std::string& gtrid) {
  v1::GetRequest request;
  request.set_gtrid(gtrid);
  v1::GetReply reply;
  Status status =
      Call(*transactions_, &v1::TransactionService::StubInterface::Get, request, &reply);
  if (!status.ok()) return status;
  return reply.transaction();
}

Status Connection::Forget(const std::string& gtrid) {
  v1::ForgetRequest request;
  request.set_gtrid(gtrid);
  v1::ForgetReply reply;
  return Call(*admin_, &v1::AdminService::StubInterface::Forget, request, &reply);
}

}  // namespace assent::ctl
