// A private MariaDB for tests, quickstart and bench: own data directory, unix socket and loopback
// port, no configuration file, as an unprivileged user, gone with its object.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "adapters/resource_manager.h"
#include "base/status.h"
#include "tests/support/postgres_server.h"  // Rows
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace assent::test_support {

struct MariadbOptions {
  bool log_bin = false;  // Binary log, with sync_binlog=1.
  // Options as on mariadbd's command line without the dashes; they win over ours. See also Set().
  std::map<std::string, std::string> settings;
};

// Not thread-safe, except Execute, Query and the const members.
class MariadbServer {
 public:
  static constexpr const char* kSuperuser = "root";  // No password; from 127.0.0.1 or the socket.
  static constexpr const char* kDatabase = "bank";   // Created at the first start.

  // Makes the data directory, starts, and creates kDatabase. The error carries the server's log.
  static Result<std::unique_ptr<MariadbServer>> Create(const MariadbOptions& options = {});
  ~MariadbServer();  // Kills it and removes the data, unless Keep().
  MariadbServer(const MariadbServer&) = delete;
  MariadbServer& operator=(const MariadbServer&) = delete;

  // Starts on the same port and socket and waits until it answers.
  Status Start();
  // Normal shutdown.
  Status Stop();
  // kill -9; returns when it is gone. To be followed by Start().
  void Kill9();
  // Stop, then Start.
  Status Restart();
  bool Running();

  // A setting for the starts to come.
  void Set(const std::string& name, const std::string& value) { options_.settings[name] = value; }

  // For an adapter: root on kDatabase, over TCP (or the unix socket, whose path is `host`). The
  // configured identity is "mariadb-test-<port>".
  adapters::ConnectOptions ConnectOptions(const std::string& cluster,
                                          const std::string& resource) const;
  adapters::ConnectOptions SocketConnectOptions(const std::string& cluster,
                                                const std::string& resource) const;

  // One statement as root, on a connection of its own.
  Status Execute(const std::string& sql, const std::string& database = kDatabase) const;
  Result<Rows> Query(const std::string& sql, const std::string& database = kDatabase) const;

  uint16_t port() const { return port_; }
  std::string socket() const { return dir_.File("my.sock"); }
  std::string log_file() const { return dir_.File("mariadb.log"); }
  pid_t pid() const { return process_ ? process_->pid() : -1; }
  // A command line for people.
  std::string CommandLine() const;
  // Leaves the data directory behind at destruction.
  void Keep() { dir_.Keep(); }

 private:
  explicit MariadbServer(MariadbOptions options);
  std::string DataDir() const { return dir_.File("my"); }
  Status WaitReady();
  Result<Rows> Run(const std::string& sql, const std::string& database) const;

  MariadbOptions options_;
  TempDir dir_;
  uint16_t port_ = 0;
  std::unique_ptr<Process> process_;
};

}  // namespace assent::test_support
