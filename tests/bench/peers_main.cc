// What a message between two nodes costs: round trips over txlog/transport beside the same over a
// bare socket, in one process on loopback. A tool to look at, no gate.
//
//   assent-peers-bench [SECONDS of each row, 2]
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>

#include "base/check.h"
#include "base/inbox.h"
#include "base/log.h"
#include "tests/bench/histogram.h"
#include "tests/txlog/transport/raw_peer.h"
#include "tests/txlog/transport/test_certificates.h"
#include "tests/txlog/transport/test_node.h"
#include "txlog/transport/transport.h"

namespace assent::bench {
namespace {

using std::chrono::steady_clock;
using txlog::MemberId;
using txlog::Message;
using txlog::SendResult;
using txlog::Transport;
using txlog::TransportOptions;

// Sends everything back, on the transport's thread.
class Echo final : public txlog::TransportHandler {
 public:
  bool OnMessage(MemberId from, std::string& bytes) override {
    transport.load()->Send(from, Message(std::move(bytes)));
    return true;
  }
  void OnPeerUp(MemberId, uint64_t) override { up = true; }
  void OnPeerDown(MemberId) override {}

  std::atomic<Transport*> transport{nullptr};
  std::atomic<bool> up{false};
};

// Hands everything to the thread that measures, as a node's owner does.
class Measurer final : public txlog::TransportHandler {
 public:
  bool OnMessage(MemberId, std::string& bytes) override { return inbox.TryPost(std::move(bytes)); }
  void OnPeerUp(MemberId, uint64_t) override { up = true; }
  void OnPeerDown(MemberId) override {}

  Inbox<std::string> inbox{1 << 16};
  std::atomic<bool> up{false};
};

void Print(const char* what, size_t in_flight, size_t bytes, const Histogram& histogram,
           std::chrono::duration<double> took) {
  std::printf("%-22s %5zu in flight %6zu bytes  p50 %5lld us  p99 %6lld us  %8.0f round trips/s\n",
              what, in_flight, bytes, static_cast<long long>(histogram.Quantile(0.5).count()),
              static_cast<long long>(histogram.Quantile(0.99).count()),
              static_cast<double>(histogram.count()) / took.count());
}

std::string Stamped(size_t bytes) {
  std::string message(bytes, 'x');
  const auto now = steady_clock::now().time_since_epoch().count();
  message.replace(0, sizeof now, reinterpret_cast<const char*>(&now), sizeof now);
  return message;
}

std::chrono::nanoseconds AgeOf(const std::string& message) {
  steady_clock::rep then = 0;
  message.copy(reinterpret_cast<char*>(&then), sizeof then);
  return steady_clock::now().time_since_epoch() - steady_clock::duration(then);
}

void RunTransport(const char* what, const tls::TlsFiles& tls, size_t in_flight, size_t bytes,
                  std::chrono::seconds length) {
  TransportOptions one = txlog::TestOptions(1);
  TransportOptions two = txlog::TestOptions(2);
  one.tls = two.tls = tls;
  Measurer measurer;
  Echo echo;
  auto a = Transport::Start(one, measurer);
  auto b = Transport::Start(two, echo);
  ASSENT_CHECK(a.ok() && b.ok());
  echo.transport = b->get();
  const auto at = [](Transport& t) { return "127.0.0.1:" + std::to_string(t.port()); };
  ASSENT_CHECK((*a)->SetPeers({{2, at(**b), ""}}).ok());
  ASSENT_CHECK((*b)->SetPeers({{1, at(**a), ""}}).ok());
  ASSENT_CHECK(txlog::Eventually([&] { return measurer.up && echo.up; }));

  Histogram histogram;
  const auto begin = steady_clock::now();
  for (size_t i = 0; i < in_flight; ++i) (*a)->Send(2, Message(Stamped(bytes)));
  while (steady_clock::now() < begin + length) {
    for (const std::string& message : measurer.inbox.Drain()) {
      histogram.Add(AgeOf(message));
      ASSENT_CHECK((*a)->Send(2, Message(Stamped(bytes))) == SendResult::kQueued);
    }
    (*a)->Resume();
  }
  Print(what, in_flight, bytes, histogram, steady_clock::now() - begin);
}

// Two threads that block in recv: what the system itself costs.
void RunSockets(size_t bytes, std::chrono::seconds length) {
  const int yes = 1;
  txlog::RawListener listener;
  txlog::RawPeer a = txlog::RawPeer::Dial(listener.port());
  txlog::RawPeer b = listener.Accept();
  for (int fd : {a.fd(), b.fd()}) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  std::thread echo([&b, bytes] {
    std::string buffer(bytes, '\0');
    while (recv(b.fd(), buffer.data(), bytes, MSG_WAITALL) == static_cast<ssize_t>(bytes)) {
      if (!b.Write(buffer)) return;
    }
  });
  Histogram histogram;
  std::string buffer(bytes, '\0');
  const auto begin = steady_clock::now();
  while (steady_clock::now() < begin + length) {
    ASSENT_CHECK(a.Write(Stamped(bytes)));
    ASSENT_CHECK(recv(a.fd(), buffer.data(), bytes, MSG_WAITALL) == static_cast<ssize_t>(bytes));
    histogram.Add(AgeOf(buffer));
  }
  Print("bare sockets", 1, bytes, histogram, steady_clock::now() - begin);
  shutdown(a.fd(), SHUT_RDWR);
  echo.join();
}

int Main(std::chrono::seconds length) {
  SetLogLevel(LogLevel::kWarning);
  txlog::TestCertificates certificates;
  const tls::TlsFiles tls = certificates.Node("IP:127.0.0.1");
  RunSockets(128, length);
  for (size_t in_flight : {1, 64}) {
    for (size_t bytes : {128, 16'384}) {
      RunTransport("transport, plain", {}, in_flight, bytes, length);
      RunTransport("transport, TLS", tls, in_flight, bytes, length);
    }
  }
  return 0;
}

}  // namespace
}  // namespace assent::bench

int main(int argc, char** argv) {
  return assent::bench::Main(std::chrono::seconds(argc > 1 ? std::max(1, std::atoi(argv[1])) : 2));
}
