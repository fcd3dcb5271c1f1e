// `assentctl member` against two fake nodes, of which one leads.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "assent/v1/admin_service.grpc.pb.h"
#include "base/rpc/status.h"
#include "ctl/ctl.h"

namespace assent::ctl {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

class FakeNode final : public v1::AdminService::Service {
 public:
  explicit FakeNode(uint64_t id) : id_(id) {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
    address = "127.0.0.1:" + std::to_string(port);
  }

  std::string address;
  v1::ListMembersReply members;
  uint64_t leader = 0;
  std::string leader_address;
  std::vector<std::string> asked;
  grpc::Status answer;

  grpc::Status ListMembers(grpc::ServerContext*, const v1::ListMembersRequest*,
                           v1::ListMembersReply* reply) override {
    *reply = members;
    reply->set_node(id_);
    reply->set_leader(leader);
    return grpc::Status::OK;
  }
  grpc::Status AddMember(grpc::ServerContext*, const v1::AddMemberRequest* request,
                         v1::AddMemberReply*) override {
    return Asked("add " + std::to_string(request->id()) + " " + request->peer_address() + " " +
                 request->address());
  }
  grpc::Status PromoteMember(grpc::ServerContext*, const v1::PromoteMemberRequest* request,
                             v1::PromoteMemberReply*) override {
    return Asked("promote " + std::to_string(request->id()));
  }
  grpc::Status RemoveMember(grpc::ServerContext*, const v1::RemoveMemberRequest* request,
                            v1::RemoveMemberReply*) override {
    return Asked("remove " + std::to_string(request->id()));
  }
  grpc::Status TransferLeadership(grpc::ServerContext*,
                                  const v1::TransferLeadershipRequest* request,
                                  v1::TransferLeadershipReply*) override {
    return Asked("transfer " + std::to_string(request->to()) + " " +
                 std::to_string(request->drain_ms()));
  }
  void Stop() { server_->Shutdown(); }

 private:
  grpc::Status Asked(std::string what) {
    if (leader != id_) {
      v1::ErrorDetail detail;
      detail.set_reason(v1::REASON_NOT_LEADER);
      detail.set_leader(leader_address);
      return rpc::ToGrpc(Unavailable("it follows"), detail);
    }
    asked.push_back(std::move(what));
    return answer;
  }

  const uint64_t id_;
  std::unique_ptr<grpc::Server> server_;
};

class MemberCommand : public testing::Test {
 protected:
  MemberCommand() {
    v1::ListMembersReply members;
    members.set_term(7);
    members.set_last_index(120);
    members.set_commit_index(119);
    for (auto [id, node] : {std::pair(1, &follower_), std::pair(2, &leader_)}) {
      v1::Member* member = members.add_members();
      member->set_id(static_cast<uint64_t>(id));
      member->set_peer_address("10.0.0." + std::to_string(id) + ":7401");
      member->set_address(node->address);
      member->set_voter(true);
      member->set_leader(id == 2);
      member->set_match_index(id == 2 ? 120 : 90);
      member->set_reachable(true);
      node->leader = 2;
      node->leader_address = leader_.address;
    }
    follower_.members = leader_.members = members;
  }

  struct Ran {
    int exit_code;
    std::string out;
    std::string err;
  };
  Ran Ctl(std::vector<std::string> arguments) { return CtlOn(follower_.address, arguments); }
  Ran CtlOn(const std::string& endpoint, const std::vector<std::string>& arguments) {
    std::vector<const char*> argv = {"assentctl", "--endpoint", endpoint.c_str()};
    for (const std::string& argument : arguments) argv.push_back(argument.c_str());
    std::ostringstream out, err;
    int exit_code = ctl::Run(static_cast<int>(argv.size()), argv.data(), out, err);
    return {exit_code, out.str(), err.str()};
  }

  FakeNode follower_{1};
  FakeNode leader_{2};
};

TEST_F(MemberCommand, ListAsksTheLeader) {
  Ran text = Ctl({"member", "list"});
  EXPECT_EQ(text.exit_code, kExitOk) << text.err;
  EXPECT_THAT(text.out, HasSubstr("leader"));
  EXPECT_THAT(text.out, HasSubstr("90"));
  const json all = json::parse(Ctl({"member", "list", "--json"}).out);
  EXPECT_EQ(all["node"], 2);
  EXPECT_EQ(all["members"][0]["match_index"], 90);
  EXPECT_EQ(all["members"][1]["address"], leader_.address);
}

TEST_F(MemberCommand, ListWithoutALeaderTellsWhatAFollowerKnows) {
  leader_.Stop();
  Ran text = Ctl({"member", "list"});
  EXPECT_EQ(text.exit_code, kExitNeedsOperator);
  EXPECT_THAT(text.out, HasSubstr("answered by node 1"));
  const json all = json::parse(Ctl({"member", "list", "--json"}).out);
  EXPECT_TRUE(all["members"][0]["match_index"].is_null());
}

TEST_F(MemberCommand, AMemberThatIsSilentNeedsAnOperator) {
  leader_.members.mutable_members(0)->set_reachable(false);
  Ran text = Ctl({"member", "list"});
  EXPECT_EQ(text.exit_code, kExitNeedsOperator);
  EXPECT_THAT(text.out, HasSubstr("silent"));
}

TEST_F(MemberCommand, ChangesGoToTheLeader) {
  for (std::vector<std::string> arguments :
       {std::vector<std::string>{"member", "add", "3", "10.0.0.3:7401", "10.0.0.3:7400"},
        {"member", "promote", "3"},
        {"member", "remove", "1"},
        {"member", "transfer"},
        {"member", "transfer", "1", "--drain-ms", "50"}}) {
    Ran ran = Ctl(arguments);
    EXPECT_EQ(ran.exit_code, kExitOk) << ran.err;
  }
  EXPECT_THAT(leader_.asked, ElementsAre("add 3 10.0.0.3:7401 10.0.0.3:7400", "promote 3",
                                         "remove 1", "transfer 0 10000", "transfer 1 50"));
}

// Before a node is stopped: whoever leads elsewhere must keep the lead.
TEST_F(MemberCommand, TransferIfLeadingAsksNobodyElse) {
  Ran ran = Ctl({"member", "transfer", "--if-leading"});
  EXPECT_EQ(ran.exit_code, kExitOk) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("does not lead"));
  EXPECT_THAT(leader_.asked, ElementsAre());
  ran = CtlOn(leader_.address, {"member", "transfer", "--if-leading"});
  EXPECT_EQ(ran.exit_code, kExitOk) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("was handed over"));
  EXPECT_THAT(leader_.asked, ElementsAre("transfer 0 10000"));
  leader_.Stop();
  ran = CtlOn(leader_.address, {"member", "transfer", "--if-leading"});
  EXPECT_EQ(ran.exit_code, kExitError);
  EXPECT_THAT(ran.err, HasSubstr("can't be reached"));
}

TEST_F(MemberCommand, ARefusalIsPassedOn) {
  leader_.answer = rpc::ToGrpc(FailedPrecondition("member 3 lacks too much of the log"));
  Ran ran = Ctl({"member", "promote", "3"});
  EXPECT_EQ(ran.exit_code, kExitError);
  EXPECT_THAT(ran.err, HasSubstr("lacks too much of the log"));
}

TEST_F(MemberCommand, WrongUsageIsNamed) {
  EXPECT_EQ(Ctl({"member"}).exit_code, kExitUsage);
  EXPECT_EQ(Ctl({"member", "promote"}).exit_code, kExitUsage);
  EXPECT_EQ(Ctl({"member", "remove", "0"}).exit_code, kExitUsage);
  EXPECT_EQ(Ctl({"member", "add", "3"}).exit_code, kExitUsage);
}

}  // namespace
}  // namespace assent::ctl
