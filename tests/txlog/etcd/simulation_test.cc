// Processes around a model of etcd through random lives; the checker looks at everything they do.
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "tests/simulation/etcd_story.h"

namespace assent::simulation {
namespace {

using Focus = EtcdStory::Focus;

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* value = std::getenv(name);
  return value == nullptr ? otherwise : std::stoull(value);
}

constexpr uint64_t kDivisor = ASSENT_SEEDS_DIVISOR;

// ASSENT_SEED=n runs that one only; ASSENT_SEED_TO=m all from n to m; ASSENT_TRACE=1 prints them.
bool Chosen() { return std::getenv("ASSENT_SEED") != nullptr; }

EtcdStory::Met RunSeeds(Focus focus, uint64_t seeds) {
  const uint64_t from = FromEnvironment("ASSENT_SEED", 1);
  const uint64_t to = FromEnvironment("ASSENT_SEED_TO", Chosen() ? from : seeds / kDivisor);
  EtcdStory::Met met;
  int failed = 0;
  for (uint64_t seed = from; seed <= to && failed < 5; ++seed) {
    EtcdStory story(seed, focus, std::getenv("ASSENT_TRACE") != nullptr);
    const std::string wrong = story.Run();
    met += story.met();
    if (wrong.empty()) continue;
    ++failed;
    ADD_FAILURE() << "ASSENT_SEED=" << seed << ": " << wrong;
  }
  return met;
}

// The stories are not empty.
void ExpectMany(const char* what, size_t met, size_t at_least) {
  if (Chosen()) return;
  EXPECT_GT(met, at_least / kDivisor) << what;
}

TEST(EtcdSimulation, General) {
  const EtcdStory::Met met = RunSeeds(Focus::kGeneral, 300);
  ExpectMany("decided", met.decided, 30000);
  ExpectMany("refused", met.refused, 2000);
  ExpectMany("in doubt", met.in_doubt, 500);
  ExpectMany("reads", met.reads, 5000);
  ExpectMany("terms", met.terms, 1000);
  ExpectMany("crashes", met.crashes, 500);
  ExpectMany("late", met.late, 1000);
  ExpectMany("restored", met.restored, 300);
  ExpectMany("snapshots", met.snapshots, 500);
  ExpectMany("no space", met.no_space, 200);
  ExpectMany("resigned", met.resigned, 100);
}

TEST(EtcdSimulation, Leaders) { ExpectMany("terms", RunSeeds(Focus::kLeaders, 300).terms, 1500); }

TEST(EtcdSimulation, Snapshots) {
  const EtcdStory::Met met = RunSeeds(Focus::kSnapshots, 300);
  ExpectMany("snapshots", met.snapshots, 3000);
  ExpectMany("restored", met.restored, 500);
}

}  // namespace
}  // namespace assent::simulation
