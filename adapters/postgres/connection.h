// One connection to PostgreSQL, with libpqxx kept behind it: no exceptions, no reconnecting, no
// text on standard error.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <pqxx/pqxx>
#include <string>
#include <variant>
#include <vector>

#include "adapters/postgres/evidence.h"
#include "adapters/postgres/watchdog.h"
#include "adapters/resource_manager.h"
#include "base/mutex.h"

namespace assent::adapters::postgres {

// What came back instead of a result.
struct Failure {
  std::string code;  // SQLSTATE; empty if the connection broke.
  std::string message;
  bool lost = false;  // The connection is gone and this object is of no more use.

  // "message (code)"
  std::string Text() const;
};

template <typename T>
using Outcome = std::variant<T, Failure>;

enum class Purpose { kWork, kFinish };

// What a server says of itself.
struct ServerFacts {
  int version = 0;  // 150020
  bool in_recovery = false;
  ServerIdentity identity;
  uint32_t timeline = 0;  // Where it writes; 0 in recovery.
};

// What to select, and how to read it from the first columns of a row.
std::string FactsColumns();
ServerFacts FactsOf(const pqxx::row& row);
inline constexpr int kFactsColumns = 5;

// xid8 and pg_current_xact_id_if_assigned() came with this version.
inline constexpr int kVersionMin = 130000;

// The text that libpq connects with. Exposed for its test.
std::string ConnectionText(const ConnectOptions& options, Purpose purpose);

// Not thread-safe, Cancel excepted. Results must not outlive the connection.
class Connection {
 public:
  // `dog` is shared with the resource manager, which sessions may outlive.
  static std::variant<std::unique_ptr<Connection>, WorkError> Open(const ConnectOptions& options,
                                                                   Purpose purpose,
                                                                   std::shared_ptr<Watchdog> dog);
  ~Connection();

  // The simple protocol: several statements in one round trip, up to the first that fails; the
  // result is the last one's. For our own statements only.
  Outcome<pqxx::result> Run(const std::string& sql);
  // The extended protocol: exactly one statement.
  Outcome<pqxx::result> RunOne(const std::string& sql, const std::vector<const char*>& parameters);

  Outcome<ServerFacts> Facts();

  // From any thread. A verb that it ends returns after it, so that it can't hit another.
  void Cancel();
  void Drop();  // Closes the connection.
  bool lost() const { return lost_; }

  // What the server has reported beside its answers since the last ForgetReports().
  struct Reports {
    bool notified = false;      // A NOTIFY waits for COMMIT.
    bool unreplicated = false;  // A wait for the synchronous standby was broken off.
  };
  Reports reports() const;
  void ForgetReports();

 private:
  class Notices;
  Connection(std::chrono::milliseconds limit, std::shared_ptr<Watchdog> dog);

  template <typename Call>
  Outcome<pqxx::result> Guard(const Call& call);

  const std::chrono::milliseconds limit_;  // Of one call; 0: none.
  std::shared_ptr<Watchdog> dog_;
  // Orders Cancel against Drop and the end of what it cancels; the calls are the owner's alone.
  Mutex mutex_;
  std::unique_ptr<pqxx::connection> connection_;
  std::unique_ptr<Notices> notices_;  // After connection_: goes first.
  std::atomic<bool> lost_ = false;
};

}  // namespace assent::adapters::postgres
