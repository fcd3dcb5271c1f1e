// The connections that peers dial to this node, and the port where they do: messages come in here.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "txlog/transport/frame_link.h"
#include "txlog/transport/shared.h"
#include "txlog/transport/sockets.h"

namespace assent::txlog {

// The transport's thread only.
class Acceptor final : public Poller::Watcher {
 public:
  // Connections that are not welcomed yet; beyond, the oldest one ends.
  static constexpr size_t kUngreetedMax = 64;
  // Welcomed ones of members that are not in the list of peers.
  static constexpr size_t kStrangersMax = 16;

  // `heard`: a peer was welcomed, so it lives.
  Acceptor(Shared& shared, ListeningSocket listening, std::function<void(MemberId)> heard);
  ~Acceptor() override;

  uint16_t port() const { return listening_.port; }

  // Shared::peers has changed.
  void OnPeersChanged();
  // The owner has room again.
  void Resume();

  void OnReady(uint32_t events) override;
  void Tick(MonotonicTime now);
  MonotonicTime next_deadline() const;

 private:
  enum class Phase {
    kShaking,
    kGreeting,
    kTalking,
    kEnding,  // All is said: what still comes is thrown away, so that the last word arrives.
  };
  struct Accepted final : Poller::Watcher {
    Accepted(Acceptor& o, uint64_t n, std::unique_ptr<Stream> stream, MonotonicTime now)
        : owner(o), number(n), link(std::move(stream), now) {}
    void OnReady(uint32_t events) override { owner.OnReady(*this, events); }

    Acceptor& owner;
    const uint64_t number;  // Later ones have larger numbers.
    FrameLink link;
    std::string remote;       // Its address, for messages.
    std::string remote_host;  // Without the port.
    Poller::Token token = 0;
    Phase phase = Phase::kShaking;
    MonotonicTime deadline;  // Unless it talks.
    bool full = false;       // The owner has not taken its last message.
    MemberId claims = 0;     // Who it says it is.
    MemberId from = 0;       // Who it is: from the welcome on.
    PeerCounters* counters = nullptr;
    std::string problem;             // Why OnFrame closed the link: this,
    std::optional<Refusal> refusal;  // or that.
  };
  // The newest connection of a member that was ever welcomed.
  struct Newest {
    uint64_t incarnation = 0;
    uint64_t attempt = 0;
    uint64_t number = 0;
  };

  void AcceptAll();
  void MakeRoom();
  void OnReady(Accepted& accepted, uint32_t events);
  void Shake(Accepted& accepted, MonotonicTime now);
  void Receive(Accepted& accepted, MonotonicTime now);
  void Discard(Accepted& accepted);
  FrameLink::Take OnFrame(Accepted& accepted, Frame& frame);
  FrameLink::Take OnHello(Accepted& accepted, const Frame& frame);
  FrameLink::Take OnMessage(Accepted& accepted, Frame& frame);
  // The name that this member's certificate must be for.
  std::string ExpectedName(MemberId member) const;
  std::optional<Refusal> Judge(const Accepted& accepted, const Hello& hello) const;
  void Welcomed(Accepted& accepted, const Hello& hello);
  // Both may end the connection, but leave the object until the next Tick.
  void Flush(Accepted& accepted, MonotonicTime now);
  void Refuse(Accepted& accepted, const Refusal& refusal);
  void End(Accepted& accepted);
  void Drop(Accepted& accepted);
  void Watch(Accepted& accepted);
  void Warn(const Accepted& accepted, const std::string& reason, const std::string& problem);

  Shared& shared_;
  ListeningSocket listening_;
  const std::function<void(MemberId)> heard_;
  Poller::Token token_ = 0;
  std::optional<MonotonicTime> accept_again_;  // The system had no room for a connection.

  uint64_t last_number_ = 0;
  std::map<uint64_t, std::unique_ptr<Accepted>> accepted_;
  std::map<MemberId, Accepted*> talking_;
  std::map<MemberId, Newest> newest_;
  std::vector<std::unique_ptr<Accepted>> dropped_;  // Somebody may still be at work on them.
};

}  // namespace assent::txlog
