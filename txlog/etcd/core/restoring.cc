#include "txlog/etcd/core/restoring.h"

#include <algorithm>
#include <utility>

#include "base/crc32c.h"
#include "base/mutant.h"
#include "txlog/etcd/core/batch.h"

namespace assent::txlog::etcd {
namespace {

// Of the entry that the state ends with, which is none of the owner's.
constexpr Term kFirstTerm = 1;
constexpr Index kFirstIndex = 1;
constexpr Slot kFirstSlot = 1;

// Names of attempts: before those of all leaders, whose terms are greater.
constexpr Term kNoTerm = 0;

}  // namespace

Restoring::Restoring(const std::string& prefix, Identity identity, std::string state, uint64_t draw,
                     uint64_t chunk_bytes)
    : layout_(prefix),
      identity_(std::move(identity)),
      state_(std::move(state)),
      chunk_bytes_(chunk_bytes) {
  value_ = {.name = SnapshotName(kNoTerm, draw),
            .index = kFirstIndex,
            .term = kFirstTerm,
            .slot = kFirstSlot,
            .chunks = std::max<uint64_t>(1, (state_.size() + chunk_bytes - 1) / chunk_bytes),
            .bytes = state_.size(),
            .crc = Crc32c(state_)};
}

Put Restoring::Chunk(size_t number) const {
  return {layout_.Chunk(value_.name, number), state_.substr(number * chunk_bytes_, chunk_bytes_)};
}

Txn Restoring::Step(size_t number) const {
  const bool named_early = MutantOn(Mutant::kRestoreNamedEarly);
  const bool names = number == (named_early ? 0 : value_.chunks);
  Txn txn;
  if (!named_early || names) {
    txn.compares = {{.key = layout_.identity()},
                    {.key = layout_.term()},
                    {.key = layout_.snapshot()},
                    {.key = layout_.Log(kFirstSlot)}};
  }
  if (number > 0 && !named_early && !(names && MutantOn(Mutant::kRestoreNamedBlindly))) {
    txn.compares.push_back(
        {.key = layout_.Chunk(value_.name, number - 1), .is = Compare::Is::kGreater});
  }
  txn.otherwise = {Range{layout_.identity()}, Range{layout_.snapshot()}};
  if (!names) {
    txn.then = {Chunk(named_early ? number - 1 : number)};
    return txn;
  }
  // A snapshot is read together with the batch that it ends in.
  const Batch last{.term = kFirstTerm, .first_index = kFirstIndex, .records = {""}};
  txn.then = {Put{layout_.identity(), Text(identity_)}, Put{layout_.term(), TermText(kFirstTerm)},
              Put{layout_.Log(kFirstSlot), Encode(last)}, Put{layout_.snapshot(), Text(value_)}};
  return txn;
}

bool Restoring::IsOurs(const Done& refused) const {
  return refused.ranges.size() == 2 && refused.ranges[1].size() == 1 &&
         refused.ranges[1][0].value == Text(value_);
}

Txn Restoring::Sweep(const Done& named) const {
  // No other snapshot has this revision, whoever is restored below the prefix later.
  Compare ours{.key = layout_.snapshot(), .what = Compare::What::kModRevision};
  ours.revision = named.succeeded ? named.revision : named.ranges[1][0].mod_revision;
  const std::string own = layout_.Chunk(value_.name, 0);
  const std::string behind_own = layout_.Chunk(value_.name, ~uint64_t{0});
  const std::string leaders = layout_.Chunk(SnapshotName(kFirstTerm, 0), 0);
  Txn txn{.then = {Delete{layout_.snapshots_begin(), own}, Delete{behind_own, leaders}}};
  if (!MutantOn(Mutant::kRestoreSweepsLate)) txn.compares = {std::move(ours)};
  return txn;
}

}  // namespace assent::txlog::etcd
