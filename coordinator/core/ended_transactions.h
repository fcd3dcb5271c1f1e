// What is left of committed transactions once they have ended, of one incarnation of the group
// (docs/protocols.md 4.3 and 11): one bit each, and the attempts that won where it was not the
// first, until retention lets the watermark pass them. Plain values: a snapshot keeps them.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>

#include "coordinator/core/types.h"

namespace assent::coordinator {

// (epoch, seq) in the order in which gtrids are issued.
struct Position {
  uint64_t epoch = 0;
  uint64_t seq = 0;
  auto operator<=>(const Position&) const = default;
};

inline Position PositionOf(const Gtrid& gtrid) { return {gtrid.epoch, gtrid.seq}; }

struct EndedTransactions {
  std::optional<Position> watermark;  // Everything up to and including may be forgotten.
  std::map<uint64_t, std::map<uint64_t, uint64_t>> bits;  // epoch -> seq/64 -> bits.
  // Branch -> the attempt that won, if not 1; 0: none.
  std::map<Position, std::map<uint32_t, uint32_t>> attempts;
  std::map<uint64_t, Position> marks;  // tick -> newest position seen by then.
  std::optional<Position> newest;      // Newest position of any decision applied.

  bool operator==(const EndedTransactions&) const = default;

  // At or below the watermark: nobody can tell any more.
  bool Forgot(Position position) const { return watermark && position <= *watermark; }
  // It committed and ended, and is not forgotten.
  bool Has(Position position) const;
  // The attempt of this branch that an ended transaction committed; 0: none.
  uint32_t WinnerOf(Position position, uint32_t branch) const;
  // How many it has.
  uint64_t Count() const;

  void NoteDecided(Position position);
  // The transaction of this decision is over. What is forgotten already leaves nothing.
  void Add(const Decision& decision);
  // `ticks` have been counted: moves the watermark to what was decided `retention` ticks ago.
  void Tick(uint64_t ticks, uint64_t retention);
  // All that was decided is forgotten.
  bool Spent() const { return !newest || Forgot(*newest); }

 private:
  void ForgetUpTo(Position position);
};

}  // namespace assent::coordinator
