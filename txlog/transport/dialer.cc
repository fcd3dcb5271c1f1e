#include "txlog/transport/dialer.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include "base/log.h"
#include "base/mutant.h"
#include "base/random.h"

namespace assent::txlog {
namespace {

constexpr uint32_t kBroken = EPOLLERR | EPOLLHUP;

std::string Milliseconds(std::chrono::milliseconds ms) {
  return std::to_string(ms.count()) + " ms";
}

}  // namespace

Dialer::Dialer(Shared& shared, Resolver& resolver, Peer peer)
    : shared_(shared),
      resolver_(resolver),
      peer_(std::move(peer)),
      at_(net::SplitHostPort(peer_.address).value_or(net::HostPort{})),
      counters_(shared.metrics.Of(peer_.member)),
      backoff_(shared.options.backoff_min, shared.options.backoff_max, SystemRandom64()),
      deadline_(shared.Now()) {}

Dialer::~Dialer() { Drop(); }

void Dialer::Drop() {
  if (token_ != 0) shared_.poller.Remove(std::exchange(token_, 0));
  if (link_) counters_.messages_dropped.Add(link_->unwritten_messages());
  link_.reset();
  connecting_.Reset();
  if (phase_ != Phase::kUp) return;
  phase_ = Phase::kResting;
  shared_.outboxes.Close(peer_.member);
  counters_.up.Set(0);
  shared_.handler.OnPeerDown(peer_.member);
}

void Dialer::Rest(Duration how_long) {
  phase_ = Phase::kResting;
  deadline_ = shared_.Now() + how_long;
}

void Dialer::Fail(std::string why) {
  const bool was_up = phase_ == Phase::kUp;
  const MonotonicTime now = shared_.Now();
  // One that breaks at once, time after time, is no better than one that never comes.
  if (was_up && now - up_since_ > shared_.options.backoff_max) backoff_.Reset();
  Drop();
  if (was_up) {
    LogInfo("peer_down", {{"peer", peer_.member}, {"address", peer_.address}, {"reason", why}});
  } else {
    if (shared_.of_peers.IsNew(std::to_string(peer_.member), why)) {
      LogWarning("peer_unreachable",
                 {{"peer", peer_.member}, {"address", peer_.address}, {"problem", why}});
    }
    counters_.failures.Add();  // Whoever sees it finds the reason in the log.
    if (next_address_ < addresses_.size()) {
      ConnectNext(now);
      return;
    }
  }
  Rest(backoff_.Next());
}

void Dialer::FailRefused(const Refusal& refusal) {
  Drop();
  counters_.failures.Add();
  const std::string reason(RefusalName(refusal.reason));
  if (shared_.of_peers.IsNew(std::to_string(peer_.member), reason)) {
    LogWarning("peer_refused", {{"peer", peer_.member},
                                {"address", peer_.address},
                                {"reason", reason},
                                {"problem", refusal.text}});
  }
  // A peer that does not know us yet dials us once it does: that is worth another attempt.
  refused_ = refusal.reason != RefusalReason::kMember;
  Rest(backoff_.Longest());
}

void Dialer::DialNow() {
  if (phase_ == Phase::kResting && !refused_) deadline_ = shared_.Now();
}

void Dialer::Begin(MonotonicTime now) {
  refused_ = false;
  deadline_ = now + shared_.options.greeting_max;
  phase_ = Phase::kResolving;
  addresses_.clear();
  next_address_ = 0;
  if (auto numeric = Resolve(at_.host, at_.port, true); numeric.ok()) {
    OnResolved(numeric);
    return;
  }
  if (asked_) return;  // The resolver is slower than our patience: its answer is still good.
  static std::atomic<uint64_t> questions{0};
  question_ = ++questions;
  asked_ = true;
  resolver_.Ask(question_, at_.host, at_.port);
}

void Dialer::OnResolved(const Result<std::vector<SocketAddress>>& addresses) {
  asked_ = false;
  if (phase_ != Phase::kResolving) return;
  if (!addresses.ok()) {
    Fail(addresses.status().message());
    return;
  }
  addresses_ = *addresses;
  ConnectNext(shared_.Now());
}

void Dialer::ConnectNext(MonotonicTime now) {
  deadline_ = now + shared_.options.greeting_max;
  phase_ = Phase::kConnecting;
  Result<Fd> begun = BeginConnect(addresses_[next_address_++]);
  if (!begun.ok()) {
    Fail(begun.status().message());
    return;
  }
  connecting_ = std::move(*begun);
  token_ = shared_.poller.Add(connecting_.get(), EPOLLOUT, this);
}

void Dialer::OnReady(uint32_t events) {
  const MonotonicTime now = shared_.Now();
  if (phase_ == Phase::kConnecting) {
    if (Status status = ConnectResult(connecting_.get()); !status.ok()) {
      Fail(status.message());
      return;
    }
    const std::string& name = peer_.certificate_name.empty() ? at_.host : peer_.certificate_name;
    link_ = std::make_unique<FrameLink>(
        shared_.tls ? TlsClientStream(std::move(connecting_), *shared_.tls, name)
                    : PlainStream(std::move(connecting_)),
        now);
    phase_ = Phase::kShaking;
  }
  if (phase_ == Phase::kShaking) {
    Shake(now);
    return;
  }
  if ((events & (EPOLLIN | kBroken)) != 0) Receive(now);
  if (link_) Flush(now);
}

void Dialer::Shake(MonotonicTime now) {
  switch (link_->Shake()) {
    case Stream::Io::kClosed:
      Fail(link_->why());
      return;
    case Stream::Io::kBlocked:
      Watch();
      return;
    case Stream::Io::kDone:
      break;
  }
  phase_ = Phase::kGreeting;
  Hello hello;
  hello.cluster_uuid = shared_.us.cluster_uuid;
  hello.from = shared_.us.member;
  hello.incarnation = shared_.us.incarnation;
  hello.to = peer_.member;
  hello.attempt = ++attempts_;
  hello.address = shared_.options.advertise;
  hello.origin = shared_.us.origin;
  link_->Queue(FrameType::kHello, Message(EncodeHello(hello)));
  Flush(now);
}

void Dialer::Receive(MonotonicTime now) {
  const FrameLink::Received received =
      link_->Receive(now, [this](Frame& frame) { return OnFrame(frame); });
  if (received == FrameLink::Received::kMore) shared_.poller.CallAgain(token_);
  if (received != FrameLink::Received::kClosed) return;
  if (refusal_) {
    FailRefused(*std::exchange(refusal_, std::nullopt));
    return;
  }
  std::string why = frame_problem_.empty() ? link_->why() : std::exchange(frame_problem_, "");
  if (phase_ == Phase::kGreeting) {
    why += " (before its welcome; do both have the same tls_* options?)";
  }
  Fail(why);
}

FrameLink::Take Dialer::OnFrame(Frame& frame) {
  if (phase_ == Phase::kUp && frame.type == FrameType::kHeartbeat) return FrameLink::Take::kTaken;
  if (phase_ == Phase::kGreeting && frame.type == FrameType::kWelcome) {
    const Result<Welcome> welcome = DecodeWelcome(frame.payload);
    if (welcome.ok()) {
      refusal_ = JudgeWelcome(*welcome, shared_.us, peer_.member);
      if (!refusal_) refusal_ = shared_.directories.Judge(peer_.member, welcome->origin);
      if (refusal_) {
        return FrameLink::Take::kClose;
      }
      OnWelcome(*welcome);
      return FrameLink::Take::kTaken;
    }
    frame_problem_ = welcome.status().message();
    return FrameLink::Take::kClose;
  }
  if (phase_ == Phase::kGreeting && frame.type == FrameType::kRefusal) {
    const Result<Refusal> refusal = DecodeRefusal(frame.payload);
    if (refusal.ok()) {
      refusal_ = *refusal;
    } else {
      frame_problem_ = refusal.status().message();
    }
    return FrameLink::Take::kClose;
  }
  frame_problem_ =
      "a frame of type " + std::to_string(static_cast<int>(frame.type)) + " came that should not";
  return FrameLink::Take::kClose;
}

void Dialer::OnWelcome(const Welcome& welcome) {
  phase_ = Phase::kUp;
  shared_.directories.Remember(peer_.member, welcome.origin);
  up_since_ = shared_.Now();
  counters_.connects.Add();
  counters_.up.Set(1);
  shared_.of_peers.Forget(std::to_string(peer_.member));
  shared_.outboxes.Open(peer_.member, counters_);
  LogInfo("peer_up", {{"peer", peer_.member},
                      {"address", peer_.address},
                      {"incarnation", welcome.incarnation},
                      {"tls", shared_.tls != nullptr}});
  shared_.handler.OnPeerUp(peer_.member, welcome.incarnation);
}

void Dialer::Send(std::vector<Message> messages) {
  if (phase_ != Phase::kUp) return;
  for (Message& message : messages) link_->Queue(FrameType::kMessage, std::move(message));
  Flush(shared_.Now());
}

void Dialer::Flush(MonotonicTime now) {
  const uint64_t before = link_->bytes_sent();
  const bool alive = link_->Flush(now);
  counters_.bytes_out.Add(link_->bytes_sent() - before);
  if (const FrameLink::Count written = link_->TakeWritten(); written.messages > 0) {
    counters_.messages_out.Add(written.messages);
    shared_.outboxes.Written(peer_.member, written.cost);
  }
  if (alive) {
    Watch();
  } else {
    Fail(link_->why());
  }
}

void Dialer::Watch() {
  shared_.poller.Change(token_, EPOLLIN | (link_->wants_write() ? EPOLLOUT : 0u));
}

void Dialer::Tick(MonotonicTime now) {
  const TransportOptions& options = shared_.options;
  switch (phase_) {
    case Phase::kResting:
      if (now >= deadline_) Begin(now);
      return;
    case Phase::kResolving:
    case Phase::kConnecting:
    case Phase::kShaking:
    case Phase::kGreeting:
      if (now >= deadline_) Fail("no welcome within " + Milliseconds(options.greeting_max));
      return;
    case Phase::kUp:
      break;
  }
  if (now - link_->last_received() >= options.silence_max && !MutantOn(Mutant::kSilenceIgnored)) {
    Fail("silent for " + Milliseconds(options.silence_max));
  } else if (link_->idle() && now - link_->last_sent() >= options.heartbeat_interval) {
    link_->Queue(FrameType::kHeartbeat, Message());
    Flush(now);
  }
}

MonotonicTime Dialer::next_deadline() const {
  if (phase_ != Phase::kUp) return deadline_;
  const MonotonicTime silent = link_->last_received() + shared_.options.silence_max;
  if (!link_->idle()) return silent;
  return std::min(silent, link_->last_sent() + shared_.options.heartbeat_interval);
}

}  // namespace assent::txlog
