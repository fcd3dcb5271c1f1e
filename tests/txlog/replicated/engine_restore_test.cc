// A group whose log begins with a state: one node, and those that join it.
#include <gmock/gmock.h>

#include "tests/txlog/replicated/group_fixture.h"
#include "txlog/replicated/replicated_log.h"

namespace assent::txlog {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

class EngineRestore : public GroupFixture {
 protected:
  static constexpr uint64_t kIncarnation = 77;
  static Member MemberOf(uint64_t id) {
    return {.id = id, .peer_address = "a:" + std::to_string(id), .address = "b:1"};
  }
  void Restore(uint64_t id) {
    auto node = std::make_unique<Node>(*this, id);
    Status s =
        RestoreGroup(node->disk, "/sim", {"bank", kUuid, id, kIncarnation}, "all", MemberOf(id));
    ASSERT_TRUE(s.ok()) << s.ToString();
    nodes_.emplace(id, std::move(node));
  }
};

TEST_F(EngineRestore, ItHearsTheStateAndLeadsAlone) {
  Restore(1);
  StartAll();
  EXPECT_THAT(At(1).listener->story(), ElementsAre("snapshot 1 1 all", "lead 2", "apply 2 2"));
  EXPECT_EQ(At(1).engine->identity().group_incarnation, kIncarnation);
  auto fates = Propose(1, {"more"});
  Settle();
  EXPECT_THAT(*fates, ElementsAre(Fate::kDurable));
  Kill(1);
  ASSERT_TRUE(Start(1).ok());
  Settle();
  EXPECT_EQ(At(1).listener->story().front(), "snapshot 1 1 all");
  EXPECT_THAT(Applied(1), ElementsAre("more"));
}

TEST_F(EngineRestore, WhoJoinsGetsTheState) {
  Restore(1);
  StartAll();
  Propose(1, {"more"});
  for (uint64_t id : {2, 3}) {
    Add(id);
    StartAll();
    auto added = Change(1, {.kind = MembershipChange::Kind::kAddLearner, .member = MemberOf(id)});
    Tick(20);
    ASSERT_EQ(added->size(), 1u);
    EXPECT_TRUE(added->front().ok()) << added->front().ToString();
    auto promoted = Change(1, {.kind = MembershipChange::Kind::kPromote, .member = MemberOf(id)});
    Tick(20);
    ASSERT_EQ(promoted->size(), 1u);
    EXPECT_TRUE(promoted->front().ok()) << promoted->front().ToString();
    EXPECT_THAT(At(id).listener->story(), Contains("snapshot 1 1 all"));
    EXPECT_THAT(Applied(id), ElementsAre("more"));
  }
  // The first may go now.
  Kill(1);
  const uint64_t leader = WaitLeader();
  ASSERT_NE(leader, 0u);
  EXPECT_NE(leader, 1u);
  auto fates = Propose(leader, {"later"});
  Tick(5);
  EXPECT_THAT(*fates, ElementsAre(Fate::kDurable));
}

TEST_F(EngineRestore, TheOnlyMemberIsTheNodeItself) {
  SimDisk disk(1);
  Status s = RestoreGroup(disk, "/sim", {"bank", kUuid, 1, kIncarnation}, "all", MemberOf(2));
  EXPECT_EQ(s.code(), Code::kInvalidArgument);
  EXPECT_THAT(s.message(), HasSubstr("node 1 is not among the first members"));
}

}  // namespace
}  // namespace assent::txlog
