// Every port under mutual TLS: who has a certificate of the authority comes in, everybody else is
// refused with a word that helps.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>

#include "assent/v1/admin_service.grpc.pb.h"
#include "base/rpc/connect_hint.h"
#include "ctl/certs/store.h"
#include "tests/support/certificates.h"
#include "tests/support/connect.h"
#include "tests/support/scrape.h"
#include "tests/system/system_fixture.h"

namespace assent::system_tests {
namespace {

using certs::Role;
using client::Outcome;
using std::chrono::milliseconds;
using std::chrono::seconds;
using test_support::AgentProcess;
using test_support::AssentdProcess;
using test_support::PathsOf;
using test_support::ReadFile;
using test_support::TempDir;
using test_support::TestCertificates;
using test_support::TlsPaths;
using test_support::TlsSettings;
using test_support::TomlString;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

certs::WallTime Now() { return std::chrono::floor<seconds>(std::chrono::system_clock::now()); }

// Somebody at a door. What he shows is not looked at on his side, unlike our own clients do.
struct Visitor {
  const char* who;
  TlsPaths shows;  // Nothing at all: clear text.
  bool let_in;
  const char* hint;  // What he is told, in rpc::ConnectHint's words.
};

class TlsTest : public SystemTest {
 protected:
  static void SetUpTestSuite() {
    dir_ = std::make_unique<TempDir>();
    foreign_ = std::make_unique<TempDir>();
    ASSERT_TRUE(test_support::MakeCertificates(*foreign_).ok());
    // Signed as if it were 40 days ago.
    auto expired = certs::Issue(TestCertificates(),
                                {.role = Role::kClient, .name = "expired", .days = certs::Days(1)},
                                false, Now() - certs::Days(40));
    ASSERT_TRUE(expired.ok()) << expired.status().ToString();
    StartHouse({.tls = true});
  }
  static void TearDownTestSuite() {
    SystemTest::TearDownTestSuite();
    foreign_.reset();
    dir_.reset();
  }

  static TlsPaths Ours(const std::string& name) { return PathsOf(TestCertificates(), name); }
  static TlsPaths Foreign(const std::string& name) { return PathsOf(foreign_->path(), name); }
  // Trusts the one authority and shows a certificate of the other.
  static TlsPaths Mixed(TlsPaths shows, const TlsPaths& trusts) {
    shows.ca_file = trusts.ca_file;
    return shows;
  }
  static TlsPaths NoCertificate() { return {.ca_file = Ours("client").ca_file}; }

  static std::vector<Visitor> Visitors() {
    return {
        {"a client", Ours("client"), true, ""},
        {"a node", Ours("node"), true, ""},
        {"an agent", Ours("agent"), true, ""},
        {"somebody without a certificate", NoCertificate(), false, "certificate of its authority"},
        {"somebody of another authority", Mixed(Foreign("client"), Ours("client")), false,
         "certificate of its authority"},
        {"somebody whose certificate has expired", Ours("expired"), false,
         "certificate of its authority"},
        {"somebody who trusts another authority", Mixed(Ours("client"), Foreign("client")), false,
         "not of the authority in our tls_ca_file"},
        {"somebody who speaks clear text", {}, false, "wants TLS"}};
  }

  // The answer to one call of AdminService. Agents have none: UNIMPLEMENTED tells that they let us
  // in.
  static grpc::Status Knock(const std::string& endpoint, const TlsPaths& shows) {
    auto credentials =
        shows.ca_file.empty()
            ? grpc::InsecureChannelCredentials()
            : grpc::SslCredentials(
                  {ReadFile(shows.ca_file), ReadFile(shows.key_file), ReadFile(shows.cert_file)});
    auto stub = v1::AdminService::NewStub(grpc::CreateChannel(endpoint, credentials));
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + seconds(10));
    v1::GetStatusReply reply;
    return stub->GetStatus(&context, {}, &reply);
  }
  static bool LetIn(const grpc::Status& answer) {
    return answer.ok() || answer.error_code() == grpc::StatusCode::UNIMPLEMENTED;
  }

  static test_support::Finished Ctl(const std::vector<std::string>& arguments,
                                    const TlsPaths& tls) {
    test_support::Argv argv = {test_support::OwnBinDir() + "/assentctl", "--endpoint",
                               House().coordinator().endpoint()};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    test_support::Environment env;
    if (!tls.ca_file.empty()) env["ASSENT_TLS_CA_FILE"] = tls.ca_file;
    if (!tls.cert_file.empty()) {
      env["ASSENT_TLS_CERT_FILE"] = tls.cert_file;
      env["ASSENT_TLS_KEY_FILE"] = tls.key_file;
    }
    auto ran = test_support::Run(argv, env, {.inherit_environment = false}, dir_->File("ctl.log"),
                                 seconds(30));
    EXPECT_TRUE(ran.ok()) << ran.status().ToString();
    return ran.ok() ? *ran : test_support::Finished{};
  }

  // An agent of the house's coordinator, for its PostgreSQL under a name of its own.
  static Result<std::unique_ptr<AgentProcess>> OneMoreAgent(const std::string& name,
                                                            const test_support::Toml& settings) {
    test_support::AgentOptions options;
    options.name = name;
    options.coordinators = {House().coordinator().endpoint()};
    options.resources = {
        {"postgresql", House().postgres().ConnectOptions(Deployment::kCluster, "pg_" + name), {}}};
    options.settings = settings;
    return AgentProcess::Create(*dir_, options);
  }

  static std::unique_ptr<TempDir> dir_;
  static std::unique_ptr<TempDir> foreign_;
};
std::unique_ptr<TempDir> TlsTest::dir_;
std::unique_ptr<TempDir> TlsTest::foreign_;

TEST_F(TlsTest, ATransactionPassesEveryPort) {
  auto transaction = Coordinators().Begin();
  ASSERT_TRUE(transaction.ok()) << transaction.status().ToString();
  ASSERT_TRUE(InsertInPostgres(*transaction, "tls").ok());
  ASSERT_TRUE(InsertInMariadb(*transaction, "tls").ok());
  auto result = transaction->Commit();
  EXPECT_EQ(result.outcome, Outcome::kCommitted) << result.ToString();
  EXPECT_TRUE(InPostgres("tls") && InMariadb("tls"));
}

TEST_F(TlsTest, CoordinatorAndAgentsTakeTheirAuthoritysCertificatesAlone) {
  for (const std::string& door :
       {House().coordinator().endpoint(), House().postgres_agent().endpoint()}) {
    for (const Visitor& visitor : Visitors()) {
      const grpc::Status answer = Knock(door, visitor.shows);
      EXPECT_EQ(LetIn(answer), visitor.let_in) << visitor.who << ": " << answer.error_message();
      if (visitor.let_in) continue;
      EXPECT_EQ(answer.error_code(), grpc::StatusCode::UNAVAILABLE) << visitor.who;
      EXPECT_THAT(rpc::ConnectHint(answer.error_message()), HasSubstr(visitor.hint))
          << visitor.who << ": " << answer.error_message();
    }
  }
}

// The proof that the refusals above are the servers' doing.
TEST_F(TlsTest, SeededBugServersTakeWhoeverComes) {
  const std::pair<test_support::ServerProcess*, std::string> doors[] = {
      {&House().coordinator(), House().coordinator().endpoint()},
      {&House().postgres_agent(), House().postgres_agent().endpoint()}};
  for (const auto& [process, endpoint] : doors) {
    process->Kill9();
    ASSERT_TRUE(process->Start({{"ASSENT_MUTANT", "clients_unasked"}}).ok());
    EXPECT_TRUE(LetIn(Knock(endpoint, NoCertificate()))) << process->name();
    process->Kill9();
    ASSERT_TRUE(process->Start().ok());
    EXPECT_FALSE(LetIn(Knock(endpoint, NoCertificate()))) << process->name();
  }
}

TEST_F(TlsTest, PagesTakeTheirAuthoritysCertificatesAlone) {
  for (const std::string& door :
       {House().coordinator().http_endpoint(), House().postgres_agent().http_endpoint()}) {
    for (const Visitor& visitor : Visitors()) {
      const TlsPaths& tls = visitor.shows;
      auto page =
          test_support::HttpGet(door, "/healthz", {tls.ca_file, tls.cert_file, tls.key_file});
      EXPECT_EQ(page.ok(), visitor.let_in) << visitor.who << " at " << door;
    }
  }
}

TEST_F(TlsTest, TheClientLibrarySaysWhatIsMissing) {
  auto begin = [&](const TlsPaths& tls) {
    client::ClientOptions options = test_support::ToCoordinator(House());
    options.tls = test_support::TlsOf(tls);
    options.begin_retry_for = milliseconds(300);
    auto coordinators = client::Client::Connect(options);
    return coordinators.ok() ? coordinators->Begin().status() : coordinators.status();
  };
  EXPECT_THAT(begin({}).message(), HasSubstr("wants TLS and a certificate of its authority"));
  EXPECT_THAT(begin(NoCertificate()).message(), HasSubstr("wants TLS and a certificate"));
  EXPECT_THAT(begin(Foreign("client")).message(), HasSubstr("not of the authority"));
  EXPECT_THAT(begin(Ours("expired")).message(), HasSubstr("has expired"));

  auto transaction = Coordinators().Begin();
  ASSERT_TRUE(transaction.ok());
  client::AgentOptions options = test_support::ToAgent(House(), House().postgres_agent());
  options.tls = {};
  options.retry_for = milliseconds(300);
  auto branch =
      transaction->Open(client::Agent::Connect(options).value(), Deployment::kPostgresResource);
  ASSERT_FALSE(branch.ok());
  EXPECT_THAT(branch.status().message(), HasSubstr("wants TLS and a certificate"));
}

TEST_F(TlsTest, AssentctlIsLetInWithACertificateAndElseSaysWhatIsMissing) {
  auto right = Ctl({"status"}, Ours("client"));
  EXPECT_EQ(right.status.code, 0) << right.output;
  EXPECT_THAT(right.output, HasSubstr("agent-pg"));
  struct Case {
    TlsPaths tls;
    const char* words;
  };
  for (const Case& c : {Case{{}, "wants TLS"}, Case{NoCertificate(), "tls_cert_file"},
                        Case{Mixed(Foreign("client"), Ours("client")), "of its authority"},
                        Case{Foreign("client"), "not of the authority in our tls_ca_file"},
                        Case{Ours("expired"), "has expired"}}) {
    auto ran = Ctl({"status"}, c.tls);
    EXPECT_EQ(ran.status.code, 1) << ran.output;
    EXPECT_THAT(ran.output, HasSubstr(c.words));
  }
  // The certificate names 127.0.0.1 and localhost.
  auto other_name = Ctl({"status", "--tls-server-name", "elsewhere"}, Ours("client"));
  EXPECT_THAT(other_name.output, HasSubstr("does not name the host"));
  EXPECT_EQ(Ctl({"status", "--tls-server-name", "localhost"}, Ours("client")).status.code, 0);
}

TEST_F(TlsTest, AnAgentOfAnotherAuthorityOrWithoutTlsDoesNotGetALink) {
  auto foreign = OneMoreAgent("foreign", TlsSettings(Mixed(Foreign("agent"), Ours("agent"))));
  auto plain = OneMoreAgent("plain", {});
  for (auto* agent : {&foreign, &plain}) {
    ASSERT_TRUE(agent->ok()) << agent->status().ToString();
    ASSERT_TRUE((**agent)->Launch().ok());
    EXPECT_TRUE(test_support::WaitUntil(seconds(15), [&] {
      return (**agent)->Logged("link_lost");
    })) << (**agent)->Log();
    EXPECT_THAT((**agent)->Log(), HasSubstr("a certificate of its authority"));
  }
  EXPECT_THAT(
      Ctl({"status"}, Ours("client")).output,
      AllOf(HasSubstr("agent-pg"), Not(HasSubstr("pg_foreign")), Not(HasSubstr("pg_plain"))));
}

// What a client holds must not do as a server: whoever steals it can't pose as the coordinator.
TEST_F(TlsTest, AClientsCertificateDoesNotServe) {
  auto posing = AssentdProcess::Create(
      *dir_, {.name = "posing", .settings = TlsSettings(Ours("client")), .bin_dir = ""});
  ASSERT_TRUE(posing.ok()) << posing.status().ToString();
  ASSERT_TRUE((*posing)->Start().ok());
  const grpc::Status answer = Knock((*posing)->endpoint(), Ours("client"));
  EXPECT_FALSE(LetIn(answer));
  EXPECT_THAT(answer.error_message(), HasSubstr("certificate verify failed"));
}

// How one authority takes the place of another: for a while both are trusted.
TEST_F(TlsTest, ACaFileMayHoldSeveralAuthorities) {
  TlsPaths both = Ours("node");
  both.ca_file = dir_->File("both.pem");
  ASSERT_TRUE(test_support::WriteFile(
                  both.ca_file, ReadFile(Ours("node").ca_file) + ReadFile(Foreign("node").ca_file))
                  .ok());
  auto coordinator =
      AssentdProcess::Create(*dir_, {.name = "both", .settings = TlsSettings(both), .bin_dir = ""});
  ASSERT_TRUE(coordinator.ok()) << coordinator.status().ToString();
  ASSERT_TRUE((*coordinator)->Start().ok());
  EXPECT_TRUE(LetIn(Knock((*coordinator)->endpoint(), Ours("client"))));
  EXPECT_TRUE(LetIn(Knock((*coordinator)->endpoint(), Mixed(Foreign("client"), both))));
  EXPECT_FALSE(LetIn(Knock((*coordinator)->endpoint(), NoCertificate())));
}

// A sidecar on a unix socket needs TLS for its coordinators, and none for its neighbours.
TEST_F(TlsTest, AUnixSocketSpeaksClearText) {
  test_support::Toml settings = TlsSettings(Ours("agent"));
  settings["listen"] = TomlString("unix:" + dir_->File("s"));
  auto agent = OneMoreAgent("local", settings);
  ASSERT_TRUE(agent.ok()) << agent.status().ToString();
  Status started = (*agent)->Start();
  ASSERT_TRUE(started.ok()) << started.ToString();
  ASSERT_TRUE(
      test_support::WaitUntil(seconds(15), [&] { return (*agent)->Logged("resource_ready"); }));
  auto transaction = Coordinators().Begin();
  ASSERT_TRUE(transaction.ok()) << transaction.status().ToString();
  auto neighbour = client::Agent::Connect({.endpoint = "unix:" + dir_->File("s")});
  ASSERT_TRUE(neighbour.ok());
  client::OpenOptions open;
  open.statements = {{"INSERT INTO kept VALUES ($1)", {"by-socket"}}};
  auto branch = transaction->Open(*neighbour, "pg_local", open);
  ASSERT_TRUE(branch.ok()) << branch.status().ToString();
  EXPECT_EQ(transaction->Commit().outcome, Outcome::kCommitted);
  EXPECT_TRUE(InPostgres("by-socket"));
}

}  // namespace
}  // namespace assent::system_tests
