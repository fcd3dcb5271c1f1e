#include "base/net/address.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace assent::net {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(SplitHostPortTest, HostAndPortComeApart) {
  auto v6 = SplitHostPort("[::1]:7401");
  ASSERT_TRUE(v6);
  EXPECT_EQ(v6->host, "::1");
  EXPECT_EQ(v6->port, "7401");
  EXPECT_EQ(SplitHostPort("node-1.example:7401")->host, "node-1.example");
  for (const char* address : {"", "a", "a:", ":1", "a:b:1", "a:1x", "a:65536"}) {
    EXPECT_FALSE(SplitHostPort(address)) << address;
  }
}

TEST(CheckListenAddressTest, LoopbackAndUnixNeedNoCertificate) {
  for (const char* address : {"127.0.0.1:7400", "127.8.0.1:0", "localhost:7400", "[::1]:65535",
                              "unix:/tmp/a.sock", "unix:relative"}) {
    EXPECT_TRUE(CheckListenAddress("listen", address, false).ok()) << address;
  }
}

TEST(CheckListenAddressTest, EverythingElseNeedsOne) {
  for (const char* address : {"0.0.0.0:7400", "[::]:7400", "10.0.0.1:7400", "db.example:7400",
                              "126.0.0.1:1", "128.0.0.1:1"}) {
    Status refused = CheckListenAddress("listen", address, false);
    EXPECT_EQ(refused.code(), Code::kFailedPrecondition) << address;
    EXPECT_THAT(refused.message(), AllOf(HasSubstr("listen"), HasSubstr(address),
                                         HasSubstr("no certificate"), HasSubstr("tls_cert_file")));
    EXPECT_TRUE(CheckListenAddress("listen", address, true).ok()) << address;
  }
}

TEST(CheckListenAddressTest, MalformedAddressesAreRefused) {
  for (const char* address : {"", "7400", ":7400", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x",
                              "127.0.0.1:65536", "127.0.0.1:-1", "::1:7400", "unix:"}) {
    EXPECT_EQ(CheckListenAddress("listen", address, true).code(), Code::kInvalidArgument)
        << address;
  }
  std::string longest = "unix:" + std::string(kUnixPathBytesMax, 'a');
  EXPECT_TRUE(CheckListenAddress("listen", longest, false).ok());
  EXPECT_THAT(CheckListenAddress("listen", longest + "a", false).message(),
              AllOf(HasSubstr("108 bytes"), HasSubstr("at most 107")));
}

TEST(DialAddress, IsHostAndPort) {
  for (const char* good : {"127.0.0.1:7400", "db-1.example.org:1", "[::1]:65535"}) {
    EXPECT_TRUE(CheckDialAddress("peer", good).ok()) << good;
  }
  for (const char* bad : {"", ":", "host", "host:", ":7400", "host:0", "host:00", "host:65536",
                          "host:-1", "host:1x", "::1:7400", "[]:7400", "unix:/tmp/socket"}) {
    Status s = CheckDialAddress("peer", bad);
    EXPECT_EQ(s.code(), Code::kInvalidArgument) << bad;
    EXPECT_EQ(s.message(), std::string("peer '") + bad +
                               "' is not of the form host:port, such as 127.0.0.1:7400");
  }
}

}  // namespace
}  // namespace assent::net
