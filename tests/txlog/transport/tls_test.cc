// Certificates that are not what they should be.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/ssl.h>
#include <poll.h>

#include "base/mutant.h"
#include "tests/txlog/transport/raw_peer.h"
#include "tests/txlog/transport/test_certificates.h"
#include "tests/txlog/transport/test_node.h"
#include "txlog/transport/stream.h"

namespace assent::txlog {
namespace {

using std::chrono::milliseconds;
using ::testing::AllOf;
using ::testing::HasSubstr;

class TlsTest : public ::testing::Test {
 protected:
  static TransportOptions Options(MemberId member, const tls::TlsFiles& files) {
    TransportOptions options = TestOptions(member);
    options.tls = files;
    return options;
  }
  // The list of members says that this node's certificate is for `name`.
  static Peer Named(const TestNode& node, const std::string& name) {
    Peer peer = node.AsPeer();
    peer.certificate_name = name;
    return peer;
  }
  // Whether `a` gets up to `b`, decided once one of both has happened.
  static bool Connects(TestNode& a, MemberId to) {
    EXPECT_TRUE(Eventually([&] {
      return a.counters(to).connects.value() > 0 || a.counters(to).failures.value() > 1;
    }));
    return a.counters(to).connects.value() > 0;
  }

  TestCertificates certificates_;
};

TEST_F(TlsTest, EachNodeMayHaveACertificateForItsOwnNameAlone) {
  TestNode a(Options(1, certificates_.Node("DNS:node-1")));
  TestNode b(Options(2, certificates_.Node("DNS:node-2")));
  ASSERT_TRUE(a->SetPeers({Named(b, "node-2")}).ok());
  ASSERT_TRUE(b->SetPeers({Named(a, "node-1")}).ok());
  EXPECT_TRUE(a.owner().WaitUp(2));
  EXPECT_TRUE(b.owner().WaitUp(1));
}

TEST_F(TlsTest, WhoAnswersWithACertificateForAnotherNameIsNotTheNode) {
  ::testing::internal::CaptureStderr();
  TestNode a(Options(1, certificates_.Node("DNS:node-1")));
  TestNode b(Options(2, certificates_.Node("DNS:node-3")));
  ASSERT_TRUE(b->SetPeers({Named(a, "node-1")}).ok());
  ASSERT_TRUE(a->SetPeers({Named(b, "node-2")}).ok());
  EXPECT_FALSE(Connects(a, 2));
  const std::string log = ::testing::internal::GetCapturedStderr();
  EXPECT_THAT(log, AllOf(HasSubstr("peer_unreachable"), HasSubstr("expected one for node-2"),
                         HasSubstr("each for its own host")));
}

TEST_F(TlsTest, WhoDialsWithACertificateForAnotherNameIsRefusedAndToldSo) {
  ::testing::internal::CaptureStderr();
  TestNode a(Options(1, certificates_.Node("DNS:node-1")));
  TestNode b(Options(2, certificates_.Node("DNS:node-3")));
  ASSERT_TRUE(a->SetPeers({Named(b, "node-2")}).ok());
  ASSERT_TRUE(b->SetPeers({Named(a, "node-1")}).ok());
  EXPECT_FALSE(Connects(b, 1));
  const std::string log = ::testing::internal::GetCapturedStderr();
  EXPECT_THAT(log, AllOf(HasSubstr("reason=certificate"), HasSubstr("member 2 is not for node-2"),
                         HasSubstr("subjectAltName")));
}

#if defined(ASSENT_FAILPOINTS)
TEST_F(TlsTest, ASeededBugThatTakesAnyNameIsCaught) {
  ScopedMutant mutant(Mutant::kAnyCertificate);
  TestNode a(Options(1, certificates_.Node("DNS:node-1")));
  TestNode b(Options(2, certificates_.Node("DNS:node-3")));
  ASSERT_TRUE(a->SetPeers({Named(b, "node-2")}).ok());
  ASSERT_TRUE(b->SetPeers({Named(a, "node-1")}).ok());
  EXPECT_TRUE(Connects(a, 2));
  EXPECT_TRUE(Connects(b, 1));
}
#endif

TEST_F(TlsTest, AnotherAuthorityIsNotTrustedByEither) {
  ::testing::internal::CaptureStderr();
  TestNode a(Options(1, certificates_.Node("IP:127.0.0.1")));
  TestNode b(Options(2, certificates_.Foreign("IP:127.0.0.1")));
  ASSERT_TRUE(b->SetPeers({a.AsPeer()}).ok());
  ASSERT_TRUE(a->SetPeers({b.AsPeer()}).ok());
  EXPECT_FALSE(Connects(a, 2));
  EXPECT_FALSE(Connects(b, 1));
  const std::string log = ::testing::internal::GetCapturedStderr();
  EXPECT_THAT(log, HasSubstr("the same authority"));
}

TEST_F(TlsTest, PlainAndTlsDoNotMixAndSaySo) {
  ::testing::internal::CaptureStderr();
  TestNode a(Options(1, certificates_.Node("IP:127.0.0.1")));
  TestNode b(TestOptions(2));
  ASSERT_TRUE(b->SetPeers({a.AsPeer()}).ok());
  ASSERT_TRUE(a->SetPeers({b.AsPeer()}).ok());
  EXPECT_FALSE(Connects(a, 2));
  EXPECT_FALSE(Connects(b, 1));
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), HasSubstr("tls_* options"));
}

TEST_F(TlsTest, OurOwnCertificateIsCheckedAtStart) {
  Owner owner;
  const auto problem = [&](const tls::TlsFiles& files) {
    return Transport::Start(Options(1, files), owner).status().message();
  };
  EXPECT_THAT(problem(certificates_.Node("DNS:node-1", -60)), HasSubstr("has expired"));
  tls::TlsFiles no_ca = certificates_.Node("DNS:node-1");
  no_ca.ca_file.clear();
  EXPECT_THAT(problem(no_ca), HasSubstr("tls_ca_file"));
  tls::TlsFiles no_cert = certificates_.Node("DNS:node-1");
  no_cert.cert_file.clear();
  EXPECT_THAT(problem(no_cert), HasSubstr("tls_cert_file"));
}

// A client that dials with these files, or without a certificate, and speaks at most this version.
// True if it is welcomed.
bool Welcomed(TestNode& node, const tls::TlsFiles& files, int version = TLS1_3_VERSION) {
  SSL_CTX* context = SSL_CTX_new(TLS_method());
  SSL_CTX_set_max_proto_version(context, version);
  EXPECT_EQ(SSL_CTX_load_verify_locations(context, files.ca_file.c_str(), nullptr), 1);
  if (!files.cert_file.empty()) {
    EXPECT_EQ(SSL_CTX_use_certificate_chain_file(context, files.cert_file.c_str()), 1);
    EXPECT_EQ(SSL_CTX_use_PrivateKey_file(context, files.key_file.c_str(), SSL_FILETYPE_PEM), 1);
  }
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  RawPeer socket = RawPeer::Dial(node->port());
  auto stream = TlsClientStream(Fd(dup(socket.fd())), *context, "node-1");
  bool welcomed = false;
  if (stream->Shake() == Stream::Io::kDone) {
    std::string hello = EncodeFrame(FrameType::kHello, EncodeHello(TestHello(kTestCluster)));
    const iovec part = {hello.data(), hello.size()};
    stream->Write({&part, 1});
    FrameReader reader(kHandshakeBytesMax);
    const Stream::Progress progress = stream->Read(reader.Space());
    reader.Filled(progress.bytes);
    Frame frame;
    welcomed =
        reader.Next(&frame) == FrameReader::Found::kFrame && frame.type == FrameType::kWelcome;
  }
  stream.reset();
  SSL_CTX_free(context);
  return welcomed;
}

TEST_F(TlsTest, ExpiredNoneOrAnOldProtocolIsRefused) {
  TestNode node(Options(1, certificates_.Node("DNS:node-1")));
  ASSERT_TRUE(node->SetPeers({{2, "127.0.0.1:1", "node-2"}}).ok());
  const tls::TlsFiles good = certificates_.Node("DNS:node-2");
  EXPECT_FALSE(Welcomed(node, certificates_.Node("DNS:node-2", -60)));
  EXPECT_FALSE(Welcomed(node, {.ca_file = good.ca_file, .cert_file = "", .key_file = ""}));
  EXPECT_FALSE(Welcomed(node, good, TLS1_2_VERSION));
  EXPECT_TRUE(Welcomed(node, good)) << "else this test proves nothing";
}

TEST_F(TlsTest, ADialledNodeWithAnExpiredCertificateIsLeft) {
  ::testing::internal::CaptureStderr();
  const tls::TlsFiles expired = certificates_.Node("DNS:node-2", -60);
  SSL_CTX* context = SSL_CTX_new(TLS_method());
  ASSERT_EQ(SSL_CTX_use_certificate_chain_file(context, expired.cert_file.c_str()), 1);
  ASSERT_EQ(SSL_CTX_use_PrivateKey_file(context, expired.key_file.c_str(), SSL_FILETYPE_PEM), 1);
  RawListener listener;
  TestNode node(Options(1, certificates_.Node("DNS:node-1")));
  ASSERT_TRUE(node->SetPeers({{2, "127.0.0.1:" + std::to_string(listener.port()), "node-2"}}).ok());
  RawPeer socket = listener.Accept();
  auto stream = TlsServerStream(Fd(dup(socket.fd())), *context);
  EXPECT_EQ(stream->Shake(), Stream::Io::kClosed);
  EXPECT_THAT(stream->why(), HasSubstr("certificate"));
  ASSERT_TRUE(Eventually([&] { return node.counters(2).failures.value() > 0; }));
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), HasSubstr("certificate has expired"));
  stream.reset();
  SSL_CTX_free(context);
}

TEST_F(TlsTest, AStrangerNeedsACertificateThatOnlyNodesHave) {
  TransportOptions options = Options(1, certificates_.Node("DNS:node-1,DNS:node.group"));
  options.accept_strangers = true;
  Owner owner;
  EXPECT_THAT(Transport::Start(options, owner).status().message(),
              HasSubstr("stranger_certificate_name"));
  options.stranger_certificate_name = "node.group";
  TestNode node(options);
  const tls::TlsFiles agent = certificates_.Node("DNS:agent-7");
  EXPECT_FALSE(Welcomed(node, agent)) << "of the authority, but no node";
  EXPECT_TRUE(Welcomed(node, certificates_.Node("DNS:node-2,DNS:node.group")));
}

TEST_F(TlsTest, AStrangerThatBecomesAMemberNeedsTheMembersCertificate) {
  TransportOptions options = Options(1, certificates_.Node("DNS:node-1"));
  options.accept_strangers = true;
  options.stranger_certificate_name = "node.group";
  TestNode a(options);
  TestNode b(Options(2, certificates_.Node("DNS:node-3,DNS:node.group")));
  ASSERT_TRUE(b->SetPeers({Named(a, "node-1")}).ok());
  ASSERT_TRUE(b.owner().WaitUp(1));
  ASSERT_TRUE(a->SetPeers({Named(b, "node-2")}).ok());
  EXPECT_TRUE(b.owner().WaitDown(1));
  EXPECT_TRUE(Eventually([&] { return b.counters(1).failures.value() > 1; }));
  EXPECT_EQ(b.owner().ups(), 1u);
}

}  // namespace
}  // namespace assent::txlog
