// The whole node in this process: gRPC, driver, codec and a log on disk, with a client and an agent
// on real streams.
#pragma once

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "assent/v1/admin_service.grpc.pb.h"
#include "assent/v1/agent_link.grpc.pb.h"
#include "assent/v1/transaction_service.grpc.pb.h"
#include "base/mutex.h"
#include "coordinator/server/server.h"

namespace assent::coordinator {

// An agent on a real link; what it was told gathers until the test looks.
class WireAgent {
 public:
  WireAgent(std::shared_ptr<grpc::Channel> channel, v1::Hello hello)
      : stub_(v1::AgentLink::NewStub(std::move(channel))), stream_(stub_->Connect(&context_)) {
    v1::AgentMessage first;
    *first.mutable_hello() = std::move(hello);
    stream_->Write(first);
    reader_ = std::thread([this] { Read(); });
  }
  ~WireAgent() {
    context_.TryCancel();
    reader_.join();
  }

  void Say(const v1::AgentMessage& message) { stream_->Write(message); }
  // Waits until what was told holds what the test wants.
  bool WaitFor(const std::function<bool(const v1::CoordinatorMessage&)>& enough,
               std::chrono::milliseconds most = std::chrono::seconds(10)) EXCLUDES(mutex_) {
    const auto deadline = std::chrono::steady_clock::now() + most;
    MutexLock lock(mutex_);
    while (!enough(told_)) {
      if (!changed_.WaitUntil(mutex_, deadline)) return enough(told_);
    }
    return true;
  }
  v1::CoordinatorMessage told() EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    return told_;
  }
  int heartbeats() EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    return heartbeats_;
  }
  // How the stream ended; waits for it.
  grpc::Status End() EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    while (!ended_) changed_.Wait(mutex_);
    return end_;
  }

 private:
  void Read() EXCLUDES(mutex_) {
    v1::CoordinatorMessage message;
    while (stream_->Read(&message)) {
      MutexLock lock(mutex_);
      told_.MergeFrom(message);
      heartbeats_ += message.heartbeat() ? 1 : 0;
      changed_.NotifyAll();
    }
    grpc::Status status = stream_->Finish();
    MutexLock lock(mutex_);
    ended_ = true;
    end_ = status;
    changed_.NotifyAll();
  }

  std::unique_ptr<v1::AgentLink::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::AgentMessage, v1::CoordinatorMessage>> stream_;
  std::thread reader_;
  Mutex mutex_;
  CondVar changed_;
  v1::CoordinatorMessage told_ GUARDED_BY(mutex_);
  int heartbeats_ GUARDED_BY(mutex_) = 0;
  bool ended_ GUARDED_BY(mutex_) = false;
  grpc::Status end_ GUARDED_BY(mutex_);
};

class GrpcTest : public ::testing::Test {
 protected:
  GrpcTest() {
    char directory[] = "/tmp/assent-grpc-XXXXXX";
    EXPECT_NE(mkdtemp(directory), nullptr);
    root_ = directory;
    options_.cluster = "bank";
    options_.data_dir = root_ + "/data";
    options_.listen = "127.0.0.1:0";
    options_.http_listen = "";
    options_.segment_bytes = 256 << 10;
  }
  ~GrpcTest() override {
    server_.reset();
    std::filesystem::remove_all(root_);
  }

  void Bootstrap() { ASSERT_TRUE(BootstrapNode(options_).ok()); }
  void Start() {
    auto server = Server::Start(options_, [](const Status& why) { FAIL() << why.ToString(); });
    ASSERT_TRUE(server.ok()) << server.status().ToString();
    server_ = std::move(*server);
    channel_ = grpc::CreateChannel(server_->address(), grpc::InsecureChannelCredentials());
    client_ = v1::TransactionService::NewStub(channel_);
    admin_ = v1::AdminService::NewStub(channel_);
  }

  static v1::Hello HelloOf(const std::string& agent_id, uint64_t incarnation = 1) {
    v1::Hello hello;
    hello.set_agent_id(agent_id);
    hello.set_agent_incarnation(incarnation);
    v1::ServedResource* served = hello.add_resources();
    served->set_name("pg");
    served->set_kind("postgresql");
    served->set_identity("db-1");
    return hello;
  }
  std::unique_ptr<WireAgent> Connect(const std::string& agent_id = "a", uint64_t incarnation = 1) {
    auto agent = std::make_unique<WireAgent>(channel_, HelloOf(agent_id, incarnation));
    EXPECT_TRUE(agent->WaitFor([](const auto& told) { return told.has_welcome(); }));
    return agent;
  }

  std::string Begin() {
    v1::BeginReply reply;
    grpc::ClientContext context;
    EXPECT_TRUE(client_->Begin(&context, {}, &reply).ok());
    return reply.gtrid();
  }
  static std::string Register(WireAgent& agent, const std::string& gtrid) {
    v1::AgentMessage message;
    v1::RegisterBranch* asked = message.add_registers();
    asked->set_request_id(1);
    asked->set_gtrid(gtrid);
    asked->set_resource("pg");
    agent.Say(message);
    EXPECT_TRUE(agent.WaitFor([](const auto& told) { return told.registered_size() > 0; }));
    return agent.told().registered(0).gid();
  }
  std::future<std::pair<grpc::Status, v1::CommitReply>> Commit(const std::string& gtrid) {
    return std::async(std::launch::async, [this, gtrid] {
      v1::CommitRequest request;
      request.set_gtrid(gtrid);
      v1::CommitReply reply;
      grpc::ClientContext context;
      grpc::Status status = client_->Commit(&context, request, &reply);
      return std::pair(status, reply);
    });
  }
  // Everything from Begin to DONE.
  std::string CommitOne(WireAgent& agent) {
    std::string gtrid = Begin();
    std::string gid = Register(agent, gtrid);
    auto commit = Commit(gtrid);
    EXPECT_TRUE(agent.WaitFor([&](const auto& told) { return told.prepares_size() > 0; }));
    EXPECT_EQ(agent.told().prepares(0).gid(), gid);
    v1::AgentMessage vote;
    vote.add_votes()->set_gid(gid);
    vote.mutable_votes(0)->set_vote(v1::BranchVote::YES);
    vote.mutable_votes(0)->set_evidence("xid:731");
    agent.Say(vote);
    EXPECT_TRUE(agent.WaitFor([&](const auto& told) { return told.finishes_size() > 0; }));
    EXPECT_TRUE(agent.told().finishes(0).commit());
    EXPECT_EQ(agent.told().finishes(0).evidence(), "xid:731");
    v1::AgentMessage done;
    done.add_finished()->set_gid(gid);
    done.mutable_finished(0)->set_state(v1::BRANCH_STATE_COMMITTED);
    agent.Say(done);
    auto [status, reply] = commit.get();
    EXPECT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(reply.outcome(), v1::OUTCOME_COMMITTED);
    EXPECT_TRUE(reply.applied());
    return gtrid;
  }

  Options options_;
  std::string root_;
  std::unique_ptr<Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::TransactionService::Stub> client_;
  std::unique_ptr<v1::AdminService::Stub> admin_;
};

}  // namespace assent::coordinator
