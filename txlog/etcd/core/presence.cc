#include "txlog/etcd/core/presence.h"

#include <utility>

namespace assent::txlog::etcd {

void Presence::Tick(MonotonicTime now, LeaseId lease) {
  if (lease == 0 || lease == put_under_ || putting_ != 0 || now < put_again_at_) return;
  putting_under_ = lease;
  put_again_at_ = now + kRetry;
  putting_ = SendNumbered({.then = {Put{layout_.Presence(self_.id), Text(self_), lease}}});
}

void Presence::List(Listed done) {
  const uint64_t request =
      SendNumbered({.then = {Range{layout_.presence_begin(), layout_.presence_end()}}});
  listing_.emplace(request, std::move(done));
}

bool Presence::TakeAnswer(TxnAnswered& event) {
  const auto* done = std::get_if<Done>(&event.outcome);
  if (event.request == putting_) {
    putting_ = 0;
    if (done != nullptr) put_under_ = putting_under_;
    return true;
  }
  auto listing = listing_.extract(event.request);
  if (listing.empty()) return false;
  if (done == nullptr || done->ranges.size() != 1) {
    listing.mapped()(std::nullopt);
    return true;
  }
  std::vector<PresenceValue> processes;
  for (const KeyValue& one : done->ranges[0]) {
    if (auto value = ParsePresence(one.value)) processes.push_back(std::move(*value));
  }
  listing.mapped()(std::move(processes));
  return true;
}

void Presence::Stop() {
  for (auto& [request, done] : std::exchange(listing_, {})) done(std::nullopt);
}

uint64_t Presence::SendNumbered(Txn txn) {
  const uint64_t request = next_request_++;
  send_({request, std::move(txn)});
  return request;
}

}  // namespace assent::txlog::etcd
