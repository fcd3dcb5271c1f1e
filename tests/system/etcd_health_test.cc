// What coordinators on etcd show of its health, and how they take its alarm NOSPACE.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/support/process.h"
#include "tests/support/scrape.h"
#include "tests/system/group_fixture.h"

namespace assent::system_tests {
namespace {

using nlohmann::json;
using std::chrono::seconds;
using test_support::Scrape;
using test_support::WaitUntil;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr seconds kPatience{30};

class EtcdHealthTest : public GroupTest {
 protected:
  static void SetUpTestSuite() {
    if (auto why_not = test_support::NoEtcd(); !why_not.empty()) GTEST_SKIP() << why_not;
    StartHouse({.coordinators = 2,
                .etcd_servers = 3,
                .coordinator_settings = {{"etcd_lease_ms", "2000"}}});
  }

  static bool AllShow(const std::string& metric, double value) {
    return WaitUntil(kPatience, [&] {
      for (const auto& node : House().coordinators()) {
        if (MetricOf(*node, metric) != value) return false;
      }
      return true;
    });
  }
  static test_support::HttpAnswer Health(const AssentdProcess& node, const std::string& page) {
    auto health = test_support::HttpGet(node.http_endpoint(), page);
    return health.ok() ? *health : test_support::HttpAnswer{};
  }
  static json LogOf(const AssentdProcess& node) {
    const CtlAnswer answer = CtlAt(node.endpoint(), {"status", "--json"});
    const json status = json::parse(answer.output, nullptr, /*allow_exceptions=*/false);
    return status.is_object() ? status["log"] : json();
  }
  // All members of etcd anew, with these arguments and the same data.
  static void RestartEtcd(std::vector<std::string> arguments) {
    House().etcd()->SetArguments(std::move(arguments));
    for (size_t i = 0; i < House().etcd()->size(); ++i) House().etcd()->Kill9(i);
    for (size_t i = 0; i < House().etcd()->size(); ++i) {
      Status started = House().etcd()->Start(i);
      ASSERT_TRUE(started.ok()) << started.ToString();
    }
    Status healthy = House().etcd()->WaitHealthy();
    ASSERT_TRUE(healthy.ok()) << healthy.ToString();
  }
};

TEST_F(EtcdHealthTest, AMemberThatIsDownIsShown) {
  EXPECT_TRUE(AllShow("assent_etcd_server_up", 3));
  const size_t down = 1;
  House().etcd()->Kill9(down);
  EXPECT_TRUE(AllShow("assent_etcd_server_up", 2));
  AssentdProcess* leader = Leader();
  ASSERT_NE(leader, nullptr);
  EXPECT_EQ(Health(*leader, "/healthz").status, 200) << "it goes on";
  const json log = LogOf(*leader);
  ASSERT_TRUE(log.is_object());
  EXPECT_EQ(log["engine"], "etcd");
  EXPECT_EQ(log["trouble"], "");
  EXPECT_EQ(log["no_space"], false);
  EXPECT_GT(log["lease_left_ms"], 0);
  ASSERT_EQ(log["servers"].size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(log["servers"][i]["address"], House().etcd()->endpoints()[i]);
    EXPECT_EQ(log["servers"][i]["up"], i != down) << i;
    EXPECT_EQ(log["servers"][i]["problem"] == "", i != down) << i;
  }
  ASSERT_TRUE(House().etcd()->Start(down).ok());
  EXPECT_TRUE(AllShow("assent_etcd_server_up", 3));
}

TEST_F(EtcdHealthTest, WhoLeadsAndWhoStandsByIsListed) {
  AssentdProcess* leader = Leader();
  ASSERT_NE(leader, nullptr);
  AssentdProcess* standby = Others(leader).at(0);
  const auto listed = [](const std::string& role) {
    std::vector<std::string> addresses;
    const json members = json::parse(Ctl({"member", "list", "--json"}).output, nullptr, false);
    if (!members.is_object()) return addresses;
    for (const json& one : members["members"]) {
      if (one["leader"] == (role == "leader")) addresses.push_back(one["address"]);
      EXPECT_EQ(one["match_index"].is_null(), one["leader"] != true) << one;
    }
    return addresses;
  };
  EXPECT_TRUE(WaitUntil(kPatience, [&] { return listed("standby").size() == 1; }));
  EXPECT_THAT(listed("leader"), ElementsAre(leader->endpoint()));
  EXPECT_THAT(listed("standby"), ElementsAre(standby->endpoint()));
  EXPECT_THAT(Ctl({"member", "list"}).output, AllOf(HasSubstr("leader"), HasSubstr("standby")));
  standby->Kill9();
  EXPECT_TRUE(WaitUntil(kPatience, [&] { return listed("standby").empty(); }))
      << "its lease has ended";
  ASSERT_TRUE(standby->Start().ok());
}

TEST_F(EtcdHealthTest, ThePageIsWhatTheDocumentSays) {
  EXPECT_TRUE(AllShow("assent_etcd_server_up", 3));
  auto page = Scrape::From(House().coordinator().http_endpoint());
  ASSERT_TRUE(page.ok()) << page.status().ToString();
  std::vector<std::string> differences;
  for (std::string& one : DifferencesFromDocs(*page, "assentd", ", on etcd")) {
    if (one.starts_with("assent_etcd_")) differences.push_back(std::move(one));
  }
  EXPECT_THAT(differences, IsEmpty());
}

TEST_F(EtcdHealthTest, WithoutSpaceNothingIsDecidedUntilThereIsSome) {
  ASSERT_TRUE(TheProbe().CommitOne(kPatience).ok());
  // Less than it holds: the next write raises the alarm.
  RestartEtcd({"--quota-backend-bytes=10000"});
  EXPECT_FALSE(TheProbe().CommitOne(seconds(5)).ok());
  EXPECT_TRUE(AllShow("assent_etcd_no_space", 1));
  for (const auto& node : House().coordinators()) {
    for (const char* page : {"/healthz", "/readyz"}) {
      const auto health = Health(*node, page);
      EXPECT_EQ(health.status, 503) << page;
      EXPECT_THAT(health.body,
                  AllOf(HasSubstr("alarm NOSPACE"), HasSubstr("etcdctl alarm disarm")));
    }
    const CtlAnswer status = CtlAt(node->endpoint(), {"status"});
    EXPECT_EQ(status.code, 3) << status.output;
    EXPECT_THAT(status.output, HasSubstr("etcd has raised the alarm NOSPACE"));
    EXPECT_EQ(LogOf(*node)["no_space"], true);
    EXPECT_EQ(MetricOf(*node, "assent_leader"), 0);
  }
  RestartEtcd({});
  auto disarmed = House().etcd()->Ctl({"alarm", "disarm"});
  ASSERT_TRUE(disarmed.ok()) << disarmed.status().ToString();
  auto commit = TheProbe().CommitOne(kPatience);
  EXPECT_TRUE(commit.ok()) << commit.status().ToString();
  EXPECT_TRUE(AllShow("assent_etcd_no_space", 0));
  EXPECT_TRUE(AllShow("assent_etcd_trouble", 0));
  for (const auto& node : House().coordinators()) {
    EXPECT_TRUE(WaitUntil(kPatience, [&] { return Health(*node, "/readyz").status == 200; }))
        << Health(*node, "/readyz").body;
    EXPECT_EQ(CtlAt(node->endpoint(), {"status"}).code, 0);
  }
}

}  // namespace
}  // namespace assent::system_tests
