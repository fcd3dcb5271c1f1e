// Why the last transactions were aborted: in memory only, so that a repeated Commit or a Get hears
// the true cause instead of "presumed". Losing it loses no truth, only words.
#pragma once

#include <deque>
#include <unordered_map>
#include <utility>

#include "base/ids.h"
#include "coordinator/core/types.h"

namespace assent::coordinator {

// Not thread-safe.
class AbortMemory {
 public:
  explicit AbortMemory(size_t max) : max_(max) {}

  void Remember(const Gtrid& gtrid, AbortReason reason) {
    if (!reasons_.emplace(gtrid, std::move(reason)).second) return;
    order_.push_back(gtrid);
    if (order_.size() <= max_) return;
    reasons_.erase(order_.front());
    order_.pop_front();
  }
  // PRESUMED if it is not remembered.
  AbortReason Of(const Gtrid& gtrid) const {
    auto it = reasons_.find(gtrid);
    return it == reasons_.end() ? AbortReason{} : it->second;
  }

 private:
  const size_t max_;
  std::unordered_map<Gtrid, AbortReason> reasons_;
  std::deque<Gtrid> order_;
};

}  // namespace assent::coordinator
