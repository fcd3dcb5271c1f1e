// Addresses that servers listen on and dial: "HOST:PORT", or the path of a unix socket.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"

namespace assent::net {

// The kernel's limit for the path of a unix socket (sun_path without its final NUL).
inline constexpr size_t kUnixPathBytesMax = 107;
// What the address of a unix socket begins with.
inline constexpr std::string_view kUnixScheme = "unix:";

struct HostPort {
  std::string host;  // IPv6 without its brackets.
  std::string port;  // A number, 0 to 65535.
};

// "HOST:PORT" or "[IPv6]:PORT"; nullopt for anything else.
std::optional<HostPort> SplitHostPort(const std::string& address);

// Is `address` fit to be dialled: HOST:PORT with a port that is not 0? INVALID_ARGUMENT begins with
// `option`.
Status CheckDialAddress(const std::string& option, const std::string& address);

// 127.0.0.0/8, ::1 or localhost: reachable from this machine alone.
bool IsLoopback(const std::string& host);

// Is `address` fit to listen on? "HOST:PORT" ("[::1]:7400" for IPv6, port 0 for any free one) or
// "unix:PATH". Without TLS only loopback (127.0.0.0/8, ::1, localhost) and unix sockets are.
// INVALID_ARGUMENT: malformed. FAILED_PRECONDITION: not loopback, and has_tls is false.
// Messages begin with `option`, the name of the option that holds the address.
Status CheckListenAddress(const std::string& option, const std::string& address, bool has_tls);

// As above, and whether this process can listen there now. ALREADY_EXISTS: another process does;
// FAILED_PRECONDITION: the address is not ours, the directory does not exist, permission.
Status CheckCanListen(const std::string& option, const std::string& address, bool has_tls);

}  // namespace assent::net
