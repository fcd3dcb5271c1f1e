// TCP sockets of peers: never blocking, never waiting to fill a packet.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "txlog/transport/fd.h"

namespace assent::txlog {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;
};

// "10.0.0.2:7401", "[::1]:7401".
std::string ToString(const SocketAddress& address);

// All addresses of a host. `numeric_only`: answers at once, and nothing for a name. Otherwise it
// may block for as long as the system's resolver likes. UNAVAILABLE: the resolver's words.
Result<std::vector<SocketAddress>> Resolve(const std::string& host, const std::string& port,
                                           bool numeric_only);

struct ListeningSocket {
  Fd fd;
  uint16_t port = 0;
};
// `address` has passed net::CheckCanListen. FAILED_PRECONDITION: the system's words.
Result<ListeningSocket> Listen(const std::string& option, const std::string& address);

// Begins to connect; the socket becomes writable when that is done, one way or the other.
// UNAVAILABLE: it failed at once.
Result<Fd> BeginConnect(const SocketAddress& to);
// After that: OK, or why it failed.
Status ConnectResult(int fd);

// Invalid if there is nobody, or (`exhausted`) the system cannot take more for now.
Fd Accept(int listener, SocketAddress* from, bool* exhausted);

}  // namespace assent::txlog
