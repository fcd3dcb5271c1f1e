#include "txlog/raft/log_view.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "txlog/raft/options.h"

namespace assent::txlog::raft {

uint64_t LogView::Cost(const Entry& entry) { return entry.bytes() + kEntryOverheadBytes; }

void LogView::Reset(Index base_index, Term base_term) {
  base_index_ = base_index;
  cached_from_ = base_index + 1;
  cached_.clear();
  cached_bytes_ = 0;
  runs_ = {{base_index, base_term}};
}

Index LogView::available_from() const { return std::min(base_index_ + 1, cached_from_); }

size_t LogView::RunOf(Index index) const {
  auto it = std::upper_bound(runs_.begin(), runs_.end(), index,
                             [](Index i, const Run& run) { return i < run.first; });
  return static_cast<size_t>(it - runs_.begin()) - 1;
}

std::optional<Term> LogView::TermAt(Index index) const {
  if (index > last_index() || index < runs_.front().first) return std::nullopt;
  if (index >= runs_.back().first) return runs_.back().term;
  return runs_[RunOf(index)].term;
}

Index LogView::FirstOfRun(Index index) const { return runs_[RunOf(index)].first; }

Index LogView::LastOfTermAtMost(Term term, Index index) const {
  index = std::min(index, last_index());
  if (index < runs_.front().first) return runs_.front().first;
  for (size_t run = RunOf(index);; --run) {
    if (runs_[run].term <= term) return index;
    if (run == 0) return runs_.front().first;
    index = runs_[run].first - 1;
  }
}

std::vector<Entry> LogView::Slice(Index from, uint64_t bytes_max) const {
  ASSENT_CHECK(from >= cached_from_);
  std::vector<Entry> entries;
  uint64_t bytes = 0;
  for (size_t i = from - cached_from_; i < cached_.size(); ++i) {
    bytes += Cost(cached_[i]);
    if (!entries.empty() && bytes > bytes_max) break;
    entries.push_back(cached_[i]);
  }
  return entries;
}

void LogView::Append(Entry entry) {
  ASSENT_CHECK(entry.index == last_index() + 1);
  if (entry.term != runs_.back().term) runs_.push_back({entry.index, entry.term});
  cached_bytes_ += Cost(entry);
  cached_.push_back(std::move(entry));
}

uint64_t LogView::TruncateAfter(Index last_kept) {
  ASSENT_CHECK(last_kept + 1 >= cached_from_);
  uint64_t dropped = 0;
  while (last_index() > last_kept) {
    dropped += Cost(cached_.back());
    cached_.pop_back();
  }
  cached_bytes_ -= dropped;
  while (runs_.size() > 1 && runs_.back().first > last_kept) runs_.pop_back();
  return dropped;
}

void LogView::Compact(Index index) {
  base_index_ = std::max(base_index_, index);
  TrimRuns();
}

void LogView::Evict(Index upto, uint64_t bytes_max) {
  if (cached_bytes_ <= bytes_max) return;
  while (cached_bytes_ > bytes_max && !cached_.empty() && cached_from_ <= upto) {
    cached_bytes_ -= Cost(cached_.front());
    cached_.pop_front();
    ++cached_from_;
  }
  TrimRuns();
}

void LogView::TrimRuns() {
  const Index known_from = available_from() - 1;
  while (runs_.size() > 1 && runs_[1].first <= known_from) runs_.pop_front();
  runs_.front().first = std::max(runs_.front().first, known_from);
}

}  // namespace assent::txlog::raft
