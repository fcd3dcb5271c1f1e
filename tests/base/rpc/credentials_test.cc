#include "base/rpc/credentials.h"

#include <gmock/gmock.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "base/rpc/listener.h"
#include "tests/support/test_certificate.h"

namespace assent::rpc {
namespace {

using test_support::TestCertificate;
using ::testing::IsEmpty;

class CredentialsTest : public ::testing::Test {
 protected:
  CredentialsTest() {
    std::string pattern = std::filesystem::temp_directory_path() / "assent-tls-XXXXXX";
    directory_ = mkdtemp(pattern.data());
    files_ = {.ca_file = WriteCertificate("ca.pem", ca_),
              .cert_file = WriteCertificate("cert.pem", leaf_),
              .key_file = WriteKey("key.pem", leaf_)};
  }
  ~CredentialsTest() override { std::filesystem::remove_all(directory_); }

  std::string WriteCertificate(const std::string& name, const TestCertificate& of) {
    return of.WriteCertificate(directory_ + "/" + name);
  }
  std::string WriteKey(const std::string& name, const TestCertificate& of) {
    return of.WriteKey(directory_ + "/" + name);
  }
  // Can a client with these files talk to a server that demands certificates?
  bool Connects(const TlsFiles& client) {
    auto server_credentials = ServerCredentials(files_);
    EXPECT_TRUE(server_credentials.ok()) << server_credentials.status().ToString();
    std::vector<Listener> listeners = {{.option = "listen",
                                        .address = "localhost:0",
                                        .credentials = *server_credentials,
                                        .has_tls = true}};
    grpc::ServerBuilder builder;
    auto server = StartServer(builder, listeners);
    EXPECT_TRUE(server.ok()) << server.status().ToString();
    auto credentials = ChannelCredentials(client);
    EXPECT_TRUE(credentials.ok()) << credentials.status().ToString();
    auto channel =
        grpc::CreateChannel("localhost:" + std::to_string(listeners[0].port), *credentials);
    // A refusal under TLS 1.3 comes after the client's side of the handshake; a failed attempt
    // shows as TRANSIENT_FAILURE soon after.
    auto deadline = std::chrono::system_clock::now() + std::chrono::seconds(5);
    grpc_connectivity_state state = channel->GetState(true);
    while (state != GRPC_CHANNEL_READY && state != GRPC_CHANNEL_TRANSIENT_FAILURE) {
      if (!channel->WaitForStateChange(state, deadline)) return false;
      state = channel->GetState(true);
    }
    return state == GRPC_CHANNEL_READY;
  }

  TestCertificate ca_;
  TestCertificate leaf_{&ca_};
  std::string directory_;
  TlsFiles files_;
};

TEST_F(CredentialsTest, BothSidesShowCertificatesOfTheCa) {
  EXPECT_THAT(CheckTlsFiles(files_, Side::kServer), IsEmpty());
  EXPECT_THAT(CheckTlsFiles(files_, Side::kClient), IsEmpty());
  EXPECT_TRUE(Connects(files_));
}

TEST_F(CredentialsTest, AClientWithoutOrWithAForeignCertificateIsRefused) {
  EXPECT_FALSE(Connects({.ca_file = files_.ca_file}));
  TestCertificate other_ca;
  TestCertificate stranger(&other_ca);
  EXPECT_FALSE(Connects({.ca_file = files_.ca_file,
                         .cert_file = WriteCertificate("stranger.pem", stranger),
                         .key_file = WriteKey("stranger-key.pem", stranger)}));
  EXPECT_FALSE(Connects({.ca_file = WriteCertificate("other-ca.pem", other_ca),
                         .cert_file = files_.cert_file,
                         .key_file = files_.key_file}))
      << "the client must not trust a server of another CA";
}

TEST_F(CredentialsTest, WithoutFilesThereIsNoTls) {
  EXPECT_TRUE(ServerCredentials({}).ok());
  EXPECT_TRUE(ChannelCredentials({}).ok());
  EXPECT_THAT(CheckTlsFiles({}, Side::kClient), IsEmpty());
}

TEST_F(CredentialsTest, FilesThatCannotBeUsedAreRefused) {
  const TlsFiles wrong = {
      .ca_file = files_.ca_file, .cert_file = "/nowhere.pem", .key_file = files_.key_file};
  EXPECT_EQ(ServerCredentials(wrong).status().code(), Code::kFailedPrecondition);
  EXPECT_EQ(ChannelCredentials(wrong).status().code(), Code::kFailedPrecondition);
}

}  // namespace
}  // namespace assent::rpc
