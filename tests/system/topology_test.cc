// Another shape than the usual one: a single agent for both databases behind a unix socket.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/assent.h"
#include "tests/support/assent_processes.h"
#include "tests/support/mariadb_server.h"
#include "tests/support/postgres_server.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace assent::system_tests {
namespace {

using client::Outcome;
using std::chrono::seconds;
using test_support::TempDir;
using test_support::TomlString;

constexpr const char* kCluster = "shapes";

struct Shape {
  std::unique_ptr<test_support::PostgresServer> postgres;
  std::unique_ptr<test_support::MariadbServer> mariadb;
  std::unique_ptr<test_support::AssentdProcess> coordinator;
  std::unique_ptr<test_support::AgentProcess> agent;
};

// Both databases, one coordinator, one agent that serves both.
void Build(const TempDir& dir, const test_support::Toml& agent_settings, Shape* shape) {
  auto postgres = test_support::PostgresServer::Create();
  ASSERT_TRUE(postgres.ok()) << postgres.status().ToString();
  shape->postgres = std::move(*postgres);
  auto mariadb = test_support::MariadbServer::Create();
  ASSERT_TRUE(mariadb.ok()) << mariadb.status().ToString();
  shape->mariadb = std::move(*mariadb);

  auto coordinator = test_support::AssentdProcess::Create(
      dir, {.cluster = kCluster, .settings = {}, .bin_dir = ""});
  ASSERT_TRUE(coordinator.ok()) << coordinator.status().ToString();
  shape->coordinator = std::move(*coordinator);
  Status started = shape->coordinator->Start();
  ASSERT_TRUE(started.ok()) << started.ToString();

  test_support::AgentOptions options;
  options.coordinators = {shape->coordinator->endpoint()};
  options.resources = {
      {"postgresql", shape->postgres->ConnectOptions(kCluster, "orders_pg"), {}},
      {"mysql", shape->mariadb->ConnectOptions(kCluster, "stock_my"), {}},
  };
  options.settings = agent_settings;
  auto agent = test_support::AgentProcess::Create(dir, options);
  ASSERT_TRUE(agent.ok()) << agent.status().ToString();
  shape->agent = std::move(*agent);
  started = shape->agent->Start();
  ASSERT_TRUE(started.ok()) << started.ToString();
}

void CommitOneInBoth(const Shape& shape, const client::Client& coordinators,
                     const client::Agent& agent) {
  ASSERT_TRUE(shape.postgres->Execute("CREATE TABLE kept (id VARCHAR(64) PRIMARY KEY)").ok());
  ASSERT_TRUE(shape.mariadb->Execute("CREATE TABLE kept (id VARCHAR(64) PRIMARY KEY)").ok());
  client::Client client = coordinators;
  auto transaction = client.Begin();
  ASSERT_TRUE(transaction.ok()) << transaction.status().ToString();
  auto orders = transaction->Open(agent, "orders_pg");
  ASSERT_TRUE(orders.ok()) << orders.status().ToString();
  auto stock = transaction->Open(agent, "stock_my");
  ASSERT_TRUE(stock.ok()) << stock.status().ToString();
  ASSERT_TRUE(orders->Execute("INSERT INTO kept VALUES ($1)", "one").ok());
  ASSERT_TRUE(stock->Execute("INSERT INTO kept VALUES (?)", "one").ok());
  auto result = transaction->Commit();
  EXPECT_EQ(result.outcome, Outcome::kCommitted) << result.ToString();
  EXPECT_TRUE(result.applied) << result.ToString();
  for (auto rows : {shape.postgres->Query("SELECT id FROM kept"),
                    shape.mariadb->Query("SELECT id FROM kept")}) {
    ASSERT_TRUE(rows.ok());
    EXPECT_EQ(rows->size(), 1u);
  }
}

TEST(Topology, OneAgentServesBothDatabasesOnAUnixSocket) {
  TempDir dir;
  Shape shape;
  const std::string socket = "unix:" + dir.File("agent.sock");
  Build(dir, {{"listen", TomlString(socket)}}, &shape);
  if (HasFatalFailure()) return;
  auto coordinators = client::Client::Connect({.endpoints = {shape.coordinator->endpoint()}});
  auto agent = client::Agent::Connect({.endpoint = socket});
  ASSERT_TRUE(coordinators.ok() && agent.ok());
  CommitOneInBoth(shape, *coordinators, *agent);

  // The example does its job here, and its exit code is the truth.
  for (auto* create : {"CREATE TABLE account (id INT PRIMARY KEY, balance BIGINT)",
                       "INSERT INTO account VALUES (1, 100), (2, 100)"}) {
    ASSERT_TRUE(shape.postgres->Execute(create).ok());
    ASSERT_TRUE(shape.mariadb->Execute(create).ok());
  }
  auto transfer = [&](const std::string& amount) {
    auto finished =
        test_support::Run({test_support::OwnBinDir() + "/bank_transfer",
                           shape.coordinator->endpoint(), socket, socket, "1", "2", amount},
                          {}, {}, dir.File("bank_transfer.log"), seconds(30));
    EXPECT_TRUE(finished.ok()) << finished.status().ToString();
    return finished.ok() ? finished->status.code : -1;
  };
  EXPECT_EQ(transfer("30"), 0);
  EXPECT_EQ(transfer("1000"), 1) << "more than there is";
  EXPECT_EQ(shape.postgres->Query("SELECT balance FROM account WHERE id = 1")->at(0)[0], "70");
  EXPECT_EQ(shape.mariadb->Query("SELECT balance FROM account WHERE id = 2")->at(0)[0], "130");
}

}  // namespace
}  // namespace assent::system_tests
