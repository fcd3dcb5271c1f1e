#include "txlog/transport/engine.h"

#include <algorithm>
#include <utility>

namespace assent::txlog {

Engine::Engine(Shared& shared, ListeningSocket listening)
    : shared_(shared),
      resolver_(shared.poller.waker()),
      acceptor_(shared, std::move(listening), [this](MemberId member) {
        if (const auto it = dialers_.find(member); it != dialers_.end()) it->second->DialNow();
      }) {}

void Engine::Run() {
  while (Obey()) {
    const MonotonicTime until = NextDeadline();
    // Whoever sends or wishes from now on wakes us; who did before is served without a sleep.
    shared_.poller.Wait(shared_.outboxes.MaySleep() ? until : MonotonicTime{});
    shared_.outboxes.Awake();

    for (const Resolver::Answer& answer : resolver_.TakeAnswers()) {
      for (const auto& [member, dialer] : dialers_) {
        if (dialer->question() == answer.question) dialer->OnResolved(answer.addresses);
      }
    }
    SendAll();
    const MonotonicTime now = shared_.Now();
    for (const auto& [member, dialer] : dialers_) dialer->Tick(now);
    acceptor_.Tick(now);
  }
  dialers_.clear();
}

bool Engine::Obey() {
  Wishes wishes = TakeWishes();
  if (wishes.stop) return false;
  if (wishes.peers) ChangePeers(std::move(*wishes.peers));
  if (wishes.resume) acceptor_.Resume();
  return true;
}

MonotonicTime Engine::NextDeadline() const {
  MonotonicTime next = acceptor_.next_deadline();
  for (const auto& [member, dialer] : dialers_) next = std::min(next, dialer->next_deadline());
  return next;
}

void Engine::SendAll() {
  for (Outboxes::Batch& batch : shared_.outboxes.Take()) {
    const auto it = dialers_.find(batch.to);
    if (it != dialers_.end()) it->second->Send(std::move(batch.messages));
  }
}

void Engine::ChangePeers(std::vector<Peer> peers) {
  shared_.peers.clear();
  for (const Peer& peer : peers) shared_.peers[peer.member] = peer;
  std::erase_if(dialers_, [this](const auto& entry) {
    const auto it = shared_.peers.find(entry.first);
    return it == shared_.peers.end() || !(it->second == entry.second->peer());
  });
  for (const auto& [member, peer] : shared_.peers) {
    std::unique_ptr<Dialer>& dialer = dialers_[member];
    if (!dialer) dialer = std::make_unique<Dialer>(shared_, resolver_, peer);
  }
  acceptor_.OnPeersChanged();
}

Engine::Wishes Engine::TakeWishes() {
  MutexLock lock(mutex_);
  return std::exchange(wishes_, {});
}

void Engine::SetPeers(std::vector<Peer> peers) {
  {
    MutexLock lock(mutex_);
    wishes_.peers = std::move(peers);
  }
  shared_.poller.waker()->Wake();
}

void Engine::Resume() {
  {
    MutexLock lock(mutex_);
    wishes_.resume = true;
  }
  shared_.poller.waker()->Wake();
}

void Engine::Stop() {
  {
    MutexLock lock(mutex_);
    wishes_.stop = true;
  }
  shared_.poller.waker()->Wake();
}

}  // namespace assent::txlog
