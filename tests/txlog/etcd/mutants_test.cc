// Each seeded bug of the core is found by the simulation within the stated number of seeds. One
// that is not found is a hole in the simulation.
#include <gtest/gtest.h>

#include <iterator>
#include <string>

#include "base/mutant.h"
#include "tests/simulation/etcd_story.h"
#include "tests/simulation/mutant_id.h"

namespace assent::simulation {
namespace {

#if defined(ASSENT_FAILPOINTS)

using Focus = EtcdStory::Focus;

struct Case {
  Mutant mutant;
  Focus focus;
  uint64_t seeds;
};

const Case kCases[] = {
    {Mutant::kEtcdNoFence, Focus::kLeaders, 100},
    {Mutant::kEtcdNoChain, Focus::kGeneral, 100},
    {Mutant::kEtcdLeadsBehind, Focus::kLeaders, 100},
    {Mutant::kEtcdTermNotRaised, Focus::kGeneral, 100},
    {Mutant::kEtcdUnknownIsRefused, Focus::kGeneral, 100},
    {Mutant::kEtcdSentIsDurable, Focus::kGeneral, 100},
    {Mutant::kEtcdFullIsRefused, Focus::kGeneral, 200},
    {Mutant::kEtcdSettlesInReign, Focus::kGeneral, 1000},
    {Mutant::kEtcdStaleRead, Focus::kGeneral, 100},
    {Mutant::kEtcdTrustsItself, Focus::kGeneral, 100},
    {Mutant::kEtcdReadSkipsWindow, Focus::kGeneral, 100},
    {Mutant::kEtcdWatchGapIgnored, Focus::kGeneral, 100},
    {Mutant::kEtcdSwitchedEarly, Focus::kSnapshots, 100},
    {Mutant::kEtcdSwitchedBack, Focus::kSnapshots, 1000},
    {Mutant::kEtcdTrimsTooFar, Focus::kSnapshots, 100},
};

class EtcdMutants : public testing::TestWithParam<Case> {};

TEST_P(EtcdMutants, IsCaught) {
  ScopedMutant mutant(GetParam().mutant);
  std::string wrong;
  uint64_t seed = 0;
  while (wrong.empty() && seed < GetParam().seeds) {
    wrong = EtcdStory(++seed, GetParam().focus).Run();
  }
  EXPECT_FALSE(wrong.empty()) << "not found in " << GetParam().seeds << " seeds";
  RecordProperty("seed", std::to_string(seed));
}

INSTANTIATE_TEST_SUITE_P(Etcd, EtcdMutants, testing::ValuesIn(kCases),
                         [](const auto& one) { return IdOf(one.param.mutant); });

// None is left out.
TEST(EtcdMutantsTable, HoldsThemAll) {
#define X(id, name) +1
  constexpr size_t kAll = 0 ASSENT_ETCD_MUTANTS(X);
#undef X
  EXPECT_EQ(std::size(kCases), kAll);
}

#endif

}  // namespace
}  // namespace assent::simulation
