// Which processes of a group are there: each keeps a key of its own that ends with its lease. For
// people who ask; nobody leads, follows or decides by it.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "txlog/etcd/core/actions.h"
#include "txlog/etcd/core/events.h"
#include "txlog/etcd/core/layout.h"

namespace assent::txlog::etcd {

// Pure but for what it is given. Not thread-safe.
class Presence {
 public:
  using Send = std::function<void(const SendTxn&)>;
  // The processes; nothing: etcd has not told.
  using Listed = std::function<void(std::optional<std::vector<PresenceValue>>)>;

  // Its requests have numbers that no Member (core/member.h) has.
  Presence(const std::string& prefix, PresenceValue self, Send send)
      : layout_(prefix), self_(std::move(self)), send_(std::move(send)) {}

  // This process holds `lease`, 0: none. Puts the key if it does not hang on that one yet; until it
  // does, again and again.
  void Tick(MonotonicTime now, LeaseId lease);
  // `done` runs once, when etcd has answered, or Stop was called.
  void List(Listed done);
  // False: the answer is to no request of this object's.
  bool TakeAnswer(TxnAnswered& event);
  void Stop();

  // Between attempts to put the key.
  static constexpr std::chrono::seconds kRetry{3};

 private:
  uint64_t SendNumbered(Txn txn);

  const Layout layout_;
  const PresenceValue self_;
  const Send send_;
  uint64_t next_request_ = uint64_t{1} << 63;
  LeaseId put_under_ = 0;
  uint64_t putting_ = 0;  // The request under way.
  LeaseId putting_under_ = 0;
  MonotonicTime put_again_at_{};
  std::map<uint64_t, Listed> listing_;
};

}  // namespace assent::txlog::etcd
