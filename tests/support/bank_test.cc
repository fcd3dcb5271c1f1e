// The whole house, barely troubled: the first thing to look at when quickstart or chaos fail.
#include "tests/support/bank.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <thread>

#include "tests/support/doors_under_test.h"

namespace assent::test_support {
namespace {

using std::chrono::seconds;

TEST(Bank, MovesMoneyUntroubled) {
  auto house = Deployment::Start({.tls = TlsUnderTest()});
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
  for (const auto& [cause, aborts] : report.abort_causes) {
    EXPECT_EQ(cause, "CLIENT_ROLLBACK") << aborts.count << " times; " << aborts.example;
  }
}

// Small segments, and a snapshot after 64 KiB of log: the coordinator comes back from snapshots,
// again and again, and remembers what it told.
TEST(Bank, ACoordinatorThatComesBackFromASnapshotRemembers) {
  DeploymentOptions options;
  options.tls = TlsUnderTest();
  options.coordinator_settings = {{"segment_bytes", "65536"}, {"snapshot_log_bytes", "65536"}};
  auto house = Deployment::Start(options);
  ASSERT_TRUE(house.ok()) << house.status().ToString();
  Bank bank(**house, {.concurrency = 4});
  Status opened = bank.Open();
  ASSERT_TRUE(opened.ok()) << opened.ToString();
  ASSERT_TRUE(bank.Start().ok());
  for (int round = 0; round < 3; ++round) {
    const uint64_t goal = bank.progress().committed + 300;
    EXPECT_TRUE(WaitUntil(seconds(60), [&] { return bank.progress().committed >= goal; }));
    (*house)->coordinator().Kill9();
    Status started = (*house)->coordinator().Start();
    ASSERT_TRUE(started.ok()) << started.ToString();
  }
  bank.Stop(seconds(20));
  EXPECT_THAT(bank.Check(seconds(20)).problems, testing::IsEmpty());
  int snapshots = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator((*house)->coordinator().data_dir())) {
    if (entry.path().filename().string().find("snapshot") != std::string::npos) ++snapshots;
  }
  EXPECT_EQ(snapshots, 1) << "the log was never compacted";
}

// Clients once stood still for 4 to 13 s after a restart: gRPC would not resolve, and so not dial,
// an address again so soon. Processes must be apart to see it.
TEST(Bank, ClientsGoOnSoonAfterARestart) {
  auto house = Deployment::Start({.tls = TlsUnderTest()});
  ASSERT_TRUE(house.ok()) << house.status().ToString();
  Bank bank(**house, {.concurrency = 4});
  Status opened = bank.Open();
  ASSERT_TRUE(opened.ok()) << opened.ToString();
  ASSERT_TRUE(bank.Start().ok());
  auto commits = [&](uint64_t more, seconds within) {
    uint64_t goal = bank.progress().committed + more;
    return WaitUntil(within, [&] { return bank.progress().committed >= goal; });
  };
  ServerProcess* const programs[] = {&(*house)->coordinator(), &(*house)->postgres_agent(),
                                     &(*house)->mariadb_agent()};
  for (ServerProcess* program : programs) {
    SCOPED_TRACE(program->name());
    ASSERT_TRUE(commits(20, seconds(20)));
    program->Kill9();
    std::this_thread::sleep_for(std::chrono::milliseconds(700));  // The length of the absence.
    Status started = program->Start();
    ASSERT_TRUE(started.ok()) << started.ToString();
    EXPECT_TRUE(commits(20, seconds(3)));
  }
  bank.Stop(seconds(20));
  EXPECT_THAT(bank.Check(seconds(20)).problems, testing::IsEmpty());
}

}  // namespace
}  // namespace assent::test_support
