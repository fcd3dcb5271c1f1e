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

constexpr uint64_t kDivisor = ASSENT_SEEDS_DIVISOR;

// ASSENT_SEED=n runs that one only; ASSENT_SEED_TO=m all from n to m; ASSENT_TRACE=1 prints them.
bool Chosen() { return std::getenv("ASSENT_SEED") != nullptr; }

RaftStory::Met RunSeeds(Focus focus, uint64_t seeds) {
  const uint64_t from = FromEnvironment("ASSENT_SEED", 1);
  const uint64_t to = FromEnvironment("ASSENT_SEED_TO", Chosen() ? from : seeds / kDivisor);
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

// The stories are not empty.
void ExpectMany(size_t met, size_t at_least) {
  if (Chosen()) return;
  EXPECT_GT(met, at_least / kDivisor);
}

TEST(RaftSimulation, General) {
  const RaftStory::Met met = RunSeeds(Focus::kGeneral, 300);
  ExpectMany(met.decided, 30000);
  ExpectMany(met.in_doubt, 2000);
  ExpectMany(met.reads, 5000);
  ExpectMany(met.crashes, 2000);
  ExpectMany(met.terms, 1500);
  ExpectMany(met.installed, 200);
  ExpectMany(met.changes, 200);
  ExpectMany(met.disk_fulls, 500);
  ExpectMany(met.transfers, 10);
}

TEST(RaftSimulation, Elections) { ExpectMany(RunSeeds(Focus::kElections, 300).terms, 3000); }

TEST(RaftSimulation, Members) { ExpectMany(RunSeeds(Focus::kMembers, 200).changes, 300); }

TEST(RaftSimulation, FirstChanges) { ExpectMany(RunSeeds(Focus::kFirstChanges, 300).changes, 100); }

TEST(RaftSimulation, Snapshots) { ExpectMany(RunSeeds(Focus::kSnapshots, 200).installed, 500); }

}  // namespace
}  // namespace assent::simulation
