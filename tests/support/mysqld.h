// What the private servers of the MySQL family share: own data directory, unix socket and loopback
// port, no configuration file, as an unprivileged user, gone with the object. How one is made is
// for mariadb_server.h and mysql_server.h.
#pragma once

#include <chrono>
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

// A running mariadbd or mysqld. Not thread-safe, except Execute, Query and the const members.
class Mysqld {
 public:
  static constexpr const char* kSuperuser = "root";  // No password; from 127.0.0.1 or the socket.
  static constexpr const char* kDatabase = "bank";   // Created at the first start.

  virtual ~Mysqld() = default;  // Kills it and removes the data, unless Keep().
  Mysqld(const Mysqld&) = delete;
  Mysqld& operator=(const Mysqld&) = delete;

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
  void Set(const std::string& name, const std::string& value) { settings_[name] = value; }

  // For an adapter: root on kDatabase, over TCP (or the unix socket, whose path is `host`). The
  // configured identity is that of the product.
  adapters::ConnectOptions ConnectOptions(const std::string& cluster,
                                          const std::string& resource) const;
  adapters::ConnectOptions SocketConnectOptions(const std::string& cluster,
                                                const std::string& resource) const;

  // One statement as root, on a connection of its own.
  Status Execute(const std::string& sql, const std::string& database = kDatabase) const;
  Result<Rows> Query(const std::string& sql, const std::string& database = kDatabase) const;

  uint16_t port() const { return port_; }
  std::string socket() const { return dir_.File("my.sock"); }
  std::string log_file() const { return dir_.File("server.log"); }
  pid_t pid() const { return process_ ? process_->pid() : -1; }
  // A command line for people.
  std::string CommandLine() const;
  // Leaves the data directory behind at destruction.
  void Keep() { dir_.Keep(); }

 protected:
  static constexpr std::chrono::seconds kStartTimeout{120};  // Crash recovery on a busy machine.

  // Options as on the server's command line without the dashes.
  using Settings = std::map<std::string, std::string>;

  // `product` is its name for people, `program` what starts it before any option, and `settings`
  // win over ours.
  Mysqld(std::string product, Argv program, Settings settings);

  std::string DataDir() const { return dir_.File("my"); }
  std::string TmpDir() const { return dir_.File("tmp"); }
  // Makes both, then runs what fills the first, as the server's user.
  Status MakeData(const Argv& tool);
  // The first start, with kDatabase in the end. The error carries the server's log.
  Status StartFirst(const std::vector<std::string>& statements = {});

  std::string identity_;  // For ConnectOptions.

 private:
  Status WaitReady();
  Result<Rows> Run(const std::string& sql, const std::string& database) const;

  const std::string product_;
  const Argv program_;
  Settings settings_;
  TempDir dir_;
  const uint16_t port_;
  std::unique_ptr<Process> process_;
};

}  // namespace assent::test_support
