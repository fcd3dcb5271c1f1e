// `assentctl certs`, as a shell runs it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "ctl/certs/store.h"
#include "ctl/ctl.h"
#include "ctl/render_certs.h"
#include "tests/support/temp_dir.h"

namespace assent::ctl {
namespace {

using nlohmann::json;
using test_support::ReadFile;
using testing::AllOf;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

struct Ran {
  int exit_code;
  std::string out;
  std::string err;
};

class CertsCommandTest : public testing::Test {
 protected:
  // `assentctl certs <arguments>`; DIR stands for the directory.
  Ran Certs(std::vector<std::string> arguments) {
    std::vector<const char*> argv = {"assentctl", "certs"};
    for (std::string& argument : arguments) {
      if (argument.starts_with("DIR")) argument.replace(0, 3, directory_);
      argv.push_back(argument.c_str());
    }
    std::ostringstream out, err;
    int exit_code = ctl::Run(static_cast<int>(argv.size()), argv.data(), out, err);
    return {exit_code, out.str(), err.str()};
  }

  test_support::TempDir dir_;
  const std::string directory_ = dir_.File("certs");
};

TEST_F(CertsCommandTest, MakesAnAuthorityAndACertificateOfEachRole) {
  Ran init = Certs({"init", "DIR"});
  EXPECT_EQ(init.exit_code, kExitOk) << init.err;
  EXPECT_THAT(init.out, AllOf(HasSubstr(directory_ + "/ca.pem"), HasSubstr("Keep ca.key here")));
  // Hosts one by one or at once; they don't swallow what follows.
  Ran node = Certs({"node", "--host", "n.example", "--host", "10.0.0.1,::1", "DIR", "node1"});
  EXPECT_EQ(node.exit_code, kExitOk) << node.err;
  EXPECT_EQ(Certs({"agent", "DIR", "orders-1"}).exit_code, kExitOk);
  Ran client = Certs({"client", "DIR", "ops", "--days", "90", "--json"});
  EXPECT_EQ(json::parse(client.out)["key"], directory_ + "/ops.key");

  Ran shown = Certs({"show", "DIR", "--json"});
  EXPECT_EQ(shown.exit_code, kExitOk) << shown.err;
  json all = json::parse(shown.out)["certificates"];
  ASSERT_EQ(all.size(), 4u);
  const std::vector<std::pair<const char*, const char*>> expected = {{"authority", "ca.pem"},
                                                                     {"node", "node1.pem"},
                                                                     {"client", "ops.pem"},
                                                                     {"agent", "orders-1.pem"}};
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(all[i]["role"], expected[i].first);
    EXPECT_EQ(all[i]["file"], directory_ + "/" + expected[i].second);
    EXPECT_EQ(all[i]["state"], "VALID");
    EXPECT_EQ(all[i]["issuer"], all[0]["subject"]);
  }
  EXPECT_EQ(all[1]["hosts"], json({"n.example", "10.0.0.1", "::1", "assent-node"}));
  EXPECT_GE(all[1]["days_left"], 364);
  EXPECT_LE(all[2]["days_left"], 90);
}

TEST_F(CertsCommandTest, ShowWarnsBeforeACertificateEnds) {
  ASSERT_EQ(Certs({"init", "DIR"}).exit_code, kExitOk);
  ASSERT_EQ(Certs({"client", "DIR", "ops", "--days", "29"}).exit_code, kExitOk);
  Ran ran = Certs({"show", "DIR/ops.pem"});
  EXPECT_EQ(ran.exit_code, kExitNeedsOperator);
  EXPECT_THAT(ran.out, AllOf(HasSubstr("CN=ops,OU=client,O=assent"),
                             ContainsRegex("WARNING: 2[89] days left; renew it")));
  EXPECT_EQ(json::parse(Certs({"show", "DIR/ops.pem", "--json"}).out)["certificates"][0]["state"],
            "EXPIRING");
  Ran renewed = Certs({"client", "DIR", "ops", "--force"});
  EXPECT_EQ(renewed.exit_code, kExitOk) << renewed.err;
  ran = Certs({"show", "DIR/ops.pem"});
  EXPECT_EQ(ran.exit_code, kExitOk);
  EXPECT_THAT(ran.out, Not(HasSubstr("WARNING")));
}

TEST_F(CertsCommandTest, TextOfEveryAge) {
  const certs::WallTime now = std::chrono::sys_days{std::chrono::year{2026} / 3 / 1};
  auto text = [&](certs::WallTime from, certs::WallTime to) {
    certs::Facts facts{.subject = "CN=a\x1b[31m", .validity = {from, to}};
    return CertificatesText({{"a.pem", {facts}}, {"b.pem", {}}}, now);
  };
  EXPECT_THAT(text(now, now + certs::Days(31)),
              AllOf(HasSubstr("2026-03-01T00:00:00Z to 2026-04-01T00:00:00Z, 31 days left"),
                    HasSubstr("none of Assent's"), HasSubstr("b.pem\n  holds no certificate"),
                    Not(HasSubstr("\x1b")), Not(HasSubstr("WARNING"))));
  EXPECT_THAT(text(now, now + certs::Days(1)), HasSubstr("WARNING: 1 day left"));
  EXPECT_THAT(text(now - certs::Days(2), now - certs::Days(1)),
              AllOf(HasSubstr("WARNING: expired"), Not(HasSubstr("left"))));
  EXPECT_THAT(text(now + certs::Days(2), now + certs::Days(99)), HasSubstr("clock"));
}

TEST_F(CertsCommandTest, ErrorsNameTheThingAndTheRemedy) {
  Ran no_authority = Certs({"client", "DIR", "ops"});
  EXPECT_EQ(no_authority.exit_code, kExitError);
  EXPECT_THAT(no_authority.err, HasSubstr("assentctl certs init " + directory_));
  ASSERT_EQ(Certs({"init", "DIR"}).exit_code, kExitOk);
  const std::string ca = ReadFile(directory_ + "/ca.pem");
  EXPECT_EQ(Certs({"init", "DIR"}).exit_code, kExitError);
  EXPECT_EQ(ReadFile(directory_ + "/ca.pem"), ca);
  Ran no_host = Certs({"node", "DIR", "node1"});
  EXPECT_EQ(no_host.exit_code, kExitUsage);
  EXPECT_THAT(no_host.err, HasSubstr("--host"));
  for (std::vector<std::string> wrong : {std::vector<std::string>{},
                                         {"frob"},
                                         {"init"},
                                         {"client", "DIR"},
                                         {"client", "DIR", "ops", "--host", "h"},
                                         {"client", "DIR", "ops", "--days", "0"},
                                         {"client", "DIR", "ops", "--days", "many"},
                                         {"init", "DIR", "--force"},
                                         {"client", "DIR", "../ops"}}) {
    Ran ran = Certs(wrong);
    EXPECT_EQ(ran.exit_code, kExitUsage) << testing::PrintToString(wrong);
    EXPECT_NE(ran.err, "");
    EXPECT_EQ(ran.out, "");
  }
}

}  // namespace
}  // namespace assent::ctl
