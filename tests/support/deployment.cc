#include "tests/support/deployment.h"

#include <cstdlib>
#include <utility>

#include "tests/support/mariadb_server.h"

namespace assent::test_support {
namespace {

constexpr std::chrono::seconds kServingTimeout{30};

std::string CertificatesOf(const DeploymentOptions& options) {
  return options.tls_dir.empty() ? TestCertificates() : options.tls_dir;
}

AgentOptions MakeAgentOptions(const DeploymentOptions& options,
                              const std::vector<std::string>& coordinators, const std::string& name,
                              const std::string& kind, const adapters::ConnectOptions& connect) {
  AgentOptions agent;
  agent.name = name;
  agent.coordinators = coordinators;
  agent.resources = {{kind, connect, {}}};
  agent.settings = options.agent_settings;
  if (options.tls) agent.settings.merge(TlsSettings(PathsOf(CertificatesOf(options), "agent")));
  agent.bin_dir = options.bin_dir;
  return agent;
}

// An agent is `ready` when it listens; its database may take longer.
Status WaitServing(const AgentProcess& agent) {
  if (WaitUntil(kServingTimeout, [&] { return agent.Logged("resource_ready"); })) return Ok();
  return Unavailable(agent.name() +
                     " does not serve its database; its log: " + Tail(agent.log_file()));
}

}  // namespace

Result<std::unique_ptr<Deployment>> Deployment::Start(const DeploymentOptions& options) {
  std::unique_ptr<Deployment> made(new Deployment);

  auto postgres = PostgresServer::Create(options.postgres);
  if (!postgres.ok()) return postgres.status();
  made->postgres_ = std::move(*postgres);
  if (options.in_place_of_mariadb) {
    auto other = options.in_place_of_mariadb();
    if (!other.ok()) return other.status();
    made->mariadb_ = std::move(*other);
  } else {
    auto mariadb = MariadbServer::Create();
    if (!mariadb.ok()) return mariadb.status();
    made->mariadb_ = std::move(*mariadb);
  }

  AssentdOptions& assentd = made->assentd_;
  assentd.cluster = kCluster;
  assentd.places = options.places;
  assentd.settings = options.coordinator_settings;
  if (options.tls) {
    assentd.settings.merge(TlsSettings(PathsOf(CertificatesOf(options), "node")));
    made->client_tls_ = PathsOf(CertificatesOf(options), "client");
  }
  assentd.bin_dir = options.bin_dir;
  if (options.etcd_servers > 0) {
    const TlsPaths tls = options.tls ? PathsOf(CertificatesOf(options), "node") : TlsPaths{};
    auto etcd = EtcdServers::Create(
        {.servers = options.etcd_servers, .tls = tls, .place = options.etcd_place});
    if (!etcd.ok()) return etcd.status();
    made->etcd_ = std::move(*etcd);
    for (const auto& [key, value] : TlsSettings(tls)) assentd.settings["etcd_" + key] = value;
    auto group = AssentdProcess::CreateOnEtcd(made->dir_, assentd, options.coordinators,
                                              made->etcd_->endpoints());
    if (!group.ok()) return group.status();
    made->coordinators_ = std::move(*group);
  } else if (options.coordinators == 1 && !options.can_grow) {
    auto coordinator = AssentdProcess::Create(made->dir_, assentd);
    if (!coordinator.ok()) return coordinator.status();
    made->coordinators_.push_back(std::move(*coordinator));
  } else {
    auto group = AssentdProcess::CreateGroup(made->dir_, assentd, options.coordinators);
    if (!group.ok()) return group.status();
    made->coordinators_ = std::move(*group);
  }
  for (auto& coordinator : made->coordinators_) {
    if (Status started = coordinator->Start(); !started.ok()) return started;
  }

  auto postgres_agent = AgentProcess::Create(
      made->dir_, MakeAgentOptions(options, made->endpoints(), "agent-pg", "postgresql",
                                   made->postgres_->ConnectOptions(kCluster, kPostgresResource)));
  if (!postgres_agent.ok()) return postgres_agent.status();
  made->postgres_agent_ = std::move(*postgres_agent);
  if (Status started = made->postgres_agent_->Start(); !started.ok()) return started;

  auto mariadb_agent = AgentProcess::Create(
      made->dir_, MakeAgentOptions(options, made->endpoints(), "agent-my", "mysql",
                                   made->mariadb_->ConnectOptions(kCluster, kMariadbResource)));
  if (!mariadb_agent.ok()) return mariadb_agent.status();
  made->mariadb_agent_ = std::move(*mariadb_agent);
  if (Status started = made->mariadb_agent_->Start(); !started.ok()) return started;
  for (const AgentProcess* agent : {made->postgres_agent_.get(), made->mariadb_agent_.get()}) {
    if (Status serving = WaitServing(*agent); !serving.ok()) return serving;
  }
  return made;
}

Result<AssentdProcess*> Deployment::AddJoining(int node_id, const AssentdProcess& member) {
  auto node = AssentdProcess::CreateJoining(dir_, assentd_, node_id, member);
  if (!node.ok()) return node.status();
  coordinators_.push_back(std::move(*node));
  return coordinators_.back().get();
}

std::vector<std::string> Deployment::endpoints() const {
  std::vector<std::string> endpoints;
  for (const auto& coordinator : coordinators_) endpoints.push_back(coordinator->endpoint());
  return endpoints;
}

Result<int> Deployment::PreparedBranches() const {
  auto in_postgres = postgres_->Query("SELECT count(*) FROM pg_prepared_xacts");
  if (!in_postgres.ok()) return in_postgres.status();
  auto in_mariadb = mariadb_->Query("XA RECOVER");
  if (!in_mariadb.ok()) return in_mariadb.status();
  return std::atoi(in_postgres->at(0).at(0).c_str()) + static_cast<int>(in_mariadb->size());
}

Result<int> Deployment::WaitNothingPrepared(std::chrono::milliseconds timeout) const {
  Result<int> prepared = Unavailable("not asked yet");
  WaitUntil(timeout, [&] {
    prepared = PreparedBranches();
    return prepared.ok() && *prepared == 0;
  });
  return prepared;
}

void Deployment::Keep() {
  dir_.Keep();
  postgres_->Keep();
  mariadb_->Keep();
}

}  // namespace assent::test_support
