// The face of the durable decision log: opaque records, appended in order, applied in order.
//
// Behind this door stands one engine at a time: today one node's own disk (txlog/local_log.h), next
// a replicated group. Nothing above may depend on which. txlog never parses a record.
//
// Words are those of the Raft paper (Ongaro, Ousterhout 2014): term, index, applied, snapshot.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"

namespace assent::txlog {

using Term = uint64_t;
using Index = uint64_t;

// The largest record that Propose takes. Larger ones are refused, nothing written.
inline constexpr size_t kRecordBytesMax = 1 << 20;

// What became of a proposal.
enum class Fate {
  kDurable,  // A majority has forced the record to disk: it will be applied, everywhere, in this
             // order. That is not yet a decision: see Listener::OnApplied.
  kRefused,  // Nothing was written, and never will be. Aborting is safe.
  kInDoubt,  // Leadership was lost midway; only what is applied later can tell.
};

// One entry of the log that has taken effect. An empty record is the log's own: the no-op that a
// leader commits at the start of its term.
struct Applied {
  Index index = 0;
  Term term = 0;
  std::string record;
};

// What the log tells its owner. All calls come from one thread, the log thread, in log order, and
// must not block: post them to the driver's queue.
class Listener {
 public:
  virtual ~Listener() = default;

  // Everything before is replaced by this state (as given to SaveSnapshot once). Only at start, or
  // when a follower was too far behind.
  virtual void OnSnapshot(Index index, Term term, std::string state) = 0;

  // Entries took effect, in order, without gap. A proposal's `done(kDurable)` comes before or after
  // the OnApplied that carries its record; only the latter decides anything.
  virtual void OnApplied(std::vector<Applied> entries) = 0;

  // This node leads in `term`, or (leader = false) no longer does. Leadership is announced as soon
  // as it is won; the no-op of that term arrives later through OnApplied and only then is every
  // entry of older terms known here.
  virtual void OnLeadership(Term term, bool leader) = 0;

  // The log has grown past its limit since the last snapshot: call SaveSnapshot when convenient.
  virtual void OnSnapshotWanted() = 0;
};

// Durable, ordered, replicated.
//
// Thread-safety: every call from the driver thread. Callbacks run on the log thread and must not
// block. Destruction stops the log thread; proposals under way then end with kInDoubt.
class DecisionLog {
 public:
  virtual ~DecisionLog() = default;

  // Starts to append `record` (opaque bytes, 1 to kRecordBytesMax); `done` runs once.
  //
  // The record is meant for `term`: in any other term, or when this node does not lead, it is
  // refused. kInDoubt is settled by the applied stream: once an entry or snapshot of a later term
  // is applied and this record was not among the applied ones, it never will be. Truncation here
  // proves nothing (docs/protocols.md).
  //
  // Errors: none but the three fates. A full disk refuses. A failed fsync ends the process, since
  // the page cache can't be trusted afterwards.
  virtual void Propose(std::string record, Term term, std::function<void(Fate)> done) = 0;

  // As Propose, but alone it begins no append: it goes behind the record of the next Propose and,
  // where the engine can, shares its forced write. For what nobody waits for. An engine may take it
  // at once.
  virtual void ProposeWithNext(std::string record, Term term, std::function<void(Fate)> done) {
    Propose(std::move(record), term, std::move(done));
  }

  // Runs `done` once everything committed before this call has been handed to OnApplied and this
  // node has proved that it still leads (read index). UNAVAILABLE: it does not; ask the leader.
  virtual void ReadBarrier(std::function<void(Status)> done) = 0;

  // Keeps `state`, which reflects every entry up to and including `index` (already applied), and
  // drops the entries that it covers. A failure to write keeps the old snapshot and all entries and
  // is logged.
  virtual void SaveSnapshot(Index index, std::string state) = 0;
};

}  // namespace assent::txlog
