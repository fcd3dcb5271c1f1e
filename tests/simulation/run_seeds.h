// Runs a simulation's stories from seed 1 on, for tests of GoogleTest. A story has a Focus, what it
// Met (which can be added up), Run, which answers with what went wrong, and met.
//
// ASSENT_SEED=n runs that one only; ASSENT_SEED_TO=m all from n to m; ASSENT_TRACE=1 prints them.
// ASSENT_SEEDS_DIVISOR, of the build: so many times fewer where everything is slow.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <string>

namespace assent::simulation {

inline uint64_t SeedFromEnvironment(const char* name, uint64_t otherwise) {
  const char* value = std::getenv(name);
  return value == nullptr ? otherwise : std::stoull(value);
}

inline bool SeedIsChosen() { return std::getenv("ASSENT_SEED") != nullptr; }

// Fails the test for each seed whose story went wrong, up to five.
template <typename Story>
typename Story::Met RunSeeds(typename Story::Focus focus, uint64_t seeds) {
  const uint64_t from = SeedFromEnvironment("ASSENT_SEED", 1);
  const uint64_t to =
      SeedFromEnvironment("ASSENT_SEED_TO", SeedIsChosen() ? from : seeds / ASSENT_SEEDS_DIVISOR);
  typename Story::Met met;
  int failed = 0;
  for (uint64_t seed = from; seed <= to && failed < 5; ++seed) {
    Story story(seed, focus, std::getenv("ASSENT_TRACE") != nullptr);
    const std::string wrong = story.Run();
    met += story.met();
    if (wrong.empty()) continue;
    ++failed;
    ADD_FAILURE() << "ASSENT_SEED=" << seed << ": " << wrong;
  }
  return met;
}

// The stories are not empty: so much of `what` they met, all seeds together.
inline void ExpectMany(const char* what, size_t met, size_t at_least) {
  if (SeedIsChosen()) return;
  EXPECT_GT(met, at_least / ASSENT_SEEDS_DIVISOR) << what;
}

}  // namespace assent::simulation
