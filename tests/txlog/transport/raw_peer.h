// The other end of a transport, byte by byte: what no honest peer would do.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "txlog/transport/fd.h"
#include "txlog/transport/frame.h"
#include "txlog/transport/handshake.h"

namespace assent::txlog {

// A blocking socket; every call gives up after some seconds.
class RawPeer {
 public:
  // Dials 127.0.0.1.
  static RawPeer Dial(uint16_t port);
  explicit RawPeer(Fd fd);

  bool Write(const std::string& bytes);
  // The next frame that is no heartbeat; nullopt at the end of the connection, or if none came.
  std::optional<Frame> Read();
  // Whether the connection ends within that time, whatever comes before.
  bool Ends(std::chrono::milliseconds within = std::chrono::seconds(15));
  int fd() const { return fd_.get(); }

 private:
  Fd fd_;
  FrameReader reader_;
};

// Waits for others to dial 127.0.0.1. `backlog` as in listen(2).
class RawListener {
 public:
  explicit RawListener(int backlog = 16);
  uint16_t port() const { return port_; }
  RawPeer Accept();

 private:
  Fd fd_;
  uint16_t port_ = 0;
};

// Dials, says Hello and is welcomed. Aborts the test program if it is not.
RawPeer Greeted(uint16_t port, const Hello& hello);

// Of member 2 to member 1.
inline Hello TestHello(const std::string& cluster) {
  Hello hello;
  hello.cluster_uuid = cluster;
  hello.from = 2;
  hello.incarnation = 77;
  hello.to = 1;
  hello.attempt = 1;
  hello.address = "127.0.0.1:1";
  return hello;
}

}  // namespace assent::txlog
