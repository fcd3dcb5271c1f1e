// Bytes over one socket that never blocks: plain, or TLS.
#pragma once

#include <openssl/ssl.h>
#include <sys/uio.h>

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "txlog/transport/fd.h"

namespace assent::txlog {

// Not thread-safe.
class Stream {
 public:
  enum class Io {
    kDone,     // It did something.
    kBlocked,  // Not now: wait until the socket is readable or, with wants_write, writable.
    kClosed,   // The stream has ended; why() says how.
  };
  struct Progress {
    Io io = Io::kBlocked;
    size_t bytes = 0;
    bool drained = false;  // Of Read: there is nothing more until the socket is readable again.
  };

  virtual ~Stream() = default;

  virtual int fd() const = 0;
  // Until kDone, before anything else: TLS has its own handshake.
  virtual Io Shake() = 0;
  virtual Progress Read(std::span<char> into) = 0;
  // Takes as many bytes as it can off the front of `from`. Some of them may still be here, so call
  // it again, with more bytes or none, while wants_write.
  virtual Progress Write(std::span<const iovec> from) = 0;
  virtual bool wants_write() const = 0;
  // Is the other side's certificate for `name`, a host name or a numeric address? A plain stream
  // has no certificates and does not mind.
  virtual bool PeerIs(const std::string& name) const = 0;

  const std::string& why() const { return why_; }

 protected:
  Io Close(std::string why) {
    why_ = std::move(why);
    return Io::kClosed;
  }

 private:
  std::string why_;
};

std::unique_ptr<Stream> PlainStream(Fd fd);
// The side that dialled: refuses a certificate that is not for `expected`.
std::unique_ptr<Stream> TlsClientStream(Fd fd, SSL_CTX& context, const std::string& expected);
// The other side: a certificate of the authority is enough here, since only the first frame tells
// who it is meant to be. Ask PeerIs then.
std::unique_ptr<Stream> TlsServerStream(Fd fd, SSL_CTX& context);

}  // namespace assent::txlog
