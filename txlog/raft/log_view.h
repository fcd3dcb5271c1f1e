// What a core knows of its log without touching a disk: every entry's term since the snapshot, and
// the entries themselves as far back as memory allows.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "txlog/raft/types.h"

namespace assent::txlog::raft {

// Not thread-safe. Index arithmetic is the caller's: what is said to be there must be there.
class LogView {
 public:
  // Empty, behind a snapshot (0, 0: behind nothing).
  void Reset(Index base_index, Term base_term);

  Index base_index() const { return base_index_; }  // The newest snapshot's.
  Index last_index() const { return cached_from_ + cached_.size() - 1; }
  Term last_term() const { return runs_.back().term; }
  // Entries from here to last_index() are in memory.
  Index cached_from() const { return cached_from_; }
  // Entries from here on can be had, from memory or disk, with the term of the one before.
  Index available_from() const;
  uint64_t cached_bytes() const { return cached_bytes_; }

  // Nothing beyond the end, or for what is forgotten.
  std::optional<Term> TermAt(Index index) const;
  // The first known index of the run of equal terms in which `index` lies. TermAt(index) must know.
  Index FirstOfRun(Index index) const;
  // The last index at or before `index` whose term is at most `term`; available_from() - 1 if none
  // is known to be.
  Index LastOfTermAtMost(Term term, Index index) const;

  const Entry& At(Index index) const { return cached_[index - cached_from_]; }  // Cached.
  // Cached entries from `from` on, up to `bytes_max` of them, but at least one.
  std::vector<Entry> Slice(Index from, uint64_t bytes_max) const;

  void Append(Entry entry);
  // All that is dropped must be cached. The bytes dropped.
  uint64_t TruncateAfter(Index last_kept);
  // A snapshot covers everything up to `index`. What is cached stays, for slow followers.
  void Compact(Index index);
  // Forgets cached entries, oldest first and none behind `upto`, until at most `bytes_max` remain.
  void Evict(Index upto, uint64_t bytes_max);

  static uint64_t Cost(const Entry& entry);

 private:
  struct Run {
    Index first = 0;
    Term term = 0;
  };
  size_t RunOf(Index index) const;
  void TrimRuns();

  Index base_index_ = 0;
  Index cached_from_ = 1;
  std::deque<Entry> cached_;
  uint64_t cached_bytes_ = 0;
  std::deque<Run> runs_ = {Run{}};  // Never empty: the first one begins at available_from() - 1.
};

}  // namespace assent::txlog::raft
