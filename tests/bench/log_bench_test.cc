// The log's bench itself, for a moment: nodes start, lead, take a load from within and through
// gRPC. Speed is no matter here.
#include <gtest/gtest.h>

#include "tests/bench/disk_load.h"
#include "tests/bench/log_group.h"
#include "tests/support/etcd_servers.h"
#include "tests/support/paths.h"
#include "tests/support/temp_dir.h"

namespace assent::bench {
namespace {

using std::chrono::milliseconds;

constexpr Load kShort = {.in_flight = 4, .warm_up = milliseconds(10), .length = milliseconds(200)};

TEST(LogBench, LoadsThreeNodes) {
  test_support::TempDir dir;
  auto group = LogGroup::StartOurs(
      {.directory = dir.path(), .nodes = 3, .program = tests::BinDir() + "/assent-log-bench"});
  ASSERT_TRUE(group.ok()) << group.status().message();
  const auto inside = (*group)->LoadInside(kShort);
  ASSERT_TRUE(inside.ok()) << inside.status().message();
  EXPECT_GT(inside->per_second, 0);
  EXPECT_GT(inside->p50.count(), 0);
  Load by_log = kShort;
  by_log.proposer = Proposer::kLog;
  const auto log_thread = (*group)->LoadInside(by_log);
  ASSERT_TRUE(log_thread.ok()) << log_thread.status().message();
  EXPECT_GT(log_thread->per_second, 0);
  const auto socket = (*group)->LoadThroughSocket(kShort);
  ASSERT_TRUE(socket.ok()) << socket.status().message();
  EXPECT_GT(socket->per_second, 0);
  EXPECT_GT(ResidentBytes((*group)->node(0).pid()), 1u << 20);
  EXPECT_GT(DirectoryBytes((*group)->directory(0)), 1u << 20);
}

TEST(LogBench, AnotherNodeLeadsAfterTheLeaderIsKilled) {
  test_support::TempDir dir;
  auto group = LogGroup::StartOurs(
      {.directory = dir.path(), .nodes = 3, .program = tests::BinDir() + "/assent-log-bench"});
  ASSERT_TRUE(group.ok()) << group.status().message();
  const auto leader = (*group)->Leader();
  ASSERT_TRUE(leader.ok()) << leader.status().message();
  (*group)->node(*leader).Kill9();
  const auto rates = (*group)->LoadInside(kShort);
  ASSERT_TRUE(rates.ok()) << rates.status().message();
  EXPECT_NE(*(*group)->Leader(), *leader);
}

TEST(LogBench, LoadsOursOnEtcd) {
  auto etcd = test_support::EtcdServers::Create();
  if (etcd.status().code() == Code::kNotFound) GTEST_SKIP() << etcd.status().message();
  ASSERT_TRUE(etcd.ok()) << etcd.status().message();
  test_support::TempDir dir;
  auto group = LogGroup::StartOnEtcd(
      {.directory = dir.path(), .nodes = 1, .program = tests::BinDir() + "/assent-log-bench"},
      (*etcd)->endpoints());
  ASSERT_TRUE(group.ok()) << group.status().message();
  const auto inside = (*group)->LoadInside(kShort);
  ASSERT_TRUE(inside.ok()) << inside.status().message();
  EXPECT_GT(inside->per_second, 0);
}

TEST(LogBench, LoadsTheDisk) {
  test_support::TempDir dir;
  const auto rates = LoadDisk(dir.path(), kShort);
  ASSERT_TRUE(rates.ok()) << rates.status().message();
  EXPECT_GT(rates->per_second, 0);
}

}  // namespace
}  // namespace assent::bench
