// Groups of real cores through random lives; the checker looks at everything they do.
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "tests/simulation/raft_story.h"

namespace assent::simulation {
namespace {

using Focus = RaftStory::Focus;

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* value = std::getenv(name);
  return value == nullptr ? otherwise : std::stoull(value);
}

// ASSENT_SEED=n runs that one only; ASSENT_SEED_TO=m all from n to m; ASSENT_TRACE=1 prints them.
RaftStory::Met RunSeeds(Focus focus, uint64_t seeds) {
  const uint64_t from = FromEnvironment("ASSENT_SEED", 1);
  const uint64_t to = FromEnvironment("ASSENT_SEED_TO", from == 1 ? seeds : from);
  RaftStory::Met met;
  int failed = 0;
  for (uint64_t seed = from; seed <= to && failed < 5; ++seed) {
    RaftStory story(seed, focus, std::getenv("ASSENT_TRACE") != nullptr);
    const std::string wrong = story.Run();
    met += story.met();
    if (wrong.empty()) continue;
    ++failed;
    ADD_FAILURE() << "ASSENT_SEED=" << seed << ": " << wrong;
  }
  return met;
}

TEST(RaftSimulation, General) {
  const RaftStory::Met met = RunSeeds(Focus::kGeneral, 300);
  if (std::getenv("ASSENT_SEED") != nullptr) return;
  // The stories are not empty.
  EXPECT_GT(met.decided, 30000u);
  EXPECT_GT(met.in_doubt, 2000u);
  EXPECT_GT(met.reads, 5000u);
  EXPECT_GT(met.crashes, 2000u);
  EXPECT_GT(met.terms, 1500u);
  EXPECT_GT(met.installed, 300u);
  EXPECT_GT(met.changes, 200u);
  EXPECT_GT(met.disk_fulls, 500u);
  EXPECT_GT(met.transfers, 20u);
}

TEST(RaftSimulation, Elections) {
  EXPECT_GT(RunSeeds(Focus::kElections, 300).terms,
            std::getenv("ASSENT_SEED") == nullptr ? 3000u : 0u);
}

TEST(RaftSimulation, Members) {
  EXPECT_GT(RunSeeds(Focus::kMembers, 200).changes,
            std::getenv("ASSENT_SEED") == nullptr ? 300u : 0u);
}

TEST(RaftSimulation, FirstChanges) {
  EXPECT_GT(RunSeeds(Focus::kFirstChanges, 300).changes,
            std::getenv("ASSENT_SEED") == nullptr ? 200u : 0u);
}

TEST(RaftSimulation, Snapshots) {
  EXPECT_GT(RunSeeds(Focus::kSnapshots, 200).installed,
            std::getenv("ASSENT_SEED") == nullptr ? 500u : 0u);
}

}  // namespace
}  // namespace assent::simulation
