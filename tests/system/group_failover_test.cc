// A leader that dies, freezes, or is told to stop.
#include <gtest/gtest.h>

#include "tests/system/group_fixture.h"

namespace assent::system_tests {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class GroupFailover : public GroupTest {
 protected:
  static void SetUpTestSuite() { StartHouse({.coordinators = 3}); }
};

// The promise, with some air for a machine that does other things too: assent-failover holds the
// group to it.
TEST_F(GroupFailover, TheNextCommitComesSoonAfterALeaderWasKilled) {
  StartLoad();
  auto measured = Failovers::Measure(House(), TheProbe(), 5);
  ASSERT_TRUE(measured.ok()) << measured.status().ToString();
  std::printf("%s", measured->ToString().c_str());
  EXPECT_LE(measured->median(), seconds(2));
  EXPECT_LE(measured->worst(), seconds(6));
  EndLoad();
}

}  // namespace
}  // namespace assent::system_tests
