#include "txlog/transport/outboxes.h"

#include <utility>

#include "base/check.h"
#include "base/mutant.h"

namespace assent::txlog {

SendResult Outboxes::Push(MemberId to, Message message, bool* wake) {
  *wake = false;
  const size_t cost = message.cost();
  const bool too_large = message.bytes() > message_bytes_max_;
  MutexLock lock(mutex_);
  const auto it = outboxes_.find(to);
  if (it == outboxes_.end()) return SendResult::kDown;
  Outbox& outbox = it->second;
  const auto dropped = [&outbox](SendResult why) {
    outbox.counters->messages_dropped.Add();
    return why;
  };
  if (too_large) return dropped(SendResult::kTooLarge);
  if (!outbox.open) return dropped(SendResult::kDown);
  if (outbox.cost + cost > queue_bytes_max_ && !MutantOn(Mutant::kPeerQueueUnbounded)) {
    return dropped(SendResult::kFull);
  }
  outbox.cost += cost;
  outbox.counters->queued_bytes.Set(static_cast<int64_t>(outbox.cost));
  outbox.waiting.push_back(std::move(message));
  any_ = true;
  *wake = std::exchange(sleeping_, false);
  return SendResult::kQueued;
}

void Outboxes::Open(MemberId to, PeerCounters& counters) {
  MutexLock lock(mutex_);
  Outbox& outbox = outboxes_[to];
  outbox.counters = &counters;
  outbox.open = true;
}

void Outboxes::Close(MemberId to) {
  MutexLock lock(mutex_);
  const auto it = outboxes_.find(to);
  if (it == outboxes_.end()) return;
  Outbox& outbox = it->second;
  outbox.counters->messages_dropped.Add(outbox.waiting.size());
  outbox.counters->queued_bytes.Set(0);
  outbox.waiting.clear();
  outbox.cost = 0;
  outbox.open = false;
}

std::vector<Outboxes::Batch> Outboxes::Take() {
  std::vector<Batch> out;
  MutexLock lock(mutex_);
  if (!std::exchange(any_, false)) return out;
  for (auto& [to, outbox] : outboxes_) {
    if (!outbox.waiting.empty()) out.push_back({to, std::exchange(outbox.waiting, {})});
  }
  return out;
}

void Outboxes::Written(MemberId to, size_t cost) {
  MutexLock lock(mutex_);
  Outbox& outbox = outboxes_.at(to);
  ASSENT_CHECK(outbox.cost >= cost);
  outbox.cost -= cost;
  outbox.counters->queued_bytes.Set(static_cast<int64_t>(outbox.cost));
}

bool Outboxes::MaySleep() {
  MutexLock lock(mutex_);
  sleeping_ = !any_;
  return sleeping_;
}

void Outboxes::Awake() {
  MutexLock lock(mutex_);
  sleeping_ = false;
}

}  // namespace assent::txlog
