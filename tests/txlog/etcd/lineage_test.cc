// What is made of an etcd that is not what it was: a fake, since what stands between us and a real
// one decides which of its members answers.
#include "txlog/etcd/lineage.h"

#include <gmock/gmock.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>

#include "etcd/rpc.grpc.pb.h"

namespace assent::txlog::etcd {
namespace {

using testing::HasSubstr;

class Fake final : public etcdserverpb::KV::Service, public etcdserverpb::Maintenance::Service {
 public:
  grpc::Status Txn(grpc::ServerContext*, const etcdserverpb::TxnRequest*,
                   etcdserverpb::TxnResponse* response) override {
    response->mutable_header()->set_member_id(1);
    response->set_succeeded(true);
    auto* range = response->add_responses()->mutable_response_range();
    if (noted) range->add_kvs()->set_value(*noted);
    return grpc::Status::OK;
  }
  grpc::Status Status(grpc::ServerContext*, const etcdserverpb::StatusRequest*,
                      etcdserverpb::StatusResponse* response) override {
    if (!tells) return {grpc::StatusCode::UNIMPLEMENTED, "a proxy"};
    response->mutable_header()->set_cluster_id(now.cluster_id);
    response->mutable_header()->set_member_id(tells_of);
    response->set_raft_term(now.raft_term);
    response->set_raft_index(now.raft_index);
    return grpc::Status::OK;
  }

  std::optional<std::string> noted = Text(Lineage{7, 3, 100});
  Lineage now{7, 3, 100};
  uint64_t tells_of = 1;  // Whose status.
  bool tells = true;
};

class LineageTest : public testing::Test {
 protected:
  LineageTest() {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(static_cast<etcdserverpb::KV::Service*>(&etcd_));
    builder.RegisterService(static_cast<etcdserverpb::Maintenance::Service*>(&etcd_));
    server_ = builder.BuildAndStart();
    endpoints_ = *Endpoints::Open({.endpoints = {"127.0.0.1:" + std::to_string(port)}});
  }

  Result<Lineage> Check() { return CheckLineage(*endpoints_, "assent/bank"); }

  Fake etcd_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<Endpoints> endpoints_;
};

TEST_F(LineageTest, WhatContinuesIsNotedAsItIsNow) {
  etcd_.now = {7, 4, 101};
  auto found = Check();
  ASSERT_TRUE(found.ok()) << found.status().ToString();
  EXPECT_EQ(*found, etcd_.now);
  etcd_.noted.reset();  // Nobody has led yet.
  etcd_.now = {8, 1, 5};
  found = Check();
  ASSERT_TRUE(found.ok()) << found.status().ToString();
  EXPECT_EQ(*found, etcd_.now);
}

TEST_F(LineageTest, WhatDoesNotContinueIsRefused) {
  for (const Lineage& now : {Lineage{8, 3, 100}, Lineage{7, 2, 100}, Lineage{7, 3, 99}}) {
    etcd_.now = now;
    const Status s = Check().status();
    EXPECT_EQ(s.code(), Code::kFailedPrecondition) << Text(now);
    EXPECT_THAT(s.message(), HasSubstr("was in etcd 7 in its raft term 3 at entry 100"));
  }
}

// As behind a proxy that asks whom it likes.
TEST_F(LineageTest, OfAnotherMemberNothingCountsButTheId) {
  etcd_.tells_of = 2;
  etcd_.now = {7, 2, 40};
  EXPECT_TRUE(Check().ok());
  etcd_.now.cluster_id = 8;
  EXPECT_EQ(Check().status().code(), Code::kFailedPrecondition);
}

TEST_F(LineageTest, WhoTellsNothingIsNotRefused) {
  etcd_.tells = false;
  const auto found = Check();
  ASSERT_TRUE(found.ok()) << found.status().ToString();
  EXPECT_EQ(*found, Lineage{});
}

TEST_F(LineageTest, WhatSomebodyElseWroteIsNamed) {
  etcd_.noted = "hello";
  const Status s = Check().status();
  EXPECT_EQ(s.code(), Code::kDataLoss);
  EXPECT_THAT(s.message(), HasSubstr("assent/bank/group/etcd in etcd names no etcd but 'hello'"));
}

}  // namespace
}  // namespace assent::txlog::etcd
