// An order service and the stock service that it calls, in one transaction.
#include "tests/examples/examples_fixture.h"
#include "tests/support/stop_point.h"

namespace assent {
namespace {

using test_support::Deployment;
using test_support::Process;
using test_support::StopPoint;
using testing::HasSubstr;

class TwoServicesTest : public ExamplesTest {
 protected:
  void SetUp() override {
    ExamplesTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    test_support::PostgresServer& postgres = House().postgres();
    test_support::Mysqld& mariadb = House().mariadb();
    for (auto* sql : {"DROP TABLE IF EXISTS orders",
                      "CREATE TABLE orders(item VARCHAR(64), quantity BIGINT NOT NULL)"}) {
      ASSERT_TRUE(postgres.Execute(sql).ok());
    }
    for (auto* sql : {"DROP TABLE IF EXISTS stock",
                      "CREATE TABLE stock(item VARCHAR(64) PRIMARY KEY, in_store BIGINT NOT NULL)",
                      "INSERT INTO stock VALUES ('tea', 10)"}) {
      ASSERT_TRUE(mariadb.Execute(sql).ok());
    }
    auto stock = Process::Spawn({Binary("stock_service"), place_, House().coordinator().endpoint(),
                                 House().mariadb_agent().endpoint(), Deployment::kMariadbResource},
                                {}, {.stdout_file = stock_log_, .stderr_file = stock_log_});
    ASSERT_TRUE(stock.ok()) << stock.status().ToString();
    stock_ = std::move(*stock);
    ASSERT_TRUE(test_support::WaitUntil(
        kRunMax, [&] { return ReadText(stock_log_).find("listening") != std::string::npos; }));
  }

  test_support::Argv Order(const std::string& quantity) const {
    return {Binary("order_service"),
            House().coordinator().endpoint(),
            House().postgres().Url(),
            Deployment::kPostgresResource,
            place_,
            "tea",
            quantity};
  }
  static void Expect(int64_t ordered, int64_t in_store) {
    auto left = House().WaitNothingPrepared(kRunMax);
    ASSERT_TRUE(left.ok()) << left.status().ToString();
    ASSERT_EQ(*left, 0);
    auto orders = House().postgres().Query("SELECT coalesce(sum(quantity), 0) FROM orders");
    auto store = House().mariadb().Query("SELECT in_store FROM stock");
    ASSERT_TRUE(orders.ok() && store.ok());
    EXPECT_EQ(orders->at(0).at(0), std::to_string(ordered));
    EXPECT_EQ(store->at(0).at(0), std::to_string(in_store));
  }

  const std::string stock_log_ = dir_.File("stock.log");
  const std::string place_ = "127.0.0.1:" + std::to_string(test_support::PickFreePort());
  std::unique_ptr<Process> stock_;
};

TEST_F(TwoServicesTest, OrderAndStockAgree) {
  EXPECT_EQ(Run(Order("3")), 0) << output_;
  EXPECT_THAT(output_, HasSubstr("7 left"));
  Expect(3, 7);
  EXPECT_EQ(Run(Order("8")), 1) << output_;
  EXPECT_THAT(output_, HasSubstr("not enough of 'tea'"));
  Expect(3, 7);
}

TEST_F(TwoServicesTest, StockServiceThatIsAwayOrdersNothing) {
  stock_->Kill9();
  EXPECT_EQ(Run(Order("1")), 1) << output_;
  Expect(0, 10);
}

// The stock is taken and prepared, and nobody has heard of it.
TEST_F(TwoServicesTest, AgentKilledAfterThePrepareThatNobodyHeardOf) {
  test_support::AgentProcess& agent = House().mariadb_agent();
  StopPoint prepared("agent.prepare.after");
  agent.Terminate();
  ASSERT_TRUE(agent.Start(prepared.Env()).ok());
  ASSERT_TRUE(test_support::WaitUntil(kRunMax, [&] { return agent.Logged("resource_ready"); }));
  auto order = Start(Order("3"));
  ASSERT_NE(order, nullptr);
  ASSERT_TRUE(prepared.WaitReached(kRunMax).ok()) << ReadText(dir_.File("started.log"));
  agent.Kill9();
  ASSERT_TRUE(agent.Start().ok());
  EXPECT_EQ(End(*order), 1) << output_;
  Expect(0, 10);
}

// The decision is durable, and nobody has heard of it: neither the order service, whose branch it
// is to commit, nor an agent.
TEST_F(TwoServicesTest, CoordinatorAndOrderServiceKilledOnceDecided) {
  StopPoint decided("coord.reply.before");
  RestartCoordinator(decided.Env());
  auto order = Start(Order("3"));
  ASSERT_NE(order, nullptr);
  ASSERT_TRUE(decided.WaitReached(kRunMax).ok()) << ReadText(dir_.File("started.log"));
  order->Kill9();
  House().coordinator().Kill9();
  RestartCoordinator();
  Expect(3, 7);
}

}  // namespace
}  // namespace assent
