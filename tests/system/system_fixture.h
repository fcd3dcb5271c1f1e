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
  static void SetUpTestSuite();
  static void TearDownTestSuite();
  void SetUp() override;

  // For suites that want other settings than the usual ones: instead of SetUpTestSuite.
  static void StartHouse(const test_support::DeploymentOptions& options);

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

 private:
  static std::unique_ptr<Deployment> house_;
};

}  // namespace assent::system_tests
