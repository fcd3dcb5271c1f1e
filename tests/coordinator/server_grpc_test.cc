// The whole node over gRPC: from Begin to END, refusals, links that come and go, start and stop.
#include "tests/coordinator/grpc_fixture.h"

#include <atomic>
#include <thread>
#include <vector>

#include "base/ids.h"

namespace assent::coordinator {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST_F(GrpcTest, ATransactionCommitsAndIsRememberedAcrossARestart) {
  Bootstrap();
  Start();
  std::string gtrid;
  {
    auto agent = Connect();
    EXPECT_EQ(agent->told().welcome().cluster(), "bank");
    EXPECT_TRUE(agent->told().welcome().leadership().leader());
    gtrid = CommitOne(*agent);
    EXPECT_TRUE(agent->WaitFor([](const auto& told) { return told.forget_size() > 0; }));
  }
  server_.reset();
  Start();
  auto [status, reply] = Commit(gtrid).get();
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(reply.outcome(), v1::OUTCOME_COMMITTED);
  EXPECT_TRUE(reply.applied());

  v1::GetStatusReply node;
  grpc::ClientContext context;
  ASSERT_TRUE(admin_->GetStatus(&context, {}, &node).ok());
  EXPECT_EQ(node.cluster(), "bank");
  EXPECT_EQ(node.cluster_uuid().size(), 36u);
  EXPECT_NE(node.group_incarnation(), 0u);
  EXPECT_TRUE(node.leader());
  EXPECT_GT(node.term(), 2u);
}

TEST_F(GrpcTest, RefusalsCarryTheirReason) {
  Bootstrap();
  Start();
  auto [malformed, nothing] = Commit("what?").get();
  EXPECT_EQ(malformed.error_code(), grpc::INVALID_ARGUMENT);
  EXPECT_NE(malformed.error_message().find("what?"), std::string::npos);
  Gtrid foreign = *ParseGtrid(Begin());
  foreign.cluster = "elsewhere";
  auto [refused, still_nothing] = Commit(ToString(foreign)).get();
  EXPECT_EQ(refused.error_code(), grpc::FAILED_PRECONDITION);
  v1::ErrorDetail detail;
  ASSERT_TRUE(detail.ParseFromString(refused.error_details()));
  EXPECT_EQ(detail.reason(), v1::REASON_FOREIGN_GTRID);

  v1::BeginRequest request;
  request.set_client_key(std::string(kClientKeyBytesMax + 1, 'k'));
  v1::BeginReply reply;
  grpc::ClientContext too_long;
  EXPECT_EQ(client_->Begin(&too_long, request, &reply).error_code(), grpc::INVALID_ARGUMENT);
  request.set_client_key("k");
  grpc::ClientContext first;
  ASSERT_TRUE(client_->Begin(&first, request, &reply).ok());
  grpc::ClientContext second;
  grpc::Status in_use = client_->Begin(&second, request, &reply);
  EXPECT_EQ(in_use.error_code(), grpc::ALREADY_EXISTS);
  ASSERT_TRUE(detail.ParseFromString(in_use.error_details()));
  EXPECT_EQ(detail.reason(), v1::REASON_KEY_IN_USE);
  EXPECT_EQ(detail.gtrid(), reply.gtrid());

  v1::ListRequest list;
  list.set_limit(kListMax + 1);
  v1::ListReply listed;
  grpc::ClientContext too_many;
  EXPECT_EQ(client_->List(&too_many, list, &listed).error_code(), grpc::INVALID_ARGUMENT);
}

TEST_F(GrpcTest, AMalformedRegisterIsAnsweredAndTheLinkLives) {
  Bootstrap();
  Start();
  auto agent = Connect();
  v1::AgentMessage message;
  message.add_registers()->set_gtrid("what?");
  message.mutable_registers(0)->set_request_id(9);
  message.add_votes()->set_gid("nonsense");
  agent->Say(message);
  ASSERT_TRUE(agent->WaitFor([](const auto& told) { return told.registered_size() > 0; }));
  EXPECT_EQ(agent->told().registered(0).request_id(), 9u);
  EXPECT_EQ(agent->told().registered(0).code(), static_cast<uint32_t>(grpc::INVALID_ARGUMENT));
  std::string gtrid = Begin();
  v1::AgentMessage good;
  good.add_registers()->set_gtrid(gtrid);
  good.mutable_registers(0)->set_resource("pg");
  agent->Say(good);
  EXPECT_TRUE(agent->WaitFor([](const auto& told) { return told.registered_size() > 1; }));
}

TEST_F(GrpcTest, ASecondAgentOfOneIdIsRefusedWhileTheFirstIsAlive) {
  Bootstrap();
  Start();
  auto first = Connect("a", 1);
  WireAgent second(channel_, HelloOf("a", 2));
  EXPECT_EQ(second.End().error_code(), grpc::ALREADY_EXISTS);
  WireAgent speechless(channel_, {});
  EXPECT_EQ(speechless.End().error_code(), grpc::INVALID_ARGUMENT);
}

TEST_F(GrpcTest, HeartbeatsFlowAndASilentAgentIsGone) {
  options_.link_silence_max = milliseconds(1000);
  Bootstrap();
  Start();
  auto agent = Connect();
  const auto since = std::chrono::steady_clock::now();
  EXPECT_FALSE(agent->End().ok());
  EXPECT_GE(std::chrono::steady_clock::now() - since, milliseconds(900));
  EXPECT_GE(agent->heartbeats(), 2);
  // Its place is free at once.
  Connect("a", 2);
}

// Says hello, hears the welcome, and nothing after that.
class DeafAgent {
 public:
  DeafAgent(const std::shared_ptr<grpc::Channel>& channel, v1::Hello hello)
      : stub_(v1::AgentLink::NewStub(channel)), stream_(stub_->Connect(&context_)) {
    v1::AgentMessage first;
    *first.mutable_hello() = std::move(hello);
    v1::CoordinatorMessage welcome;
    EXPECT_TRUE(stream_->Write(first) && stream_->Read(&welcome) && welcome.has_welcome());
  }
  ~DeafAgent() {
    context_.TryCancel();
    (void)stream_->Finish();
  }
  // Each asks for an answer, which it does not read. How many could be said, at most `most`.
  size_t Ask(size_t most) {
    v1::AgentMessage message;
    message.add_registers()->set_gtrid("what?");
    for (size_t said = 0; said < most; ++said) {
      if (!stream_->Write(message)) return said;
    }
    return most;
  }

 private:
  std::unique_ptr<v1::AgentLink::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::AgentMessage, v1::CoordinatorMessage>> stream_;
};

TEST_F(GrpcTest, AnAgentThatHearsNothingIsGoneBeforeItCostsMuchMemory) {
  Bootstrap();
  Start();
  DeafAgent deaf(channel_, HelloOf("a", 1));
  // Many of them fit into buffers on the way before the node has read as many as it takes.
  constexpr size_t kMost = 500 * AgentLink::kBatchesMax;
  EXPECT_LT(deaf.Ask(kMost), kMost);
  // Its place is free at once.
  auto second = Connect("a", 2);
  CommitOne(*second);
}

TEST_F(GrpcTest, StoppingIsQuickThoughAnAgentHearsNothing) {
  Bootstrap();
  Start();
  DeafAgent deaf(channel_, HelloOf("a", 1));
  // Far more than fits into the stream's window.
  EXPECT_EQ(deaf.Ask(AgentLink::kBatchesMax / 2), AgentLink::kBatchesMax / 2);
  const auto since = std::chrono::steady_clock::now();
  server_.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - since, seconds(2));
}

TEST_F(GrpcTest, AgentsMayComeAndGoWhileTheNodeStops) {
  for (int round = 0; round < 10; ++round) {
    // A new one each time: it has nothing left that d would be asked to finish first.
    options_.data_dir = root_ + "/" + std::to_string(round);
    Bootstrap();
    Start();
    std::atomic<bool> over{false};
    std::vector<std::thread> agents;
    for (const char* id : {"a", "b", "c"}) {
      agents.emplace_back([&, id, channel = channel_] {
        for (uint64_t incarnation = 1; !over; ++incarnation) {
          v1::Hello hello = HelloOf(id, incarnation);
          hello.mutable_resources(0)->set_name(id);
          WireAgent agent(channel, hello);
          agent.WaitFor([&](const auto& told) { return told.has_welcome(); }, milliseconds(100));
        }
      });
    }
    auto agent = Connect("d");
    CommitOne(*agent);
    server_.reset();
    over = true;
    for (std::thread& one : agents) one.join();
  }
}

TEST_F(GrpcTest, StoppingIsQuickAndAnswersWhoeverWaits) {
  Bootstrap();
  Start();
  auto agent = Connect();
  std::string gtrid = Begin();
  Register(*agent, gtrid);
  auto commit = Commit(gtrid);
  ASSERT_TRUE(agent->WaitFor([](const auto& told) { return told.prepares_size() > 0; }));
  const auto since = std::chrono::steady_clock::now();
  server_.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - since, seconds(2));
  EXPECT_EQ(commit.get().first.error_code(), grpc::UNAVAILABLE);
  EXPECT_FALSE(agent->End().ok());
}

TEST_F(GrpcTest, StartingSaysWhatIsWrong) {
  auto start = [&] {
    auto server = Server::Start(options_, [](const Status&) {});
    EXPECT_FALSE(server.ok());
    return server.status();
  };
  EXPECT_NE(start().message().find("bootstrap"), std::string::npos);
  Bootstrap();
  EXPECT_FALSE(BootstrapNode(options_).ok());
  Start();
  EXPECT_NE(start().message().find("in use"), std::string::npos);
  Options taken = options_;
  taken.listen = server_->address();
  taken.data_dir = root_ + "/other";
  ASSERT_TRUE(BootstrapNode(taken).ok());
  auto second = Server::Start(taken, [](const Status&) {});
  ASSERT_FALSE(second.ok());
  EXPECT_NE(second.status().message().find(server_->address()), std::string::npos);
}

}  // namespace
}  // namespace assent::coordinator
