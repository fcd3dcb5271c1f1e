// Where a program listens: checked before gRPC sees it, since gRPC's own answer to a bad address or
// a port in use is a null pointer, or worse: sharing the port with the other process.
#pragma once

#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <memory>
#include <string>
#include <vector>

#include "base/net/address.h"
#include "base/status.h"

namespace assent::rpc {

using net::CheckCanListen;
using net::CheckListenAddress;
using net::kUnixPathBytesMax;

struct Listener {
  std::string option;  // For messages.
  std::string address;
  std::shared_ptr<grpc::ServerCredentials> credentials;
  bool has_tls = false;
  int port = 0;  // Set by StartServer: the port that was bound, 1 for a unix socket.
};

// Adds the listeners to `builder` and starts the server. A stale unix socket file is replaced. On a
// unix socket `credentials` are not used: its directory's mode says who may come, and no
// certificate names it.
// Errors: those of CheckCanListen.
Result<std::unique_ptr<grpc::Server>> StartServer(grpc::ServerBuilder& builder,
                                                  std::vector<Listener>& listeners);

}  // namespace assent::rpc
