// Each seeded bug of the core is found by the simulation within the stated number of seeds. One
// that is not found is a hole in the simulation.
#include <gtest/gtest.h>

#include <iterator>
#include <string>

#include "base/mutant.h"
#include "tests/simulation/mutant_id.h"
#include "tests/simulation/raft_story.h"

namespace assent::simulation {
namespace {

#if defined(ASSENT_FAILPOINTS)

using Focus = RaftStory::Focus;

struct Case {
  Mutant mutant;
  Focus focus;
  uint64_t seeds;
};

const Case kCases[] = {
    {Mutant::kRaftVoteNotPersisted, Focus::kElections, 200},
    {Mutant::kRaftOwnVoteUnforced, Focus::kGeneral, 50},
    {Mutant::kRaftDoubleVote, Focus::kElections, 50},
    {Mutant::kRaftVoteForStaleLog, Focus::kGeneral, 20},
    {Mutant::kRaftNoPrevoteLease, Focus::kGeneral, 20},
    {Mutant::kRaftSkipNoop, Focus::kGeneral, 20},
    {Mutant::kRaftCommitOldTermByCount, Focus::kMembers, 600},
    {Mutant::kRaftCountUnforcedSelf, Focus::kGeneral, 50},
    {Mutant::kRaftLearnerCounts, Focus::kMembers, 200},
    {Mutant::kRaftAckBeforeForced, Focus::kElections, 50},
    {Mutant::kRaftPrevNotChecked, Focus::kElections, 50},
    {Mutant::kRaftTruncateOnMatch, Focus::kElections, 50},
    {Mutant::kRaftApplyUncommitted, Focus::kGeneral, 50},
    {Mutant::kRaftStaleRead, Focus::kGeneral, 20},
    {Mutant::kRaftTwoConfigChanges, Focus::kMembers, 50},
    {Mutant::kRaftConfigBeforeNoop, Focus::kFirstChanges, 4000},
    {Mutant::kRaftKeepConfigAfterTruncate, Focus::kMembers, 50},
    {Mutant::kRaftTailKeptUnderSnapshot, Focus::kGeneral, 200},
    {Mutant::kRaftDiskFullLeadsOn, Focus::kGeneral, 50},
    {Mutant::kRaftInDoubtIsRefused, Focus::kGeneral, 20},
    {Mutant::kRaftTransferUnbounded, Focus::kGeneral, 20},
};

class RaftMutants : public testing::TestWithParam<Case> {};

TEST_P(RaftMutants, IsCaught) {
  ScopedMutant mutant(GetParam().mutant);
  std::string wrong;
  for (uint64_t seed = 1; seed <= GetParam().seeds && wrong.empty(); ++seed) {
    wrong = RaftStory(seed, GetParam().focus).Run();
  }
  EXPECT_FALSE(wrong.empty()) << "not found in " << GetParam().seeds << " seeds";
}

INSTANTIATE_TEST_SUITE_P(Raft, RaftMutants, testing::ValuesIn(kCases),
                         [](const auto& one) { return IdOf(one.param.mutant); });

// None is left out.
TEST(RaftMutantsTable, HoldsThemAll) {
#define X(id, name) +1
  constexpr size_t kAll = 0 ASSENT_RAFT_MUTANTS(X);
#undef X
  EXPECT_EQ(std::size(kCases), kAll);
}

#endif

}  // namespace
}  // namespace assent::simulation
