#include "ctl/certs/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace assent::certs {
namespace {

using std::chrono::hours;
using std::chrono::seconds;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr WallTime kNow = std::chrono::sys_days{std::chrono::year{2026} / 3 / 1} + hours(12);
const Validity kAuthority{kNow - hours(48), kNow + Days(1000) + hours(5)};

Status Planned(const Request& request) {
  auto plan = PlanCertificate(request, kAuthority, kNow);
  return plan.ok() ? Ok() : plan.status();
}

std::string ValueOf(const Plan& plan, const std::string& extension) {
  for (const Extension& e : ExtensionsOf(plan)) {
    if (e.name == extension) return e.value;
  }
  return "";
}

Plan PlanOf(Request request) {
  auto plan = PlanCertificate(request, kAuthority, kNow);
  EXPECT_TRUE(plan.ok()) << plan.status().ToString();
  return *plan;
}

TEST(PlanTest, NodesAndAgentsServeAndDialAndClientsOnlyDial) {
  Plan node = PlanOf({.role = Role::kNode, .name = "node1", .hosts = {"n.example", "10.0.0.1"}});
  EXPECT_EQ(ValueOf(node, "extendedKeyUsage"), "serverAuth,clientAuth");
  EXPECT_EQ(ValueOf(node, "subjectAltName"), "DNS:n.example,IP:10.0.0.1,DNS:assent-node");
  Plan agent = PlanOf({.role = Role::kAgent, .name = "orders-1", .hosts = {}});
  EXPECT_EQ(ValueOf(agent, "extendedKeyUsage"), "serverAuth,clientAuth");
  EXPECT_EQ(ValueOf(agent, "subjectAltName"), "DNS:localhost,IP:127.0.0.1,IP:::1");
  Plan client = PlanOf({.role = Role::kClient, .name = "ops", .hosts = {}});
  EXPECT_EQ(ValueOf(client, "extendedKeyUsage"), "clientAuth");
  EXPECT_EQ(ValueOf(client, "subjectAltName"), "");
  for (const Plan& plan : {node, agent, client}) {
    EXPECT_EQ(ValueOf(plan, "basicConstraints"), "critical,CA:FALSE");
    EXPECT_EQ(ValueOf(plan, "keyUsage"), "critical,digitalSignature");
  }
}

TEST(PlanTest, AnAuthoritySignsCertificatesOfTenYears) {
  Plan plan = PlanAuthority("00c0ffee", kNow);
  EXPECT_EQ(plan.name, "assent authority 00c0ffee");
  EXPECT_EQ(ValueOf(plan, "basicConstraints"), "critical,CA:TRUE,pathlen:0");
  EXPECT_EQ(ValueOf(plan, "extendedKeyUsage"), "");
  EXPECT_EQ(plan.validity.not_after, kNow + Days(3650));
}

TEST(PlanTest, HostsAreTakenOnceEach) {
  Plan plan = PlanOf({.role = Role::kNode, .name = "n", .hosts = {"b", "::1", "b", "a"}});
  EXPECT_THAT(plan.hosts, ElementsAre("b", "::1", "a", "assent-node"));
}

TEST(PlanTest, BadInputIsNamedWithItsRemedy) {
  struct Case {
    const char* why;
    Request request;
    const char* value;
    const char* remedy;
  };
  const std::string long_name(65, 'n');
  const std::string long_label = std::string(64, 'h') + ".example";
  const Case cases[] = {
      {"a path", {Role::kClient, "../x"}, "'../x'", "letters, digits"},
      {"nothing", {Role::kClient, ""}, "''", "letters, digits"},
      {"hidden, or an option", {Role::kClient, "-x"}, "'-x'", "letters, digits"},
      {"too long for a common name", {Role::kClient, long_name}, long_name.c_str(), "63"},
      {"a line break", {Role::kClient, "a\nb"}, "'a\nb'", "letters, digits"},
      {"the authority's files", {Role::kNode, "ca", {"h"}}, "'ca'", "choose another"},
      {"a node that nobody can dial", {Role::kNode, "n"}, "node n", "--host node1.example"},
      {"a client that is dialled", {Role::kClient, "c", {"h"}}, "'h'", "leave it out"},
      {"a port", {Role::kNode, "n", {"h:7400"}}, "'h:7400'", "without port"},
      {"brackets", {Role::kNode, "n", {"[::1]"}}, "'[::1]'", "without port, brackets"},
      {"a wildcard", {Role::kNode, "n", {"*.example"}}, "'*.example'", "wildcards"},
      {"another name smuggled in",
       {Role::kAgent, "a", {"h,DNS:evil"}},
       "'h,DNS:evil'",
       "host name"},
      {"a mistyped address", {Role::kNode, "n", {"10.0.0"}}, "'10.0.0'", "10.0.0.1"},
      {"too large an address", {Role::kNode, "n", {"10.0.0.256"}}, "'10.0.0.256'", "10.0.0.1"},
      {"an empty label", {Role::kNode, "n", {"a..b"}}, "'a..b'", "host name"},
      {"an empty host", {Role::kNode, "n", {""}}, "''", "host name"},
      {"a long label", {Role::kNode, "n", {long_label}}, long_label.c_str(), "host name"},
      {"no days", {Role::kClient, "c", {}, Days(0)}, "--days 0", "at least 1"},
  };
  for (const Case& c : cases) {
    Status status = Planned(c.request);
    EXPECT_EQ(status.code(), Code::kInvalidArgument) << c.why;
    EXPECT_THAT(status.message(), AllOf(HasSubstr(c.value), HasSubstr(c.remedy))) << c.why;
  }
  for (const char* host : {"a", "node-1.example", "my_host", "1.example", "10.0.0.1", "fe80::1"}) {
    EXPECT_TRUE(Planned({Role::kNode, "n", {host}}).ok()) << host;
  }
}

TEST(PlanTest, NoCertificateOutlivesItsAuthority) {
  EXPECT_TRUE(Planned({Role::kClient, "c", {}, Days(1000)}).ok());
  Status longer = Planned({Role::kClient, "c", {}, Days(1001)});
  EXPECT_EQ(longer.code(), Code::kFailedPrecondition);
  EXPECT_THAT(longer.message(), AllOf(HasSubstr("--days 1001"), HasSubstr("2028-11-25"),
                                      HasSubstr("at most --days 1000")));
  auto late = PlanCertificate({Role::kClient, "c"}, {kNow - Days(9), kNow - Days(1)}, kNow);
  EXPECT_EQ(late.status().code(), Code::kFailedPrecondition);
  EXPECT_THAT(late.status().message(), HasSubstr("expired on 2026-02-28"));
  // Nor is it older.
  const Validity young{kNow - seconds(5), kNow + Days(1000)};
  EXPECT_EQ(PlanCertificate({Role::kClient, "c"}, young, kNow)->validity.not_before,
            young.not_before);
}

TEST(PlanTest, AgesChangeOnTheSecond) {
  const Validity v{kNow, kNow + Days(100)};
  EXPECT_EQ(AgeOf(v, kNow - seconds(1)), Age::kNotYetValid);
  EXPECT_EQ(AgeOf(v, kNow), Age::kValid);
  EXPECT_EQ(AgeOf(v, v.not_after - Days(30)), Age::kValid);
  EXPECT_EQ(AgeOf(v, v.not_after - Days(30) + seconds(1)), Age::kExpiring);
  EXPECT_EQ(AgeOf(v, v.not_after), Age::kExpiring);
  EXPECT_EQ(AgeOf(v, v.not_after + seconds(1)), Age::kExpired);
  EXPECT_EQ(DaysLeft(v, v.not_after - hours(47)), 1);
  EXPECT_EQ(DaysLeft(v, v.not_after + hours(1)), -1);
}

TEST(PlanTest, RolesAreReadAsTheyAreWritten) {
  for (Role role : {Role::kAuthority, Role::kNode, Role::kAgent, Role::kClient}) {
    EXPECT_EQ(ParseRole(RoleName(role)), role);
  }
  EXPECT_EQ(ParseRole("Node"), std::nullopt);
  EXPECT_EQ(ParseRole(""), std::nullopt);
}

}  // namespace
}  // namespace assent::certs
