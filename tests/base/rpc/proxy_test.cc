#include "base/rpc/proxy.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <memory>
#include <string>

namespace assent::rpc {
namespace {

// A server on loopback, and a proxy of the environment that nobody has started.
class ProxyTest : public testing::Test {
 protected:
  ProxyTest() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    server_ = builder.BuildAndStart();
    setenv("http_proxy", "http://127.0.0.1:1", 1);
  }
  ~ProxyTest() override { unsetenv("http_proxy"); }

  // Until the first try has ended.
  bool Reaches(const grpc::ChannelArguments& arguments) {
    auto channel =
        grpc::CreateCustomChannel(target(), grpc::InsecureChannelCredentials(), arguments);
    const auto until = std::chrono::system_clock::now() + std::chrono::seconds(20);
    grpc_connectivity_state state = channel->GetState(true);
    while (state != GRPC_CHANNEL_READY && state != GRPC_CHANNEL_TRANSIENT_FAILURE) {
      if (!channel->WaitForStateChange(state, until)) break;
      state = channel->GetState(true);
    }
    return state == GRPC_CHANNEL_READY;
  }
  std::string target() const { return "127.0.0.1:" + std::to_string(port_); }

  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

TEST_F(ProxyTest, LoopbackIsReachedWithoutTheProxyOfTheEnvironment) {
  grpc::ChannelArguments arguments;
  EXPECT_FALSE(Reaches(arguments)) << "then gRPC has changed, and this is superfluous";
  GoStraightToLoopback(target(), arguments);
  EXPECT_TRUE(Reaches(arguments));
}

TEST_F(ProxyTest, TheWayToOtherMachinesIsLeftToTheEnvironment) {
  for (const char* straight : {"localhost:7400", "127.0.0.2:7400", "[::1]:7400", "unix:/a/b"}) {
    grpc::ChannelArguments arguments;
    const grpc::ChannelArguments before = arguments;
    GoStraightToLoopback(straight, arguments);
    EXPECT_EQ(arguments.c_channel_args().num_args, before.c_channel_args().num_args + 1)
        << straight;
  }
  for (const char* left : {"10.0.0.1:7400", "coordinator-1.example:7400", "[fd00::1]:7400"}) {
    grpc::ChannelArguments arguments;
    const grpc::ChannelArguments before = arguments;
    GoStraightToLoopback(left, arguments);
    EXPECT_EQ(arguments.c_channel_args().num_args, before.c_channel_args().num_args) << left;
  }
}

}  // namespace
}  // namespace assent::rpc
