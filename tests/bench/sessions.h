// The connections of one worker, with the client libraries that the adapters use and the statements
// of a transfer prepared at the servers.
#pragma once

#include <libpq-fe.h>
#include <mysql_connection.h>

#include <cppconn/prepared_statement.h>
#include <cppconn/statement.h>

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>

#include "adapters/resource_manager.h"
#include "base/status.h"
#include "tests/bench/worker.h"

namespace assent::bench {

// One request at a time: a Start, then a Wait. Not thread-safe.
class Postgres {
 public:
  static Result<std::unique_ptr<Postgres>> Open(const adapters::ConnectOptions& options);
  ~Postgres() { PQfinish(connection_); }
  Postgres(const Postgres&) = delete;
  Postgres& operator=(const Postgres&) = delete;

  // Each sends a request and does not wait for its answer.
  Status Start(const std::string& sql);
  Status StartUpdate(int64_t change, int64_t account);
  Status StartInsert(int64_t id, int64_t account, int64_t change);
  Status Wait();

  uint64_t backend_pid() const { return static_cast<uint64_t>(PQbackendPID(connection_)); }

 private:
  explicit Postgres(PGconn* connection) : connection_(connection) {}
  Status Prepare(const char* name, const char* sql);
  Status StartPrepared(const char* name, std::initializer_list<int64_t> parameters);
  Status Error(const std::string& doing) const;

  PGconn* const connection_;
};

// Each call waits for its answer. Not thread-safe.
class Mariadb {
 public:
  static Result<std::unique_ptr<Mariadb>> Open(const adapters::ConnectOptions& options);

  Status Run(const std::string& sql);
  Status Update(int64_t change, int64_t account);
  Status Insert(int64_t id, int64_t account, int64_t change);

  uint64_t connection_id() const { return connection_id_; }

 private:
  Mariadb() = default;

  std::unique_ptr<sql::Connection> connection_;
  std::unique_ptr<sql::Statement> statement_;
  std::unique_ptr<sql::PreparedStatement> update_;
  std::unique_ptr<sql::PreparedStatement> insert_;
  uint64_t connection_id_ = 0;
};

enum class Steps : uint8_t {
  kInTurn,
  // PostgreSQL is told without waiting, MariaDB does the same step meanwhile, then the answer is
  // fetched. No second thread, so no hop between threads either.
  kOverlapped,
};

// One connection to each database.
class Sessions {
 public:
  static Result<Sessions> Open(const House& house, Steps steps);

  Postgres& postgres() { return *postgres_; }
  Mariadb& mariadb() { return *mariadb_; }

  // `start` starts a request at PostgreSQL, `run` runs one at MariaDB. The first failure.
  template <typename Start, typename Run>
  Status Both(const Start& start, const Run& run) {
    Status in_postgres = start();
    if (in_postgres.ok() && steps_ == Steps::kInTurn) in_postgres = postgres_->Wait();
    if (!in_postgres.ok()) return in_postgres;
    Status in_mariadb = run();
    if (steps_ == Steps::kOverlapped) in_postgres = postgres_->Wait();
    return in_postgres.ok() ? in_mariadb : in_postgres;
  }

  // The work of a transfer, which both sessions stand in the right transaction for.
  Status Work(int64_t id, int64_t account);

 private:
  Sessions(Steps steps, std::unique_ptr<Postgres> postgres, std::unique_ptr<Mariadb> mariadb)
      : steps_(steps), postgres_(std::move(postgres)), mariadb_(std::move(mariadb)) {}

  Steps steps_;
  std::unique_ptr<Postgres> postgres_;
  std::unique_ptr<Mariadb> mariadb_;
};

}  // namespace assent::bench
