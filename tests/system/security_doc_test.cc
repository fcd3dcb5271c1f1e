// The commands and settings of docs/security.md, as they stand there.
#include <gmock/gmock.h>

#include "tests/support/connect.h"
#include "tests/support/doc_page.h"
#include "tests/support/process.h"
#include "tests/system/system_fixture.h"

namespace assent::system_tests {
namespace {

using std::chrono::seconds;
using test_support::ReplaceAll;
using testing::AllOf;
using testing::HasSubstr;
using testing::SizeIs;

class SecurityDocTest : public SystemTest {
 protected:
  static void SetUpTestSuite() { dir_ = std::make_unique<test_support::TempDir>(); }
  static void TearDownTestSuite() {
    SystemTest::TearDownTestSuite();
    dir_.reset();
  }
  void SetUp() override {}

  // Where the page's directory on each machine is, all of them.
  static std::string Here(std::string text) {
    ReplaceAll("/etc/assent/tls", dir_->File("certs"), &text);
    return text;
  }
  static test_support::Toml Settings(const std::string& block) {
    return test_support::DocSettings(Here(block));
  }
  // What a shell makes of the block in the directory above `certs`; it stops at the first failure.
  static std::string Shell(const std::string& block) {
    test_support::SpawnOptions options;
    options.inherit_environment = false;
    options.working_dir = dir_->path();
    auto ran = test_support::Run({"/bin/bash", "-ec", Here(block)},
                                 {{"PATH", test_support::OwnBinDir() + ":/usr/bin:/bin"}}, options,
                                 dir_->File("shell.log"), seconds(60));
    EXPECT_TRUE(ran.ok()) << ran.status().ToString();
    if (!ran.ok()) return {};
    EXPECT_EQ(ran->status.code, 0) << block << ran->output;
    return ran->output;
  }

  static std::unique_ptr<test_support::TempDir> dir_;
};
std::unique_ptr<test_support::TempDir> SecurityDocTest::dir_;

TEST_F(SecurityDocTest, ItsStepsLeadToAHouseUnderTls) {
  const auto blocks = test_support::DocBlocks("docs/security.md");
  const auto commands = test_support::OfLanguage(blocks, "sh");
  const auto settings = test_support::OfLanguage(blocks, "toml");
  ASSERT_THAT(commands, SizeIs(3));
  ASSERT_THAT(settings, SizeIs(2));
  EXPECT_THAT(Shell(commands[0].text), AllOf(HasSubstr("node1.example"), HasSubstr("OU=client")));
  StartHouse({.coordinator_settings = Settings(settings[0].text),
              .agent_settings = Settings(settings[1].text)});
  if (HasFatalFailure()) return;

  std::string status = commands[1].text;
  ASSERT_THAT(status, HasSubstr("node1.example:7400"));
  ReplaceAll("node1.example:7400", House().coordinator().endpoint(), &status);
  EXPECT_THAT(Shell(status), AllOf(HasSubstr("agent-pg"), HasSubstr("bank_my")));
  const client::TlsOptions tls =
      test_support::TlsOf(test_support::PathsOf(dir_->File("certs"), "shop"));
  auto coordinators =
      client::Client::Connect({.endpoints = {House().coordinator().endpoint()}, .tls = tls});
  auto agent =
      client::Agent::Connect({.endpoint = House().postgres_agent().endpoint(), .tls = tls});
  ASSERT_TRUE(coordinators.ok() && agent.ok());
  auto transaction = coordinators->Begin();
  ASSERT_TRUE(transaction.ok()) << transaction.status().ToString();
  EXPECT_TRUE(transaction->Open(*agent, Deployment::kPostgresResource).ok());
  EXPECT_EQ(transaction->Commit().outcome, client::Outcome::kCommitted);

  // The coordinator takes its new certificate while the agents still have their old ones.
  Shell(commands[2].text);
  House().coordinator().Kill9();
  ASSERT_TRUE(House().coordinator().Start().ok());
  EXPECT_TRUE(test_support::WaitUntil(seconds(20), [&] {
    auto begun = coordinators->Begin({.branches = {{Deployment::kPostgresResource, {}, {}}}});
    return begun.ok() && begun->Open(*agent, Deployment::kPostgresResource).ok() &&
           begun->Commit().outcome == client::Outcome::kCommitted;
  }));
}

}  // namespace
}  // namespace assent::system_tests
