// What crosses the connections between nodes, counted by peer.
#pragma once

#include <atomic>
#include <cstddef>
#include <map>
#include <memory>
#include <string>

#include "base/metrics/counter.h"
#include "txlog/transport/message.h"

namespace assent::txlog {

// Thread-safe, lock-free. `out`: what we sent on the connection that we dialled.
struct PeerCounters {
  metrics::Counter messages_out;
  metrics::Counter messages_in;
  metrics::Counter bytes_out;  // Of frames with their headers, without TLS.
  metrics::Counter bytes_in;
  // Never written to a socket whole: no connection, a full queue, too large, or it broke.
  metrics::Counter messages_dropped;
  metrics::Counter connects;    // Connections to the peer that were welcomed.
  metrics::Counter failures;    // Attempts to connect that failed or were refused.
  metrics::Gauge up;            // 1 while we can send to it.
  metrics::Gauge queued_bytes;  // What waits for it, or is on its way into the socket.
};

class TransportMetrics {
 public:
  // Series are never removed, since whoever watches one would miss it. More members than this share
  // one: member ids are never used again.
  static constexpr size_t kSeriesMax = 64;

  TransportMetrics() = default;
  TransportMetrics(const TransportMetrics&) = delete;
  TransportMetrics& operator=(const TransportMetrics&) = delete;

  // The transport's thread only. Good for the life of this object.
  PeerCounters& Of(MemberId member);
  // Connections that were refused before we knew whose they are, or because of whose they are.
  metrics::Counter& refused() { return refused_; }
  const metrics::Counter& refused() const { return refused_; }

  // Calls `visit(label value, counters)` for each. Any thread.
  template <typename Visit>
  void ForEach(Visit&& visit) const {
    for (const Series* series = newest_.load(std::memory_order_acquire); series != nullptr;
         series = series->older) {
      visit(series->label, series->counters);
    }
  }

 private:
  // Linked from the newest to the oldest, and complete before it is linked.
  struct Series {
    std::string label;
    PeerCounters counters;
    const Series* older = nullptr;
  };

  metrics::Counter refused_;
  std::map<MemberId, std::unique_ptr<Series>> by_member_;  // The transport's thread only.
  std::atomic<const Series*> newest_{nullptr};
};

}  // namespace assent::txlog
