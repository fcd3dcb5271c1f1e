#include "txlog/transport/metrics_page.h"

namespace assent::txlog {

void Expose(const TransportMetrics& counters, metrics::Page& page) {
  auto messages = page.Counters("assent_peer_messages_total",
                                "Messages between coordinator nodes, by peer and direction.");
  auto bytes = page.Counters("assent_peer_bytes_total",
                             "Bytes between coordinator nodes, without what TLS adds.");
  auto dropped =
      page.Counters("assent_peer_messages_dropped_total",
                    "Messages that were not sent: no connection, a full queue, or it broke.");
  auto connects =
      page.Counters("assent_peer_connects_total", "Connections to the peer that it has welcomed.");
  auto failures = page.Counters("assent_peer_connect_failures_total",
                                "Attempts to connect to the peer that failed or were refused.");
  auto up = page.Gauges("assent_peer_up", "1 while there is a connection to the peer.");
  auto queued = page.Gauges("assent_peer_queued_bytes", "What waits to be sent to the peer.");
  counters.ForEach([&](const std::string& peer, const PeerCounters& of) {
    messages.Series({{"peer", peer}, {"direction", "in"}}, of.messages_in);
    messages.Series({{"peer", peer}, {"direction", "out"}}, of.messages_out);
    bytes.Series({{"peer", peer}, {"direction", "in"}}, of.bytes_in);
    bytes.Series({{"peer", peer}, {"direction", "out"}}, of.bytes_out);
    dropped.Series({{"peer", peer}}, of.messages_dropped);
    connects.Series({{"peer", peer}}, of.connects);
    failures.Series({{"peer", peer}}, of.failures);
    up.Series({{"peer", peer}}, of.up);
    queued.Series({{"peer", peer}}, of.queued_bytes);
  });
  page.Counters("assent_peer_refused_total", "Connections from others that were refused.")
      .Series({}, counters.refused());
}

}  // namespace assent::txlog
