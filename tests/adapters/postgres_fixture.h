// One private PostgreSQL for all tests of the adapter, and sessions on it.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "adapters/resource_manager.h"
#include "base/mutant.h"
#include "tests/support/postgres_server.h"

namespace assent::adapters {

// Evidence of a branch that was not voted on here; a transaction that every server has forgotten:
// older than any that a fresh data directory knows.
std::string EvidenceWithXid(const std::string& evidence, uint64_t xid);

class PostgresTest : public testing::Test {
 public:
  static constexpr const char* kCluster = "testbank";
  static constexpr const char* kResource = "orders_pg";

 protected:
  // Each test starts with an empty table t (k int primary key, v int) and nothing prepared.
  void SetUp() override;
  void TearDown() override;

  // Started at the first use, shared by all tests; each leaves it running and clean.
  static test_support::PostgresServer& Server();

  static ConnectOptions Options();
  // Never the same twice.
  static Gid NewGid(const std::string& resource = kResource, const std::string& cluster = kCluster);

  static std::unique_ptr<WorkSession> Work(const ConnectOptions& options = Options());
  static std::unique_ptr<FinishSession> Finisher(const ConnectOptions& options = Options());
  static WorkError WorkFailure(const ConnectOptions& options);

  // All of these fail the test if they do not succeed.
  static void Start(WorkSession& session, const Gid& gid, const StartOptions& options = {});
  static ResultSet Execute(WorkSession& session, const std::string& sql,
                           const std::vector<Value>& parameters = {});
  static Evidence PrepareYes(WorkSession& session);
  // A branch that inserted the row `key`, prepared.
  static Evidence Prepared(const Gid& gid, int key, const ConnectOptions& options = Options());
  static void Sql(const std::string& sql);
  static std::string Scalar(const std::string& sql);

  // The error of a statement that must fail.
  static WorkError Fails(WorkSession& session, const std::string& sql,
                         const std::vector<Value>& parameters = {}, bool keep_on_error = false);
  static bool Listed(const Gid& gid);
  static bool RowExists(int key);
  static std::vector<Gid> RecoveredGids(FinishSession& session);

  // Ends the server's side of every session of the adapter, and waits until they are gone.
  static void KillSessions();
};

std::ostream& operator<<(std::ostream& out, const WorkError& error);
std::ostream& operator<<(std::ostream& out, Cause cause);
std::ostream& operator<<(std::ostream& out, Finish finish);
std::ostream& operator<<(std::ostream& out, Vote vote);
std::ostream& operator<<(std::ostream& out, const FinishAnswer& answer);

}  // namespace assent::adapters
