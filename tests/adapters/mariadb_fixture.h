// Servers and helpers that the tests of the MariaDB adapter share.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "adapters/common/xid.h"
#include "adapters/resource_manager.h"
#include "tests/support/mariadb_server.h"

namespace assent::adapters {

inline constexpr char kCluster[] = "test";
inline constexpr char kResource[] = "bank_my";

// A gid that no test has used before.
Gid FreshGid(const std::string& cluster = kCluster, const std::string& resource = kResource);

// The server that all tests with the same setting share; started at the first call.
test_support::MariadbServer& SharedServer(bool log_bin);

// The value or the text of the error, as a test failure.
std::unique_ptr<WorkSession> OpenWork(ResourceManager& resource);
std::unique_ptr<FinishSession> OpenFinish(ResourceManager& resource);
ResultSet MustExecute(WorkSession& session, const std::string& sql,
                      const std::vector<Value>& parameters = {});
WorkError MustFail(WorkSession& session, const std::string& sql,
                   const std::vector<Value>& parameters = {}, bool keep_on_error = false);
void MustStart(WorkSession& session, const Gid& gid, const StartOptions& options = {});
std::string Describe(const FinishAnswer& answer);
std::string Describe(const PrepareAnswer& answer);

// Parameter: with or without the binary log, which changes MariaDB's XA code path.
class MariadbTest : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override;
  void TearDown() override;  // No branch may be left over.

  ConnectOptions Options() { return server().ConnectOptions(kCluster, kResource); }
  test_support::MariadbServer& server() { return SharedServer(GetParam()); }
  ResourceManager& resource() { return *resource_; }

  // "UPDATE <table> SET n = n + 1 WHERE id = <id>"; the table is this test's own.
  std::string Increment(int id = 1) const;
  std::string N(int id = 1);                       // The committed value.
  std::string ConnectionId(WorkSession& session);  // Needs a branch.
  void KillConnection(const std::string& id);
  // The gids of all programs, as XA RECOVER lists them.
  size_t PreparedCount();

  struct Prepared {
    Gid gid;
    Evidence evidence;
    std::unique_ptr<WorkSession> session;
  };
  // A branch that incremented row `id`, prepared, its session still open.
  Prepared PrepareIncrement(int id = 1);
  Prepared PrepareIncrement(ResourceManager& resource, const Gid& gid, int id = 1);
  // The same, and the session closed: any session may finish it now or some milliseconds later.
  Prepared PrepareAndClose(int id = 1);

  // Asks again while the answer is kTransient: a session that closed is not gone at once.
  static FinishAnswer Settle(const std::function<FinishAnswer()>& ask);

  std::string table_;
  std::unique_ptr<ResourceManager> resource_;
};

}  // namespace assent::adapters
