#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "txlog/transport/stream.h"

namespace assent::txlog {
namespace {

class Plain final : public Stream {
 public:
  explicit Plain(Fd fd) : fd_(std::move(fd)) {}

  int fd() const override { return fd_.get(); }
  Io Shake() override { return Io::kDone; }

  Progress Read(std::span<char> into) override {
    while (true) {
      const ssize_t n = recv(fd_.get(), into.data(), into.size(), 0);
      if (n > 0) {
        const auto bytes = static_cast<size_t>(n);
        return {Io::kDone, bytes, bytes < into.size()};
      }
      if (n == 0) return {Close("the other side closed the connection")};
      if (errno == EINTR) continue;
      if (errno == EAGAIN || errno == EWOULDBLOCK) return {Io::kBlocked};
      return {Close(strerror(errno))};
    }
  }

  Progress Write(std::span<const iovec> from) override {
    blocked_ = false;
    if (from.empty()) return {Io::kDone};
    msghdr message = {};
    message.msg_iov = const_cast<iovec*>(from.data());
    message.msg_iovlen = from.size();
    while (true) {
      const ssize_t n = sendmsg(fd_.get(), &message, MSG_NOSIGNAL);
      if (n >= 0) return {Io::kDone, static_cast<size_t>(n)};
      if (errno == EINTR) continue;
      if (errno != EAGAIN && errno != EWOULDBLOCK) return {Close(strerror(errno))};
      blocked_ = true;
      return {Io::kBlocked};
    }
  }

  bool wants_write() const override { return blocked_; }
  bool PeerIs(const std::string&) const override { return true; }

 private:
  const Fd fd_;
  bool blocked_ = false;
};

}  // namespace

std::unique_ptr<Stream> PlainStream(Fd fd) { return std::make_unique<Plain>(std::move(fd)); }

}  // namespace assent::txlog
