// The smallest whole house: PostgreSQL, MariaDB (or MySQL in its place), coordinators, one agent
// for each database. What quickstart, chaos and bench run on.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "tests/support/assent_processes.h"
#include "tests/support/certificates.h"
#include "tests/support/etcd_servers.h"
#include "tests/support/mysqld.h"
#include "tests/support/postgres_server.h"
#include "tests/support/temp_dir.h"

namespace assent::test_support {

struct DeploymentOptions {
  PostgresOptions postgres;
  // Makes what stands in the place of MariaDB. Empty: MariaDB.
  std::function<Result<std::unique_ptr<Mysqld>>()> in_place_of_mariadb;
  int coordinators = 1;
  // A group of one too can be joined by others later.
  bool can_grow = false;
  // Not 0: the coordinators keep their log in a private etcd of so many servers.
  size_t etcd_servers = 0;
  NodePlace etcd_place;
  std::map<int, NodePlace> places;  // As of AssentdOptions.
  Toml coordinator_settings;
  Toml agent_settings;
  // Mutual TLS at every port, etcd's too, with TestCertificates().
  bool tls = false;
  std::string tls_dir;  // In its place; made by MakeCertificates.
  std::string bin_dir;  // Empty: OwnBinDir().
};

// Everything is stopped and removed at destruction. Not thread-safe, except the const members; the
// parts may be killed and restarted by one thread while others work on it.
class Deployment {
 public:
  static constexpr const char* kCluster = "bank";
  static constexpr const char* kPostgresResource = "bank_pg";
  static constexpr const char* kMariadbResource = "bank_my";

  // Starts all of it and waits until every part is ready. NOT_FOUND: a server that is no package
  // of every machine can't be had.
  static Result<std::unique_ptr<Deployment>> Start(const DeploymentOptions& options = {});

  PostgresServer& postgres() { return *postgres_; }
  Mysqld& mariadb() { return *mariadb_; }
  const PostgresServer& postgres() const { return *postgres_; }
  const Mysqld& mariadb() const { return *mariadb_; }
  // Null unless etcd_servers were asked for.
  EtcdServers* etcd() { return etcd_.get(); }
  // The only one, or the first.
  AssentdProcess& coordinator() { return *coordinators_.front(); }
  AgentProcess& postgres_agent() { return *postgres_agent_; }
  AgentProcess& mariadb_agent() { return *mariadb_agent_; }
  const AssentdProcess& coordinator() const { return *coordinators_.front(); }
  std::vector<std::unique_ptr<AssentdProcess>>& coordinators() { return coordinators_; }
  // Makes one more node, which is to join the group of `member`, and keeps it; it is not started.
  // Who is removed from the group may be dropped from coordinators().
  Result<AssentdProcess*> AddJoining(int node_id, const AssentdProcess& member);
  // Of all coordinators, for clients.
  std::vector<std::string> endpoints() const;
  const AgentProcess& postgres_agent() const { return *postgres_agent_; }
  const AgentProcess& mariadb_agent() const { return *mariadb_agent_; }

  // Prepared branches that stand in the two databases now. UNAVAILABLE: one can't be asked.
  Result<int> PreparedBranches() const;
  // Waits until no prepared branch is left and answers 0, or how many are left at the end.
  Result<int> WaitNothingPrepared(std::chrono::milliseconds timeout) const;

  // What clients show; empty without TLS.
  const TlsPaths& client_tls() const { return client_tls_; }

  // Where the configs and logs of our own programs lie.
  const std::string& dir() const { return dir_.path(); }
  // Leaves logs, configs and data behind at destruction.
  void Keep();

 private:
  Deployment() = default;

  // Destroyed in reverse order: agents, coordinators, databases, etcd.
  TempDir dir_;
  std::unique_ptr<EtcdServers> etcd_;
  TlsPaths client_tls_;
  AssentdOptions assentd_;
  std::unique_ptr<PostgresServer> postgres_;
  std::unique_ptr<Mysqld> mariadb_;
  std::vector<std::unique_ptr<AssentdProcess>> coordinators_;
  std::unique_ptr<AgentProcess> postgres_agent_;
  std::unique_ptr<AgentProcess> mariadb_agent_;
};

}  // namespace assent::test_support
