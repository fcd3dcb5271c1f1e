// Read barriers of a leader (thesis 6.4): all that wait are proved by one round of heartbeats.
//
// A barrier is answered once a majority has answered a heartbeat sent after it came, and everything
// that was committed then has been handed to the owner.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "txlog/raft/types.h"

namespace assent::txlog::raft {

// Not thread-safe.
class ReadBarriers {
 public:
  size_t waiting() const { return open_.size() + round_ids_.size() + confirmed_count_; }

  void Add(uint64_t id) { open_.push_back(id); }

  // Starts the next round if barriers wait for one and none is under way; false otherwise.
  // `commit`: the commit index of a leader that has committed an entry of its own term.
  bool StartRound(Index commit) {
    if (!round_ids_.empty() || open_.empty()) return false;
    round_ids_.swap(open_);
    round_commit_ = commit;
    ++round_;
    return true;
  }
  // Heartbeats carry it; 0: there was none yet. Rises for ever.
  uint64_t round() const { return round_; }
  bool round_under_way() const { return !round_ids_.empty(); }

  // A majority has answered the round under way.
  void RoundConfirmed() {
    confirmed_count_ += round_ids_.size();
    confirmed_.push_back({round_commit_, std::move(round_ids_)});
    round_ids_.clear();
  }

  // Those that may be answered now that everything up to `applied` is handed over.
  std::vector<uint64_t> TakeReady(Index applied) {
    std::vector<uint64_t> ready;
    while (!confirmed_.empty() && confirmed_.front().commit <= applied) {
      const std::vector<uint64_t>& ids = confirmed_.front().ids;
      confirmed_count_ -= ids.size();
      ready.insert(ready.end(), ids.begin(), ids.end());
      confirmed_.pop_front();
    }
    return ready;
  }

  // Leadership is lost: all that wait, confirmed or not.
  std::vector<uint64_t> TakeAll() {
    std::vector<uint64_t> all;
    for (const Confirmed& c : confirmed_) all.insert(all.end(), c.ids.begin(), c.ids.end());
    all.insert(all.end(), round_ids_.begin(), round_ids_.end());
    all.insert(all.end(), open_.begin(), open_.end());
    confirmed_.clear();
    confirmed_count_ = 0;
    round_ids_.clear();
    open_.clear();
    return all;
  }

 private:
  struct Confirmed {
    Index commit = 0;
    std::vector<uint64_t> ids;
  };

  std::vector<uint64_t> open_;  // Wait for the next round.
  std::vector<uint64_t> round_ids_;
  Index round_commit_ = 0;
  uint64_t round_ = 0;
  std::deque<Confirmed> confirmed_;  // Wait to be applied. Their commit indexes rise.
  size_t confirmed_count_ = 0;
};

}  // namespace assent::txlog::raft
