#include "txlog/raft/log_view.h"

#include <gtest/gtest.h>

#include "txlog/raft/options.h"

namespace assent::txlog::raft {
namespace {

LogView Make(std::initializer_list<Term> terms, Index base = 0, Term base_term = 0) {
  LogView log;
  log.Reset(base, base_term);
  for (Term term : terms) log.Append({.index = log.last_index() + 1, .term = term});
  return log;
}

TEST(LogView, KnowsTermsFromTheSnapshotOn) {
  LogView log = Make({2, 2, 5}, 10, 2);
  EXPECT_EQ(log.TermAt(9), std::nullopt);
  EXPECT_EQ(log.TermAt(10), 2u);
  EXPECT_EQ(log.TermAt(12), 2u);
  EXPECT_EQ(log.TermAt(13), 5u);
  EXPECT_EQ(log.TermAt(14), std::nullopt);
  EXPECT_EQ(log.FirstOfRun(12), 10u);
  EXPECT_EQ(log.last_term(), 5u);
}

TEST(LogView, FindsTheLastEntryOfATermOrOlder) {
  LogView log = Make({1, 1, 4, 4, 6});
  EXPECT_EQ(log.LastOfTermAtMost(6, 5), 5u);
  EXPECT_EQ(log.LastOfTermAtMost(5, 5), 4u);
  EXPECT_EQ(log.LastOfTermAtMost(4, 3), 3u);
  EXPECT_EQ(log.LastOfTermAtMost(3, 5), 2u);
  EXPECT_EQ(log.LastOfTermAtMost(0, 5), 0u);
  EXPECT_EQ(log.LastOfTermAtMost(6, 99), 5u);
}

TEST(LogView, TruncatedTermsAreForgotten) {
  LogView log = Make({1, 2, 3});
  EXPECT_EQ(log.TruncateAfter(1), 2 * kEntryOverheadBytes);
  EXPECT_EQ(log.last_term(), 1u);
  log.Append({.index = 2, .term = 1});
  EXPECT_EQ(log.TermAt(2), 1u);
  EXPECT_EQ(log.cached_bytes(), 2 * kEntryOverheadBytes);
}

// What is in memory stays usable behind a snapshot; what is on disk stays usable behind memory.
TEST(LogView, AvailableIsWhatMemoryOrDiskHolds) {
  LogView log = Make({1, 1, 2, 2, 3});
  log.Compact(4);
  EXPECT_EQ(log.available_from(), 1u);
  EXPECT_EQ(log.TermAt(1), 1u);
  log.Evict(2, 0);
  EXPECT_EQ(log.cached_from(), 3u);
  EXPECT_EQ(log.available_from(), 3u);
  EXPECT_EQ(log.TermAt(1), std::nullopt);
  EXPECT_EQ(log.TermAt(2), 1u);
  log.Evict(5, 0);
  EXPECT_EQ(log.cached_from(), 6u);
  EXPECT_EQ(log.available_from(), 5u);
  EXPECT_EQ(log.TermAt(4), 2u);
  EXPECT_EQ(log.TermAt(5), 3u);
}

TEST(LogView, SlicesHoldAtLeastOneEntry) {
  LogView log = Make({1, 1, 1});
  EXPECT_EQ(log.Slice(1, 0).size(), 1u);
  EXPECT_EQ(log.Slice(1, 2 * kEntryOverheadBytes).size(), 2u);
  EXPECT_EQ(log.Slice(2, 1000).size(), 2u);
  EXPECT_EQ(log.Slice(4, 1000).size(), 0u);
}

}  // namespace
}  // namespace assent::txlog::raft
