// Messages between the nodes of a group, in order, over one port.
//
// Each node dials each of its peers and sends on the connection that it dialled; what it accepted
// it only reads. So there are two connections for a pair, and no question which of two that were
// dialled at once survives, who has to dial, or what a break of one means for the other. Both sides
// send heartbeats when they have nothing else to say, which finds connections whose other end is
// gone without a word.
//
// With certificates it is TLS 1.3 and both sides verify: the authority, and that the certificate is
// for the host under which the member is listed. Without them nothing leaves loopback.
//
// A message arrives once, whole and in order, or not at all: what was on its way when a connection
// broke is lost, and the owner (Raft) sends again what matters.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "base/tls/files.h"
#include "txlog/transport/message.h"
#include "txlog/transport/metrics.h"
#include "txlog/transport/outboxes.h"

namespace assent::txlog {

struct Peer {
  MemberId member = 0;
  std::string address;           // HOST:PORT. Names are looked up anew for each attempt to connect.
  std::string certificate_name;  // What its certificate must be for. Empty: the host of `address`.

  bool operator==(const Peer&) const = default;
};

struct TransportOptions {
  // Where peers dial in: HOST:PORT, port 0 for any free one.
  std::string listen = "127.0.0.1:7401";
  std::string listen_option = "peer_listen";  // Its name in messages.
  // What peers that don't know this node are told to dial. Empty: `listen`.
  std::string advertise;
  // All three files, or none.
  tls::TlsFiles tls;

  // As SetPeers, from the first moment on: a peer that dials before it is known is refused.
  std::vector<Peer> peers;

  // Of the cluster, and whatever else its peers must have in common with it: 1 to 64 bytes.
  std::string cluster_uuid;
  MemberId member = 0;
  // Of NodeIdentity; 0: nobody compares it.
  uint64_t first_members = 0;
  uint64_t directory = 0;
  // Which life of this node: must be another at each start. 0: drawn at random.
  uint64_t incarnation = 0;

  // Takes messages of members that are not in SetPeers: a node that was away for long may find that
  // a member it never heard of leads. With TLS their certificate must be for this name, which only
  // nodes of the group should have; empty: they are refused.
  bool accept_strangers = false;
  std::string stranger_certificate_name;

  // Of one message. Larger ones are not sent, and close the connection if they come.
  size_t message_bytes_max = 8 << 20;
  // What may wait for one peer, with about 128 bytes on top of each message.
  size_t queue_bytes_max = 64 << 20;

  // How long before a silent connection is used again, and before it counts as broken.
  std::chrono::milliseconds heartbeat_interval{500};
  std::chrono::milliseconds silence_max{3000};
  // From dialling to the peer's welcome.
  std::chrono::milliseconds greeting_max{3000};
  // Between attempts to connect; half of the step to all of it.
  std::chrono::milliseconds backoff_min{20};
  std::chrono::milliseconds backoff_max{1000};
};

// What the transport tells its owner. All calls come from its one thread, and must not block; they
// may call Send, SetPeers and Resume.
class TransportHandler {
 public:
  virtual ~TransportHandler() = default;

  // A message of `from`; take it by moving. False: there is no room. The message stays where it is,
  // nothing more is read from that peer, and the call is repeated after Resume, which the owner
  // must call once there is room again. It may be called twice at once before that.
  virtual bool OnMessage(MemberId from, std::string& bytes) = 0;

  // Messages can be sent to `peer`, in the life that `incarnation` tells, from now on; or no more,
  // and what was sent may be lost. Nothing is said of peers that SetPeers has removed while down.
  virtual void OnPeerUp(MemberId peer, uint64_t incarnation) = 0;
  virtual void OnPeerDown(MemberId peer) = 0;

  // A member that is not in SetPeers has connected and listens at `address`: to answer it, add it.
  virtual void OnStranger(MemberId /*member*/, const std::string& /*address*/) {}
};

// Thread-safe. Destruction ends all connections; what waits is lost.
class Transport {
 public:
  // Listens and dials. `handler` must outlive the transport, and may be called before Start
  // returns.
  //
  // INVALID_ARGUMENT, FAILED_PRECONDITION: an option, the TLS files, or the address;
  // ALREADY_EXISTS: the address is in use. Messages name the option and the remedy.
  static Result<std::unique_ptr<Transport>> Start(const TransportOptions& options,
                                                  TransportHandler& handler);
  ~Transport();

  // From now on exactly these. Connections of those that stay as they are stay; of others they end.
  // Errors, and nothing has changed: INVALID_ARGUMENT: an id twice, 0 or our own, or no HOST:PORT.
  // FAILED_PRECONDITION: an address beyond loopback, without certificates.
  Status SetPeers(std::vector<Peer> peers);

  // Never blocks.
  SendResult Send(MemberId to, Message message);

  // There is room again, after OnMessage has answered false. Cheap otherwise.
  void Resume();

  // Where it listens.
  uint16_t port() const;
  uint64_t incarnation() const;
  // Readable at any time, without a lock; metrics_page.h shows them.
  const TransportMetrics& counters() const;

 private:
  class Impl;
  explicit Transport(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace assent::txlog
