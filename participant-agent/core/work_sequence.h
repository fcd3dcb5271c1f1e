// Whether a call that runs statements is new, a repeat, or out of order (BranchService.Execute).
#pragma once

#include <cstdint>

namespace assent::agent {

// Each call carries the next number; a repeat of the last number is answered from memory, so that a
// statement runs once however often its request arrives. Not thread-safe.
class WorkSequence {
 public:
  enum class Verdict : uint8_t {
    kRun,     // The next one: run it.
    kReplay,  // The last one again: give the stored answer.
    kJoin,    // The one that runs now, again: answer when it ends.
    kBusy,    // The next one while the last still runs: one at a time.
    kGap,     // Neither the next nor the last.
  };

  Verdict Asked(uint64_t seq) const {
    if (seq == 0) return Verdict::kGap;
    if (running_) {
      if (seq == last_) return Verdict::kJoin;
      return seq == last_ + 1 ? Verdict::kBusy : Verdict::kGap;
    }
    if (seq == last_) return Verdict::kReplay;
    return seq == last_ + 1 ? Verdict::kRun : Verdict::kGap;
  }
  void Began(uint64_t seq) {
    last_ = seq;
    running_ = true;
  }
  void Ended() { running_ = false; }
  uint64_t last() const { return last_; }

 private:
  uint64_t last_ = 0;
  bool running_ = false;
};

}  // namespace assent::agent
