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
  explicit CoordinatorListTest(const std::vector<std::string>& configured = {"a:1", "b:1", "c:1"})
      : list_(configured, now_) {}

  using Change = CoordinatorList::Change;
  Change Welcomed(const std::string& target, uint64_t id, Members members) {
    return list_.Welcomed(target, id, std::move(members), now_);
  }
  Change Told(const std::string& target, Members members) {
    return list_.Told(target, std::move(members), now_);
  }
  Change Down(const std::string& target) { return list_.Down(target, now_); }
  Change Pass(Duration time) {
    now_ += time;
    return list_.Tick(now_);
  }
  static void ExpectNothing(const Change& change) {
    EXPECT_THAT(change.dial, IsEmpty());
    EXPECT_THAT(change.leave, IsEmpty());
  }
  // All three of the configuration have welcomed.
  void AllUp() {
    ExpectNothing(Welcomed("a:1", 1, kThree));
    ExpectNothing(Welcomed("b:1", 2, kThree));
    ExpectNothing(Welcomed("c:1", 3, kThree));
  }
  void AllTell(const Members& members) {
    for (const char* target : {"a:1", "b:1", "c:1"}) (void)Told(target, members);
  }

  MonotonicTime now_{};
  CoordinatorList list_;
};

TEST_F(CoordinatorListTest, ANewMemberIsDialledOnceWhoeverTells) {
  AllUp();
  EXPECT_THAT(Told("b:1", kFour).dial, ElementsAre("d:1"));
  ExpectNothing(Told("a:1", kFour));
  ExpectNothing(Welcomed("d:1", 4, kFour));
  ExpectNothing(Told("c:1", kFour));
}

TEST_F(CoordinatorListTest, AFormerMemberIsLeftWhenTheLastHasHeardOfIt) {
  AllUp();
  AllTell(kFour);
  (void)Welcomed("d:1", 4, kFour);
  ExpectNothing(Told("a:1", kThree));
  ExpectNothing(Told("b:1", kThree));
  ExpectNothing(Told("c:1", kThree));
  EXPECT_THAT(Told("d:1", kThree).leave, ElementsAre("d:1"));
  ExpectNothing(Down("d:1"));  // Known no more.
  EXPECT_THAT(Told("a:1", kFour).dial, ElementsAre("d:1")) << "it is back";
}

TEST_F(CoordinatorListTest, AConfiguredTargetIsNeverLeft) {
  AllUp();
  const Members moved{{4, "d:1"}, {5, "e:1"}, {6, "f:1"}};
  EXPECT_THAT(Told("a:1", moved).dial, ElementsAre("d:1", "e:1", "f:1"));
  AllTell(moved);
  for (const char* target : {"a:1", "b:1", "c:1"}) ExpectNothing(Down(target));
  ExpectNothing(Welcomed("d:1", 4, moved));
  ExpectNothing(Pass(CoordinatorList::kPatience));
  EXPECT_THAT(Told("d:1", {{4, "d:1"}}).leave, ElementsAre("e:1", "f:1"));
}

TEST_F(CoordinatorListTest, WithNobodyUpNothingIsForgotten) {
  AllUp();
  AllTell(kFour);
  for (const char* target : {"a:1", "b:1", "c:1", "d:1"}) ExpectNothing(Down(target));
  ExpectNothing(Pass(10 * CoordinatorList::kPatience));
  ExpectNothing(Welcomed("a:1", 1, kFour));
}

// All links end when the agent says hello anew, and whoever is first may know less than the others.
TEST_F(CoordinatorListTest, AShortBreakLosesNobody) {
  AllUp();
  (void)Told("b:1", kFour);
  (void)Welcomed("d:1", 4, kFour);
  for (const char* target : {"a:1", "b:1", "c:1", "d:1"}) ExpectNothing(Down(target));
  ExpectNothing(Welcomed("a:1", 1, kThree));
  ExpectNothing(Welcomed("c:1", 3, {}));
  ExpectNothing(Welcomed("d:1", 4, kFour));
  ExpectNothing(Pass(CoordinatorList::kPatience));
}

class ByOtherNames : public CoordinatorListTest {
 protected:
  ByOtherNames() : CoordinatorListTest({"a:1", "localhost:1"}) {}
};

// "localhost:1" is member 2, whom others call "b:1".
TEST_F(ByOtherNames, OneNodeIsDialledOnce) {
  EXPECT_THAT(Welcomed("a:1", 1, kThree).dial, IsEmpty()) << "one of them may be localhost";
  EXPECT_THAT(Welcomed("localhost:1", 2, kThree).dial, ElementsAre("c:1"));
  (void)Down("localhost:1");
  EXPECT_THAT(Told("a:1", kThree).dial, IsEmpty()) << "for a moment only";
}

TEST_F(ByOtherNames, WhoeverWasTakenForDeadAndComesBackIsKnownByItsId) {
  (void)Welcomed("a:1", 1, kThree);
  EXPECT_THAT(Pass(CoordinatorList::kSettles).dial, ElementsAre("b:1", "c:1"));
  ExpectNothing(Pass(CoordinatorList::kSettles));
  (void)Welcomed("b:1", 2, kThree);
  EXPECT_THAT(Welcomed("localhost:1", 2, kThree).leave, ElementsAre("b:1"));
  EXPECT_THAT(Told("a:1", kThree).dial, IsEmpty());
}

// A name that led to a member leads nowhere now: the member has an address of its own.
TEST_F(ByOtherNames, ANameThatIsDeadHidesNobody) {
  (void)Welcomed("a:1", 1, kThree);
  (void)Welcomed("localhost:1", 2, kThree);
  (void)Down("localhost:1");
  EXPECT_THAT(Pass(CoordinatorList::kPatience).dial, ElementsAre("b:1"));
}

// Member 3 gave an address that leads to member 1 from here, as 127.0.0.1 does.
TEST_F(ByOtherNames, AnAddressThatLeadsToAnotherIsLeftAlone) {
  (void)Welcomed("a:1", 1, kThree);
  EXPECT_THAT(Welcomed("localhost:1", 2, kThree).dial, ElementsAre("c:1"));
  EXPECT_THAT(Welcomed("c:1", 1, kThree).leave, ElementsAre("c:1"));
  ExpectNothing(Told("a:1", kThree));
  ExpectNothing(Pass(CoordinatorList::kPatience));
  const Members other{{1, "a:1"}, {2, "b:1"}, {5, "c:1"}};
  EXPECT_THAT(Told("a:1", other).dial, ElementsAre("c:1")) << "that is another member";
}

// A node that tells no id could be anybody.
TEST_F(ByOtherNames, BesideANodeWithoutIdNobodyIsDialled) {
  (void)Welcomed("a:1", 1, kThree);
  ExpectNothing(Welcomed("localhost:1", 0, {}));
  ExpectNothing(Pass(CoordinatorList::kSettles));
}

TEST_F(ByOtherNames, NoMoreThanTheLimitAndNoEmptyAddress) {
  Members many{{1, "a:1"}, {2, ""}};
  for (uint64_t id = 3; id < 200; ++id) many.push_back({id, "n" + std::to_string(id) + ":1"});
  (void)Welcomed("localhost:1", 2, many);
  EXPECT_EQ(Welcomed("a:1", 1, many).dial.size(), CoordinatorList::kLearnedMax);
}

}  // namespace
}  // namespace assent::agent
