// One end of a transport in a test: an owner that writes down what it hears.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "txlog/transport/transport.h"

namespace assent::txlog {

inline constexpr const char* kTestCluster = "6f1c2a0e-5d0b-4a52-9f3c-0d8c5c1b7a11";
// For conditions that must come; far beyond what they take.
inline constexpr std::chrono::seconds kPatience{30};

// Options for `member` that find out soon what takes seconds outside of tests.
inline TransportOptions TestOptions(MemberId member) {
  TransportOptions options;
  options.listen = "127.0.0.1:0";
  options.cluster_uuid = kTestCluster;
  options.member = member;
  options.heartbeat_interval = std::chrono::milliseconds(50);
  options.silence_max = std::chrono::milliseconds(2000);
  options.backoff_min = std::chrono::milliseconds(5);
  options.backoff_max = std::chrono::milliseconds(50);
  return options;
}

class Owner final : public TransportHandler {
 public:
  struct Received {
    MemberId from;
    std::string bytes;
  };

  bool OnMessage(MemberId from, std::string& bytes) override {
    MutexLock lock(mutex_);
    if (messages_.size() >= room_) {
      ++refused_;
      changed_.NotifyAll();
      return false;
    }
    messages_.push_back({from, std::move(bytes)});
    changed_.NotifyAll();
    return true;
  }
  void OnPeerUp(MemberId peer, uint64_t incarnation) override {
    MutexLock lock(mutex_);
    up_[peer] = incarnation;
    ++ups_;
    changed_.NotifyAll();
  }
  void OnPeerDown(MemberId peer) override {
    MutexLock lock(mutex_);
    up_.erase(peer);
    ++downs_;
    changed_.NotifyAll();
  }
  void OnStranger(MemberId member, const std::string& address) override {
    MutexLock lock(mutex_);
    strangers_[member] = address;
    changed_.NotifyAll();
  }

  // False after kPatience.
  bool WaitUp(MemberId peer) {
    return Wait([this, peer]() REQUIRES(mutex_) { return up_.contains(peer); });
  }
  bool WaitDown(MemberId peer) {
    return Wait([this, peer]() REQUIRES(mutex_) { return !up_.contains(peer); });
  }
  bool WaitUps(size_t count) {
    return Wait([this, count]() REQUIRES(mutex_) { return ups_ >= count; });
  }
  bool WaitDowns(size_t count) {
    return Wait([this, count]() REQUIRES(mutex_) { return downs_ >= count; });
  }
  bool WaitMessages(size_t count) {
    return Wait([this, count]() REQUIRES(mutex_) { return messages_.size() >= count; });
  }
  bool WaitRefused() {
    return Wait([this]() REQUIRES(mutex_) { return refused_ > 0; });
  }
  bool WaitStranger(MemberId member) {
    return Wait([this, member]() REQUIRES(mutex_) { return strangers_.contains(member); });
  }

  // All that came since the last call.
  std::deque<Received> Take() {
    MutexLock lock(mutex_);
    return std::exchange(messages_, {});
  }
  // How many messages it keeps until Take.
  void SetRoom(size_t room) {
    MutexLock lock(mutex_);
    room_ = room;
  }
  uint64_t incarnation_of(MemberId peer) {
    MutexLock lock(mutex_);
    return up_.contains(peer) ? up_[peer] : 0;
  }
  std::string stranger(MemberId member) {
    MutexLock lock(mutex_);
    return strangers_[member];
  }
  size_t ups() {
    MutexLock lock(mutex_);
    return ups_;
  }

 private:
  bool Wait(const std::function<bool()>& condition) EXCLUDES(mutex_) {
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    MutexLock lock(mutex_);
    while (!condition()) {
      if (!changed_.WaitUntil(mutex_, deadline)) return condition();
    }
    return true;
  }

  Mutex mutex_;
  CondVar changed_;
  std::deque<Received> messages_ GUARDED_BY(mutex_);
  std::map<MemberId, uint64_t> up_ GUARDED_BY(mutex_);
  std::map<MemberId, std::string> strangers_ GUARDED_BY(mutex_);
  size_t room_ GUARDED_BY(mutex_) = SIZE_MAX;
  size_t refused_ GUARDED_BY(mutex_) = 0;
  size_t ups_ GUARDED_BY(mutex_) = 0;
  size_t downs_ GUARDED_BY(mutex_) = 0;
};

// A transport with its owner. Aborts the test program if it does not start.
class TestNode {
 public:
  explicit TestNode(const TransportOptions& options) : member_(options.member) {
    auto started = Transport::Start(options, owner_);
    if (!started.ok()) std::fprintf(stderr, "%s\n", started.status().ToString().c_str());
    transport_ = std::move(started.value());
  }

  Peer AsPeer() const {
    return {.member = member_,
            .address = "127.0.0.1:" + std::to_string(transport_->port()),
            .certificate_name = ""};
  }
  Transport& transport() { return *transport_; }
  Owner& owner() { return owner_; }
  Transport* operator->() { return transport_.get(); }
  // What was counted of `peer`; zeroes if nothing ever was.
  const PeerCounters& counters(MemberId peer) {
    static const PeerCounters none;
    const PeerCounters* found = &none;
    transport_->counters().ForEach([&](const std::string& label, const PeerCounters& counters) {
      if (label == std::to_string(peer)) found = &counters;
    });
    return *found;
  }

 private:
  const MemberId member_;
  Owner owner_;
  std::unique_ptr<Transport> transport_;
};

// Until a condition that nobody announces holds; false after kPatience.
template <typename Condition>
bool Eventually(Condition&& condition) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  Mutex mutex;
  CondVar never;
  while (!condition()) {
    const auto now = std::chrono::steady_clock::now();
    if (now > deadline) return false;
    MutexLock lock(mutex);
    never.WaitUntil(mutex, now + std::chrono::milliseconds(2));
  }
  return true;
}

}  // namespace assent::txlog
