#include "base/rpc/listener.h"

#include "base/rpc/pings.h"

namespace assent::rpc {
namespace {

Status CannotListen(const Listener& listener, const std::string& why) {
  return FailedPrecondition(listener.option + " " + listener.address + ": cannot listen: " + why);
}

}  // namespace

Result<std::unique_ptr<grpc::Server>> StartServer(grpc::ServerBuilder& builder,
                                                  std::vector<Listener>& listeners) {
  // Otherwise the kernel deals connections out between two processes on one port.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  // By default a client that asks more often than every five minutes is taken for an attacker.
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, kPingAllowedMs);
  for (Listener& listener : listeners) {
    Status status = CheckCanListen(listener.option, listener.address, listener.has_tls);
    if (!status.ok()) return status;
    const bool local = listener.address.starts_with(net::kUnixScheme);
    builder.AddListeningPort(listener.address,
                             local ? grpc::InsecureServerCredentials() : listener.credentials,
                             &listener.port);
  }
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server) return server;
  for (const Listener& listener : listeners) {
    if (listener.port == 0) return CannotListen(listener, "gRPC could not bind; see its log lines");
  }
  return Internal("gRPC could not start the server; see its log lines");
}

}  // namespace assent::rpc
