// The pages of a server for people and monitors (/metrics, /healthz), over HTTP or HTTPS. Apart
// from gRPC: a few threads of its own, which share no lock with the program's work.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/status.h"
#include "base/tls/files.h"

namespace assent::http {

struct Reply {
  int status = 200;
  std::string content_type;
  std::string body;
};
// Answers GET of one path. Runs on a thread of the server, several at once; must not block.
using Handler = std::function<Reply()>;

// Connections that are answered at the same time; those beyond wait in the kernel's queue.
inline constexpr size_t kThreads = 4;
// How long a client may stay silent, in seconds, before its connection is closed. One answer to a
// connection.
inline constexpr int kSilenceSecondsMax = 2;

// No pages at all: the address is empty, or its port is 0.
bool IsOff(const std::string& address);

// Is `address` off, or HOST:PORT and fit to listen on? As net::CheckListenAddress, but for unix
// sockets, which are refused (INVALID_ARGUMENT). Messages begin with `option`.
Status CheckAddress(const std::string& option, const std::string& address, bool has_tls);

struct ServerOptions {
  std::string option;   // The option that holds the address, for messages.
  std::string address;  // HOST:PORT, not off.
  // Not empty: HTTPS, with the same files and the same rules as every other door. With ca_file,
  // clients must show a certificate.
  tls::TlsFiles tls;
};

class Server {
 public:
  // Listens and answers until destroyed. "/" lists the pages.
  //
  // Errors: those of net::CheckCanListen; FAILED_PRECONDITION: the TLS files are no good.
  static Result<std::unique_ptr<Server>> Start(const ServerOptions& options,
                                               std::map<std::string, Handler> pages);
  // Lets answers that are being given end: at most kSilenceSecondsMax for a client that is slow.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

 private:
  class Impl;
  explicit Server(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace assent::http
