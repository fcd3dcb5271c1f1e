// What stands in deploy/kubernetes, as the kubelet runs it, on a real etcd under TLS: processes in
// place of pods, each with the environment, commands and Secrets of the manifests. Only ports,
// folders, etcd's address and the cluster's UUID are other ones.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <regex>

#include "client/assent.h"
#include "tests/support/assent_processes.h"
#include "tests/support/certificates.h"
#include "tests/support/doc_page.h"
#include "tests/support/etcd_servers.h"
#include "tests/support/manifests.h"
#include "tests/support/postgres_server.h"
#include "tests/support/scrape.h"

namespace assent::system_tests {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::seconds;
using test_support::Environment;
using test_support::Finished;
using test_support::Process;
using test_support::ReplaceAll;
using test_support::WaitUntil;
using testing::HasSubstr;

constexpr char kUuid[] = "7d0c2f4e-7a51-4d0b-9d7e-1c2b3a495867";
constexpr char kServerName[] = "assentd";
constexpr seconds kPatience{20};

class KubernetesTest : public testing::Test {
 protected:
  // A container of the Deployment at an address that no certificate names.
  struct Pod {
    std::string ip;
    uint16_t grpc = test_support::PickFreePort();
    uint16_t pages = test_support::PickFreePort();
    std::string log;
    std::unique_ptr<Process> process;
    std::string endpoint() const { return ip + ":" + std::to_string(grpc); }
  };

  void SetUp() override {
    signal(SIGPIPE, SIG_IGN);  // A server hangs up on who shows no certificate.
    const auto etcd_tls = test_support::PathsOf(test_support::TestCertificates(), "node");
    auto etcd = test_support::EtcdServers::Create({.tls = etcd_tls});
    if (etcd.status().code() == Code::kNotFound) GTEST_SKIP() << etcd.status().message();
    ASSERT_TRUE(etcd.ok()) << etcd.status().ToString();
    etcd_ = std::move(*etcd);
    auto objects = test_support::ReadManifests({"config.yaml", "bootstrap.yaml", "assentd.yaml"});
    ASSERT_TRUE(objects.ok()) << objects.status().ToString();
    objects_ = *std::move(objects);
    MakeSecrets();
    for (int i = 0; i < 2; ++i) {
      pods_[i].ip = "127.0.0.1" + std::to_string(i);
      pods_[i].log = dir_.File("pod" + std::to_string(i) + ".log");
    }
  }

  // As docs/kubernetes.md says: its certificates, under the names of its `--from-file`s.
  void MakeSecrets() {
    const auto blocks =
        test_support::OfLanguage(test_support::DocBlocks("docs/kubernetes.md"), "sh");
    ASSERT_GE(blocks.size(), 2u);
    Finished made = RunHere({"/bin/bash", "-ec", blocks[0].text},
                            {{"PATH", test_support::OwnBinDir() + ":/usr/bin:/bin"}});
    ASSERT_TRUE(made.status.ok()) << made.output;
    // What etcd's authority is said to have made.
    const auto etcd = test_support::PathsOf(test_support::TestCertificates(), "client");
    const std::regex secret("create secret generic ([a-z-]+) (.*)");
    const std::regex file("--from-file=([a-z.]+)=(\\S+)");
    int files = 0;
    for (auto it = std::sregex_iterator(blocks[1].text.begin(), blocks[1].text.end(), secret);
         it != std::sregex_iterator(); ++it) {
      const std::string folder = (*it)[1], rest = (*it)[2];
      ASSERT_TRUE(dir_.MakeDirForUnprivileged(folder).ok());
      for (auto f = std::sregex_iterator(rest.begin(), rest.end(), file);
           f != std::sregex_iterator(); ++f, ++files) {
        std::string from = (*f)[2];
        if (from == "etcd-ca.pem") from = etcd.ca_file;
        if (from == "etcd-client.pem") from = etcd.cert_file;
        if (from == "etcd-client.key") from = etcd.key_file;
        if (from == "password") {
          from = dir_.File(from);
          ASSERT_TRUE(test_support::WriteFile(from, "of no use here").ok());
        }
        if (!from.starts_with('/')) from = dir_.File(from);
        const std::string to = dir_.File(folder + "/" + (*f)[1].str());
        ASSERT_TRUE(test_support::WriteFile(to, test_support::ReadFile(from)).ok());
        ASSERT_EQ(chmod(to.c_str(), 0440), 0);
        ASSERT_TRUE(test_support::GiveToUnprivileged(to).ok());
      }
    }
    ASSERT_EQ(files, 10);
  }

  Finished RunHere(const test_support::Argv& argv, const Environment& environment,
                   bool unprivileged = false) {
    auto ran = test_support::Run(
        argv, environment,
        {.unprivileged = unprivileged, .inherit_environment = false, .working_dir = dir_.path()},
        dir_.File("run.log"), seconds(60));
    EXPECT_TRUE(ran.ok()) << ran.status().ToString();
    return ran.ok() ? *ran : Finished{};
  }

  std::string Here(std::string text, const Pod& pod) const {
    ReplaceAll("/etc/assent/tls", dir_.File("assentd-tls"), &text);
    ReplaceAll("/etc/assent/etcd", dir_.File("assentd-etcd"), &text);
    ReplaceAll(":7400", ":" + std::to_string(pod.grpc), &text);
    ReplaceAll(":7402", ":" + std::to_string(pod.pages), &text);
    return text;
  }
  Environment EnvironmentOf(const std::string& kind, const Pod& pod) const {
    Environment environment = test_support::EnvironmentOf(
        Only(kind), test_support::OnlyOf(objects_, "ConfigMap"), pod.ip);
    for (auto& [name, value] : environment) value = Here(value, pod);
    environment["ASSENT_CLUSTER_UUID"] = uuid_;
    environment["ASSENT_ETCD_ENDPOINTS"] = etcd_->endpoints()[0];
    environment["PATH"] = test_support::OwnBinDir() + ":/usr/bin:/bin";
    return environment;
  }
  const json& Only(const std::string& kind) const { return test_support::OnlyOf(objects_, kind); }
  // The words, the first of them as a path where it is a program of ours.
  test_support::Argv Command(std::vector<std::string> words, const Pod& pod) const {
    for (std::string& word : words) word = Here(word, pod);
    if (words[0].starts_with("assent")) words[0] = test_support::OwnBinDir() + "/" + words[0];
    return words;
  }

  Finished RunJob() {
    const json& container = test_support::ContainerOf(Only("Job"));
    auto words = test_support::WordsOf(container, "command");
    for (const std::string& word : test_support::WordsOf(container, "args")) words.push_back(word);
    return RunHere(Command(words, pods_[0]), EnvironmentOf("Job", pods_[0]), true);
  }
  void Start(Pod& pod) {
    const auto words =
        test_support::WordsOf(test_support::ContainerOf(Only("Deployment")), "command");
    auto process = Process::Spawn(Command(words, pod), EnvironmentOf("Deployment", pod),
                                  {.unprivileged = true,
                                   .inherit_environment = false,
                                   .stdout_file = pod.log,
                                   .stderr_file = pod.log,
                                   .working_dir = "/"});
    ASSERT_TRUE(process.ok()) << process.status().ToString();
    pod.process = std::move(*process);
  }
  // What the kubelet runs in the pod: a probe, a hook. As there, with the container's environment.
  Finished Exec(const json& handler, const Pod& pod) {
    const auto words = test_support::WordsOf(handler.at("exec"), "command");
    return RunHere(Command(words, pod), EnvironmentOf("Deployment", pod), true);
  }
  const json& Probe(const char* name) const {
    return test_support::ContainerOf(Only("Deployment")).at(name);
  }
  bool Ready(const Pod& pod) { return Exec(Probe("readinessProbe"), pod).status.ok(); }
  bool Alive(const Pod& pod) { return Exec(Probe("livenessProbe"), pod).status.ok(); }
  Finished PreStop(const Pod& pod) { return Exec(Probe("lifecycle").at("preStop"), pod); }

  test_support::TlsPaths Client() const { return test_support::PathsOf(dir_.File("certs"), "ops"); }
  bool Leads(const Pod& pod) const {
    const auto tls = Client();
    auto page = test_support::Scrape::From("127.0.0.1:" + std::to_string(pod.pages),
                                           {tls.ca_file, tls.cert_file, tls.key_file});
    return page.ok() && page->Sum("assent_leader") == 1;
  }
  // The pod that leads, and the other.
  std::pair<Pod*, Pod*> WaitRoles() {
    Pod* leader = nullptr;
    EXPECT_TRUE(WaitUntil(kPatience, [&] {
      for (Pod& pod : pods_) {
        if (Leads(pod)) leader = &pod;
      }
      return leader != nullptr;
    })) << Logs();
    return {leader, leader == &pods_[0] ? &pods_[1] : &pods_[0]};
  }
  std::string Logs() const {
    std::string logs;
    for (const Pod& pod : pods_) logs += "\n" + pod.log + ": " + test_support::Tail(pod.log);
    return logs;
  }
  void StartAll() {
    Finished made = RunJob();
    ASSERT_TRUE(made.status.ok()) << made.output;
    for (Pod& pod : pods_) Start(pod);
    for (Pod& pod : pods_) {
      ASSERT_TRUE(WaitUntil(kPatience, [&] { return Ready(pod); })) << Logs();
    }
  }

  // The container of agent/orders.yaml, which is given one coordinator.
  struct Agent {
    std::string endpoint;
    std::string log;
    test_support::Argv readiness;
    std::unique_ptr<Process> process;
  };
  Agent StartAgent(const std::string& coordinator, const test_support::PostgresServer& postgres) {
    Agent agent{.log = dir_.File("agent.log")};
    auto read = test_support::ReadManifests({"agent/orders.yaml"});
    if (!read.ok()) ADD_FAILURE() << read.status().ToString();
    if (!read.ok()) return agent;
    const std::string grpc = std::to_string(test_support::PickFreePort());
    const std::string pages = std::to_string(test_support::PickFreePort());
    const auto database = postgres.ConnectOptions("shop", "orders_pg");
    auto here = [&](std::string text) {
      const std::pair<std::string, std::string> others[] = {
          {"/var/lib/assent", dir_.File("journal")},
          {"/etc/assent/agent", dir_.File("agent")},
          {"/etc/assent/tls", dir_.File("orders-agent-tls")},
          {"assentd.assent.svc:7400", coordinator},
          {":7410", ":" + grpc},
          {":7412", ":" + pages},
          {"\"orders-db\"", "\"" + database.host + "\""},
          {"5432", std::to_string(database.port)},
          {"\"orders\"", "\"" + database.database + "\""},
          {"\"assent\"", "\"" + database.user + "\""}};
      for (const auto& [from, to] : others) ReplaceAll(from, to, &text);
      return text;
    };
    EXPECT_TRUE(dir_.MakeDirForUnprivileged("journal").ok());
    EXPECT_TRUE(dir_.MakeDirForUnprivileged("agent").ok());
    for (const auto& [name, text] : test_support::OnlyOf(*read, "ConfigMap").at("data").items()) {
      EXPECT_TRUE(test_support::WriteFile(dir_.File("agent/" + name), here(text)).ok());
      EXPECT_TRUE(test_support::GiveToUnprivileged(dir_.File("agent/" + name)).ok());
    }
    const json& container = test_support::ContainerOf(test_support::OnlyOf(*read, "StatefulSet"));
    auto words = test_support::WordsOf(container, "command");
    words[0] = test_support::OwnBinDir() + "/" + words[0];
    for (std::string& word : words) word = here(word);
    agent.readiness = test_support::WordsOf(container.at("readinessProbe").at("exec"), "command");
    for (std::string& word : agent.readiness) word = here(word);
    agent.endpoint = "127.0.0.1:" + grpc;
    Environment environment;
    for (const json& variable : container.at("env")) {
      const json& secret = variable.at("valueFrom").at("secretKeyRef");
      environment[variable.at("name")] = test_support::ReadFile(dir_.File(
          secret.at("name").get<std::string>() + "/" + secret.at("key").get<std::string>()));
    }
    auto process = Process::Spawn(words, environment,
                                  {.unprivileged = true,
                                   .inherit_environment = false,
                                   .stdout_file = agent.log,
                                   .stderr_file = agent.log,
                                   .working_dir = "/"});
    EXPECT_TRUE(process.ok()) << process.status().ToString();
    if (process.ok()) agent.process = std::move(*process);
    return agent;
  }

  client::ClientOptions To(const Pod& pod, const std::string& server_name) const {
    const auto tls = Client();
    return {.endpoints = {pod.endpoint()},
            .tls = {.ca_file = tls.ca_file,
                    .cert_file = tls.cert_file,
                    .key_file = tls.key_file,
                    .server_name = server_name}};
  }

  test_support::TempDir dir_;
  std::unique_ptr<test_support::EtcdServers> etcd_;
  std::vector<json> objects_;
  std::string uuid_ = kUuid;
  Pod pods_[2];
};

TEST_F(KubernetesTest, TheJobMayRunAgain) {
  Start(pods_[0]);
  auto ended = pods_[0].process->Wait(kPatience);
  ASSERT_TRUE(ended.has_value());
  EXPECT_EQ(ended->code, 1);
  EXPECT_THAT(test_support::ReadFile(pods_[0].log), HasSubstr("bootstrap it first"));

  // As config.yaml is before anybody has changed it.
  uuid_ = Only("ConfigMap").at("data").at("ASSENT_CLUSTER_UUID");
  Finished untouched = RunJob();
  EXPECT_EQ(untouched.status.code, 1);
  EXPECT_THAT(untouched.output, HasSubstr("a cluster's UUID and name are words"));
  uuid_ = kUuid;
  for (int run = 0; run < 2; ++run) {
    Finished made = RunJob();
    EXPECT_EQ(made.status.code, 0) << made.output;
    EXPECT_THAT(made.output, HasSubstr(kUuid));
  }
  uuid_ = "00000000-7a51-4d0b-9d7e-1c2b3a495867";
  Finished other = RunJob();
  EXPECT_EQ(other.status.code, 1);
  EXPECT_THAT(other.output, HasSubstr(kUuid));
  EXPECT_THAT(other.output, HasSubstr("already"));
  // Not of the group that is there.
  Start(pods_[0]);
  ended = pods_[0].process->Wait(kPatience);
  ASSERT_TRUE(ended.has_value());
  EXPECT_EQ(ended->code, 1);
}

TEST_F(KubernetesTest, APodThatIsStoppedHandsOver) {
  StartAll();
  if (HasFatalFailure()) return;
  for (bool hook : {true, false}) {
    auto [leader, standby] = WaitRoles();
    ASSERT_NE(leader, nullptr);
    // A standby's hook takes the lead from nobody.
    Finished nothing = PreStop(*standby);
    EXPECT_TRUE(nothing.status.ok()) << nothing.output;
    EXPECT_THAT(nothing.output, HasSubstr("does not lead"));
    EXPECT_TRUE(Leads(*leader));

    const auto start = std::chrono::steady_clock::now();
    if (hook) {
      Finished handed = PreStop(*leader);
      EXPECT_TRUE(handed.status.ok()) << handed.output;
      EXPECT_THAT(handed.output, HasSubstr("was handed over"));
    } else {
      leader->process->Signal(SIGTERM);
    }
    EXPECT_TRUE(WaitUntil(kPatience, [&] { return Leads(*standby); })) << Logs();
    const auto took = std::chrono::steady_clock::now() - start;
    // Not by the end of its lease.
    EXPECT_LT(
        took,
        milliseconds(std::stoi(EnvironmentOf("Deployment", *leader).at("ASSENT_ETCD_LEASE_MS"))));
    std::printf("  %s: the other pod led after %lld ms\n", hook ? "preStop" : "SIGTERM",
                static_cast<long long>(std::chrono::duration_cast<milliseconds>(took).count()));
    // Until SIGTERM, who asks the old one hears who leads.
    if (hook) {
      EXPECT_TRUE(WaitUntil(kPatience, [&] { return Ready(*leader); })) << Logs();
    }
    EXPECT_EQ(leader->process->Terminate(kPatience).code, 0) << Logs();
    Start(*leader);
    ASSERT_TRUE(WaitUntil(kPatience, [&] { return Ready(*leader); })) << Logs();
  }
}

TEST_F(KubernetesTest, WithoutEtcdPodsAreNotReadyButAlive) {
  StartAll();
  if (HasFatalFailure()) return;
  // A kubelet's own probe would show no certificate.
  const auto tls = Client();
  const std::string pages = "127.0.0.1:" + std::to_string(pods_[0].pages);
  EXPECT_FALSE(test_support::HttpGet(pages, "/healthz", {tls.ca_file, "", ""}).ok());
  EXPECT_TRUE(
      test_support::HttpGet(pages, "/healthz", {tls.ca_file, tls.cert_file, tls.key_file}).ok());
  etcd_->Kill9(0);
  for (Pod& pod : pods_) {
    EXPECT_TRUE(WaitUntil(kPatience, [&] { return !Ready(pod); })) << Logs();
    EXPECT_TRUE(Alive(pod));
  }
  ASSERT_TRUE(etcd_->Start(0).ok());
  for (Pod& pod : pods_) {
    EXPECT_TRUE(WaitUntil(kPatience, [&] { return Ready(pod); })) << Logs();
    EXPECT_TRUE(pod.process->Running());
    pod.process->Signal(SIGSTOP);
    EXPECT_FALSE(Alive(pod));
    pod.process->Signal(SIGCONT);
  }
}

// Whoever knows one pod, as the Service leads to one, finds the leader at an address that stands in
// no certificate.
TEST_F(KubernetesTest, ClientsAndAgentsFindTheLeaderByItsName) {
  StartAll();
  if (HasFatalFailure()) return;
  auto postgres = test_support::PostgresServer::Create();
  ASSERT_TRUE(postgres.ok()) << postgres.status().ToString();
  auto [leader, standby] = WaitRoles();
  ASSERT_NE(leader, nullptr);
  Agent agent = StartAgent(standby->endpoint(), **postgres);
  if (HasFatalFailure()) return;

  auto nameless = To(*standby, "");
  nameless.begin_retry_for = milliseconds(200);
  auto stranger = client::Client::Connect(nameless);
  ASSERT_TRUE(stranger.ok());
  EXPECT_FALSE(stranger->Begin().ok()) << "no certificate names " << standby->ip;
  auto client = client::Client::Connect(To(*standby, kServerName));
  ASSERT_TRUE(client.ok());
  client::AgentOptions to_agent{.endpoint = agent.endpoint,
                                .tls = To(*standby, "orders-agent").tls};
  auto branches = client::Agent::Connect(to_agent);
  ASSERT_TRUE(branches.ok());
  auto next_commit = [&] {
    return WaitUntil(kPatience, [&] {
      auto begun = client->Begin();
      return begun.ok() && begun->Open(*branches, "orders_pg").ok() && begun->Commit().committed();
    });
  };
  EXPECT_TRUE(next_commit()) << Logs() << test_support::Tail(agent.log);
  Finished ready = RunHere(agent.readiness, {{"PATH", "/usr/bin:/bin"}}, true);
  EXPECT_TRUE(ready.status.ok()) << ready.output;
  EXPECT_EQ(leader->process->Terminate(kPatience).code, 0);
  EXPECT_TRUE(next_commit()) << Logs() << test_support::Tail(agent.log);
  // The pod that both were given stands by again: they hear there who leads.
  Start(*leader);
  ASSERT_TRUE(WaitUntil(kPatience, [&] { return Ready(*leader); }));
  EXPECT_THAT(PreStop(*standby).output, HasSubstr("was handed over"));
  EXPECT_TRUE(next_commit()) << Logs() << test_support::Tail(agent.log);
}

}  // namespace
}  // namespace assent::system_tests
