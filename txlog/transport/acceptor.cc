#include "txlog/transport/acceptor.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <utility>

#include "base/log.h"
#include "base/mutant.h"
#include "base/net/address.h"

namespace assent::txlog {
namespace {

constexpr uint32_t kBroken = EPOLLERR | EPOLLHUP;
constexpr std::chrono::milliseconds kAcceptAgain{100};
constexpr std::chrono::seconds kEndingMax{1};

std::string HostOf(const std::string& address) {
  const auto at = net::SplitHostPort(address);
  return at ? at->host : address;
}

// In the notices, beside what the dialer has to say of the same peer.
std::string FromPeer(MemberId member) { return "from " + std::to_string(member); }

}  // namespace

Acceptor::Acceptor(Shared& shared, ListeningSocket listening, std::function<void(MemberId)> heard)
    : shared_(shared), listening_(std::move(listening)), heard_(std::move(heard)) {
  token_ = shared_.poller.Add(listening_.fd.get(), EPOLLIN, this);
}

Acceptor::~Acceptor() {
  shared_.poller.Remove(token_);
  for (const auto& [number, accepted] : accepted_) shared_.poller.Remove(accepted->token);
}

// ---- Who comes in.

void Acceptor::OnReady(uint32_t) { AcceptAll(); }

void Acceptor::AcceptAll() {
  while (true) {
    SocketAddress from;
    bool exhausted = false;
    Fd fd = Accept(listening_.fd.get(), &from, &exhausted);
    if (!fd.valid()) {
      if (!exhausted) return;
      // Else it would be ready, and fail, for ever.
      shared_.poller.Change(token_, 0);
      accept_again_ = shared_.Now() + kAcceptAgain;
      if (shared_.of_strangers.IsNew("", "exhausted")) {
        LogWarning("peer_accept_failed", {{"problem", "out of file descriptors or memory"}});
      }
      return;
    }
    MakeRoom();
    const int raw = fd.get();
    const MonotonicTime now = shared_.Now();
    const uint64_t number = ++last_number_;
    auto accepted = std::make_unique<Accepted>(
        *this, number,
        shared_.tls ? TlsServerStream(std::move(fd), *shared_.tls) : PlainStream(std::move(fd)),
        now);
    accepted->remote = ToString(from);
    accepted->remote_host = HostOf(accepted->remote);
    accepted->deadline = now + shared_.options.greeting_max;
    accepted->token = shared_.poller.Add(raw, EPOLLIN, accepted.get());
    accepted_[number] = std::move(accepted);
  }
}

void Acceptor::MakeRoom() {
  size_t ungreeted = 0;
  Accepted* oldest = nullptr;
  for (const auto& [number, accepted] : accepted_) {
    if (accepted->phase == Phase::kTalking) continue;
    if (++ungreeted == 1) oldest = accepted.get();
  }
  if (ungreeted >= kUngreetedMax) Drop(*oldest);
}

void Acceptor::OnReady(Accepted& accepted, uint32_t events) {
  const MonotonicTime now = shared_.Now();
  switch (accepted.phase) {
    case Phase::kShaking:
      Shake(accepted, now);
      return;
    case Phase::kEnding:
      Discard(accepted);
      return;
    case Phase::kGreeting:
    case Phase::kTalking:
      break;
  }
  if (accepted.full) {
    // Nothing is read now, but a socket that is broken says so again and again.
    if ((events & kBroken) != 0) {
      Drop(accepted);
      return;
    }
  } else if ((events & (EPOLLIN | kBroken)) != 0) {
    Receive(accepted, now);
  }
  if (accepted.token != 0 && accepted.phase != Phase::kEnding) Flush(accepted, now);
}

void Acceptor::Shake(Accepted& accepted, MonotonicTime now) {
  switch (accepted.link.Shake()) {
    case Stream::Io::kClosed:
      Warn(accepted, "tls", accepted.link.why());
      End(accepted);
      return;
    case Stream::Io::kBlocked:
      Watch(accepted);
      return;
    case Stream::Io::kDone:
      break;
  }
  accepted.phase = Phase::kGreeting;
  Receive(accepted, now);  // It may have come with the end of the handshake.
  if (accepted.token != 0 && accepted.phase != Phase::kEnding) Flush(accepted, now);
}

void Acceptor::Receive(Accepted& accepted, MonotonicTime now) {
  const uint64_t before = accepted.link.bytes_received();
  const FrameLink::Received received = accepted.link.Receive(
      now, [this, &accepted](Frame& frame) { return OnFrame(accepted, frame); });
  if (accepted.counters != nullptr) {
    accepted.counters->bytes_in.Add(accepted.link.bytes_received() - before);
  }
  accepted.full = received == FrameLink::Received::kFull;
  switch (received) {
    case FrameLink::Received::kAll:
    case FrameLink::Received::kFull:
      return;
    case FrameLink::Received::kMore:
      shared_.poller.CallAgain(accepted.token);
      return;
    case FrameLink::Received::kClosed:
      break;
  }
  if (accepted.refusal) {
    Refuse(accepted, *accepted.refusal);
    return;
  }
  const bool spoke = before != accepted.link.bytes_received();
  const std::string why = accepted.problem.empty() ? accepted.link.why() : accepted.problem;
  if (accepted.phase == Phase::kTalking) {
    LogDebug("peer_left", {{"peer", accepted.from}, {"reason", why}});
  } else if (spoke) {
    // Who says nothing and leaves has looked whether the port is open.
    Warn(accepted, "handshake", why);
  }
  Drop(accepted);
}

// ---- What they say.

FrameLink::Take Acceptor::OnFrame(Accepted& accepted, Frame& frame) {
  if (accepted.phase == Phase::kGreeting && frame.type == FrameType::kHello) {
    return OnHello(accepted, frame);
  }
  if (accepted.phase == Phase::kTalking) {
    if (frame.type == FrameType::kMessage) return OnMessage(accepted, frame);
    if (frame.type == FrameType::kHeartbeat) return FrameLink::Take::kTaken;
  }
  accepted.problem =
      "a frame of type " + std::to_string(static_cast<int>(frame.type)) + " came that should not";
  return FrameLink::Take::kClose;
}

FrameLink::Take Acceptor::OnMessage(Accepted& accepted, Frame& frame) {
  TransportHandler& handler = shared_.handler;
  if (!handler.OnMessage(accepted.from, frame.payload)) {
    if (!MutantOn(Mutant::kFullOwnerIgnored)) {
      // The owner may have made room before it could see the flag: ask once more.
      shared_.owner_full.store(true);
      if (!handler.OnMessage(accepted.from, frame.payload)) return FrameLink::Take::kFull;
    }
  }
  accepted.counters->messages_in.Add();
  return FrameLink::Take::kTaken;
}

FrameLink::Take Acceptor::OnHello(Accepted& accepted, const Frame& frame) {
  const Result<Hello> hello = DecodeHello(frame.payload);
  if (!hello.ok()) {
    accepted.problem = hello.status().message();
    return FrameLink::Take::kClose;
  }
  accepted.claims = hello->from;
  accepted.refusal = Judge(accepted, *hello);
  if (accepted.refusal) return FrameLink::Take::kClose;
  Welcomed(accepted, *hello);
  return FrameLink::Take::kTaken;
}

std::string Acceptor::ExpectedName(MemberId member) const {
  const auto it = shared_.peers.find(member);
  if (it == shared_.peers.end()) return shared_.options.stranger_certificate_name;
  const Peer& peer = it->second;
  return peer.certificate_name.empty() ? HostOf(peer.address) : peer.certificate_name;
}

std::optional<Refusal> Acceptor::Judge(const Accepted& accepted, const Hello& hello) const {
  const bool known = shared_.peers.contains(hello.from);
  auto refusal = JudgeHello(hello, shared_.us, known || shared_.options.accept_strangers);
  if (!refusal && known) refusal = shared_.directories.Judge(hello.from, hello.origin);
  if (refusal) return refusal;
  const std::string expected = ExpectedName(hello.from);
  if (!accepted.link.stream().PeerIs(expected)) {
    return Refusal{RefusalReason::kCertificate,
                   "the certificate of member " + std::to_string(hello.from) + " is not for " +
                       expected + ", as member " + std::to_string(shared_.us.member) +
                       " expects; give it one that names this host (subjectAltName), or correct "
                       "its address in the list of members"};
  }
  const auto newest = newest_.find(hello.from);
  if (newest != newest_.end() && !MutantOn(Mutant::kOldConnectionKept)) {
    const Newest& seen = newest->second;
    if (seen.incarnation == hello.incarnation ? hello.attempt <= seen.attempt
                                              : accepted.number <= seen.number) {
      return Refusal{RefusalReason::kOld, "a newer connection of member " +
                                              std::to_string(hello.from) + " is there already"};
    }
  }
  if (!known && !talking_.contains(hello.from)) {
    const auto strangers = std::count_if(
        talking_.begin(), talking_.end(),
        [this](const auto& talking) { return !shared_.peers.contains(talking.first); });
    if (static_cast<size_t>(strangers) >= kStrangersMax) {
      return Refusal{RefusalReason::kMember, std::to_string(kStrangersMax) +
                                                 " members that are not in the list of members "
                                                 "are connected already"};
    }
  }
  return std::nullopt;
}

void Acceptor::Welcomed(Accepted& accepted, const Hello& hello) {
  // What the older connection still holds must not come behind what this one brings.
  if (const auto older = talking_.find(hello.from);
      older != talking_.end() && !MutantOn(Mutant::kOldConnectionKept)) {
    Drop(*older->second);
  }
  accepted.phase = Phase::kTalking;
  accepted.from = hello.from;
  accepted.counters = &shared_.metrics.Of(hello.from);
  accepted.link.SetPayloadMax(shared_.options.message_bytes_max);
  talking_[hello.from] = &accepted;
  newest_[hello.from] = {hello.incarnation, hello.attempt, accepted.number};
  shared_.of_peers.Forget(FromPeer(hello.from));
  Welcome welcome;
  welcome.cluster_uuid = shared_.us.cluster_uuid;
  welcome.from = shared_.us.member;
  welcome.incarnation = shared_.us.incarnation;
  welcome.origin = shared_.us.origin;
  accepted.link.Queue(FrameType::kWelcome, Message(EncodeWelcome(welcome)));
  if (shared_.peers.contains(hello.from)) {
    shared_.directories.Remember(hello.from, hello.origin);
    heard_(hello.from);
  } else {
    shared_.handler.OnStranger(hello.from, hello.address);
  }
}

// ---- How it ends.

void Acceptor::Refuse(Accepted& accepted, const Refusal& refusal) {
  Warn(accepted, std::string(RefusalName(refusal.reason)), refusal.text);
  accepted.link.Queue(FrameType::kRefusal, Message(EncodeRefusal(refusal)));
  if (accepted.link.Flush(shared_.Now())) {
    End(accepted);
  } else {
    Drop(accepted);
  }
}

void Acceptor::Warn(const Accepted& accepted, const std::string& reason,
                    const std::string& problem) {
  shared_.metrics.refused().Add();
  const bool is_new = shared_.peers.contains(accepted.claims)
                          ? shared_.of_peers.IsNew(FromPeer(accepted.claims), reason)
                          : shared_.of_strangers.IsNew(accepted.remote_host, reason + problem);
  if (!is_new) return;
  LogWarning("peer_refused", {{"from", accepted.remote}, {"reason", reason}, {"problem", problem}});
}

void Acceptor::End(Accepted& accepted) {
  // With unread bytes, a close would reset the connection and take back what was said last.
  shutdown(accepted.link.stream().fd(), SHUT_WR);
  accepted.phase = Phase::kEnding;
  accepted.deadline = shared_.Now() + kEndingMax;
  shared_.poller.Change(accepted.token, EPOLLIN);
  Discard(accepted);
}

void Acceptor::Discard(Accepted& accepted) {
  std::array<char, 4096> bytes;
  while (true) {
    const ssize_t n = recv(accepted.link.stream().fd(), bytes.data(), bytes.size(), 0);
    if (n > 0) continue;
    if (n < 0 && errno == EAGAIN) return;
    Drop(accepted);
    return;
  }
}

void Acceptor::Drop(Accepted& accepted) {
  if (accepted.token == 0) return;
  shared_.poller.Remove(std::exchange(accepted.token, 0));
  const auto talking = talking_.find(accepted.from);
  if (talking != talking_.end() && talking->second == &accepted) talking_.erase(talking);
  const auto it = accepted_.find(accepted.number);
  dropped_.push_back(std::move(it->second));
  accepted_.erase(it);
  // Of strangers, a bounded number is remembered.
  if (newest_.size() > kStrangersMax + shared_.peers.size()) {
    std::erase_if(newest_, [this](const auto& entry) {
      return !shared_.peers.contains(entry.first) && !talking_.contains(entry.first);
    });
  }
}

void Acceptor::Flush(Accepted& accepted, MonotonicTime now) {
  if (accepted.link.Flush(now)) {
    Watch(accepted);
  } else {
    Drop(accepted);
  }
}

void Acceptor::Watch(Accepted& accepted) {
  shared_.poller.Change(accepted.token, (accepted.full ? 0u : EPOLLIN) |
                                            (accepted.link.wants_write() ? EPOLLOUT : 0u));
}

// ---- What the owner and the clock say.

void Acceptor::OnPeersChanged() {
  // Whoever would be refused today has no right to go on.
  std::vector<Accepted*> gone;
  for (const auto& [member, accepted] : talking_) {
    const bool allowed = shared_.peers.contains(member) || shared_.options.accept_strangers;
    if (!allowed || !accepted->link.stream().PeerIs(ExpectedName(member))) {
      gone.push_back(accepted);
    }
  }
  for (Accepted* accepted : gone) Drop(*accepted);
}

void Acceptor::Resume() {
  const MonotonicTime now = shared_.Now();
  std::vector<Accepted*> waiting;
  for (const auto& [number, accepted] : accepted_) {
    if (accepted->full) waiting.push_back(accepted.get());
  }
  for (Accepted* accepted : waiting) {
    if (accepted->token == 0) continue;
    Receive(*accepted, now);
    if (accepted->token != 0) Flush(*accepted, now);
  }
}

void Acceptor::Tick(MonotonicTime now) {
  if (accept_again_ && now >= *accept_again_) {
    accept_again_.reset();
    shared_.poller.Change(token_, EPOLLIN);
  }
  std::vector<Accepted*> silent;
  std::vector<Accepted*> idle;
  const TransportOptions& options = shared_.options;
  for (const auto& [number, accepted] : accepted_) {
    const FrameLink& link = accepted->link;
    if (accepted->phase != Phase::kTalking) {
      if (now >= accepted->deadline) silent.push_back(accepted.get());
      continue;
    }
    if (!accepted->full && now - link.last_received() >= options.silence_max &&
        !MutantOn(Mutant::kSilenceIgnored)) {
      silent.push_back(accepted.get());
    } else if (link.idle() && now - link.last_sent() >= options.heartbeat_interval) {
      idle.push_back(accepted.get());
    }
  }
  for (Accepted* accepted : silent) {
    if (accepted->phase == Phase::kShaking || accepted->phase == Phase::kGreeting) {
      Warn(*accepted, "handshake", "no complete handshake in time");
    }
    Drop(*accepted);
  }
  for (Accepted* accepted : idle) {
    accepted->link.Queue(FrameType::kHeartbeat, Message());
    Flush(*accepted, now);
  }
  dropped_.clear();
}

MonotonicTime Acceptor::next_deadline() const {
  MonotonicTime next = accept_again_.value_or(MonotonicTime::max());
  const TransportOptions& options = shared_.options;
  for (const auto& [number, accepted] : accepted_) {
    const FrameLink& link = accepted->link;
    if (accepted->phase != Phase::kTalking) {
      next = std::min(next, accepted->deadline);
      continue;
    }
    if (!accepted->full) next = std::min(next, link.last_received() + options.silence_max);
    if (link.idle()) next = std::min(next, link.last_sent() + options.heartbeat_interval);
  }
  return next;
}

}  // namespace assent::txlog
