// The connection that this node dials to one peer, and sends on: again and again, as long as the
// peer is one.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/net/address.h"
#include "txlog/transport/backoff.h"
#include "txlog/transport/frame_link.h"
#include "txlog/transport/resolver.h"
#include "txlog/transport/shared.h"

namespace assent::txlog {

// The transport's thread only.
class Dialer final : public Poller::Watcher {
 public:
  // Dials at the first Tick.
  Dialer(Shared& shared, Resolver& resolver, Peer peer);
  // The owner hears OnPeerDown if the peer was up.
  ~Dialer() override;

  const Peer& peer() const { return peer_; }

  // What Outboxes::Take had for this peer.
  void Send(std::vector<Message> messages);
  // The peer has just shown that it lives: ends the wait for the next attempt.
  void DialNow();

  void OnReady(uint32_t events) override;
  // The answer to the question that has the number question().
  void OnResolved(const Result<std::vector<SocketAddress>>& addresses);
  uint64_t question() const { return question_; }

  void Tick(MonotonicTime now);
  MonotonicTime next_deadline() const;

 private:
  enum class Phase { kResting, kResolving, kConnecting, kShaking, kGreeting, kUp };

  void Begin(MonotonicTime now);
  void ConnectNext(MonotonicTime now);
  void Shake(MonotonicTime now);
  void Receive(MonotonicTime now);
  FrameLink::Take OnFrame(Frame& frame);
  void OnWelcome(const Welcome& welcome);
  void Flush(MonotonicTime now);
  void Watch();

  // Ends the attempt, or the connection. By value: it often comes from what ends here.
  void Fail(std::string why);
  void FailRefused(const Refusal& refusal);
  void Drop();
  void Rest(Duration how_long);

  Shared& shared_;
  Resolver& resolver_;
  const Peer peer_;
  const net::HostPort at_;
  PeerCounters& counters_;
  Backoff backoff_;

  Phase phase_ = Phase::kResting;
  // Of the rest, or of the attempt.
  MonotonicTime deadline_;
  bool refused_ = false;  // The last attempt: only people can change that.
  uint64_t attempts_ = 0;
  uint64_t question_ = 0;
  bool asked_ = false;  // And not answered yet.
  std::vector<SocketAddress> addresses_;
  size_t next_address_ = 0;

  Fd connecting_;
  std::unique_ptr<FrameLink> link_;  // From kShaking on.
  Poller::Token token_ = 0;          // 0: none.
  std::string frame_problem_;        // Why OnFrame closed the link: this,
  std::optional<Refusal> refusal_;   // or that.
  MonotonicTime up_since_;
};

}  // namespace assent::txlog
