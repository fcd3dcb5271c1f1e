#include "tests/txlog/transport/raw_peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <cerrno>
#include <utility>

#include "base/check.h"

namespace assent::txlog {
namespace {

constexpr timeval kSocketPatience = {.tv_sec = 15, .tv_usec = 0};

sockaddr_in Loopback(uint16_t port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

}  // namespace

RawPeer::RawPeer(Fd fd) : fd_(std::move(fd)), reader_(64 << 20) {
  setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &kSocketPatience, sizeof kSocketPatience);
  setsockopt(fd_.get(), SOL_SOCKET, SO_SNDTIMEO, &kSocketPatience, sizeof kSocketPatience);
}

RawPeer RawPeer::Dial(uint16_t port) {
  Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_in to = Loopback(port);
  ASSENT_CHECK(connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0);
  return RawPeer(std::move(fd));
}

bool RawPeer::Write(const std::string& bytes) {
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t n = send(fd_.get(), bytes.data() + done, bytes.size() - done, MSG_NOSIGNAL);
    if (n <= 0) return false;
    done += static_cast<size_t>(n);
  }
  return true;
}

std::optional<Frame> RawPeer::Read() {
  while (true) {
    Frame frame;
    switch (reader_.Next(&frame)) {
      case FrameReader::Found::kFrame:
        if (frame.type == FrameType::kHeartbeat) continue;
        return frame;
      case FrameReader::Found::kBad:
        return std::nullopt;
      case FrameReader::Found::kNone:
        break;
    }
    const std::span<char> space = reader_.Space();
    const ssize_t n = recv(fd_.get(), space.data(), space.size(), 0);
    if (n <= 0) return std::nullopt;
    reader_.Filled(static_cast<size_t>(n));
  }
}

bool RawPeer::Ends(std::chrono::milliseconds within) {
  const auto deadline = std::chrono::steady_clock::now() + within;
  char bytes[4096];
  while (std::chrono::steady_clock::now() < deadline) {
    pollfd ready = {.fd = fd_.get(), .events = POLLIN, .revents = 0};
    if (poll(&ready, 1, 10) == 0) continue;
    const ssize_t n = recv(fd_.get(), bytes, sizeof bytes, 0);
    if (n == 0) return true;
    if (n < 0) return errno != EAGAIN && errno != EWOULDBLOCK;
  }
  return false;
}

RawPeer Greeted(uint16_t port, const Hello& hello) {
  RawPeer peer = RawPeer::Dial(port);
  ASSENT_CHECK(peer.Write(EncodeFrame(FrameType::kHello, EncodeHello(hello))));
  const std::optional<Frame> answer = peer.Read();
  ASSENT_CHECK(answer && answer->type == FrameType::kWelcome);
  return peer;
}

RawListener::RawListener(int backlog) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in at = Loopback(0);
  socklen_t size = sizeof at;
  ASSENT_CHECK(bind(fd_.get(), reinterpret_cast<const sockaddr*>(&at), size) == 0);
  ASSENT_CHECK(listen(fd_.get(), backlog) == 0);
  ASSENT_CHECK(getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&at), &size) == 0);
  port_ = ntohs(at.sin_port);
  setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &kSocketPatience, sizeof kSocketPatience);
}

RawPeer RawListener::Accept() { return RawPeer(Fd(accept(fd_.get(), nullptr, nullptr))); }

}  // namespace assent::txlog
