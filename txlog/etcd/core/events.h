// What can happen to the core. The shell gives these in the order in which they happened.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "txlog/decision_log.h"
#include "txlog/etcd/core/kv.h"

namespace assent::txlog::etcd {

// An id is the shell's: opaque, and answered exactly once.
struct Proposal {
  uint64_t id = 0;
  std::string record;  // 1 to kRecordBytesMax bytes.
};
// All meant for `term`. Answered by ProposalFates.
struct Propose {
  Term term = 0;
  std::vector<Proposal> proposals;
};
// Answered by ReadReady or ReadsRefused.
struct ReadBarrier {
  uint64_t id = 0;
};
// As DecisionLog::SaveSnapshot; only a leader takes it.
struct SaveSnapshot {
  Index index = 0;
  std::string state;
};
// Give the lead away, to whoever is first. Answered by Resigned.
struct Resign {
  uint64_t id = 0;
};
// What waits for a batch may go: nothing more is known to come just now. After every other event,
// or every few. A batch that was answered makes its owner propose more, which should go along with
// what waited meanwhile: two halves that take turns would go at half the rate.
struct Flush {};
// As Flush; and some time has passed: a small part of Options::retry_min is enough.
struct Tick {};

// Answers SendTxn, once.
struct TxnAnswered {
  uint64_t request = 0;
  Outcome outcome;
};
// Answers GrantLease and KeepLease, once.
struct LeaseAnswered {
  enum class What {
    kHeld,      // From when it was asked for, for `ttl` at least.
    kGone,      // There is no such lease any more.
    kNotGiven,  // No answer, or an error.
  };
  uint64_t request = 0;
  What what = What::kNotGiven;
  LeaseId lease = 0;
  std::chrono::milliseconds ttl{0};
  std::string message;  // If not given.
};
// Of the watch of that number, in etcd's order; a step's changes are never torn apart.
struct Watched {
  uint64_t watch = 0;
  std::vector<Change> changes;
};
// It will bring nothing more: cancelled, disconnected, or too far behind.
struct WatchEnded {
  uint64_t watch = 0;
  std::string message;
};

using Event = std::variant<Propose, ReadBarrier, SaveSnapshot, Resign, Flush, Tick, TxnAnswered,
                           LeaseAnswered, Watched, WatchEnded>;

}  // namespace assent::txlog::etcd
