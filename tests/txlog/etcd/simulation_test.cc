// Processes around a model of etcd through random lives; the checker looks at everything they do.
#include <gtest/gtest.h>

#include "tests/simulation/etcd_story.h"
#include "tests/simulation/run_seeds.h"

namespace assent::simulation {
namespace {

using Focus = EtcdStory::Focus;

TEST(EtcdSimulation, General) {
  const EtcdStory::Met met = RunSeeds<EtcdStory>(Focus::kGeneral, 300);
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
  ExpectMany("settled", met.settled, 20);
  ExpectMany("resigned", met.resigned, 100);
}

TEST(EtcdSimulation, Leaders) {
  ExpectMany("terms", RunSeeds<EtcdStory>(Focus::kLeaders, 300).terms, 1500);
}

TEST(EtcdSimulation, Snapshots) {
  const EtcdStory::Met met = RunSeeds<EtcdStory>(Focus::kSnapshots, 300);
  ExpectMany("snapshots", met.snapshots, 3000);
  ExpectMany("restored", met.restored, 500);
}

}  // namespace
}  // namespace assent::simulation
