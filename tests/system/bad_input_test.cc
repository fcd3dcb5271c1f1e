// Bad input: each gets an error that names the thing, the value and the remedy, and nothing is
// lost.
#include <gmock/gmock.h>

#include "tests/support/process.h"
#include "tests/system/system_fixture.h"

namespace assent::system_tests {
namespace {

using client::Outcome;
using std::chrono::milliseconds;
using std::chrono::seconds;
using test_support::AgentProcess;
using test_support::AssentdProcess;
using test_support::TomlString;
using testing::AllOf;
using testing::HasSubstr;

// ---- What clients send --------------------------------------------------------------------------

class BadRequest : public SystemTest {
 protected:
  // After every refusal a good transaction must still work.
  void TearDown() override {
    auto transaction = Coordinators().Begin();
    ASSERT_TRUE(transaction.ok()) << transaction.status().ToString();
    const std::string id = "good" + std::to_string(number_++);
    ASSERT_TRUE(InsertInPostgres(*transaction, id).ok());
    EXPECT_EQ(transaction->Commit().outcome, Outcome::kCommitted);
  }
  static int number_;
};
int BadRequest::number_ = 0;

TEST_F(BadRequest, UnknownResource) {
  auto transaction = Coordinators().Begin();
  ASSERT_TRUE(transaction.ok());
  auto branch = transaction->Open(PostgresAgent(), "warehouse");
  ASSERT_FALSE(branch.ok());
  EXPECT_EQ(branch.status().code(), Code::kNotFound);
  EXPECT_THAT(branch.status().message(), AllOf(HasSubstr("warehouse"), HasSubstr("bank_pg")));
}

TEST_F(BadRequest, WrongSql) {
  auto transaction = Coordinators().Begin();
  ASSERT_TRUE(transaction.ok());
  auto branch = transaction->Open(PostgresAgent(), Deployment::kPostgresResource);
  ASSERT_TRUE(branch.ok());
  auto result = branch->Execute("SELEKT 1");
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().database_code, "42601");
  EXPECT_THAT(result.status().message(), HasSubstr("SELEKT"));
  EXPECT_EQ(transaction->Commit().outcome, Outcome::kAborted);
}

TEST_F(BadRequest, StatementsThatEndTheTransaction) {
  for (bool in_postgres : {true, false}) {
    for (const char* sql : {"COMMIT", "ROLLBACK", "BEGIN"}) {
      auto transaction = Coordinators().Begin();
      ASSERT_TRUE(transaction.ok());
      auto branch = in_postgres ? transaction->Open(PostgresAgent(), Deployment::kPostgresResource)
                                : transaction->Open(MariadbAgent(), Deployment::kMariadbResource);
      ASSERT_TRUE(branch.ok());
      auto result = branch->Execute(sql);
      ASSERT_FALSE(result.ok()) << sql;
      EXPECT_EQ(result.error().cause, client::BranchCause::kMisuse) << sql;
      EXPECT_EQ(transaction->Commit().outcome, Outcome::kAborted) << sql;
    }
  }
}

TEST_F(BadRequest, OverLongNames) {
  client::BeginOptions key;
  key.client_key = std::string(129, 'k');
  auto transaction = Coordinators().Begin(key);
  ASSERT_FALSE(transaction.ok());
  EXPECT_EQ(transaction.status().code(), Code::kInvalidArgument);
  EXPECT_THAT(transaction.status().message(), AllOf(HasSubstr("client_key"), HasSubstr("128")));
  client::BeginOptions label;
  label.label = std::string(129, 'l');
  EXPECT_EQ(Coordinators().Begin(label).status().code(), Code::kInvalidArgument);
}

TEST_F(BadRequest, TimeoutBeyondTheMaximum) {
  client::BeginOptions begin;
  begin.timeout = std::chrono::hours(2);
  auto transaction = Coordinators().Begin(begin);
  ASSERT_FALSE(transaction.ok());
  EXPECT_EQ(transaction.status().code(), Code::kInvalidArgument);
  EXPECT_THAT(transaction.status().message(), HasSubstr("timeout"));
}

TEST_F(BadRequest, MessageBeyondTheLimit) {
  auto transaction = Coordinators().Begin();
  ASSERT_TRUE(transaction.ok());
  auto branch = transaction->Open(PostgresAgent(), Deployment::kPostgresResource);
  ASSERT_TRUE(branch.ok());
  auto result = branch->Execute("SELECT $1", std::string(16 << 20, 'x'));
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.status().code(), Code::kInvalidArgument) << result.status().ToString();
  EXPECT_FALSE(result.error().doomed) << "nothing was sent";
  EXPECT_TRUE(branch->Execute("SELECT 1").ok());
}

TEST_F(BadRequest, AnExpiredDeadline) {
  client::BeginOptions begin;
  begin.timeout = milliseconds(200);
  auto transaction = Coordinators().Begin(begin);
  ASSERT_TRUE(transaction.ok());
  const std::string gtrid = transaction->gtrid();
  ASSERT_TRUE(test_support::WaitUntil(
      seconds(5), [&] { return Coordinators().OutcomeOf(gtrid).outcome == Outcome::kAborted; }));
  auto branch = transaction->Open(PostgresAgent(), Deployment::kPostgresResource);
  EXPECT_FALSE(branch.ok());
  auto result = transaction->Commit();
  EXPECT_EQ(result.outcome, Outcome::kAborted) << result.ToString();
}

TEST_F(BadRequest, MalformedAndForeignGtrids) {
  auto malformed = Coordinators().OutcomeOf("not-a-gtrid");
  EXPECT_EQ(malformed.outcome, Outcome::kUnknown);
  EXPECT_EQ(malformed.why_unknown.code(), Code::kInvalidArgument) << malformed.ToString();
  EXPECT_THAT(malformed.why_unknown.message(), HasSubstr("not-a-gtrid"));

  auto foreign = Coordinators().OutcomeOf("elsewhere.0000000000001.0000.00000001.00000000");
  EXPECT_EQ(foreign.outcome, Outcome::kUnknown);
  EXPECT_EQ(foreign.why_unknown.code(), Code::kFailedPrecondition) << foreign.ToString();
  EXPECT_THAT(foreign.why_unknown.message(), HasSubstr("elsewhere"));
}

// ---- How programs are started
// ---------------------------------------------------------------------

class BadStart : public SystemTest {
 protected:
  // Runs assentd or the agent with one more file and expects it to end with `code` and words.
  static std::string RunWithConfig(test_support::ServerProcess& process, const std::string& config,
                                   int code, const std::vector<std::string>& flags = {}) {
    const std::string file = dir_->File("bad.toml");
    EXPECT_TRUE(test_support::WriteFile(file, config).ok());
    std::vector<std::string> arguments = {"--config", file};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    auto finished = process.RunWith(arguments);
    EXPECT_TRUE(finished.ok()) << finished.status().ToString();
    if (!finished.ok()) return {};
    EXPECT_EQ(finished->status.code, code) << finished->output;
    return finished->output;
  }
  static std::string CoordinatorConfig(const std::string& more) {
    return "cluster = \"bank\"\ndata_dir = " + TomlString(dir_->File("new.data")) + "\n" + more;
  }
  // A coordinator, and an agent, with a directory of their own and this http_listen; what they said
  // when they refused to start.
  static std::vector<std::string> RefusedPages(const std::string& http_listen, int code) {
    test_support::AssentdOptions coordinator;
    coordinator.name = "pages" + std::to_string(number_++);
    coordinator.cluster = "bank";
    auto assentd = AssentdProcess::Create(*dir_, coordinator);
    test_support::AgentOptions agent;
    agent.name = "agent-pages" + std::to_string(number_++);
    agent.coordinators = {House().coordinator().endpoint()};
    agent.resources = {
        {"postgresql",
         House().postgres().ConnectOptions(Deployment::kCluster, Deployment::kPostgresResource),
         {}}};
    auto sidecar = AgentProcess::Create(*dir_, agent);
    EXPECT_TRUE(assentd.ok() && sidecar.ok());
    if (!assentd.ok() || !sidecar.ok()) return {};
    std::vector<std::string> said;
    for (test_support::ServerProcess* process :
         std::initializer_list<test_support::ServerProcess*>{assentd->get(), sidecar->get()}) {
      auto finished =
          process->RunWith({"--config", process->config_file(), "--http-listen", http_listen});
      EXPECT_TRUE(finished.ok()) << finished.status().ToString();
      if (!finished.ok()) continue;
      EXPECT_EQ(finished->status.code, code) << finished->output;
      said.push_back(finished->output);
    }
    return said;
  }
  static void SetUpTestSuite() {
    SystemTest::SetUpTestSuite();
    dir_ = std::make_unique<test_support::TempDir>();
  }
  static void TearDownTestSuite() {
    dir_.reset();
    SystemTest::TearDownTestSuite();
  }
  static std::unique_ptr<test_support::TempDir> dir_;
  static int number_;
};
std::unique_ptr<test_support::TempDir> BadStart::dir_;
int BadStart::number_ = 0;

TEST_F(BadStart, UnknownConfigKey) {
  std::string out =
      RunWithConfig(House().coordinator(), CoordinatorConfig("prepare_timout_ms = 5000\n"), 2);
  EXPECT_THAT(out, AllOf(HasSubstr("prepare_timout_ms"), HasSubstr("prepare_timeout_ms")));
}

TEST_F(BadStart, EveryProblemAtOnce) {
  std::string out = RunWithConfig(
      House().coordinator(),
      CoordinatorConfig("prepare_timeout_ms = 0\nlog_level = \"loud\"\nlisten = 7\n"), 2);
  EXPECT_THAT(out, AllOf(HasSubstr("prepare_timeout_ms"), HasSubstr("loud"), HasSubstr("listen")));
}

TEST_F(BadStart, PortInUse) {
  // A directory of its own, so that only the port is taken.
  test_support::AssentdOptions options;
  options.name = "second";
  options.cluster = "bank";
  options.settings["listen"] = TomlString(House().coordinator().endpoint());
  auto second = AssentdProcess::Create(*dir_, options);
  ASSERT_TRUE(second.ok()) << second.status().ToString();
  auto finished = (*second)->RunWith({"--config", (*second)->config_file()});
  ASSERT_TRUE(finished.ok()) << finished.status().ToString();
  EXPECT_EQ(finished->status.code, 1);
  EXPECT_THAT(finished->output, HasSubstr(House().coordinator().endpoint()));
}

TEST_F(BadStart, AddressesForPagesThatAreNoGood) {
  struct Case {
    const char* value;
    const char* remedy;
  };
  for (const Case& c : {Case{"7402", "write HOST:PORT"}, Case{"127.0.0.1:99999", "up to 65535"},
                        Case{"unix:/tmp/pages.sock", "write HOST:PORT"},
                        Case{"0.0.0.0:7402", "listen on 127.0.0.1:7402"}}) {
    const std::vector<std::string> said = RefusedPages(c.value, 2);
    EXPECT_EQ(said.size(), 2u);
    for (const std::string& message : said) {
      EXPECT_THAT(message, AllOf(HasSubstr("http_listen \"" + std::string(c.value) + "\""),
                                 HasSubstr(c.remedy)));
    }
  }
}

TEST_F(BadStart, PortForPagesInUse) {
  const std::string taken = House().coordinator().http_endpoint();
  const std::vector<std::string> said = RefusedPages(taken, 1);
  EXPECT_EQ(said.size(), 2u);
  for (const std::string& message : said) {
    EXPECT_THAT(message, AllOf(HasSubstr("http_listen " + taken), HasSubstr("in use"),
                               HasSubstr("choose another address")));
  }
}

TEST_F(BadStart, TwoCoordinatorsOnOneDirectory) {
  std::string out =
      RunWithConfig(House().coordinator(),
                    "cluster = \"bank\"\nhttp_listen = \"\"\nlisten = \"127.0.0.1:" +
                        std::to_string(test_support::PickFreePort()) +
                        "\"\ndata_dir = " + TomlString(House().coordinator().data_dir()) + "\n",
                    1);
  EXPECT_THAT(out, AllOf(HasSubstr(House().coordinator().data_dir()),
                         HasSubstr(std::to_string(House().coordinator().pid()))));
}

TEST_F(BadStart, DirectoryOfAnotherClusterOrNode) {
  test_support::AssentdOptions options;
  options.name = "third";
  options.cluster = "bank";
  auto third = AssentdProcess::Create(*dir_, options);
  ASSERT_TRUE(third.ok()) << third.status().ToString();
  const std::string directory = TomlString((*third)->data_dir());
  std::string out =
      RunWithConfig(House().coordinator(),
                    "cluster = \"other\"\nhttp_listen = \"\"\ndata_dir = " + directory + "\n", 1);
  EXPECT_THAT(out, AllOf(HasSubstr("bank"), HasSubstr("other")));
  out = RunWithConfig(
      House().coordinator(),
      "cluster = \"bank\"\nhttp_listen = \"\"\nnode_id = 7\ndata_dir = " + directory + "\n", 1);
  EXPECT_THAT(out, AllOf(HasSubstr("node"), HasSubstr("7")));
}

TEST_F(BadStart, EmptyDirectoryWithoutBootstrap) {
  const std::string empty = dir_->File("empty");
  ASSERT_TRUE(dir_->MakeDir("empty").ok());
  std::string out = RunWithConfig(
      House().coordinator(),
      "cluster = \"bank\"\nhttp_listen = \"\"\ndata_dir = " + TomlString(empty) + "\n", 1);
  EXPECT_THAT(out, AllOf(HasSubstr(empty), HasSubstr("bootstrap")));
}

TEST_F(BadStart, BootstrapOfADirectoryInUse) {
  auto finished = House().coordinator().RunWith(
      {"--config", House().coordinator().config_file(), "--bootstrap"});
  ASSERT_TRUE(finished.ok());
  EXPECT_EQ(finished->status.code, 1);
  EXPECT_THAT(finished->output, HasSubstr(House().coordinator().data_dir()));
}

TEST_F(BadStart, NonLoopbackListenerWithoutCertificates) {
  std::string out =
      RunWithConfig(House().coordinator(), CoordinatorConfig("listen = \"0.0.0.0:7400\"\n"), 2);
  EXPECT_THAT(out, AllOf(HasSubstr("0.0.0.0:7400"), HasSubstr("certificate")));
}

TEST_F(BadStart, EtcdBeyondLoopbackWithoutTls) {
  using Flags = std::vector<std::string>;
  for (const Flags& flags : {Flags{}, Flags{"--bootstrap"}, Flags{"--restore", "/no/such.backup"},
                             Flags{"--check-config"}}) {
    const std::string out = RunWithConfig(
        House().coordinator(),
        "cluster = \"bank\"\nengine = \"etcd\"\netcd_endpoints = [\"192.0.2.1:2379\", "
        "\"https://etcd-2:2379\"]\nlisten = \"0.0.0.0:7400\"\n",
        2, flags);
    EXPECT_THAT(out, AllOf(HasSubstr("etcd_endpoints \"192.0.2.1:2379\""),
                           HasSubstr("set etcd_tls_ca_file"), HasSubstr("give etcd --cert-file"),
                           HasSubstr("etcd_endpoints \"https://etcd-2:2379\""),
                           HasSubstr("write HOST:PORT"), HasSubstr("listen \"0.0.0.0:7400\"")));
  }
}

TEST_F(BadStart, TwoAgentsOfOneId) {
  test_support::AgentOptions options;
  options.name = "agent-pg";  // The id that the house's own agent has.
  options.coordinators = {House().coordinator().endpoint()};
  options.resources = {
      {"postgresql",
       House().postgres().ConnectOptions(Deployment::kCluster, Deployment::kPostgresResource),
       {}}};
  auto twin = AgentProcess::Create(*dir_, options);
  ASSERT_TRUE(twin.ok()) << twin.status().ToString();
  ASSERT_TRUE((*twin)->Launch().ok());
  EXPECT_TRUE(test_support::WaitUntil(seconds(15), [&] {
    return (*twin)->Log().find("agent id agent-pg is in use by a live agent") != std::string::npos;
  })) << (*twin)->Log();
  // The one that was there first goes on.
  auto transaction = Coordinators().Begin();
  ASSERT_TRUE(transaction.ok());
  EXPECT_TRUE(InsertInPostgres(*transaction, "beside-twin").ok());
  EXPECT_EQ(transaction->Commit().outcome, Outcome::kCommitted);
  (*twin)->Kill9();
}

TEST_F(BadStart, TwoAgentsOnOneDirectory) {
  auto finished =
      House().postgres_agent().RunWith({"--config", House().postgres_agent().config_file()});
  ASSERT_TRUE(finished.ok()) << finished.status().ToString();
  EXPECT_EQ(finished->status.code, 1);
  EXPECT_THAT(finished->output, HasSubstr(House().postgres_agent().data_dir()));
}

TEST_F(BadStart, CheckConfigSaysAllIsWell) {
  auto finished = House().coordinator().RunWith(
      {"--config", House().coordinator().config_file(), "--check-config"});
  ASSERT_TRUE(finished.ok());
  EXPECT_EQ(finished->status.code, 0) << finished->output;
  finished = House().postgres_agent().RunWith(
      {"--config", House().postgres_agent().config_file(), "--check-config"});
  ASSERT_TRUE(finished.ok());
  EXPECT_EQ(finished->status.code, 0) << finished->output;
}

}  // namespace
}  // namespace assent::system_tests
