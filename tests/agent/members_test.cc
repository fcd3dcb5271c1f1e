// An agent follows the group where it goes, though its configuration names one coordinator only.
#include "tests/agent/agent_fixture.h"

namespace assent::agent {
namespace {

class MembersTest : public AgentFixture {
 protected:
  // The second node of the group, in its third term or so.
  void StartOther(uint64_t term, bool leader) {
    v1::Welcome welcome = coordinator_->welcome();
    welcome.set_node_id(2);
    welcome.mutable_leadership()->set_term(term);
    welcome.mutable_leadership()->set_leader(leader);
    *welcome.mutable_members() = Members(true);
    other_.SetWelcome(welcome);
  }
  v1::GroupMembers Members(bool both) {
    v1::GroupMembers members;
    members.add_members()->set_id(1);
    members.mutable_members(0)->set_address(coordinator_->address());
    if (!both) return members;
    members.add_members()->set_id(2);
    members.mutable_members(1)->set_address(other_.address());
    return members;
  }
  void SayMembers(FakeCoordinator& from, bool both) {
    v1::CoordinatorMessage message;
    *message.mutable_members() = Members(both);
    from.Say(message);
  }
  void NameNode(uint64_t id) {
    v1::Welcome welcome = coordinator_->welcome();
    welcome.set_node_id(id);
    coordinator_->SetWelcome(welcome);
  }

  FakeCoordinator other_;
};

TEST_F(MembersTest, ANewMemberIsDialledAndLedBy) {
  NameNode(1);
  StartOther(9, true);
  StartServing();
  SayMembers(*coordinator_, true);
  ASSERT_TRUE(other_.WaitServed(1));
  coordinator_->Lead(9, false);
  v1::OpenReply reply;
  ASSERT_TRUE(Eventually([&] {
    Gtrid gtrid = other_.NextGtrid();
    gtrid.epoch = 9;
    return Open(ToString(gtrid), "one", {"write a"}, &reply).ok();
  }));
  EXPECT_GT(other_.registers_waiting(), 0u);
}

TEST_F(MembersTest, AMemberThatLeftTheGroupIsDialledNoMore) {
  NameNode(1);
  StartOther(5, false);
  StartServing();
  SayMembers(*coordinator_, true);
  ASSERT_TRUE(other_.WaitServed(1));
  SayMembers(*coordinator_, false);
  SayMembers(other_, false);
  ASSERT_TRUE(Eventually([&] { return other_.agents() == 0; }));
  other_.Disregard();
  v1::OpenReply reply;  // And nothing else has changed.
  EXPECT_TRUE(Open(ToString(coordinator_->NextGtrid()), "one", {"write a"}, &reply).ok());
  SayMembers(*coordinator_, true);
  EXPECT_TRUE(other_.NextHello().has_value()) << "until it is back";
}

}  // namespace
}  // namespace assent::agent
