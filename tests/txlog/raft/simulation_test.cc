// Groups of real cores through random lives; the checker looks at everything they do.
#include <gtest/gtest.h>

#include "tests/simulation/raft_story.h"
#include "tests/simulation/run_seeds.h"

namespace assent::simulation {
namespace {

using Focus = RaftStory::Focus;

TEST(RaftSimulation, General) {
  const RaftStory::Met met = RunSeeds<RaftStory>(Focus::kGeneral, 300);
  ExpectMany("decided", met.decided, 30000);
  ExpectMany("in doubt", met.in_doubt, 2000);
  ExpectMany("reads", met.reads, 5000);
  ExpectMany("crashes", met.crashes, 2000);
  ExpectMany("terms", met.terms, 1500);
  ExpectMany("installed", met.installed, 200);
  ExpectMany("changes", met.changes, 200);
  ExpectMany("disk fulls", met.disk_fulls, 500);
  ExpectMany("transfers", met.transfers, 10);
}

TEST(RaftSimulation, Elections) {
  ExpectMany("terms", RunSeeds<RaftStory>(Focus::kElections, 300).terms, 3000);
}

TEST(RaftSimulation, Members) {
  ExpectMany("changes", RunSeeds<RaftStory>(Focus::kMembers, 200).changes, 300);
}

TEST(RaftSimulation, FirstChanges) {
  ExpectMany("changes", RunSeeds<RaftStory>(Focus::kFirstChanges, 300).changes, 100);
}

TEST(RaftSimulation, Snapshots) {
  ExpectMany("installed", RunSeeds<RaftStory>(Focus::kSnapshots, 200).installed, 500);
}

}  // namespace
}  // namespace assent::simulation
