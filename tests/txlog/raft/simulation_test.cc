// Groups of real cores through random lives; the checker looks at everything they do.
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "tests/simulation/raft_story.h"

namespace assent::simulation {
namespace {

TEST(RaftSimulation, ThreeHundredSeedsKeepEveryPromise) {
  const char* only = std::getenv("ASSENT_SEED");
  const char* last = std::getenv("ASSENT_SEED_TO");
  const uint64_t from = only != nullptr ? std::stoull(only) : 1;
  const uint64_t to = last != nullptr ? std::stoull(last) : only != nullptr ? from : 300;
  const bool trace = std::getenv("ASSENT_TRACE") != nullptr;
  RaftStory::Met met;
  int failed = 0;
  for (uint64_t seed = from; seed <= to && failed < 5; ++seed) {
    RaftStory story(seed, trace);
    const std::string wrong = story.Run();
    met += story.met();
    if (wrong.empty()) continue;
    ++failed;
    ADD_FAILURE() << "ASSENT_SEED=" << seed << ": " << wrong;
  }
  std::printf(
      "decided %zu durable %zu in doubt %zu reads %zu crashes %zu terms %zu installed %zu "
      "changes %zu disks full %zu transfers %zu\n",
      met.decided, met.durable, met.in_doubt, met.reads, met.crashes, met.terms, met.installed,
      met.changes, met.disk_fulls, met.transfers);
}

}  // namespace
}  // namespace assent::simulation
