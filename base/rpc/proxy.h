// gRPC asks the proxy of the environment (http_proxy, https_proxy, grpc_proxy) for the way to every
// host, this machine among them, unless no_proxy names it. A proxy elsewhere then looks for our
// loopback on its own machine, and what had to stay here in clear text has left.
#pragma once

#include <grpcpp/support/channel_arguments.h>

#include <string>

namespace assent::rpc {

// For a channel to `target`, as it is dialled: to loopback and unix sockets the way is straight. To
// other machines, for which TLS is needed, a proxy may be asked, as the environment says.
void GoStraightToLoopback(const std::string& target, grpc::ChannelArguments& arguments);

}  // namespace assent::rpc
