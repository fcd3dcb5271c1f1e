// The whole house with nothing killed: the first thing to look at when quickstart or chaos fail.
#include "tests/support/bank.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace assent::test_support {
namespace {

using std::chrono::seconds;

TEST(Bank, MovesMoneyWithNothingKilled) {
  auto house = Deployment::Start();
  ASSERT_TRUE(house.ok()) << house.status().ToString();
  Bank bank(**house, {.concurrency = 4});
  Status opened = bank.Open();
  ASSERT_TRUE(opened.ok()) << opened.ToString();
  ASSERT_TRUE(bank.Start().ok());
  EXPECT_TRUE(WaitUntil(seconds(30), [&] { return bank.progress().committed >= 100; }));
  bank.Stop(seconds(20));
  BankReport report = bank.Check(seconds(20));
  EXPECT_THAT(report.problems, testing::IsEmpty());
  EXPECT_GE(report.committed, 100u);
  EXPECT_EQ(report.unknown, 0u);
  EXPECT_EQ(report.in_doubt, 0u);
  EXPECT_EQ(report.sum_before, report.sum_after);
  // Nothing was killed: whatever aborted was the client's own will.
  for (const auto& [cause, count] : report.abort_causes) {
    EXPECT_EQ(cause, "CLIENT_ROLLBACK") << count << " times";
  }
}

}  // namespace
}  // namespace assent::test_support
