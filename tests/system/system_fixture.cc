#include "tests/system/system_fixture.h"

#include <vector>

#include "tests/support/connect.h"
#include "tests/support/memory_in_use.h"

namespace assent::system_tests {
namespace {
constexpr const char* kSchema = "CREATE TABLE kept (id VARCHAR(64) PRIMARY KEY)";
}

std::unique_ptr<Deployment> SystemTest::house_;

void SystemTest::StartHouse(const test_support::DeploymentOptions& options) {
  auto house = Deployment::Start(options);
  ASSERT_TRUE(house.ok()) << house.status().ToString();
  house_ = std::move(*house);
  ASSERT_TRUE(house_->postgres().Execute(kSchema).ok());
  ASSERT_TRUE(house_->mariadb().Execute(kSchema).ok());
}

void SystemTest::TearDownTestSuite() { house_.reset(); }

void SystemTest::SetUp() { ASSERT_NE(house_, nullptr) << "the deployment did not start"; }

client::Client SystemTest::Coordinators() {
  return client::Client::Connect(test_support::ToCoordinator(*house_)).value();
}

client::Agent SystemTest::PostgresAgent() {
  return client::Agent::Connect(test_support::ToAgent(*house_, house_->postgres_agent())).value();
}

client::Agent SystemTest::MariadbAgent() {
  return client::Agent::Connect(test_support::ToAgent(*house_, house_->mariadb_agent())).value();
}

client::WorkResult<client::Branch> SystemTest::InsertInPostgres(client::Transaction& transaction,
                                                                const std::string& id) {
  client::OpenOptions options;
  options.statements = {{"INSERT INTO kept VALUES ($1)", {id}}};
  return transaction.Open(PostgresAgent(), Deployment::kPostgresResource, options);
}

client::WorkResult<client::Branch> SystemTest::InsertInMariadb(client::Transaction& transaction,
                                                               const std::string& id) {
  client::OpenOptions options;
  options.statements = {{"INSERT INTO kept VALUES (?)", {id}}};
  return transaction.Open(MariadbAgent(), Deployment::kMariadbResource, options);
}

bool SystemTest::InPostgres(const std::string& id) {
  auto rows = house_->postgres().Query("SELECT id FROM kept WHERE id = '" + id + "'");
  EXPECT_TRUE(rows.ok()) << rows.status().ToString();
  return rows.ok() && !rows->empty();
}

bool SystemTest::InMariadb(const std::string& id) {
  auto rows = house_->mariadb().Query("SELECT id FROM kept WHERE id = '" + id + "'");
  EXPECT_TRUE(rows.ok()) << rows.status().ToString();
  return rows.ok() && !rows->empty();
}

void SystemTest::ExpectLongStream(client::Branch& branch, const std::string& sql,
                                  const test_support::AgentProcess& agent) {
  constexpr int64_t kRows = 250'000;
  const size_t before = test_support::MemoryInUse(agent.pid());
  int64_t last = 0;
  bool in_order = true;
  auto streamed =
      branch.ExecuteStream({sql}, [&](const std::vector<client::Column>&, client::Row row) {
        in_order = in_order && row.size() == 2 && row[0].AsInt64().value() == last + 1 &&
                   row[1].AsText().value().size() == 1000;
        ++last;
        return true;
      });
  ASSERT_TRUE(streamed.ok()) << streamed.status().ToString();
  EXPECT_EQ(last, kRows);
  EXPECT_TRUE(in_order);
  EXPECT_EQ(streamed->rows, static_cast<uint64_t>(kRows));
  EXPECT_LT(test_support::MemoryPeak(agent.pid()), before + (size_t{32} << 20)) << "of 250 MB";
}

int SystemTest::PreparedNow() {
  auto count = house_->PreparedBranches();
  EXPECT_TRUE(count.ok()) << count.status().ToString();
  return count.ok() ? *count : -1;
}

}  // namespace assent::system_tests
