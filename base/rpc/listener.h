// Where a program listens: checked before gRPC sees it, since gRPC's own answer to a bad address or
// a port in use is a null pointer, or worse: sharing the port with the other process.
#pragma once

#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <memory>
#include <string>
#include <vector>

#include "base/status.h"

namespace assent::rpc {

// The kernel's limit for the path of a unix socket (sun_path without its final NUL).
inline constexpr size_t kUnixPathBytesMax = 107;

// Is `address` fit to listen on? "HOST:PORT" ("[::1]:7400" for IPv6, port 0 for any free one) or
// "unix:PATH". Without TLS only loopback (127.0.0.0/8, ::1, localhost) and unix sockets are.
// INVALID_ARGUMENT: malformed. FAILED_PRECONDITION: not loopback, and has_tls is false.
// Messages begin with `option`, the name of the option that holds the address.
Status CheckListenAddress(const std::string& option, const std::string& address, bool has_tls);

// As above, and whether this process can listen there now. ALREADY_EXISTS: another process does;
// FAILED_PRECONDITION: the address is not ours, the directory does not exist, permission.
Status CheckCanListen(const std::string& option, const std::string& address, bool has_tls);

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
