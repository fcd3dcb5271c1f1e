#include "coordinator/core/decision_table.h"

#include <gtest/gtest.h>

#include "base/mutant.h"

namespace assent::coordinator {
namespace {

constexpr uint64_t kIncarnation = 77;
const GroupStart kGroup{
    .cluster = "test", .cluster_uuid = "u", .group = 0, .incarnation = kIncarnation};

Gtrid At(uint64_t epoch, uint64_t seq) {
  return {.cluster = "test", .incarnation = kIncarnation, .group = 0, .epoch = epoch, .seq = seq};
}

Gid GidAt(uint64_t epoch, uint64_t seq, uint32_t attempt = 1) {
  return {At(epoch, seq), {.resource = "orders_pg", .branch = 0, .attempt = attempt}};
}

Decision Decide(uint64_t epoch, uint64_t seq, uint32_t attempt = 1, std::string key = {}) {
  return {.gtrid = At(epoch, seq),
          .branches = {{GidAt(epoch, seq, attempt).bqual, "xid=1"}},
          .client_key = std::move(key)};
}

class Table : public testing::Test {
 protected:
  Table() { EXPECT_EQ(table.Apply(1, kGroup), ApplyAnswer::kAccepted); }
  void Ticks(int n) {
    for (int i = 0; i < n; ++i) table.Apply(9, Tick{});
  }
  void EndAt(uint64_t epoch, uint64_t seq) { table.Apply(9, End{{At(epoch, seq)}}); }

  DecisionTable table{{.outcome_retention_ticks = 10, .key_retention_ticks = 3, .keys_max = 2}};
};

TEST_F(Table, TheFirstDecisionStands) {
  EXPECT_EQ(table.Apply(5, Decide(5, 1)), ApplyAnswer::kAccepted);
  EXPECT_EQ(table.Apply(5, Decide(5, 1, 2)), ApplyAnswer::kAlreadyDecided);
  EXPECT_TRUE(table.ListsCommit(GidAt(5, 1, 1)));
  EXPECT_FALSE(table.ListsCommit(GidAt(5, 1, 2)));
  EXPECT_EQ(table.EvidenceOf(GidAt(5, 1, 1)), "xid=1");
}

TEST_F(Table, ADecisionCountsOnlyInTheTermThatIssuedItsGtrid) {
  EXPECT_EQ(table.Apply(7, Decide(5, 1)), ApplyAnswer::kWrongTerm);
  EXPECT_EQ(table.Apply(4, Decide(5, 1)), ApplyAnswer::kWrongTerm);
  EXPECT_EQ(table.Look(At(5, 1)), DecisionTable::Word::kNoRecord);
}

TEST_F(Table, RecordsOfOtherGroupsAreForeign) {
  Decision other = Decide(5, 1);
  other.gtrid.cluster = "other";
  EXPECT_EQ(table.Apply(5, other), ApplyAnswer::kForeign);
  other = Decide(5, 1);
  other.gtrid.incarnation = 1;
  EXPECT_EQ(table.Apply(5, other), ApplyAnswer::kForeign);
  other = Decide(5, 1);
  other.gtrid.group = 3;
  EXPECT_EQ(table.Apply(5, other), ApplyAnswer::kForeign);
  EXPECT_EQ(table.Apply(5, GroupStart{.cluster = "again"}), ApplyAnswer::kForeign);
  EXPECT_EQ(*table.group(), kGroup);
}

TEST(GroupStartTest, TheFirstIncarnationOnRecordStands) {
  DecisionTable table({});
  GroupStart start{.cluster = "bank", .cluster_uuid = "u"};
  EXPECT_EQ(table.Apply(1, start), ApplyAnswer::kAccepted);
  EXPECT_FALSE(table.group()) << "it has none yet";
  EXPECT_EQ(table.Apply(1, start), ApplyAnswer::kAccepted) << "and still has none";
  start.incarnation = 5;
  GroupStart foreign = start;
  foreign.cluster_uuid = "v";
  EXPECT_EQ(table.Apply(1, foreign), ApplyAnswer::kForeign);
  EXPECT_EQ(table.Apply(1, start), ApplyAnswer::kAccepted);
  EXPECT_EQ(*table.group(), start);
  GroupStart later = start;
  later.incarnation = 6;
  EXPECT_EQ(table.Apply(2, later), ApplyAnswer::kForeign);
  EXPECT_EQ(table.Apply(2, start), ApplyAnswer::kForeign);
  EXPECT_EQ(*table.group(), start);
}

TEST_F(Table, AnEndedTransactionLeavesABit) {
  table.Apply(5, Decide(5, 64));
  EndAt(5, 64);
  EXPECT_EQ(table.Look(At(5, 64)), DecisionTable::Word::kEnded);
  EXPECT_EQ(table.Look(At(5, 63)), DecisionTable::Word::kNoRecord);
  EXPECT_EQ(table.Look(At(5, 65)), DecisionTable::Word::kNoRecord);
  EXPECT_TRUE(table.ListsCommit(GidAt(5, 64))) << "a database back from a standby asks again";
  EXPECT_FALSE(table.ListsCommit(GidAt(5, 64, 2)));
  EXPECT_EQ(table.Apply(5, Decide(5, 64)), ApplyAnswer::kAlreadyDecided);
}

TEST_F(Table, TheWinningAttemptIsKeptWhereItWasNotTheFirst) {
  table.Apply(5, Decide(5, 1, 3));
  EndAt(5, 1);
  EXPECT_FALSE(table.ListsCommit(GidAt(5, 1, 1)));
  EXPECT_TRUE(table.ListsCommit(GidAt(5, 1, 3)));
}

// Branch 1 read only, at its second attempt; its first may be prepared somewhere.
Decision WithVoidedReader(uint64_t epoch, uint64_t seq) {
  Decision decision = Decide(epoch, seq);
  decision.voided_readers = {1};
  return decision;
}

bool AnyAttemptOfTheReaderWins(const DecisionTable& table) {
  Gid gid = GidAt(5, 1);
  gid.bqual.branch = 1;
  bool any = false;
  for (gid.bqual.attempt = 1; gid.bqual.attempt <= 3; ++gid.bqual.attempt) {
    any = any || table.ListsCommit(gid);
  }
  return any;
}

TEST_F(Table, NoAttemptOfABranchThatReadOnlyWins) {
  table.Apply(5, WithVoidedReader(5, 1));
  EXPECT_FALSE(AnyAttemptOfTheReaderWins(table));
  EndAt(5, 1);
  EXPECT_FALSE(AnyAttemptOfTheReaderWins(table)) << "its first attempt may come to light later";
  EXPECT_TRUE(table.ListsCommit(GidAt(5, 1)));
}

TEST_F(Table, EndOfAnUnknownGtridIsNotFound) {
  EXPECT_EQ(table.Apply(5, End{{At(5, 1)}}), ApplyAnswer::kNotFound);
  EXPECT_EQ(table.Look(At(5, 1)), DecisionTable::Word::kNoRecord);
}

TEST_F(Table, AHeuristicOutcomeStaysUntilForgotten) {
  table.Apply(5, Decide(5, 1));
  EXPECT_EQ(table.Apply(5, Heuristic{.gid = GidAt(5, 1)}), ApplyAnswer::kAccepted);
  EXPECT_EQ(table.Apply(5, Heuristic{.gid = GidAt(5, 1)}), ApplyAnswer::kAlreadyDecided);
  EXPECT_EQ(table.Apply(5, End{{At(5, 1)}}), ApplyAnswer::kNotFound) << "END is withheld";
  ASSERT_NE(table.Find(At(5, 1)), nullptr);
  EXPECT_EQ(table.Apply(5, ForgetHeuristic{At(5, 1)}), ApplyAnswer::kAccepted);
  EXPECT_EQ(table.Look(At(5, 1)), DecisionTable::Word::kEnded);
  EXPECT_EQ(table.Apply(5, ForgetHeuristic{At(5, 1)}), ApplyAnswer::kNotFound);
}

TEST_F(Table, AHeuristicOutcomeWithoutACommitIsKeptToo) {
  // A person committed a branch of an aborted transaction, ... of another attempt, ... of an ended
  // one.
  table.Apply(5, Decide(5, 1));
  table.Apply(5, Decide(5, 2));
  EndAt(5, 2);
  for (const Gid& gid : {GidAt(5, 9), GidAt(5, 1, 2), GidAt(5, 2)}) {
    Heuristic stray{.gid = gid, .end = BranchEnd::kHeuristicCommit};
    EXPECT_EQ(table.FindStrays(gid.gtrid), nullptr);
    EXPECT_EQ(table.Apply(5, stray), ApplyAnswer::kAccepted);
    EXPECT_EQ(table.Apply(5, stray), ApplyAnswer::kAlreadyDecided);
    ASSERT_NE(table.FindStrays(gid.gtrid), nullptr);
    EXPECT_EQ(*table.FindStrays(gid.gtrid), std::vector<Heuristic>{stray});
  }
  EXPECT_EQ(table.Look(At(5, 9)), DecisionTable::Word::kNoRecord) << "it stays aborted";
  EXPECT_EQ(table.Apply(5, End{{At(5, 1)}}), ApplyAnswer::kAccepted)
      << "the commit itself has no heuristic branch";
  for (const Gid& gid : {GidAt(5, 9), GidAt(5, 1, 2), GidAt(5, 2)}) {
    EXPECT_EQ(table.Apply(5, ForgetHeuristic{gid.gtrid}), ApplyAnswer::kAccepted);
    EXPECT_EQ(table.FindStrays(gid.gtrid), nullptr);
  }
  Gid foreign = GidAt(5, 9);
  foreign.gtrid.cluster = "other";
  EXPECT_EQ(table.Apply(5, Heuristic{.gid = foreign}), ApplyAnswer::kForeign);
}

TEST_F(Table, ForgetNeedsAHeuristicOutcome) {
  table.Apply(5, Decide(5, 1));
  EXPECT_EQ(table.Apply(5, ForgetHeuristic{At(5, 1)}), ApplyAnswer::kNotFound);
  EXPECT_EQ(table.Look(At(5, 1)), DecisionTable::Word::kUnfinished);
}

TEST_F(Table, RetentionIsCountedInTicks) {
  table.Apply(5, Decide(5, 1));
  EndAt(5, 1);
  Ticks(1);
  table.Apply(6, Decide(6, 200));
  EndAt(6, 200);
  Ticks(9);
  EXPECT_EQ(table.Look(At(5, 1)), DecisionTable::Word::kEnded) << "not yet ten ticks old";
  Ticks(1);
  EXPECT_EQ(table.Look(At(5, 1)), DecisionTable::Word::kForgotten);
  EXPECT_EQ(table.Look(At(5, 0)), DecisionTable::Word::kForgotten) << "aborted ones as well";
  EXPECT_EQ(table.Look(At(6, 200)), DecisionTable::Word::kEnded);
  Ticks(1);
  EXPECT_EQ(table.Look(At(6, 200)), DecisionTable::Word::kForgotten);
  EXPECT_EQ(table.Look(At(6, 201)), DecisionTable::Word::kNoRecord);
  EXPECT_TRUE(table.state().ended.bits.size() <= 1 && table.state().ended.attempts.empty())
      << "what is forgotten takes no room";
}

TEST_F(Table, TheWatermarkKeepsTheUnfinished) {
  table.Apply(5, Decide(5, 1));
  Ticks(30);
  EXPECT_EQ(table.Look(At(5, 1)), DecisionTable::Word::kUnfinished);
  EXPECT_TRUE(table.ListsCommit(GidAt(5, 1)));
  EndAt(5, 1);
  EXPECT_EQ(table.Look(At(5, 1)), DecisionTable::Word::kForgotten);
}

TEST_F(Table, ADecisionBelowTheWatermarkIsRefused) {
  table.Apply(5, Decide(5, 10));
  Ticks(12);
  EXPECT_EQ(table.Apply(5, Decide(5, 9)), ApplyAnswer::kForgotten);
}

TEST_F(Table, AKeyCommitsOnce) {
  EXPECT_EQ(table.Apply(5, Decide(5, 1, 1, "order-17")), ApplyAnswer::kAccepted);
  EXPECT_EQ(table.Apply(5, Decide(5, 2, 1, "order-17")), ApplyAnswer::kKeyConflict);
  ASSERT_NE(table.FindKey("order-17"), nullptr);
  EXPECT_EQ(table.FindKey("order-17")->gtrid, At(5, 1));
  EXPECT_EQ(table.Look(At(5, 2)), DecisionTable::Word::kNoRecord);
}

TEST_F(Table, KeysLiveForTheirTicksAndAreBounded) {
  table.Apply(5, Decide(5, 1, 1, "a"));
  Ticks(1);
  table.Apply(5, Decide(5, 2, 1, "b"));
  EXPECT_TRUE(table.KeysFull());
  Ticks(3);
  EXPECT_EQ(table.FindKey("a"), nullptr);
  EXPECT_NE(table.FindKey("b"), nullptr);
  EXPECT_FALSE(table.KeysFull());
}

TEST_F(Table, ARestoredStateGoesOnAsTheOldOneWould) {
  table.Apply(5, Decide(5, 1, 2, "a"));
  table.Apply(5, Decide(5, 2));
  table.Apply(5, Heuristic{.gid = GidAt(5, 2)});
  EndAt(5, 1);
  Ticks(2);
  DecisionTable copy({.outcome_retention_ticks = 10, .key_retention_ticks = 3, .keys_max = 2});
  copy.Restore(table.state());
  for (DecisionTable* t : {&table, &copy}) {
    for (int i = 0; i < 15; ++i) t->Apply(9, Tick{});
    t->Apply(9, Decide(9, 1, 1, "c"));
  }
  EXPECT_EQ(table.state(), copy.state());
  EXPECT_EQ(copy.FindKey("a"), nullptr);
}

#if defined(ASSENT_FAILPOINTS)
TEST(DecisionTableSeededBugs, AVoidedReaderThatWinsIsCaught) {
  auto wins = [] {
    DecisionTable table({});
    table.Apply(1, kGroup);
    table.Apply(5, WithVoidedReader(5, 1));
    table.Apply(5, End{{At(5, 1)}});
    return AnyAttemptOfTheReaderWins(table);
  };
  EXPECT_FALSE(wins());
  ScopedMutant mutant(Mutant::kVoidedReaderWins);
  EXPECT_TRUE(wins());
}

TEST(DecisionTableSeededBugs, LiveKeptAcrossTermsIsCaught) {
  auto decided_in_a_later_term = [] {
    DecisionTable table({});
    table.Apply(1, kGroup);
    return table.Apply(7, Decide(5, 1)) == ApplyAnswer::kAccepted;
  };
  EXPECT_FALSE(decided_in_a_later_term());
  ScopedMutant mutant(Mutant::kLiveKeptAcrossTerms);
  EXPECT_TRUE(decided_in_a_later_term());
}

TEST(DecisionTableSeededBugs, KeyTwiceIsCaught) {
  auto second_accepted = [] {
    DecisionTable table({});
    table.Apply(1, kGroup);
    table.Apply(5, Decide(5, 1, 1, "order-17"));
    return table.Apply(5, Decide(5, 2, 1, "order-17")) == ApplyAnswer::kAccepted;
  };
  EXPECT_FALSE(second_accepted());
  ScopedMutant mutant(Mutant::kKeyTwice);
  EXPECT_TRUE(second_accepted());
}
#endif

}  // namespace
}  // namespace assent::coordinator
