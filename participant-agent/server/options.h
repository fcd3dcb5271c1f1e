// The options of assent-agent; deploy/assent-agent.toml shows them all.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "base/options.h"
#include "base/rpc/credentials.h"
#include "base/status.h"

namespace assent::agent {

// One database under one name of ours: a [[resource]] table.
struct ResourceOptions {
  std::string name;
  std::string kind = "postgresql";  // or "mariadb", "mysql"
  std::string host = "localhost";
  uint32_t port = 0;  // 0: the database's default
  std::string database;
  std::string user;
  std::string password_file;
  std::string password_env;
  std::string tls_ca_file;
  std::string identity;
};

struct Options {
  std::string agent_id;
  std::string data_dir;
  std::vector<std::string> coordinators{"127.0.0.1:7400"};
  std::string listen = "127.0.0.1:7410";
  std::string http_listen = "127.0.0.1:7412";
  rpc::TlsFiles tls;
  std::string tls_server_name;  // Empty: the host that is dialled.
  uint32_t sessions_max = 64;
  uint32_t finish_sessions = 4;
  std::chrono::milliseconds recovery_scan_interval{1'000};
  std::chrono::milliseconds inquiry_age{2'000};
  std::chrono::milliseconds lock_timeout{5'000};
  std::chrono::milliseconds finish_grace{2'000};
  std::string log_level = "info";
  bool repin = false;
  std::vector<ResourceOptions> resources;
};

inline constexpr size_t kResourcesMax = 32;
inline constexpr size_t kAgentIdBytesMax = 64;

void AddOptions(OptionSet& set, Options* options);

// Every problem, one sentence each; empty if all is well. Reads password and TLS files.
std::vector<std::string> ValidateOptions(const Options& options);

// The password of a resource, from its file (first line) or environment variable; empty if neither
// is given. FAILED_PRECONDITION: the file can't be read or others can read it; the variable is not
// set.
Result<std::string> ReadPassword(const ResourceOptions& resource);

}  // namespace assent::agent
