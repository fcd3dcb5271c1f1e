// kill -9 of the coordinator, an agent or a database at each named step (steps.h): both databases
// end the same, nothing stays prepared, the client was told the truth.
#include "tests/chaos/walk.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/chaos/steps.h"
#include "tests/support/servers_under_test.h"

namespace assent::chaos {
namespace {

using test_support::ServersUnderTest;

struct Stretch {
  Step step;
  Part stopped;
  Part killed;
};

void PrintTo(const Stretch& s, std::ostream* out) {
  *out << s.step.name << " in " << PartName(s.stopped) << ", kill " << PartName(s.killed);
}

std::string NameOf(const testing::TestParamInfo<Stretch>& info) {
  std::string name = std::string(info.param.step.name) + "__" + PartName(info.param.stopped) +
                     "__kill_" + PartName(info.param.killed);
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
}

std::vector<Stretch> Stretches(Place place) {
  constexpr Part kAll[] = {Part::kCoordinator, Part::kPostgresAgent, Part::kMariadbAgent,
                           Part::kPostgres, Part::kMariadb};
  std::vector<Stretch> stretches;
  for (const Step& step : Steps()) {
    if (step.place != place) continue;
    std::vector<Part> stopped = {Part::kCoordinator};
    if (place == Place::kAgent) stopped = {Part::kPostgresAgent, Part::kMariadbAgent};
    for (Part at : stopped) {
      for (Part killed : kAll) stretches.push_back({step, at, killed});
    }
  }
  return stretches;
}

// One house for all stretches of this process; made by the first.
Result<std::unique_ptr<Walk>>& TheWalk() {
  static auto walk = std::make_unique<Result<std::unique_ptr<Walk>>>(
      Walk::Create({.in_place_of_mariadb = [] { return ServersUnderTest().front().Create(); }}));
  return *walk;
}

class WalkTest : public testing::TestWithParam<Stretch> {
 protected:
  static void TearDownTestSuite() {
    if (TheWalk().ok()) TheWalk().value().reset();
  }
};

TEST_P(WalkTest, EndsAlikeInBothDatabasesAndAsTold) {
  const Stretch& s = GetParam();
  auto& walk = TheWalk();
  if (ServersUnderTest().front().IsAbsent(walk.status())) {
    GTEST_SKIP() << walk.status().message();
  }
  ASSERT_TRUE(walk.ok()) << walk.status().ToString();
  auto ending = (*walk)->Run(s.step.name, s.stopped, s.killed);
  ASSERT_TRUE(ending.ok()) << ending.status().ToString();
  EXPECT_EQ(ending->in_postgres, ending->in_mariadb) << "mixed! " << ending->log;
  switch (ending->told) {
    case client::Outcome::kCommitted:
      EXPECT_TRUE(ending->in_postgres && ending->in_mariadb) << ending->log;
      break;
    case client::Outcome::kAborted:
      EXPECT_TRUE(!ending->in_postgres && !ending->in_mariadb) << ending->log;
      break;
    case client::Outcome::kUnknown:
    case client::Outcome::kExpired:
      ADD_FAILURE() << "the client never learned the outcome: " << ending->log;
      break;
  }
  if (s.step.ends == Ends::kCommitted) {
    EXPECT_EQ(ending->told, client::Outcome::kCommitted) << ending->log;
  }
  if (s.step.ends == Ends::kAborted && s.stopped == s.killed) {
    EXPECT_EQ(ending->told, client::Outcome::kAborted) << ending->log;
  }
}

INSTANTIATE_TEST_SUITE_P(Coordinator, WalkTest, testing::ValuesIn(Stretches(Place::kCoordinator)),
                         NameOf);
INSTANTIATE_TEST_SUITE_P(Agents, WalkTest, testing::ValuesIn(Stretches(Place::kAgent)), NameOf);

}  // namespace
}  // namespace assent::chaos
