#include "base/rpc/listener.h"

#include <gmock/gmock.h>
#include <grpcpp/create_channel.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/rpc/services.h"

namespace assent::rpc {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class StartServerTest : public ::testing::Test {
 protected:
  StartServerTest() {
    std::string pattern = std::filesystem::temp_directory_path() / "assent-listen-XXXXXX";
    directory_ = mkdtemp(pattern.data());
    EnableHealthAndReflection();
  }
  ~StartServerTest() override { std::filesystem::remove_all(directory_); }

  Result<std::unique_ptr<grpc::Server>> Start(const std::string& address, int* port = nullptr) {
    std::vector<Listener> listeners = {
        {.option = "listen", .address = address, .credentials = grpc::InsecureServerCredentials()}};
    grpc::ServerBuilder builder;
    auto server = StartServer(builder, listeners);
    if (port != nullptr) *port = listeners[0].port;
    return server;
  }
  static bool Answers(const std::string& address) {
    auto channel = grpc::CreateChannel(address, grpc::InsecureChannelCredentials());
    return channel->WaitForConnected(std::chrono::system_clock::now() + std::chrono::seconds(5));
  }

  std::string directory_;
};

TEST_F(StartServerTest, APortInUseIsAnErrorThatNamesIt) {
  int port = 0;
  auto first = Start("127.0.0.1:0", &port);
  ASSERT_TRUE(first.ok()) << first.status().ToString();
  ASSERT_GT(port, 0);
  std::string address = "127.0.0.1:" + std::to_string(port);
  EXPECT_TRUE(Answers(address));
  auto second = Start(address);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.status().code(), Code::kAlreadyExists);
  EXPECT_THAT(second.status().message(), AllOf(HasSubstr(address), HasSubstr("in use")));
  first.value().reset();
  EXPECT_TRUE(Start(address).ok()) << "a restart must get its port back at once";
}

TEST_F(StartServerTest, AUnixSocketInUseIsKeptAndAStaleOneReplaced) {
  std::string address = "unix:" + directory_ + "/s";
  auto first = Start(address);
  ASSERT_TRUE(first.ok()) << first.status().ToString();
  EXPECT_EQ(Start(address).status().code(), Code::kAlreadyExists);
  EXPECT_TRUE(Answers(address)) << "the first server must not have been displaced";
  // What a killed process leaves behind: the file without a listener.
  std::filesystem::rename(directory_ + "/s", directory_ + "/stale");
  first.value().reset();
  EXPECT_TRUE(Start("unix:" + directory_ + "/stale").ok());
}

TEST_F(StartServerTest, APlaceThatCannotBeIsNamed) {
  std::ofstream(directory_ + "/file") << "precious";
  auto file = Start("unix:" + directory_ + "/file");
  EXPECT_THAT(file.status().message(), HasSubstr("no socket"));
  EXPECT_EQ(std::filesystem::file_size(directory_ + "/file"), 8u);
  EXPECT_THAT(Start("unix:/nowhere/s").status().message(),
              AllOf(HasSubstr("/nowhere"), HasSubstr("No such file")));
  EXPECT_EQ(Start("0.0.0.0:0").status().code(), Code::kFailedPrecondition);
}

}  // namespace
}  // namespace assent::rpc
