// Snapshots of a leader: written in pieces under a name of their own, put in force by one step, and
// then what they make superfluous is deleted. Each step is sent until etcd has answered it, and may
// be done twice.
#include <algorithm>

#include "base/crc32c.h"
#include "base/mutant.h"
#include "txlog/etcd/core/member.h"

namespace assent::txlog::etcd {

void Member::WantSnapshot() {
  const uint64_t batches = slots_.empty() ? 0 : slots_.back().slot - slots_.front().slot;
  if (snapshot_wanted_ || (bytes_behind_snapshot_ < options_.snapshot_after_bytes &&
                           batches < options_.snapshot_after_batches)) {
    return;
  }
  snapshot_wanted_ = true;
  Do(SnapshotWanted{});
}

void Member::On(SaveSnapshot& event) {
  const bool busy = saving_.step == Saving::Step::kChunks || saving_.step == Saving::Step::kSwitch;
  snapshot_wanted_ = false;  // If this one is not taken, another is asked for.
  if (phase_ != Phase::kLeading || busy) return;
  if (event.index <= snapshot_.index || event.index > applied_.index) return;
  auto end = std::find_if(slots_.begin(), slots_.end(),
                          [&](const SlotEnd& one) { return one.last_index >= event.index; });
  if (end == slots_.end()) return;
  snapshot_wanted_ = true;  // Until it is in force.
  if (saving_.request != 0) requests_.erase(saving_.request);
  saving_ = Saving{.step = Saving::Step::kChunks};
  saving_.value = {.name = SnapshotName(term_, event.index),
                   .index = event.index,
                   .term = end->term,
                   .slot = end->slot,
                   .chunks = std::max<uint64_t>(
                       1, (event.state.size() + options_.chunk_bytes - 1) / options_.chunk_bytes),
                   .bytes = event.state.size(),
                   .crc = Crc32c(event.state)};
  saving_.state = std::move(event.state);
  if (MutantOn(Mutant::kEtcdSwitchedEarly)) saving_.step = Saving::Step::kSwitch;
}

void Member::Save() {
  if (saving_.step == Saving::Step::kNone || saving_.request != 0 || !Due(saving_.retry)) return;
  saving_.request = Send({Kind::kSnapshot}, SavingTxn());
}

Txn Member::SavingTxn() {
  Txn txn;
  txn.compares = {StillLeads()};
  txn.otherwise = {Range{.key = layout_.leader(), .keys_only = true}, Range{layout_.snapshot()}};
  switch (saving_.step) {
    case Saving::Step::kNone:
      break;
    case Saving::Step::kChunks:
      txn.then = {
          Put{layout_.Chunk(saving_.value.name, saving_.chunk),
              saving_.state.substr(saving_.chunk * options_.chunk_bytes, options_.chunk_bytes)}};
      break;
    case Saving::Step::kSwitch:
      // An unanswered request of an earlier one must not bring that back.
      if (!MutantOn(Mutant::kEtcdSwitchedBack)) {
        txn.compares.push_back({.key = layout_.snapshot(),
                                .what = Compare::What::kModRevision,
                                .revision = snapshot_changed_});
      }
      txn.then = {Put{layout_.snapshot(), Text(saving_.value)}};
      break;
    case Saving::Step::kSweep:
      // Only older ones, which is safe however late it is done: names rise.
      txn.then = {Delete{layout_.snapshots_begin(), layout_.Chunk(snapshot_.name, 0)}};
      break;
    case Saving::Step::kFind:
      txn.then = {
          Range{.key = layout_.Log(0),
                .end = layout_.Log(snapshot_.slot + (MutantOn(Mutant::kEtcdTrimsTooFar) ? 2 : 0)),
                .limit = static_cast<int64_t>(options_.trim_batches),
                .keys_only = true}};
      break;
    case Saving::Step::kTrim:
      txn.then = {Delete{layout_.Log(0), saving_.trim_end}};
      break;
  }
  return txn;
}

void Member::SavingAnswered(Outcome& outcome) {
  saving_.request = 0;
  if (const auto* done = std::get_if<Done>(&outcome)) {
    if (done->succeeded) return Saved(*done, done->revision);
    const bool whole = done->ranges.size() == 2;
    if (whole && !done->ranges[0].empty() && done->ranges[0][0].create_revision == reign_ &&
        saving_.step == Saving::Step::kSwitch && !done->ranges[1].empty() &&
        done->ranges[1][0].value == Text(saving_.value)) {
      // An answer was lost, the step was not.
      return Saved(*done, done->ranges[1][0].mod_revision);
    }
    return ReignIsOver();
  }
  if (const auto* no = std::get_if<NotDone>(&outcome);
      no != nullptr && no->why != NotDone::Why::kBusy) {
    return Settle("etcd takes no snapshot (" + no->message + ")");
  }
  Failed(saving_.retry);
}

void Member::Saved(const Done& done, Revision changed) {
  saving_.retry = {};
  switch (saving_.step) {
    case Saving::Step::kNone:
      return;
    case Saving::Step::kChunks:
      if (++saving_.chunk < saving_.value.chunks) return;
      saving_.state.clear();
      saving_.step = Saving::Step::kSwitch;
      return;
    case Saving::Step::kSwitch:
      NoteSnapshot(saving_.value, changed);
      Do(SnapshotTaken{saving_.value.index});
      saving_ = Saving{.step = Saving::Step::kSweep};
      return;
    case Saving::Step::kSweep:
      saving_.step = Saving::Step::kFind;
      return;
    case Saving::Step::kFind:
      if (done.ranges.empty() || done.ranges[0].empty()) {
        saving_ = {};
        return;
      }
      saving_.trim_end = done.ranges[0].back().key + '\0';
      saving_.step = Saving::Step::kTrim;
      return;
    case Saving::Step::kTrim:
      saving_.step = Saving::Step::kFind;
      saving_.retry.at = now_ + options_.trim_pause;
      return;
  }
}

}  // namespace assent::txlog::etcd
