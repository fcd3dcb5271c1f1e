// The options of assentd: every problem at once, and what they make of the driver's limits.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "coordinator/server/options.h"

namespace assent::coordinator {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

class ServerOptionsTest : public ::testing::Test {
 protected:
  ParseResult Parse(std::vector<std::string> args, std::vector<std::string> environment = {}) {
    options_ = {};
    set_ = std::make_unique<OptionSet>("assentd", "coordinator node of Assent");
    DescribeOptions(*set_, options_);
    return set_->Parse(args, environment);
  }
  // With a log in etcd at these endpoints.
  ParseResult ParseEtcd(const std::vector<std::string>& endpoints,
                        const std::vector<std::string>& more = {}) {
    std::vector<std::string> args = {"--cluster", "bank", "--engine", "etcd"};
    for (const std::string& one : endpoints) args.insert(args.end(), {"--etcd-endpoints", one});
    args.insert(args.end(), more.begin(), more.end());
    return Parse(args);
  }
  static bool Names(const ParseResult& result, const std::string& word) {
    return std::any_of(result.problems.begin(), result.problems.end(),
                       [&](const std::string& p) { return p.find(word) != std::string::npos; });
  }

  Options options_;
  std::unique_ptr<OptionSet> set_;
};

TEST_F(ServerOptionsTest, TheDefaultsAreSound) {
  ParseResult result = Parse({"--cluster", "bank", "--data-dir", "/tmp/x"});
  EXPECT_TRUE(result.problems.empty()) << result.problems.front();
  EXPECT_FALSE(result.exit_code);
  EXPECT_EQ(options_.listen, "127.0.0.1:7400");
  EXPECT_EQ(options_.http_listen, "127.0.0.1:7402");
  Limits limits = LimitsOf(options_);
  EXPECT_EQ(limits.table.outcome_retention_ticks, 7u * 24 * 60);
  EXPECT_EQ(limits.table.key_retention_ticks, 60u);
  EXPECT_EQ(limits.prepare_timeout, std::chrono::seconds(10));
}

TEST_F(ServerOptionsTest, EveryProblemIsToldAtOnce) {
  ParseResult result = Parse({"--cluster", "Bank", "--listen", "0.0.0.0:7400", "--http-listen",
                              "7402", "--transaction-timeout-ms", "7200000", "--resend-interval-ms",
                              "60000", "--outcome-retention-ms", "60000", "--tick-interval-ms",
                              "3600000", "--client-key-retention-ms", "1000", "--queue-max", "0"});
  EXPECT_EQ(result.exit_code, 2);
  for (const char* word : {"cluster", "listen \"0.0.0.0:7400\"",
                           "http_listen \"7402\": not an address; write HOST:PORT",
                           "transaction_timeout_ms", "resend_interval_ms", "outcome_retention_ms",
                           "client_key_retention_ms", "queue-max", "data_dir"}) {
    EXPECT_TRUE(Names(result, word)) << word << "\n" << result.status().message();
  }
}

TEST_F(ServerOptionsTest, AGroupThatBeginsNamesAnAddressThatOthersCanDial) {
  std::vector<std::string> args = {"--cluster", "bank",          "--data-dir",
                                   "/tmp/x",    "--listen",      "0.0.0.0:7400",
                                   "--address", "10.0.0.1:7400", "--bootstrap"};
  EXPECT_FALSE(Names(Parse(args), "address is empty"));
  args.erase(args.end() - 3, args.end() - 1);
  EXPECT_TRUE(Names(Parse(args), "address is empty"));
  args.pop_back();
  EXPECT_FALSE(Names(Parse(args), "address is empty")) << "it has its members already";
}

TEST_F(ServerOptionsTest, ATransactionThatIsPreparingOutlivesNoRetention) {
  std::vector<std::string> args = {"--cluster",
                                   "bank",
                                   "--data-dir",
                                   "/tmp/x",
                                   "--transaction-timeout-ms",
                                   "1000",
                                   "--transaction-timeout-max-ms",
                                   "1000",
                                   "--tick-interval-ms",
                                   "1000",
                                   "--outcome-retention-ms",
                                   "60000"};
  EXPECT_TRUE(Parse(args).problems.empty());
  args.insert(args.end(), {"--prepare-timeout-ms", "600000"});
  EXPECT_TRUE(Names(Parse(args), "prepare_timeout_ms"));
}

TEST_F(ServerOptionsTest, ALogInEtcdNeedsEtcdAndNoDataDirectory) {
  const std::vector<std::string> etcd = {"--cluster", "bank", "--engine", "etcd"};
  std::vector<std::string> args = etcd;
  args.insert(args.end(), {"--etcd-endpoints", "127.0.0.1:2379", "--restore", "/some/file"});
  ParseResult result = Parse(args);
  EXPECT_TRUE(result.problems.empty()) << result.problems.front();
  EXPECT_EQ(EtcdPrefix(options_), "assent/bank");

  EXPECT_TRUE(Names(Parse(etcd), "etcd_endpoints is empty"));
  args = etcd;
  args.insert(args.end(), {"--etcd-endpoints", "nowhere", "--etcd-prefix", "/a", "--etcd-user", "x",
                           "--etcd-tls-cert-file", "/no/such.pem", "--join", "--group-incarnation",
                           "7", "--peer-listen", "127.0.0.1:7401", "--etcd-lease-ms", "100"});
  result = Parse(args);
  for (const char* word : {"etcd_endpoints", "prefix \"/a\"", "etcd_password_file", "/no/such.pem",
                           "join: with engine", "group_incarnation: with engine",
                           "members, peer_listen", "etcd-lease-ms"}) {
    EXPECT_TRUE(Names(result, word)) << word << "\n" << result.status().message();
  }
  EXPECT_TRUE(Names(Parse({"--cluster", "bank"}), "data_dir is empty"));
}

TEST_F(ServerOptionsTest, EtcdBeyondLoopbackNeedsTls) {
  using Args = std::vector<std::string>;
  EXPECT_THAT(ParseEtcd({"127.0.0.1:2379", "127.8.0.1:1", "localhost:2379", "[::1]:2379"}).problems,
              IsEmpty());
  for (const Args& start : {Args{}, Args{"--bootstrap"}, Args{"--restore", "/some/file"}}) {
    const ParseResult refused = ParseEtcd(
        {"10.0.0.1:2379", "127.0.0.1:2379", "etcd-2.example:2379", "[fd00::1]:2379"}, start);
    EXPECT_EQ(refused.exit_code, 2);
    // One problem, however many members etcd has.
    EXPECT_THAT(
        refused.problems,
        ElementsAre(AllOf(
            StartsWith("etcd_endpoints \"10.0.0.1:2379\", \"etcd-2.example:2379\", "
                       "\"[fd00::1]:2379\": "),
            HasSubstr("no certificate"), HasSubstr("set etcd_tls_ca_file"),
            HasSubstr("etcd_tls_cert_file, etcd_tls_key_file"), HasSubstr("give etcd --cert-file"),
            HasSubstr("https:// in --listen-client-urls"), Not(HasSubstr("\"127.0.0.1:2379\"")))));
  }
  // Beside all others.
  const ParseResult many =
      ParseEtcd({"0.0.0.0:2379"}, {"--listen", "0.0.0.0:7400", "--etcd-user", "x"});
  for (const char* word : {"etcd_endpoints \"0.0.0.0:2379\"", "listen \"0.0.0.0:7400\"",
                           "etcd_user and etcd_password_file"}) {
    EXPECT_TRUE(Names(many, word)) << word << "\n" << many.status().message();
  }
  // Whoever has set TLS up wrongly hears what is wrong with that.
  for (const char* half : {"--etcd-tls-ca-file", "--etcd-tls-cert-file"}) {
    const ParseResult wrong = ParseEtcd({"10.0.0.1:2379"}, {half, "/no/such.pem"});
    EXPECT_TRUE(Names(wrong, "/no/such.pem"));
    EXPECT_FALSE(Names(wrong, "etcd_endpoints")) << wrong.status().message();
  }
}

TEST_F(ServerOptionsTest, AnEndpointOfEtcdIsHostAndPort) {
  for (const char* bad :
       {"", "etcd-1", "etcd-1:", ":2379", "etcd-1:0", "etcd-1:65536", "etcd-1:2379/v3",
        "etcd/1:2379", "::1:2379", " 127.0.0.1:2379", "root@etcd-1:2379", "unix:/run/etcd.sock"}) {
    EXPECT_THAT(ParseEtcd({"127.0.0.1:2379", bad}).problems,
                ElementsAre(AllOf(StartsWith("etcd_endpoints \"" + std::string(bad) + "\": "),
                                  HasSubstr("write HOST:PORT"), HasSubstr("[fd00::1]:2379"))))
        << bad;
  }
  for (const char* scheme : {"https://127.0.0.1:2379", "http://etcd-1:2379", "https://etcd-1"}) {
    EXPECT_THAT(ParseEtcd({scheme}).problems,
                ElementsAre(AllOf(HasSubstr(scheme), HasSubstr("write HOST:PORT"),
                                  HasSubstr("etcd_tls_ca_file is what switches TLS on"))));
  }
  EXPECT_THAT(ParseEtcd({"127.0.0.1:2379,127.0.0.2:2379"}).problems,
              ElementsAre(HasSubstr("give the flag once for each")));
  // Each that is wrong is named.
  EXPECT_EQ(ParseEtcd({"a", "b"}).problems.size(), 2u);
}

TEST_F(ServerOptionsTest, MisspeltKeysAreNamed) {
  EXPECT_TRUE(
      Names(Parse({"--cluster", "bank", "--data-dir", "/tmp/x"}, {"ASSENT_PREPARE_TIMEOUT=1"}),
            "PREPARE_TIMEOUT"));
}

TEST_F(ServerOptionsTest, ATickLongerThanASpanCountsAsOne) {
  Options options;
  options.tick_interval = std::chrono::milliseconds(1000);
  options.client_key_retention = std::chrono::milliseconds(1500);
  EXPECT_EQ(LimitsOf(options).table.key_retention_ticks, 2u);
}

}  // namespace
}  // namespace assent::coordinator
