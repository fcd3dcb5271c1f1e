#include "coordinator/server/admin_service.h"

#include "base/options.h"
#include "coordinator/server/call.h"

namespace assent::coordinator {

grpc::ServerUnaryReactor* AdminService::GetStatus(grpc::CallbackServerContext* context,
                                                  const v1::GetStatusRequest*,
                                                  v1::GetStatusReply* reply) {
  auto* reactor = context->DefaultReactor();
  reply->set_version(std::string(Version()));
  reply->set_node(node_);
  reply->set_uptime_ms(static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(
                                                 std::chrono::steady_clock::now() - started_)
                                                 .count()));
  return Forward(driver_, reactor, StatusCall{Finisher<StatusAnswer>(reactor, reply)});
}

grpc::ServerUnaryReactor* AdminService::Forget(grpc::CallbackServerContext* context,
                                               const v1::ForgetRequest* request,
                                               v1::ForgetReply* reply) {
  auto* reactor = context->DefaultReactor();
  Result<Gtrid> gtrid = ParseGtrid(request->gtrid());
  if (!gtrid.ok()) return Refuse(reactor, gtrid.status());
  return Forward(driver_, reactor,
                 ForgetCall{std::move(*gtrid), Finisher<ForgetAnswer>(reactor, reply)});
}

}  // namespace assent::coordinator
