// Servers and helpers that the tests of the MySQL adapter share. They run on MariaDB and on MySQL
// (tests/support/servers_under_test.h); where the two answer differently, the test says how.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "adapters/common/xid.h"
#include "adapters/resource_manager.h"
#include "tests/support/servers_under_test.h"

namespace assent::adapters {

inline constexpr char kCluster[] = "test";
inline constexpr char kResource[] = "bank_my";

// A gid that no test has used before.
Gid FreshGid(const std::string& cluster = kCluster, const std::string& resource = kResource);

using test_support::ServersUnderTest;
using test_support::ServerUnderTest;

// Those that tie a prepared branch to its session.
std::vector<ServerUnderTest> AttachingServers();

// For INSTANTIATE_TEST_SUITE_P.
inline std::string NameOf(const ::testing::TestParamInfo<ServerUnderTest>& info) {
  return info.param.name;
}

// The value or the text of the error, as a test failure.
std::unique_ptr<WorkSession> OpenWork(ResourceManager& resource);
std::unique_ptr<FinishSession> OpenFinish(ResourceManager& resource);
ResultSet MustExecute(WorkSession& session, const std::string& sql,
                      const std::vector<Value>& parameters = {});
WorkError MustFail(WorkSession& session, const std::string& sql,
                   const std::vector<Value>& parameters = {}, bool keep_on_error = false);
Gid MustStart(WorkSession& session, const Gid& gid, const StartOptions& options = {});
ProbeReport MustProbe(ResourceManager& resource);
WorkError MustNotOpen(const ConnectOptions& options);
const Finding* Find(const ProbeReport& report, const std::string& name);  // Null: none.
// "name=value " of each fatal finding.
std::string Fatals(const ProbeReport& report);
std::string Describe(const FinishAnswer& answer);
std::string Describe(const PrepareAnswer& answer);

// Parameter: the server, which all tests of a binary share; started by the first.
class MysqlTest : public ::testing::TestWithParam<ServerUnderTest> {
 protected:
  void SetUp() override;
  void TearDown() override;  // No branch may be left over.

  ConnectOptions Options() { return server().ConnectOptions(kCluster, kResource); }
  static test_support::Mysqld& server();
  ResourceManager& resource() { return *resource_; }

  // "UPDATE <table> SET n = n + 1 WHERE id = <id>"; the table is this test's own.
  std::string Increment(int id = 1) const;
  std::string N(int id = 1);                       // The committed value.
  std::string ConnectionId(WorkSession& session);  // Needs a branch.
  void KillConnection(const std::string& id);
  // The gids of all programs, as XA RECOVER lists them.
  size_t PreparedCount();
  // Each of them as SQL writes it: "X'67',X'62',1".
  static std::vector<std::string> PreparedXids();
  // The evidence that names this server.
  Evidence ServerEvidence();
  // A user with these rights on the database of the tests, who may list prepared branches. `with`
  // goes on behind CREATE USER.
  ConnectOptions As(const std::string& user, const std::string& rights,
                    const std::string& with = "");

  struct Prepared {
    Gid gid;
    Evidence evidence;
    std::unique_ptr<WorkSession> session;
  };
  // Ends a prepared branch as an agent does: on its session where it is attached to that, else on
  // `finish` (or one of its own).
  FinishAnswer End(WorkSession& session, FinishSession& finish, Decision decision, const Gid& gid,
                   const Evidence& evidence, JournalWord journal = JournalWord::kNothing);
  FinishAnswer End(WorkSession& session, Decision decision, const Gid& gid,
                   const Evidence& evidence);
  FinishAnswer End(const Prepared& branch, Decision decision) {
    return End(*branch.session, decision, branch.gid, branch.evidence);
  }
  // A branch that incremented row `id`, prepared, its session still open.
  Prepared PrepareIncrement(int id = 1);
  Prepared PrepareIncrement(ResourceManager& resource, const Gid& gid, int id = 1);
  // The same, and the session closed: any session may finish it now or some milliseconds later.
  Prepared PrepareAndClose(int id = 1);

  // Asks again while the answer is kTransient: a session that closed is not gone at once.
  static FinishAnswer Settle(const std::function<FinishAnswer()>& ask);
  static FinishAnswer CommitSettled(FinishSession& session, const Prepared& branch,
                                    JournalWord journal = JournalWord::kNothing) {
    return Settle([&] { return session.Commit(branch.gid, branch.evidence, journal); });
  }
  static FinishAnswer RollbackSettled(FinishSession& session, const Prepared& branch) {
    return Settle([&] { return session.Rollback(branch.gid, branch.evidence); });
  }
  // SQL of a person, who tries again for the same reason.
  static void ByHand(const std::string& sql);

  std::string table_;
  std::unique_ptr<ResourceManager> resource_;
};

}  // namespace assent::adapters
