#include "txlog/etcd/ask.h"

#include <memory>

#include "base/rpc/connect_hint.h"
#include "etcd/rpc.grpc.pb.h"
#include "txlog/etcd/convert.h"

namespace assent::txlog::etcd {

Status ToStatus(const grpc::Status& status, const std::string& address) {
  const int code = status.error_code();
  const bool known = code > 0 && code <= static_cast<int>(Code::kUnauthenticated);
  return {known ? static_cast<Code>(code) : Code::kUnknown,
          "etcd at " + address + ": " + status.error_message() +
              rpc::ConnectHint(status.error_message())};
}

Status GetToken(Endpoints& endpoints, const std::shared_ptr<grpc::Channel>& channel) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + endpoints.options().request_timeout);
  etcdserverpb::AuthenticateRequest request;
  request.set_name(endpoints.options().user);
  request.set_password(endpoints.options().password);
  etcdserverpb::AuthenticateResponse response;
  const grpc::Status status =
      etcdserverpb::Auth::NewStub(channel)->Authenticate(&context, request, &response);
  if (!status.ok()) {
    return ToStatus(status, "user " + endpoints.options().user);
  }
  endpoints.SetToken(response.token());
  return Ok();
}

Result<Done> Ask(Endpoints& endpoints, const Txn& txn) {
  Status last;
  for (size_t tries = 0; tries < endpoints.size(); ++tries) {
    size_t which = 0;
    auto channel = endpoints.Current(&which);
    if (endpoints.uses_token()) {
      last = GetToken(endpoints, channel);
      if (!last.ok()) {
        endpoints.Failed(which);
        continue;
      }
    }
    grpc::ClientContext context;
    (void)endpoints.Prepare(context);
    etcdserverpb::TxnResponse response;
    const grpc::Status status =
        etcdserverpb::KV::NewStub(channel)->Txn(&context, ToProto(txn), &response);
    if (status.ok()) return FromProto(response);
    last = ToStatus(status, endpoints.address(which));
    const bool elsewhere = status.error_code() == grpc::StatusCode::UNAVAILABLE ||
                           status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED;
    if (!elsewhere) return last;
    endpoints.Failed(which);
  }
  return Unavailable(last.message());
}

}  // namespace assent::txlog::etcd
