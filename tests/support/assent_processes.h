// Our own programs under test: config file, start, readiness, kill -9 and restart.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "adapters/resource_manager.h"
#include "base/status.h"
#include "tests/support/certificates.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace assent::test_support {

// The directory of the running program: all of a build's binaries lie in one.
std::string OwnBinDir();

// Keys of a config file and their values as TOML text.
using Toml = std::map<std::string, std::string>;
std::string TomlString(const std::string& text);
// tls_ca_file and so on; none if the paths are empty.
Toml TlsSettings(const TlsPaths& paths);

// A server of ours, with its log in a file. Not thread-safe.
class ServerProcess {
 public:
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  // Starts it with `env` (ASSENT_STOP_AT, ASSENT_MUTANT, ...) for this run only, and waits until it
  // logs `ready`. The error carries the end of its log.
  Status Start(const Environment& env = {});
  // The two halves of Start.
  Status Launch(const Environment& env = {});
  Status WaitReady(std::chrono::milliseconds timeout = std::chrono::seconds(30));
  // Runs the program to its end with these arguments instead of its usual ones.
  Result<Finished> RunWith(const std::vector<std::string>& arguments, const Environment& env = {});

  // kill -9; returns when it is gone.
  void Kill9();
  // SIGTERM and the wait for it; SIGKILL after 20 seconds.
  ExitStatus Terminate();
  // Sends any signal, such as SIGSTOP.
  void Signal(int signal);
  bool Running();
  // Waits for an end that the test expects.
  std::optional<ExitStatus> WaitEnd(std::chrono::milliseconds timeout);

  const std::string& name() const { return name_; }
  pid_t pid() const { return process_ ? process_->pid() : -1; }
  const std::string& config_file() const { return config_file_; }
  const std::string& log_file() const { return log_file_; }
  // What it logged since the last Launch.
  std::string Log() const;
  // Whether it logged such an event (base/log.h) since the last Launch.
  bool Logged(const std::string& event) const;

 protected:
  // `dir` outlives this object. `launcher` stands before the program's own command line.
  ServerProcess(std::string name, const TempDir& dir, std::string program, Argv launcher = {});
  ~ServerProcess() = default;
  Status WriteConfig(const std::string& text) const { return WriteFile(config_file_, text); }

 private:
  SpawnOptions Options() const;

  const std::string name_;
  const std::string program_;
  const Argv launcher_;
  const std::string config_file_;
  const std::string log_file_;
  const std::string output_file_;
  size_t log_start_ = 0;
  std::unique_ptr<Process> process_;
};

// Where a node runs.
struct NodePlace {
  std::string host = "127.0.0.1";
  Argv launcher;  // What starts it there, such as {"ip", "netns", "exec", NAME}; empty: nothing.
};

struct AssentdOptions {
  std::string name = "assentd";  // Of its files.
  std::string cluster = "test";
  std::map<int, NodePlace> places;  // By node id; who is not listed runs here.
  Toml settings;                    // They win over ours.
  std::string bin_dir;              // Empty: OwnBinDir().
};

// A coordinator's node, on ports and a data directory of its own that last as long as it.
class AssentdProcess final : public ServerProcess {
 public:
  // A group of one. Writes the config and bootstraps the data directory; does not start it.
  static Result<std::unique_ptr<AssentdProcess>> Create(const TempDir& dir,
                                                        const AssentdOptions& options);
  // A group of `count`, with numbers behind options.name, from 1 as their node ids.
  static Result<std::vector<std::unique_ptr<AssentdProcess>>> CreateGroup(
      const TempDir& dir, const AssentdOptions& options, int count);
  // As CreateGroup, with the log in etcd at `endpoints`; the nodes keep nothing.
  static Result<std::vector<std::unique_ptr<AssentdProcess>>> CreateOnEtcd(
      const TempDir& dir, const AssentdOptions& options, int count,
      const std::vector<std::string>& endpoints);
  // A node that is to join the group of `member`; its data directory is made with --join.
  static Result<std::unique_ptr<AssentdProcess>> CreateJoining(const TempDir& dir,
                                                               const AssentdOptions& options,
                                                               int node_id,
                                                               const AssentdProcess& member);

  std::string endpoint() const { return At(port_); }
  // Of /metrics and /healthz.
  std::string http_endpoint() const { return At(http_port_); }
  // For the other nodes of its group.
  std::string peer_endpoint() const { return At(peer_port_); }
  uint16_t peer_port() const { return peer_port_; }
  const NodePlace& place() const { return place_; }
  const std::string& data_dir() const { return data_dir_; }
  int node_id() const { return node_id_; }

 private:
  AssentdProcess(const TempDir& dir, const AssentdOptions& options, std::string name, int node_id);
  // `first`: "--bootstrap", "--join", or "--check-config" where nothing is to be made.
  Status Prepare(const TempDir& dir, const AssentdOptions& options, const Toml& group,
                 const std::string& first);
  std::string At(uint16_t port) const { return place_.host + ":" + std::to_string(port); }

  const NodePlace place_;
  const uint16_t port_;
  const uint16_t http_port_;
  const uint16_t peer_port_;
  const std::string data_dir_;
  const int node_id_;
  std::string cluster_uuid_;  // Of a group of several.
};

struct AgentOptions {
  std::string name = "agent";  // Its agent id, and of its files.
  std::vector<std::string> coordinators;
  // One resource each; `kind` is "postgresql" or "mysql" (MariaDB too).
  struct Resource {
    std::string kind;
    adapters::ConnectOptions connect;
    Toml settings;  // They win over ours.
  };
  std::vector<Resource> resources;
  Toml settings;        // They win over ours.
  std::string bin_dir;  // Empty: OwnBinDir().
};

class AgentProcess final : public ServerProcess {
 public:
  // Writes the config and makes the data directory; does not start it.
  static Result<std::unique_ptr<AgentProcess>> Create(const TempDir& dir,
                                                      const AgentOptions& options);
  std::string endpoint() const { return "127.0.0.1:" + std::to_string(port_); }
  // Of /metrics and /healthz.
  std::string http_endpoint() const { return "127.0.0.1:" + std::to_string(http_port_); }
  const std::string& data_dir() const { return data_dir_; }

 private:
  AgentProcess(const TempDir& dir, const AgentOptions& options);

  const uint16_t port_;
  const uint16_t http_port_;
  const std::string data_dir_;
};

}  // namespace assent::test_support
