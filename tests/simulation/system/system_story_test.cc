// A short campaign, for every day; the section `sim` of tests/run runs a long one.
#include "tests/simulation/system/system_story.h"

#include <gtest/gtest.h>

namespace assent::simulation {
namespace {

constexpr uint64_t kSeeds = 100;

TEST(SystemStoryTest, HundredLivesComeRight) {
  SystemStory::Met met;
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    SystemStory story(seed);
    const std::string wrong = story.Run();
    met += story.met();
    if (wrong.empty()) continue;
    SystemStory again(seed, Tracing::kTail);
    EXPECT_EQ(again.Run(), wrong) << "the same seed ends otherwise the second time";
    ADD_FAILURE() << "seed " << seed << ": " << wrong << "\n" << again.tail();
  }
  // They are not empty.
  EXPECT_GT(met.committed, 10 * kSeeds);
  EXPECT_GT(met.told, 20 * kSeeds);
  EXPECT_GT(met.terms, 2 * kSeeds);
  EXPECT_GT(met.node_crashes, kSeeds);
  EXPECT_GT(met.agent_crashes, kSeeds / 2);
  EXPECT_GT(met.database_crashes, kSeeds / 2);
  EXPECT_GT(met.disk_faults, kSeeds);
  EXPECT_GT(met.refused_starts, kSeeds / 10);
  EXPECT_GT(met.installed, kSeeds / 10);
  EXPECT_GT(met.changes, kSeeds);
  EXPECT_GT(met.cuts, kSeeds);
}

TEST(SystemStoryTest, ASeedIsOneStory) {
  for (uint64_t seed : {3, 14, 15}) {
    SystemStory one(seed, Tracing::kTail);
    SystemStory other(seed, Tracing::kTail);
    EXPECT_EQ(one.Run(), other.Run());
    EXPECT_EQ(one.met().steps, other.met().steps);
    EXPECT_EQ(one.tail(), other.tail());
    EXPECT_NE(one.tail(), "");
  }
}

}  // namespace
}  // namespace assent::simulation
