// A private PostgreSQL for tests, quickstart and bench: own data directory, unix socket and
// loopback port, as an unprivileged user, gone with its object.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "adapters/resource_manager.h"
#include "base/status.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace assent::test_support {

// Rows of text, NULL as "NULL".
using Rows = std::vector<std::vector<std::string>>;

struct PostgresOptions {
  int max_prepared_transactions = 200;
  // Settings of postgresql.conf, given on the command line; they win over ours. See also Set().
  std::map<std::string, std::string> settings;
};

// Not thread-safe, except Execute, Query and the const members.
class PostgresServer {
 public:
  static constexpr const char* kSuperuser = "postgres";  // No password: authentication is "trust".
  static constexpr const char* kDatabase = "bank";       // Created at the first start.

  // Makes the data directory, starts, and creates kDatabase. The error carries the server's log.
  static Result<std::unique_ptr<PostgresServer>> Create(const PostgresOptions& options = {});
  ~PostgresServer();  // Stops it and removes the data, unless Keep().
  PostgresServer(const PostgresServer&) = delete;
  PostgresServer& operator=(const PostgresServer&) = delete;

  // Starts on the same port and socket and waits until it answers.
  Status Start();
  // Fast shutdown: sessions are ended, prepared transactions stay.
  Status Stop();
  // kill -9 of postmaster and backends, at once; returns when all of them are gone. To be followed
  // by Start().
  void Kill9();
  // Kill9 or Stop has to come first if it should be one of these; this is Stop, then Start.
  Status Restart();
  bool Running();

  // A setting for the starts to come.
  void Set(const std::string& name, const std::string& value) { options_.settings[name] = value; }

  // A streaming replica of this server, started and connected; not synchronous. Outlives its
  // primary. `options` as for Create; max_prepared_transactions is at least the primary's.
  Result<std::unique_ptr<PostgresServer>> MakeStandby(PostgresOptions options = {});
  // Turns a standby into a primary; returns when it accepts writes.
  Status Promote();
  // Waits until this standby has replayed all that `primary` has written up to now.
  Status WaitCaughtUp(const PostgresServer& primary,
                      std::chrono::milliseconds timeout = std::chrono::seconds(20)) const;

  // For an adapter: superuser on kDatabase, over TCP (or the unix socket).
  adapters::ConnectOptions ConnectOptions(const std::string& cluster,
                                          const std::string& resource) const;
  adapters::ConnectOptions SocketConnectOptions(const std::string& cluster,
                                                const std::string& resource) const;

  // As superuser, each on a connection of its own and outside of a transaction block; several
  // statements may be given, separated by semicolons (they then form one transaction).
  Status Execute(const std::string& sql, const std::string& database = kDatabase) const;
  Result<Rows> Query(const std::string& sql, const std::string& database = kDatabase) const;

  uint16_t port() const { return port_; }
  const std::string& socket_dir() const { return dir_.path(); }
  std::string log_file() const { return dir_.File("postgres.log"); }
  pid_t pid() const { return process_ ? process_->pid() : -1; }  // The postmaster's.
  // "postgresql://..." for people.
  std::string Url() const;
  // psql and the like: /usr/lib/postgresql/15/bin. Empty if PostgreSQL is not installed.
  static std::string BinDir();
  // Leaves the data directory behind at destruction.
  void Keep() { dir_.Keep(); }

 private:
  explicit PostgresServer(PostgresOptions options);
  std::string DataDir() const { return dir_.File("pg"); }
  Status WaitReady();
  Result<Rows> Run(const std::string& sql, const std::string& database) const;

  PostgresOptions options_;
  TempDir dir_;
  uint16_t port_ = 0;
  std::unique_ptr<Process> process_;
};

}  // namespace assent::test_support
