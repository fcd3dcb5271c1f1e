#include "base/rpc/credentials.h"

#include <gmock/gmock.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/rpc/listener.h"

namespace assent::rpc {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A key and a certificate for localhost, signed by itself or by another of these.
struct Identity {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* certificate = X509_new();

  explicit Identity(const Identity* issuer = nullptr, long valid_seconds = 3600) {
    static long serial = 0;
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -7200);
    X509_gmtime_adj(X509_getm_notAfter(certificate), valid_seconds);
    X509_set_pubkey(certificate, key);
    std::string name = "assent test " + std::to_string(serial);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
    const Identity& signer = issuer ? *issuer : *this;
    X509_set_issuer_name(certificate, X509_get_subject_name(signer.certificate));
    AddExtension(NID_basic_constraints, issuer ? "CA:FALSE" : "critical,CA:TRUE");
    AddExtension(NID_subject_alt_name, "DNS:localhost");
    X509_sign(certificate, signer.key, EVP_sha256());
  }
  ~Identity() {
    X509_free(certificate);
    EVP_PKEY_free(key);
  }
  Identity(const Identity&) = delete;
  Identity& operator=(const Identity&) = delete;

  void AddExtension(int nid, const char* value) {
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, nid, value);
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
  }
};

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

  std::string WriteCertificate(const std::string& name, const Identity& identity) {
    std::string path = directory_ + "/" + name;
    FILE* file = fopen(path.c_str(), "w");
    PEM_write_X509(file, identity.certificate);
    fclose(file);
    return path;
  }
  std::string WriteKey(const std::string& name, const Identity& identity) {
    std::string path = directory_ + "/" + name;
    FILE* file = fopen(path.c_str(), "w");
    PEM_write_PrivateKey(file, identity.key, nullptr, nullptr, 0, nullptr, nullptr);
    fclose(file);
    chmod(path.c_str(), 0600);
    return path;
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

  Identity ca_;
  Identity leaf_{&ca_};
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
  Identity other_ca;
  Identity stranger(&other_ca);
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

TEST_F(CredentialsTest, AllProblemsOfTheFilesAreTold) {
  std::string garbage = directory_ + "/garbage.pem";
  std::ofstream(garbage) << "not a certificate";
  std::string open_key = WriteKey("open.pem", leaf_);
  ASSERT_EQ(chmod(open_key.c_str(), 0644), 0);
  EXPECT_THAT(CheckTlsFiles({garbage, "/nowhere.pem", open_key}, Side::kServer),
              ElementsAre(AllOf(HasSubstr("tls_cert_file /nowhere.pem"), HasSubstr("No such file")),
                          AllOf(HasSubstr("tls_key_file " + open_key), HasSubstr("chmod 0600")),
                          AllOf(HasSubstr("tls_ca_file " + garbage), HasSubstr("PEM"))));
  auto server = ServerCredentials({garbage, "/nowhere.pem", open_key});
  EXPECT_EQ(server.status().code(), Code::kFailedPrecondition);
}

TEST_F(CredentialsTest, HalfASetIsTold) {
  EXPECT_THAT(CheckTlsFiles({.ca_file = files_.ca_file}, Side::kServer),
              ElementsAre(HasSubstr("also needs tls_cert_file")));
  EXPECT_THAT(CheckTlsFiles({.ca_file = files_.ca_file}, Side::kClient), IsEmpty());
  EXPECT_THAT(
      CheckTlsFiles({.ca_file = files_.ca_file, .cert_file = files_.cert_file}, Side::kClient),
      ElementsAre(HasSubstr("without tls_key_file")));
  EXPECT_THAT(
      CheckTlsFiles({.cert_file = files_.cert_file, .key_file = files_.key_file}, Side::kClient),
      ElementsAre(HasSubstr("tls_ca_file is needed")));
}

TEST_F(CredentialsTest, AKeyOfAnotherCertificateAndAnExpiredOneAreTold) {
  TlsFiles wrong = files_;
  wrong.key_file = WriteKey("ca-key.pem", ca_);
  EXPECT_THAT(CheckTlsFiles(wrong, Side::kServer), ElementsAre(HasSubstr("is not the key of")));
  Identity expired(&ca_, -60);
  wrong.cert_file = WriteCertificate("expired.pem", expired);
  wrong.key_file = WriteKey("expired-key.pem", expired);
  EXPECT_THAT(CheckTlsFiles(wrong, Side::kServer), ElementsAre(HasSubstr("has expired")));
}

}  // namespace
}  // namespace assent::rpc
