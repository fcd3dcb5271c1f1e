#include "base/net/address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string_view>

namespace assent::net {
namespace {

// For messages: the option and what it holds.
struct Place {
  const std::string& option;
  const std::string& address;
};

class Socket {
 public:
  explicit Socket(int family) : fd_(socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0)) {}
  ~Socket() {
    if (fd_ >= 0) close(fd_);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  int fd() const { return fd_; }

 private:
  int fd_;
};

Status InUse(const Place& place) {
  return AlreadyExists(place.option + " " + place.address +
                       ": in use by another process; stop that one or choose another address");
}

Status CannotListen(const Place& place, const std::string& why) {
  return FailedPrecondition(place.option + " " + place.address + ": cannot listen: " + why);
}

// A server replaces whatever stands at the path, so a second one would silently take the place of
// the first.
Status TryUnix(const Place& place, const std::string& path) {
  std::filesystem::path directory = std::filesystem::path(path).parent_path();
  if (directory.empty()) directory = ".";
  if (access(directory.c_str(), W_OK | X_OK) != 0) {
    return CannotListen(place, "directory " + directory.string() + ": " + strerror(errno) +
                                   "; create it, writable for this user");
  }
  struct stat info = {};
  if (lstat(path.c_str(), &info) != 0) return Ok();
  if (!S_ISSOCK(info.st_mode)) {
    return CannotListen(place, "a file that is no socket stands there; remove it");
  }
  Socket probe(AF_UNIX);
  sockaddr_un to = {};
  to.sun_family = AF_UNIX;
  path.copy(to.sun_path, kUnixPathBytesMax);
  bool answered = connect(probe.fd(), reinterpret_cast<sockaddr*>(&to), sizeof(to)) == 0;
  return answered ? InUse(place) : Ok();
}

Status TryTcp(const Place& place, const HostPort& at) {
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  if (int error = getaddrinfo(at.host.c_str(), at.port.c_str(), &hints, &found); error != 0) {
    return CannotListen(place, "host " + at.host + ": " + gai_strerror(error));
  }
  std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(found, freeaddrinfo);
  Status refusal;
  for (const addrinfo* a = found; a != nullptr; a = a->ai_next) {
    Socket probe(a->ai_family);
    int yes = 1;
    // As a server does: connections in TIME_WAIT are no reason to refuse.
    setsockopt(probe.fd(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    if (a->ai_family == AF_INET6) {
      setsockopt(probe.fd(), IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof(yes));
    }
    if (bind(probe.fd(), a->ai_addr, a->ai_addrlen) == 0 && listen(probe.fd(), 1) == 0) continue;
    if (errno == EADDRINUSE) return InUse(place);
    refusal = CannotListen(place, strerror(errno));
    if (errno == EADDRNOTAVAIL && a->ai_next != nullptr) continue;  // No IPv6 here, perhaps.
    return refusal;
  }
  return Ok();
}

}  // namespace

std::optional<HostPort> SplitHostPort(const std::string& address) {
  size_t colon = address.rfind(':');
  if (colon == std::string::npos) return std::nullopt;
  HostPort out{address.substr(0, colon), address.substr(colon + 1)};
  bool bracketed = out.host.starts_with('[') && out.host.ends_with(']');
  if (bracketed) out.host = out.host.substr(1, out.host.size() - 2);
  if (out.host.empty() || (!bracketed && out.host.find(':') != std::string::npos)) {
    return std::nullopt;
  }
  unsigned number = 0;
  const char* end = out.port.data() + out.port.size();
  auto [stop, error] = std::from_chars(out.port.data(), end, number);
  if (out.port.empty() || stop != end || error != std::errc() || number > 65535) {
    return std::nullopt;
  }
  return out;
}

Status CheckDialAddress(const std::string& option, const std::string& address) {
  const std::optional<HostPort> at = SplitHostPort(address);
  if (at && at->port.find_first_not_of('0') != std::string::npos) return Ok();
  return InvalidArgument(option + " '" + address +
                         "' is not of the form host:port, such as 127.0.0.1:7400");
}

bool IsLoopback(const std::string& host) {
  in_addr v4 = {};
  if (inet_pton(AF_INET, host.c_str(), &v4) == 1) return (ntohl(v4.s_addr) >> 24) == 127;
  in6_addr v6 = {};
  if (inet_pton(AF_INET6, host.c_str(), &v6) == 1) return IN6_IS_ADDR_LOOPBACK(&v6);
  return host == "localhost";
}

Status CheckListenAddress(const std::string& option, const std::string& address, bool has_tls) {
  std::string name = option + " \"" + address + "\"";
  if (address.starts_with(kUnixScheme)) {
    size_t length = address.size() - kUnixScheme.size();
    if (length == 0) return InvalidArgument(name + ": no path; write unix:/path/to/socket");
    if (length <= kUnixPathBytesMax) return Ok();
    return InvalidArgument(name + ": the path has " + std::to_string(length) +
                           " bytes, but a unix socket's has at most " +
                           std::to_string(kUnixPathBytesMax) + "; choose a shorter one");
  }
  std::optional<HostPort> at = SplitHostPort(address);
  if (!at) {
    return InvalidArgument(name +
                           ": not an address; write HOST:PORT with a port up to 65535, "
                           "[IPv6]:PORT or unix:/path/to/socket");
  }
  if (has_tls || IsLoopback(at->host)) return Ok();
  return FailedPrecondition(name +
                            ": reachable from other machines, but no certificate protects it; set "
                            "tls_cert_file, tls_key_file and tls_ca_file, or listen on 127.0.0.1:" +
                            at->port);
}

Status CheckCanListen(const std::string& option, const std::string& address, bool has_tls) {
  if (Status status = CheckListenAddress(option, address, has_tls); !status.ok()) return status;
  const Place place{option, address};
  return address.starts_with(kUnixScheme) ? TryUnix(place, address.substr(kUnixScheme.size()))
                                          : TryTcp(place, *SplitHostPort(address));
}

}  // namespace assent::net
