// What a group that is restored from a backup knows of the time before.
#include "coordinator/core/restore.h"

#include <gtest/gtest.h>

#include "base/mutant.h"

namespace assent::coordinator {
namespace {

constexpr TableLimits kLimits{.outcome_retention_ticks = 10, .key_retention_ticks = 3};

Gid GidAt(uint64_t incarnation, uint64_t epoch, uint64_t seq, uint32_t attempt = 1) {
  return {{.cluster = "bank", .incarnation = incarnation, .epoch = epoch, .seq = seq},
          {.resource = "orders_pg", .branch = 0, .attempt = attempt}};
}

Decision Decide(const Gid& gid, std::string key = {}) {
  return {.gtrid = gid.gtrid,
          .branches = {{gid.bqual, "xid=" + std::to_string(gid.gtrid.seq)}},
          .client_key = std::move(key)};
}

DecisionTable Bootstrapped(uint64_t incarnation) {
  DecisionTable table(kLimits);
  table.Apply(1, GroupStart{.cluster = "bank", .cluster_uuid = "u", .incarnation = incarnation});
  return table;
}

DecisionTable RestoredFrom(const DecisionTable& backup, uint64_t incarnation) {
  DecisionTable table(kLimits);
  auto state = RestoredState(backup.state(), incarnation);
  EXPECT_TRUE(state.ok()) << state.status().ToString();
  if (state.ok()) table.Restore(std::move(*state));
  return table;
}

void EndAt(DecisionTable& table, const Gid& gid) { table.Apply(9, End{{gid.gtrid}}); }

void Ticks(DecisionTable& table, int count) {
  for (int i = 0; i < count; ++i) table.Apply(9, Tick{});
}

// Incarnation 1 with one commit unfinished (5, 1), one ended (5, 2), one ended at attempt 3 (5, 3).
DecisionTable Backup() {
  DecisionTable table = Bootstrapped(1);
  table.Apply(5, Decide(GidAt(1, 5, 1), "order-1"));
  table.Apply(5, Decide(GidAt(1, 5, 2)));
  table.Apply(5, Decide(GidAt(1, 5, 3, 3)));
  EndAt(table, GidAt(1, 5, 2));
  EndAt(table, GidAt(1, 5, 3, 3));
  return table;
}

TEST(Restore, TheGroupIsOfANewIncarnationAndOfTheSameCluster) {
  DecisionTable table = RestoredFrom(Backup(), 2);
  ASSERT_TRUE(table.group());
  EXPECT_EQ(*table.group(),
            (GroupStart{.cluster = "bank", .cluster_uuid = "u", .group = 0, .incarnation = 2}));
}

TEST(Restore, WhatWasDecidedStaysDecided) {
  DecisionTable table = RestoredFrom(Backup(), 2);
  EXPECT_EQ(table.Look(GidAt(1, 5, 1).gtrid), DecisionTable::Word::kUnfinished);
  EXPECT_EQ(table.EvidenceOf(GidAt(1, 5, 1)), "xid=1");
  EXPECT_EQ(table.Look(GidAt(1, 5, 2).gtrid), DecisionTable::Word::kEnded);
  for (const Gid& gid : {GidAt(1, 5, 1), GidAt(1, 5, 2), GidAt(1, 5, 3, 3)}) {
    EXPECT_TRUE(table.ListsCommit(gid)) << ToString(gid);
  }
  for (const Gid& gid : {GidAt(1, 5, 1, 2), GidAt(1, 5, 3), GidAt(1, 5, 4), GidAt(2, 5, 1),
                         GidAt(2, 5, 2), GidAt(3, 5, 2)}) {
    EXPECT_FALSE(table.ListsCommit(gid)) << ToString(gid);
  }
  EXPECT_EQ(CountDecisions(table.state()), 3u);
}

TEST(Restore, WhatTheBackupDoesNotKnowNobodyCanTell) {
  DecisionTable table = RestoredFrom(Backup(), 2);
  EXPECT_EQ(table.Look(GidAt(1, 5, 4).gtrid), DecisionTable::Word::kForgotten);
  EXPECT_EQ(table.Look(GidAt(7, 5, 1).gtrid), DecisionTable::Word::kForgotten);
  EXPECT_EQ(table.Look(GidAt(2, 5, 4).gtrid), DecisionTable::Word::kNoRecord) << "its own time";
}

TEST(Restore, NothingIsDecidedUnderAnOlderIncarnation) {
  DecisionTable table = RestoredFrom(Backup(), 2);
  EXPECT_EQ(table.Apply(5, Decide(GidAt(1, 5, 9))), ApplyAnswer::kForeign);
  EXPECT_EQ(table.Apply(5, Decide(GidAt(2, 5, 2))), ApplyAnswer::kAccepted)
      << "the same epoch and seq as one that the older has ended";
  EXPECT_EQ(table.Apply(1, GroupStart{.cluster = "bank", .incarnation = 1}), ApplyAnswer::kForeign);
}

TEST(Restore, WhatWasUnfinishedEndsUnderItsOwnIncarnation) {
  DecisionTable table = RestoredFrom(Backup(), 2);
  table.Apply(5, End{{GidAt(1, 5, 1).gtrid}});
  EXPECT_EQ(table.Look(GidAt(1, 5, 1).gtrid), DecisionTable::Word::kEnded);
  EXPECT_TRUE(table.ListsCommit(GidAt(1, 5, 1)));
  EXPECT_EQ(table.Look(GidAt(2, 5, 1).gtrid), DecisionTable::Word::kNoRecord);
}

TEST(Restore, ClientKeysAndHeuristicOutcomesStay) {
  DecisionTable backup = Backup();
  const Heuristic stray{.gid = GidAt(1, 4, 7), .end = BranchEnd::kHeuristicCommit};
  backup.Apply(5, stray);
  DecisionTable table = RestoredFrom(backup, 2);
  ASSERT_NE(table.FindKey("order-1"), nullptr);
  EXPECT_EQ(table.FindKey("order-1")->gtrid, GidAt(1, 5, 1).gtrid);
  EXPECT_EQ(table.Apply(2, Decide(GidAt(2, 2, 0), "order-1")), ApplyAnswer::kKeyConflict);
  ASSERT_NE(table.FindStrays(stray.gid.gtrid), nullptr);
  // What an agent finds of the lost time goes there too.
  const Heuristic hazard{.gid = GidAt(1, 6, 1), .end = BranchEnd::kHazard};
  EXPECT_EQ(table.Apply(2, hazard), ApplyAnswer::kAccepted);
  EXPECT_EQ(table.Apply(2, ForgetHeuristic{hazard.gid.gtrid}), ApplyAnswer::kAccepted);
}

TEST(Restore, RetentionRunsOnForTheOlderIncarnation) {
  DecisionTable table = RestoredFrom(Backup(), 2);
  Ticks(table, 10);
  EXPECT_TRUE(table.ListsCommit(GidAt(1, 5, 2))) << "its mark is of the first tick";
  Ticks(table, 1);
  EXPECT_FALSE(table.ListsCommit(GidAt(1, 5, 2)));
  EXPECT_EQ(table.Look(GidAt(1, 5, 2).gtrid), DecisionTable::Word::kForgotten);
  EXPECT_TRUE(table.state().older.empty()) << "what is forgotten takes no room";
  // The unfinished one is kept by itself, and its end leaves nothing.
  EXPECT_TRUE(table.ListsCommit(GidAt(1, 5, 1)));
  table.Apply(9, End{{GidAt(1, 5, 1).gtrid}});
  EXPECT_EQ(table.Look(GidAt(1, 5, 1).gtrid), DecisionTable::Word::kForgotten);
}

TEST(Restore, SeveralInARowAddUp) {
  DecisionTable second = RestoredFrom(Backup(), 2);
  second.Apply(3, Decide(GidAt(2, 3, 0)));
  EndAt(second, GidAt(2, 3, 0));
  DecisionTable third = RestoredFrom(second, 3);
  third.Apply(2, Decide(GidAt(3, 2, 0)));
  EndAt(third, GidAt(3, 2, 0));
  DecisionTable fourth = RestoredFrom(third, 4);
  EXPECT_EQ(fourth.state().older.size(), 3u);
  for (const Gid& gid : {GidAt(1, 5, 1), GidAt(1, 5, 2), GidAt(2, 3, 0), GidAt(3, 2, 0)}) {
    EXPECT_TRUE(fourth.ListsCommit(gid)) << ToString(gid);
  }
  for (const Gid& gid : {GidAt(2, 5, 2), GidAt(1, 3, 0), GidAt(3, 3, 0), GidAt(4, 2, 0)}) {
    EXPECT_FALSE(fourth.ListsCommit(gid)) << ToString(gid);
  }
  EXPECT_EQ(CountDecisions(fourth.state()), 5u);
}

TEST(Restore, TwiceFromOneBackupMakesTwoGroupsThatDisownEachOther) {
  DecisionTable a = RestoredFrom(Backup(), 2);
  DecisionTable b = RestoredFrom(Backup(), 3);
  a.Apply(2, Decide(GidAt(2, 2, 0)));
  EXPECT_EQ(b.Look(GidAt(2, 2, 0).gtrid), DecisionTable::Word::kForgotten);
  EXPECT_EQ(b.Apply(2, Decide(GidAt(2, 2, 0))), ApplyAnswer::kForeign);
}

TEST(Restore, NoIncarnationIsHadTwice) {
  DecisionTable table = RestoredFrom(Backup(), 2);
  for (uint64_t incarnation : {0, 1, 2}) {
    EXPECT_EQ(RestoredState(table.state(), incarnation).status().code(), Code::kInvalidArgument)
        << incarnation;
  }
  EXPECT_EQ(RestoredState({}, 5).status().code(), Code::kFailedPrecondition) << "of no group";
}

TEST(Restore, WhatIsForgottenIsNotCounted) {
  DecisionTable table = Bootstrapped(1);
  for (uint64_t seq : {1, 62, 63, 64, 130}) {
    table.Apply(5, Decide(GidAt(1, 5, seq)));
    EndAt(table, GidAt(1, 5, seq));
    Ticks(table, 1);
  }
  EXPECT_EQ(CountDecisions(table.state()), 5u);
  Ticks(table, 7);  // The watermark stands at seq 62.
  EXPECT_EQ(CountDecisions(table.state()), 3u);
  Ticks(table, 1);
  EXPECT_EQ(CountDecisions(table.state()), 2u);
}

#if defined(ASSENT_FAILPOINTS)

TEST(RestoreSeededBugs, AnIncarnationThatIsKeptIsCaught) {
  ScopedMutant mutant(Mutant::kRestoreKeepsIncarnation);
  EXPECT_NE(RestoredFrom(Backup(), 2).group()->incarnation, 2u);
}

TEST(RestoreSeededBugs, EndedCommitsThatAreDroppedAreCaught) {
  ScopedMutant mutant(Mutant::kRestoreDropsEnded);
  EXPECT_FALSE(RestoredFrom(Backup(), 2).ListsCommit(GidAt(1, 5, 2)));
}

TEST(RestoreSeededBugs, UnfinishedCommitsThatAreDroppedAreCaught) {
  ScopedMutant mutant(Mutant::kRestoreDropsUnfinished);
  EXPECT_FALSE(RestoredFrom(Backup(), 2).ListsCommit(GidAt(1, 5, 1)));
}

#endif

}  // namespace
}  // namespace assent::coordinator
