// A group's first moment in etcd when it goes on from a state: the steps that make it, pure. The
// state comes first, in pieces that nobody looks at; the last step names it, and only then is there
// a group. So steps that end midway leave none, and can be begun anew at any time.
//
// A request may be done long after it was given up, when the group that it meant has been removed
// and another attempt is under way. So each step builds on the one before: a piece is written
// behind the piece before it, the group is named behind the last piece, and only the group that
// this attempt has named is swept. Whoever removes pieces of an attempt removes all of them, so
// that the last is never there without the others.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "txlog/etcd/core/kv.h"
#include "txlog/etcd/core/layout.h"

namespace assent::txlog::etcd {

class Restoring {
 public:
  // `draw` tells this attempt from every other. `state` is not empty.
  Restoring(const std::string& prefix, Identity identity, std::string state, uint64_t draw,
            uint64_t chunk_bytes);

  // Of Step, from 0.
  size_t steps() const { return value_.chunks + 1; }
  // Each holds only behind the one before and while there is no group, and may be done twice but
  // for the last. One that does not hold reads the identity and the snapshot in force.
  Txn Step(size_t number) const;
  // From what a last step has read that did not hold: it had been done before, by us.
  bool IsOurs(const Done& refused) const;
  // What attempts that were cut short have left. `named`: the answer to the last step, which held
  // or IsOurs.
  Txn Sweep(const Done& named) const;

 private:
  Put Chunk(size_t number) const;

  const Layout layout_;
  const Identity identity_;
  const std::string state_;
  const uint64_t chunk_bytes_;
  SnapshotValue value_;
};

}  // namespace assent::txlog::etcd
