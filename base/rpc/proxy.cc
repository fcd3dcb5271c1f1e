#include "base/rpc/proxy.h"

#include "base/net/address.h"

namespace assent::rpc {

void GoStraightToLoopback(const std::string& target, grpc::ChannelArguments& arguments) {
  const auto address = net::SplitHostPort(target);
  if (address.has_value() && !net::IsLoopback(address->host)) return;
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
}

}  // namespace assent::rpc
