// kill -9 of the coordinator, an agent or a database at each named step (steps.h): both databases
// end the same, nothing stays prepared, the client was told the truth. Every stretch is there plain
// and with mutual TLS, each way in two halves; the binaries choose by their filter
// (CMakeLists.txt).
#include "tests/chaos/walk.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/chaos/steps.h"
#include "tests/support/engine_under_test.h"
#include "tests/support/servers_under_test.h"

namespace assent::chaos {
namespace {

using test_support::ServersUnderTest;

struct Stretch {
  Step step;
  Part stopped;
  Part killed;
  bool tls;
};

void PrintTo(const Stretch& s, std::ostream* out) {
  *out << s.step.name << " in " << PartName(s.stopped) << ", kill " << PartName(s.killed)
       << (s.tls ? ", with TLS" : "");
}

std::string NameOf(const testing::TestParamInfo<Stretch>& info) {
  std::string name = std::string(info.param.step.name) + "__" + PartName(info.param.stopped) +
                     "__kill_" + PartName(info.param.killed);
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
}

// Every second stretch is of the first half: of each step some, and of each part that is killed, as
// the number of parts is odd.
enum class Half { kFirst, kSecond };

std::vector<Stretch> Stretches(Place place, Half half, bool tls) {
  constexpr Part kAll[] = {Part::kCoordinator, Part::kPostgresAgent, Part::kMariadbAgent,
                           Part::kPostgres, Part::kMariadb};
  std::vector<Stretch> stretches;
  Half next = Half::kFirst;
  for (const Step& step : Steps()) {
    if (step.place != place) continue;
    std::vector<Part> stopped = {Part::kCoordinator};
    if (place == Place::kAgent) stopped = {Part::kPostgresAgent, Part::kMariadbAgent};
    for (Part at : stopped) {
      for (Part killed : kAll) {
        if (next == half) stretches.push_back({step, at, killed, tls});
        next = next == Half::kFirst ? Half::kSecond : Half::kFirst;
      }
    }
  }
  return stretches;
}

class WalkTest : public testing::TestWithParam<Stretch> {
 protected:
  static void TearDownTestSuite() { walk_.reset(); }

  // One house for all stretches of a suite; made by the first.
  static Result<std::unique_ptr<Walk>>& TheWalk() {
    if (!walk_) {
      test_support::DeploymentOptions house;
      house.in_place_of_mariadb = [] { return ServersUnderTest().front().Create(); };
      house.tls = GetParam().tls;
      test_support::ChooseEngine(&house);
      walk_.emplace(Walk::Create(house));
    }
    return *walk_;
  }

 private:
  static std::optional<Result<std::unique_ptr<Walk>>> walk_;
};
std::optional<Result<std::unique_ptr<Walk>>> WalkTest::walk_;

TEST_P(WalkTest, EndsAlikeInBothDatabasesAndAsTold) {
  const Stretch& s = GetParam();
  auto& walk = TheWalk();
  if (ServersUnderTest().front().IsAbsent(walk.status()) ||
      test_support::EngineIsAbsent(walk.status())) {
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

// What is walked every day: one half plain, the other with TLS.
INSTANTIATE_TEST_SUITE_P(Coordinator, WalkTest,
                         testing::ValuesIn(Stretches(Place::kCoordinator, Half::kFirst, false)),
                         NameOf);
INSTANTIATE_TEST_SUITE_P(CoordinatorTls, WalkTest,
                         testing::ValuesIn(Stretches(Place::kCoordinator, Half::kSecond, true)),
                         NameOf);
INSTANTIATE_TEST_SUITE_P(Agents, WalkTest,
                         testing::ValuesIn(Stretches(Place::kAgent, Half::kFirst, false)), NameOf);
INSTANTIATE_TEST_SUITE_P(AgentsTls, WalkTest,
                         testing::ValuesIn(Stretches(Place::kAgent, Half::kSecond, true)), NameOf);
// And the rest.
INSTANTIATE_TEST_SUITE_P(CoordinatorRest, WalkTest,
                         testing::ValuesIn(Stretches(Place::kCoordinator, Half::kSecond, false)),
                         NameOf);
INSTANTIATE_TEST_SUITE_P(CoordinatorRestTls, WalkTest,
                         testing::ValuesIn(Stretches(Place::kCoordinator, Half::kFirst, true)),
                         NameOf);
INSTANTIATE_TEST_SUITE_P(AgentsRest, WalkTest,
                         testing::ValuesIn(Stretches(Place::kAgent, Half::kSecond, false)), NameOf);
INSTANTIATE_TEST_SUITE_P(AgentsRestTls, WalkTest,
                         testing::ValuesIn(Stretches(Place::kAgent, Half::kFirst, true)), NameOf);

}  // namespace
}  // namespace assent::chaos
