#include "txlog/transport/transport.h"

#include <pthread.h>

#include <csignal>
#include <set>
#include <thread>
#include <utility>

#include "base/check.h"
#include "base/net/address.h"
#include "base/random.h"
#include "base/tls/context.h"
#include "txlog/transport/engine.h"
#include "txlog/transport/shared.h"

namespace assent::txlog {
namespace {

constexpr size_t kTlsReadBytes = 64 << 10;

Status CheckOptions(const TransportOptions& options) {
  const tls::TlsFiles& files = options.tls;
  if (!files.empty() && files.ca_file.empty()) {
    return FailedPrecondition(
        "tls_ca_file is needed, since nodes of a group must know each other by it");
  }
  if (options.cluster_uuid.empty() || options.cluster_uuid.size() > 64) {
    return InvalidArgument("cluster_uuid \"" + options.cluster_uuid + "\": not 1 to 64 bytes");
  }
  if (options.member == 0) return InvalidArgument("member 0: ids begin with 1");
  if (options.queue_bytes_max < options.message_bytes_max + 1024 ||
      options.message_bytes_max < kHandshakeBytesMax ||
      options.message_bytes_max > (size_t{1} << 30)) {
    return InvalidArgument(
        "message_bytes_max " + std::to_string(options.message_bytes_max) + " and queue_bytes_max " +
        std::to_string(options.queue_bytes_max) +
        ": a message may have 4 KiB to 1 GiB, and the queue must hold one and 1 KiB more");
  }
  if (options.heartbeat_interval.count() <= 0 ||
      options.silence_max < 2 * options.heartbeat_interval || options.greeting_max.count() <= 0 ||
      options.backoff_min.count() <= 0 || options.backoff_max < options.backoff_min) {
    return InvalidArgument(
        "times must be above zero, silence_max at least twice heartbeat_interval, and backoff_max "
        "not below backoff_min");
  }
  if (!files.empty() && options.accept_strangers && options.stranger_certificate_name.empty()) {
    return InvalidArgument("accept_strangers needs stranger_certificate_name where there is TLS");
  }
  if (options.listen.starts_with("unix:")) {
    return InvalidArgument(options.listen_option + " \"" + options.listen +
                           "\": other nodes can't reach a unix socket; write HOST:PORT");
  }
  return net::CheckCanListen(options.listen_option, options.listen, !files.empty());
}

Status CheckPeers(const TransportOptions& options, const std::vector<Peer>& peers) {
  std::set<MemberId> members;
  for (const Peer& peer : peers) {
    const std::string name =
        "member " + std::to_string(peer.member) + " at \"" + peer.address + "\"";
    if (peer.member == 0 || peer.member == options.member) {
      return InvalidArgument(name + ": the id is " + (peer.member == 0 ? "none" : "our own"));
    }
    if (!members.insert(peer.member).second) return InvalidArgument(name + ": listed twice");
    const auto at = net::SplitHostPort(peer.address);
    if (!at || std::stoi(at->port) == 0) {
      return InvalidArgument(name +
                             ": not an address; write HOST:PORT with a port of 1 to 65535, or "
                             "[IPv6]:PORT");
    }
    if (options.tls.empty() && !net::IsLoopback(at->host)) {
      return FailedPrecondition(name +
                                ": on another machine, but no certificate protects the way "
                                "there; set tls_cert_file, tls_key_file and tls_ca_file");
    }
  }
  return Ok();
}

Result<std::unique_ptr<SSL_CTX, FreeContext>> MakeContext(const tls::TlsFiles& files) {
  std::unique_ptr<SSL_CTX, FreeContext> context(SSL_CTX_new(TLS_method()));
  ASSENT_CHECK(context != nullptr);
  SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION);
  // A connection lasts: nothing is resumed.
  SSL_CTX_set_num_tickets(context.get(), 0);
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  // A connection that breaks between frames has lost nothing that anybody was promised, and frames
  // know their length.
  SSL_CTX_set_options(context.get(), SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_read_ahead(context.get(), 1);
  SSL_CTX_set_default_read_buffer_len(context.get(), kTlsReadBytes);
  if (Status s = tls::ConfigureContext(*context, files, tls::Side::kServer); !s.ok()) return s;
  return context;
}

}  // namespace

class Transport::Impl {
 public:
  Impl(TransportOptions options, TransportHandler& handler)
      : shared_(std::move(options), handler) {}
  ~Impl() {
    if (!thread_.joinable()) return;
    engine_->Stop();
    thread_.join();
  }

  Status Start() {
    const TransportOptions& options = shared_.options;
    if (!options.tls.empty()) {
      auto context = MakeContext(options.tls);
      if (!context.ok()) return context.status();
      shared_.tls = std::move(*context);
    }
    Result<ListeningSocket> listening = Listen(options.listen_option, options.listen);
    if (!listening.ok()) return listening.status();
    port_ = listening->port;
    engine_ = std::make_unique<Engine>(shared_, std::move(*listening));
    engine_->SetPeers(options.peers);
    thread_ = std::thread([this] {
      // OpenSSL writes to sockets that the other side may have closed.
      sigset_t pipe;
      sigemptyset(&pipe);
      sigaddset(&pipe, SIGPIPE);
      pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
      engine_->Run();
    });
    return Ok();
  }

  Status SetPeers(std::vector<Peer> peers) {
    if (Status s = CheckPeers(shared_.options, peers); !s.ok()) return s;
    engine_->SetPeers(std::move(peers));
    return Ok();
  }

  SendResult Send(MemberId to, Message message) {
    bool wake = false;
    const SendResult result = shared_.outboxes.Push(to, std::move(message), &wake);
    if (wake) shared_.poller.waker()->Wake();
    return result;
  }

  void Resume() {
    if (shared_.owner_full.exchange(false)) engine_->Resume();
  }

  const Shared& shared() const { return shared_; }
  uint16_t port() const { return port_; }

 private:
  Shared shared_;
  uint16_t port_ = 0;
  std::unique_ptr<Engine> engine_;
  std::thread thread_;
};

Transport::Transport(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Transport::~Transport() = default;

Result<std::unique_ptr<Transport>> Transport::Start(const TransportOptions& options,
                                                    TransportHandler& handler) {
  if (Status s = CheckOptions(options); !s.ok()) return s;
  if (Status s = CheckPeers(options, options.peers); !s.ok()) return s;
  TransportOptions complete = options;
  if (complete.advertise.empty()) complete.advertise = complete.listen;
  if (complete.incarnation == 0) complete.incarnation = SystemRandom64();
  auto impl = std::make_unique<Impl>(std::move(complete), handler);
  if (Status s = impl->Start(); !s.ok()) return s;
  return std::unique_ptr<Transport>(new Transport(std::move(impl)));
}

Status Transport::SetPeers(std::vector<Peer> peers) { return impl_->SetPeers(std::move(peers)); }
SendResult Transport::Send(MemberId to, Message message) {
  return impl_->Send(to, std::move(message));
}
void Transport::Resume() { impl_->Resume(); }
uint16_t Transport::port() const { return impl_->port(); }
uint64_t Transport::incarnation() const { return impl_->shared().us.incarnation; }
const TransportMetrics& Transport::counters() const { return impl_->shared().metrics; }

}  // namespace assent::txlog
