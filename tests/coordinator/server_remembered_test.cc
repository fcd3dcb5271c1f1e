// What a million remembered outcomes take, in memory and in a snapshot, and that each is there.
#include <gtest/gtest.h>
#include <malloc.h>

#include "base/mutant.h"
#include "coordinator/core/decision_table.h"
#include "coordinator/server/record_codec.h"

namespace assent::coordinator {
namespace {

constexpr uint64_t kEpoch = 7;
constexpr size_t kMiB = 1 << 20;

#if defined(__SANITIZE_ADDRESS__)
constexpr bool kMeasured = false;  // Its allocator tells nothing, and it is slow.
#else
constexpr bool kMeasured = true;
#endif
constexpr uint64_t kOutcomes = kMeasured ? 1'000'000 : 50'000;

size_t HeapInUse() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

Gtrid At(uint64_t seq) {
  return {.cluster = "bank", .incarnation = 77, .group = 0, .epoch = kEpoch, .seq = seq};
}

struct Case {
  const char* why;
  uint64_t stride;    // Of so many transactions one commits.
  uint64_t replaced;  // Of so many commits one has a branch whose second attempt won. 0: none.
  size_t memory_max;
  size_t snapshot_max;
};
void PrintTo(const Case& one, std::ostream* out) { *out << one.why; }

DecisionTable NewTable() {
  DecisionTable table({});
  table.Apply(1, GroupStart{.cluster = "bank", .cluster_uuid = "u", .group = 0, .incarnation = 77});
  return table;
}

// As a group does it: decisions, and their ENDs some time later, many in one record.
void Decide(const Case& one, DecisionTable* table) {
  End end;
  for (uint64_t i = 0; i < kOutcomes; ++i) {
    const uint32_t attempt = one.replaced != 0 && i % one.replaced == 0 ? 2 : 1;
    const Bqual branch = {.resource = "bank_pg", .branch = 0, .attempt = attempt};
    table->Apply(kEpoch, Decision{.gtrid = At(i * one.stride), .branches = {{branch, "xid:731"}}});
    end.gtrids.push_back(At(i * one.stride));
    if (end.gtrids.size() < 256 && i + 1 < kOutcomes) continue;
    table->Apply(kEpoch, end);
    end.gtrids.clear();
  }
}

// How many of the outcomes are there, and of the neighbours that never committed.
uint64_t Remembered(const Case& one, const DecisionTable& table) {
  uint64_t remembered = 0;
  for (uint64_t i = 0; i < kOutcomes; ++i) {
    remembered += table.Look(At(i * one.stride)) == DecisionTable::Word::kEnded ? 1 : 0;
    if (one.stride == 1) continue;
    remembered += table.Look(At(i * one.stride + 1)) == DecisionTable::Word::kNoRecord ? 0 : 1;
  }
  return remembered;
}

class Million : public testing::TestWithParam<Case> {};

TEST_P(Million, OutcomesFitIntoTheirBounds) {
  const Case& one = GetParam();
  const RecordCodec codec;
  const size_t before = HeapInUse();
  DecisionTable table = NewTable();
  Decide(one, &table);
  const size_t memory = HeapInUse() - before;
  EXPECT_EQ(Remembered(one, table), kOutcomes);
  if (kMeasured) {
    EXPECT_LE(memory, one.memory_max);
    EXPECT_GE(memory, kOutcomes / 8) << "nothing was measured: a bit is the least";
  }

  const std::string snapshot = codec.EncodeState(table.state());
  EXPECT_LE(snapshot.size(), one.snapshot_max);
  std::printf("  %s: %.1f MiB in memory, %.1f MiB in a snapshot\n", one.why,
              static_cast<double>(memory) / kMiB, static_cast<double>(snapshot.size()) / kMiB);
  auto state = codec.DecodeState(snapshot);
  ASSERT_TRUE(state.ok()) << state.status().ToString();
  const size_t restoring = HeapInUse();
  DecisionTable restored({});
  restored.Restore(std::move(*state));
  if (kMeasured) {
    EXPECT_LE(HeapInUse(), restoring + one.memory_max);
  }
  EXPECT_EQ(Remembered(one, restored), kOutcomes);
  EXPECT_EQ(restored.state(), table.state());
}

INSTANTIATE_TEST_SUITE_P(
    , Million,
    testing::Values(Case{"every transaction commits", 1, 0, 2 * kMiB, 1 * kMiB},
                    Case{"one of a hundred is done anew", 1, 100, 4 * kMiB, 1 * kMiB},
                    // One word for each, the most that an outcome can take.
                    Case{"one of 64 commits", 64, 0, 80 * kMiB, 16 * kMiB}),
    [](const auto& one) {
      std::string name = one.param.why;
      for (char& c : name) c = c == ' ' ? '_' : c;
      return name;
    });

#if defined(ASSENT_FAILPOINTS)
TEST(MillionMutant, ASnapshotThatForgetsIsNoticed) {
  const Case one = {"", 1, 0, 0, 0};
  DecisionTable table = NewTable();
  Decide(one, &table);
  ScopedMutant mutant(Mutant::kSnapshotForgetsEnded);
  DecisionTable restored({});
  restored.Restore(table.state());
  EXPECT_EQ(Remembered(one, restored), 0u);
}
#endif

}  // namespace
}  // namespace assent::coordinator
