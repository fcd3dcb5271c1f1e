// A backup that is taken under load, and the operator's rule for what nobody can tell: after it
// every transaction stands in both databases or in neither.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <set>
#include <thread>

#include "tests/support/connect.h"
#include "tests/support/doors_under_test.h"
#include "tests/system/backup_fixture.h"

namespace assent::system_tests {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::seconds;
using test_support::WaitUntil;

class GroupBackupUnderLoad : public BackupTest {
 protected:
  // Inserts gtrids in both databases until told to stop.
  class Workers {
   public:
    explicit Workers(int count) {
      for (int i = 0; i < count; ++i) threads_.emplace_back([this] { Run(); });
    }
    ~Workers() { Stop(); }
    void Stop() {
      stop_ = true;
      for (std::thread& thread : threads_) {
        if (thread.joinable()) thread.join();
      }
    }
    // Those whose client was told COMMITTED.
    std::set<std::string> Committed() {
      std::lock_guard lock(mutex_);
      return committed_;
    }

   private:
    void Run() {
      client::ClientOptions options = ToCoordinator(House());
      options.begin_retry_for = milliseconds(500);
      auto coordinators = client::Client::Connect(options);
      auto postgres = client::Agent::Connect(ToAgent(House(), House().postgres_agent()));
      auto mariadb = client::Agent::Connect(ToAgent(House(), House().mariadb_agent()));
      ASSERT_TRUE(coordinators.ok() && postgres.ok() && mariadb.ok());
      while (!stop_) {
        auto transaction = coordinators->Begin();
        if (!transaction.ok()) continue;
        const std::string gtrid = transaction->gtrid();
        auto first =
            transaction->Open(*postgres, Deployment::kPostgresResource,
                              {.statements = {{"INSERT INTO probe VALUES ($1)", {gtrid}}}});
        if (!first.ok()) continue;
        auto second =
            transaction->Open(*mariadb, Deployment::kMariadbResource,
                              {.statements = {{"INSERT INTO probe VALUES (?)", {gtrid}}}});
        if (!second.ok()) continue;
        if (transaction->Commit({.retry_for = seconds(1)}).outcome != client::Outcome::kCommitted) {
          continue;
        }
        std::lock_guard lock(mutex_);
        committed_.insert(gtrid);
      }
    }

    std::atomic<bool> stop_{false};
    std::mutex mutex_;
    std::set<std::string> committed_;
    std::vector<std::thread> threads_;
  };

  static std::set<std::string> Ids(const Result<test_support::Rows>& rows) {
    EXPECT_TRUE(rows.ok()) << rows.status().ToString();
    std::set<std::string> ids;
    if (!rows.ok()) return ids;
    for (const auto& row : *rows) ids.insert(row.at(0));
    return ids;
  }
  static std::set<std::string> InPostgres() {
    return Ids(House().postgres().Query("SELECT id FROM probe"));
  }
  static std::set<std::string> InMariadb() {
    return Ids(House().mariadb().Query("SELECT id FROM probe"));
  }

  // The operator's rule of docs/operations.md, with no records of services at hand.
  static void Settle(const std::string& gtrid) {
    const json shown = Ask({"show", gtrid});
    ASSERT_TRUE(shown.is_object()) << gtrid;
    if (shown["outcome"] == "COMMITTED") {
      // Its branch is gone: committed since the backup.
      EXPECT_TRUE(InPostgres().contains(gtrid) && InMariadb().contains(gtrid)) << gtrid;
      EXPECT_EQ(CtlAtFirst({"forget", gtrid}).code, 0);
      return;
    }
    const bool changed = InPostgres().contains(gtrid) || InMariadb().contains(gtrid);
    EndByHand(gtrid, changed ? "commit" : "rollback");
  }

  void LoseAndRestoreUnderLoad(const std::string& refusal);
};

class GroupBackupUnderLoadOnEtcd : public GroupBackupUnderLoad {
 protected:
  static void SetUpTestSuite() {
    if (auto why_not = test_support::NoEtcd(); !why_not.empty()) GTEST_SKIP() << why_not;
    StartHouse({.coordinators = 2, .etcd_servers = 1, .tls = test_support::TlsUnderTest()});
  }
};

void GroupBackupUnderLoad::LoseAndRestoreUnderLoad(const std::string& refusal) {
  Workers workers(4);
  auto wait_for = [&](size_t count) {
    return WaitUntil(seconds(60), [&] { return workers.Committed().size() >= count; });
  };
  ASSERT_TRUE(wait_for(50));
  const std::set<std::string> before = workers.Committed();
  SaveBackup();
  ASSERT_TRUE(wait_for(workers.Committed().size() + 50)) << "the backup is in their way";
  LoseTheGroup();
  workers.Stop();
  Restore(refusal);
  Repin();
  // Each prepared branch is committed, or listed as a hazard.
  EXPECT_TRUE(WaitUntil(seconds(60), [] {
    const json list = Ask({"list"});
    if (!list.is_object()) return false;
    int listed = 0;
    for (const json& one : list["transactions"]) {
      if (one["state"] != "HEURISTIC") return false;
      for (const json& branch : one["branches"]) {
        listed += one["outcome"] == "UNKNOWN" && branch["state"] == "HAZARD" ? 1 : 0;
      }
    }
    return listed == PreparedNow();
  })) << Ask({"list"}).dump(2);
  RecordProperty("hazards", static_cast<int>(Hazards().size()));
  for (const std::string& gtrid : Hazards()) Settle(gtrid);
  EXPECT_TRUE(WaitUntil(seconds(20), [] { return PreparedNow() == 0; }));

  const std::set<std::string> rows = InPostgres();
  EXPECT_EQ(rows, InMariadb());
  for (const std::string& gtrid : before) EXPECT_TRUE(rows.contains(gtrid)) << gtrid;
  auto fresh = TheProbe().CommitOne(seconds(20));
  EXPECT_TRUE(fresh.ok()) << fresh.status().ToString();
}

TEST_F(GroupBackupUnderLoad, EveryTransactionEndsAlikeInBothDatabases) {
  LoseAndRestoreUnderLoad("start that node without");
}

TEST_F(GroupBackupUnderLoadOnEtcd, EveryTransactionEndsAlikeInBothDatabases) {
  LoseAndRestoreUnderLoad("there is a group below assent/bank in etcd already");
}

}  // namespace
}  // namespace assent::system_tests
