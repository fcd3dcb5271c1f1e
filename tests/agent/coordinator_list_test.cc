#include "participant-agent/core/coordinator_list.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace assent::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Members = std::vector<CoordinatorList::Member>;

const Members kThree{{1, "a:1"}, {2, "b:1"}, {3, "c:1"}};
const Members kFour{{1, "a:1"}, {2, "b:1"}, {3, "c:1"}, {4, "d:1"}};

class CoordinatorListTest : public ::testing::Test {
 protected:
  void ExpectNothing(const CoordinatorList::Change& change) {
    EXPECT_THAT(change.dial, IsEmpty());
    EXPECT_THAT(change.leave, IsEmpty());
  }
  // All three of the configuration have welcomed.
  void AllUp() {
    ExpectNothing(list_.Welcomed("a:1", 1, kThree));
    ExpectNothing(list_.Welcomed("b:1", 2, kThree));
    ExpectNothing(list_.Welcomed("c:1", 3, kThree));
  }

  CoordinatorList list_{{"a:1", "b:1", "c:1"}};
};

TEST_F(CoordinatorListTest, ANewMemberIsDialledOnceWhoeverTells) {
  AllUp();
  EXPECT_THAT(list_.Told("b:1", kFour).dial, ElementsAre("d:1"));
  ExpectNothing(list_.Told("a:1", kFour));
  ExpectNothing(list_.Welcomed("d:1", 4, kFour));
  ExpectNothing(list_.Told("c:1", kFour));
}

TEST_F(CoordinatorListTest, AFormerMemberIsLeftWhenTheLastHasHeardOfIt) {
  AllUp();
  for (const char* target : {"a:1", "b:1"}) (void)list_.Told(target, kFour);
  (void)list_.Welcomed("d:1", 4, kFour);
  ExpectNothing(list_.Told("a:1", kThree));
  ExpectNothing(list_.Told("b:1", kThree));
  EXPECT_THAT(list_.Told("d:1", kThree).leave, ElementsAre("d:1"));
  ExpectNothing(list_.Down("d:1"));  // Known no more.
  EXPECT_THAT(list_.Told("a:1", kFour).dial, ElementsAre("d:1")) << "it is back";
}

TEST_F(CoordinatorListTest, AConfiguredTargetIsNeverLeft) {
  AllUp();
  const Members moved{{4, "d:1"}, {5, "e:1"}, {6, "f:1"}};
  EXPECT_THAT(list_.Told("a:1", moved).dial, ElementsAre("d:1", "e:1", "f:1"));
  for (const char* target : {"b:1", "c:1"}) ExpectNothing(list_.Told(target, moved));
  for (const char* target : {"a:1", "b:1", "c:1"}) ExpectNothing(list_.Down(target));
  ExpectNothing(list_.Welcomed("d:1", 4, moved));
  EXPECT_THAT(list_.Told("d:1", {{4, "d:1"}}).leave, ElementsAre("e:1", "f:1"));
}

TEST_F(CoordinatorListTest, WithNobodyUpNothingIsForgotten) {
  AllUp();
  for (const char* target : {"a:1", "b:1", "c:1"}) (void)list_.Told(target, kFour);
  for (const char* target : {"a:1", "b:1", "c:1", "d:1"}) ExpectNothing(list_.Down(target));
  ExpectNothing(list_.Welcomed("a:1", 1, kFour));
}

// "localhost:1" is member 2, whom others call "b:1".
TEST(CoordinatorListNames, OneNodeUnderTwoNamesIsDialledOnce) {
  CoordinatorList list({"a:1", "localhost:1"});
  EXPECT_THAT(list.Welcomed("a:1", 1, kThree).dial, IsEmpty()) << "one of them may be localhost";
  EXPECT_THAT(list.Welcomed("localhost:1", 2, kThree).dial, ElementsAre("c:1"));
  (void)list.Down("localhost:1");
  EXPECT_THAT(list.Told("a:1", kThree).dial, IsEmpty()) << "who that was is remembered";
}

TEST(CoordinatorListNames, WhoeverWasTakenForDeadAndComesBackIsKnownByItsId) {
  CoordinatorList list({"a:1", "localhost:1"});
  (void)list.Welcomed("a:1", 1, kThree);
  EXPECT_THAT(list.Settle().dial, ElementsAre("b:1", "c:1"));
  EXPECT_THAT(list.Settle().dial, IsEmpty());
  EXPECT_THAT(list.Welcomed("localhost:1", 2, kThree).leave, ElementsAre("b:1"));
  EXPECT_THAT(list.Told("a:1", kThree).dial, IsEmpty());
}

TEST(CoordinatorListNames, NoMoreThanTheLimitAndNoEmptyAddress) {
  CoordinatorList list({"a:1"});
  Members many{{1, "a:1"}, {2, ""}};
  for (uint64_t id = 3; id < 200; ++id) many.push_back({id, "n" + std::to_string(id) + ":1"});
  EXPECT_EQ(list.Welcomed("a:1", 1, many).dial.size(), CoordinatorList::kLearnedMax);
}

}  // namespace
}  // namespace assent::agent
