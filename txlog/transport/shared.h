// What the parts of one transport share. All of it belongs to the transport's thread, but for the
// outboxes, the flag and the counters.
#pragma once

#include <openssl/ssl.h>

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <string>

#include "base/clock.h"
#include "txlog/transport/handshake.h"
#include "txlog/transport/notices.h"
#include "txlog/transport/outboxes.h"
#include "txlog/transport/poller.h"
#include "txlog/transport/transport.h"

namespace assent::txlog {

struct FreeContext {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};

struct Shared {
  Shared(TransportOptions o, TransportHandler& h)
      : options(std::move(o)),
        handler(h),
        us{options.cluster_uuid,
           options.member,
           options.incarnation,
           {options.first_members, options.directory}},
        outboxes(options.message_bytes_max, options.queue_bytes_max) {}

  MonotonicTime Now() const { return std::chrono::steady_clock::now(); }

  const TransportOptions options;
  TransportHandler& handler;
  const LocalNode us;
  std::unique_ptr<SSL_CTX, FreeContext> tls;  // Null: plain.
  TransportMetrics metrics;
  Outboxes outboxes;
  std::map<MemberId, Peer> peers;
  PeerDirectories directories;
  Notices of_peers;
  Notices of_strangers;
  Poller poller;
  // The owner has refused a message, and has not called Resume since.
  std::atomic<bool> owner_full{false};
};

}  // namespace assent::txlog
