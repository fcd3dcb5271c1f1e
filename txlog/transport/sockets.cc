#include "txlog/transport/sockets.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "base/net/address.h"

namespace assent::txlog {
namespace {

constexpr int kBacklog = 64;

using AddressList = std::unique_ptr<addrinfo, void (*)(addrinfo*)>;

void SetUp(int fd) {
  const int yes = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
}

}  // namespace

std::string ToString(const SocketAddress& address) {
  char host[NI_MAXHOST];
  char port[NI_MAXSERV];
  if (getnameinfo(reinterpret_cast<const sockaddr*>(&address.storage), address.length, host,
                  sizeof host, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
    return "unknown address";
  }
  const bool v6 = address.storage.ss_family == AF_INET6;
  return (v6 ? "[" : "") + std::string(host) + (v6 ? "]:" : ":") + port;
}

Result<std::vector<SocketAddress>> Resolve(const std::string& host, const std::string& port,
                                           bool numeric_only) {
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV | (numeric_only ? AI_NUMERICHOST : 0);
  addrinfo* found = nullptr;
  if (const int error = getaddrinfo(host.c_str(), port.c_str(), &hints, &found); error != 0) {
    return Unavailable("host " + host + ": " + gai_strerror(error));
  }
  const AddressList owner(found, freeaddrinfo);
  std::vector<SocketAddress> all;
  for (const addrinfo* a = found; a != nullptr; a = a->ai_next) {
    SocketAddress address;
    std::memcpy(&address.storage, a->ai_addr, a->ai_addrlen);
    address.length = a->ai_addrlen;
    all.push_back(address);
  }
  if (all.empty()) return Unavailable("host " + host + ": has no address");
  return all;
}

Result<ListeningSocket> Listen(const std::string& option, const std::string& address) {
  const auto fail = [&](const std::string& why) {
    return FailedPrecondition(option + " " + address + ": cannot listen: " + why);
  };
  const auto at = net::SplitHostPort(address);
  if (!at) return fail("not HOST:PORT");
  Result<std::vector<SocketAddress>> addresses = Resolve(at->host, at->port, false);
  if (!addresses.ok()) return fail(addresses.status().message());
  const SocketAddress& first = addresses->front();
  ListeningSocket out;
  out.fd = Fd(socket(first.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int yes = 1;
  setsockopt(out.fd.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (bind(out.fd.get(), reinterpret_cast<const sockaddr*>(&first.storage), first.length) != 0 ||
      listen(out.fd.get(), kBacklog) != 0) {
    return fail(strerror(errno));
  }
  SocketAddress bound;
  bound.length = sizeof bound.storage;
  getsockname(out.fd.get(), reinterpret_cast<sockaddr*>(&bound.storage), &bound.length);
  // The port stands at the same place in both families.
  out.port = ntohs(reinterpret_cast<const sockaddr_in*>(&bound.storage)->sin_port);
  return out;
}

Result<Fd> BeginConnect(const SocketAddress& to) {
  Fd fd(socket(to.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return Unavailable(strerror(errno));
  SetUp(fd.get());
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&to.storage), to.length) != 0 &&
      errno != EINPROGRESS) {
    return Unavailable(strerror(errno));
  }
  return fd;
}

Status ConnectResult(int fd) {
  int error = 0;
  socklen_t size = sizeof error;
  if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
  return error == 0 ? Ok() : Unavailable(strerror(error));
}

Fd Accept(int listener, SocketAddress* from, bool* exhausted) {
  *exhausted = false;
  while (true) {
    from->length = sizeof from->storage;
    Fd fd(accept4(listener, reinterpret_cast<sockaddr*>(&from->storage), &from->length,
                  SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (fd.valid()) {
      SetUp(fd.get());
      return fd;
    }
    if (errno == EINTR || errno == ECONNABORTED) continue;
    *exhausted = errno != EAGAIN && errno != EWOULDBLOCK;
    return fd;
  }
}

}  // namespace assent::txlog
