// One agent in this process, with one database and one coordinator played by the test.
#pragma once

#include <grpcpp/create_channel.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "assent/v1/branch_service.grpc.pb.h"
#include "base/rpc/status.h"
#include "participant-agent/server/server.h"
#include "tests/agent/fake_coordinator.h"
#include "tests/agent/fake_resource_manager.h"

namespace assent::agent {

class AgentFixture : public ::testing::Test {
 protected:
  AgentFixture() {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "assent-agent-test-XXXXXX").string();
    directory_ = ::mkdtemp(pattern.data());
    options_.agent_id = "agent-1";
    options_.data_dir = directory_ + "/data";
    options_.listen = "unix:" + directory_ + "/agent.sock";
    options_.http_listen = "";
    options_.coordinators = {coordinator_->address()};
    options_.recovery_scan_interval = std::chrono::milliseconds(50);
    options_.inquiry_age = std::chrono::milliseconds(100);
    options_.resources = {{.name = "orders_pg"}};
  }
  ~AgentFixture() override {
    StopAgent();
    coordinator_.reset();
    std::filesystem::remove_all(directory_);
  }

  void StartAgent() {
    auto server = Server::Start(
        options_, [this](const ResourceOptions& resource, const std::string& cluster) {
          return database_.MakeManager(cluster, resource.name);
        });
    ASSERT_TRUE(server.ok()) << server.status().ToString();
    agent_ = *std::move(server);
    stub_ = v1::BranchService::NewStub(
        grpc::CreateChannel(options_.listen, grpc::InsecureChannelCredentials()));
  }
  void StopAgent() {
    stub_.reset();
    agent_.reset();
  }
  // An agent that serves its resource.
  void StartServing() {
    StartAgent();
    ASSERT_TRUE(coordinator_->WaitServed(1));
    WaitWelcomed();
  }
  // Until the agent has taken in that it is welcome: an Open shows it.
  void WaitWelcomed() {
    EXPECT_TRUE(Eventually([this] {
      v1::OpenReply reply;
      return Open(ToString(coordinator_->NextGtrid()), "probe", {}, &reply).ok();
    }));
  }

  template <typename Condition>
  static bool Eventually(Condition&& condition) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!condition()) {
      if (std::chrono::steady_clock::now() > until) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return true;
  }

  static void AddStatements(const std::vector<std::string>& sql, bool keep_on_error,
                            google::protobuf::RepeatedPtrField<v1::Statement>* out) {
    for (const std::string& text : sql) {
      v1::Statement* statement = out->Add();
      statement->set_sql(text);
      statement->set_keep_on_error(keep_on_error);
    }
  }

  grpc::Status Open(const std::string& gtrid, const std::string& open_id,
                    const std::vector<std::string>& sql, v1::OpenReply* reply,
                    bool read_only = false, const std::string& resource = "orders_pg") {
    v1::OpenRequest request;
    request.set_gtrid(gtrid);
    request.set_resource(resource);
    request.set_open_id(open_id);
    request.set_read_only(read_only);
    AddStatements(sql, false, request.mutable_statements());
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    return stub_->Open(&context, request, reply);
  }
  // A branch of a fresh transaction; its gid.
  std::string Opened(const std::vector<std::string>& sql, bool read_only = false) {
    v1::OpenReply reply;
    const grpc::Status status =
        Open(ToString(coordinator_->NextGtrid()), "1", sql, &reply, read_only);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return reply.gid();
  }
  // One that has voted yes.
  std::string PreparedBranch(const std::string& effect) {
    const std::string gid = Opened({"write " + effect});
    coordinator_->Prepare(gid);
    auto vote = coordinator_->NextVote();
    EXPECT_TRUE(vote.has_value() && vote->vote() == v1::BranchVote::YES) << gid;
    return gid;
  }

  grpc::Status Execute(const std::string& gid, uint64_t seq, const std::vector<std::string>& sql,
                       v1::ExecuteReply* reply, bool keep_on_error = false, bool prepare = false) {
    v1::ExecuteRequest request;
    request.set_gid(gid);
    request.set_seq(seq);
    request.set_prepare(prepare);
    AddStatements(sql, keep_on_error, request.mutable_statements());
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    return stub_->Execute(&context, request, reply);
  }

  // A branch of Begin, as it is opened by its gid.
  grpc::Status OpenRegistered(const Gid& gid, const std::vector<std::string>& sql,
                              v1::OpenReply* reply, bool prepare = false,
                              uint32_t remaining_ms = 60'000) {
    v1::OpenRequest request;
    request.set_gid(ToString(gid));
    request.set_remaining_ms(remaining_ms);
    request.set_agent_incarnation(holder_.value_or(coordinator_->agent_incarnation()));
    request.set_prepare(prepare);
    AddStatements(sql, false, request.mutable_statements());
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    return stub_->Open(&context, request, reply);
  }

  grpc::Status Enlist(const v1::EnlistRequest& request, v1::EnlistReply* reply) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    return stub_->Enlist(&context, request, reply);
  }
  // `app_held`: null if it is to be left out.
  grpc::Status Vote(const std::string& gid, const v1::AppHeld* app_held, v1::VoteReply* reply) {
    v1::VoteRequest request;
    request.set_gid(gid);
    if (app_held != nullptr) *request.mutable_app_held() = *app_held;
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    return stub_->Vote(&context, request, reply);
  }

  static v1::ErrorDetail DetailOf(const grpc::Status& status) {
    v1::ErrorDetail detail;
    (void)rpc::FromGrpc(status, &detail);
    return detail;
  }
  static Gid GidOf(const std::string& text) { return *ParseGid(text); }
  // A gid as another agent, or this one before its restart, may have prepared it.
  Gid OtherGid(const std::string& resource = "orders_pg", const std::string& cluster = "test") {
    Gid gid{.gtrid = coordinator_->NextGtrid(),
            .bqual = {.resource = resource, .branch = 900, .attempt = 1}};
    gid.gtrid.cluster = cluster;
    return gid;
  }

  std::string directory_;
  // Of OpenRegistered: the agent that Begin meant, if it is not the one that said hello last.
  std::optional<uint64_t> holder_;
  FakeDatabase database_;
  std::unique_ptr<FakeCoordinator> coordinator_ = std::make_unique<FakeCoordinator>();
  Options options_;
  std::unique_ptr<Server> agent_;
  std::unique_ptr<v1::BranchService::Stub> stub_;
};

}  // namespace assent::agent
