// What the shell must do next, in this order. Requests are numbered, and each is answered once, in
// bounded time; they may be sent beside each other.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "txlog/decision_log.h"
#include "txlog/etcd/core/kv.h"

namespace assent::txlog::etcd {

struct SendTxn {
  uint64_t request = 0;
  Txn txn;
  bool is_batch = false;  // Of what was proposed.
};
struct GrantLease {
  uint64_t request = 0;
  std::chrono::milliseconds ttl{0};
};
struct KeepLease {
  uint64_t request = 0;
  LeaseId lease = 0;
};
// In place of the watch before, if there is one.
struct StartWatch {
  uint64_t watch = 0;
  std::string key;
  std::string end;
  Revision from = 0;  // The first that is of interest.
};
struct StopWatch {};

// Everything before is replaced by this state.
struct Restore {
  Index index = 0;
  Term term = 0;
  std::string state;
};
// In log order without gap, behind everything handed over before.
struct Apply {
  std::vector<Applied> entries;
};
struct ProposalFates {
  Fate fate = Fate::kRefused;
  std::vector<uint64_t> ids;
};
// This process has won `term`, or `leads` in none.
struct LeadershipChanged {
  Term term = 0;
  bool leads = false;
};
// Who leads, this process included. owner 0: nobody is known.
struct LeaderKnown {
  Term term = 0;
  uint64_t owner = 0;
  std::string address;
};
struct ReadReady {
  std::vector<uint64_t> ids;
};
struct ReadsRefused {
  std::vector<uint64_t> ids;
};
struct SnapshotWanted {};
// moved: this process led, and no longer does.
struct Resigned {
  uint64_t id = 0;
  bool moved = false;
};
// A snapshot is in force: everything up to `index` was dropped.
struct SnapshotTaken {
  Index index = 0;
};
// What keeps this process from its work, for people. Empty: nothing any more.
struct Trouble {
  std::string what;
};
// What is in etcd is not what this program writes there, or not for it: going on would risk data.
// End the process; `why` is for the operator.
struct Halt {
  std::string why;
};

using Action = std::variant<SendTxn, GrantLease, KeepLease, StartWatch, StopWatch, Restore, Apply,
                            ProposalFates, LeadershipChanged, LeaderKnown, ReadReady, ReadsRefused,
                            SnapshotWanted, Resigned, SnapshotTaken, Trouble, Halt>;

}  // namespace assent::txlog::etcd
