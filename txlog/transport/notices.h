// Says a thing once: a peer that is refused tries again for ever, and the log need not hear of each
// attempt.
#pragma once

#include <cstddef>
#include <map>
#include <set>
#include <string>

namespace assent::txlog {

// Not thread-safe.
class Notices {
 public:
  // Strangers decide what there is to say; what is remembered stays small all the same.
  static constexpr size_t kWhoMax = 64;
  static constexpr size_t kReasonsMax = 16;  // Of one of them.

  // True if `reason` is new of `who`. Beyond the bounds nothing is new.
  bool IsNew(const std::string& who, const std::string& reason) {
    if (said_.size() >= kWhoMax && !said_.contains(who)) return false;
    std::set<std::string>& reasons = said_[who];
    return reasons.size() < kReasonsMax && reasons.insert(reason).second;
  }
  // All is well with `who` again: the next trouble is news.
  void Forget(const std::string& who) { said_.erase(who); }

 private:
  std::map<std::string, std::set<std::string>> said_;
};

}  // namespace assent::txlog
