// What the system tests share: one deployment per test suite, and short words for the client's
// calls.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>

#include "client/assent.h"
#include "tests/support/deployment.h"

namespace assent::system_tests {

using test_support::Deployment;

// A suite with a whole house: real databases, one coordinator, an agent for each database. Every
// test leaves all parts running.
class SystemTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { StartHouse({}); }
  // For suites whose house is another one.
  static void StartHouse(const test_support::DeploymentOptions& options);
  static void TearDownTestSuite();
  void SetUp() override;

  static Deployment& House() { return *house_; }
  static client::Client Coordinators();
  static client::Agent PostgresAgent();
  static client::Agent MariadbAgent();

  // Opens a branch that inserts `id` into table `kept` of that database.
  static client::WorkResult<client::Branch> InsertInPostgres(client::Transaction& transaction,
                                                             const std::string& id);
  static client::WorkResult<client::Branch> InsertInMariadb(client::Transaction& transaction,
                                                            const std::string& id);
  static bool InPostgres(const std::string& id);
  static bool InMariadb(const std::string& id);
  static int PreparedNow();
  // `sql` answers 250,000 rows of a number, from 1 on, and 1,000 bytes. They come in order, while
  // the agent of that branch uses little more memory than before.
  static void ExpectLongStream(client::Branch& branch, const std::string& sql,
                               const test_support::AgentProcess& agent);

 private:
  static std::unique_ptr<Deployment> house_;
};

}  // namespace assent::system_tests
