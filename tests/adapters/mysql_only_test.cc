// What MySQL does and MariaDB does not.
#include <gtest/gtest.h>

#include <set>

#include "adapters/common/xid.h"
#include "base/mutant.h"
#include "tests/adapters/mysql_fixture.h"

namespace assent::adapters {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class MysqlOnly : public MysqlTest {};
INSTANTIATE_TEST_SUITE_P(Servers, MysqlOnly, ::testing::ValuesIn(ServersUnderTest()), NameOf);

TEST_P(MysqlOnly, EvidenceIsTheUuidOfTheServer) {
  Prepared branch = PrepareIncrement();
  EXPECT_EQ(ServerEvidence().size(), std::string("uuid=").size() + 36);
  if (GetParam().attaches) {  // Then it also names the session that has to end first.
    EXPECT_EQ(branch.evidence.rfind(ServerEvidence() + " conn=", 0), 0u) << branch.evidence;
  } else {
    EXPECT_EQ(branch.evidence, ServerEvidence());
  }
  (void)End(branch, Decision::kAbort);
}

TEST_P(MysqlOnly, HandSqlShowsTheBranchInHexadecimal) {
  Prepared branch = PrepareAndClose();
  auto sql = resource().HandSql(branch.gid);
  EXPECT_EQ(sql.inspect, "XA RECOVER CONVERT XID");
  auto rows = server().Query(sql.inspect);
  ASSERT_TRUE(rows.ok()) << rows.status().ToString();
  ASSERT_EQ(rows->size(), 1u);
  std::string commit = sql.commit;  // "XA COMMIT X'67',X'62',1", there it is "0x6762".
  for (const char* between : {"XA COMMIT X'", "',X'"}) {
    commit.erase(commit.find(between), std::string(between).size());
  }
  std::string shown = (*rows)[0][3].substr(2);
  for (char& c : shown) c = static_cast<char>(std::tolower(c));
  EXPECT_EQ(commit, shown + "'," + (*rows)[0][0]);
  ByHand(sql.rollback);
}

TEST_P(MysqlOnly, BranchThatWroteNothingCommitsAfterItsSession) {
  auto session = OpenWork(resource());
  Prepared branch{.gid = FreshGid()};
  MustStart(*session, branch.gid);
  MustExecute(*session, "SELECT n FROM " + table_);
  PrepareAnswer vote = session->Prepare();
  ASSERT_EQ(vote.vote, Vote::kYes);
  branch.evidence = vote.evidence;
  session.reset();
  FinishAnswer answer = CommitSettled(*OpenFinish(resource()), branch);
  EXPECT_EQ(answer.finish, Finish::kDone) << Describe(answer);
}

TEST_P(MysqlOnly, ReadOnlyServerFinishesAllTheSame) {
  auto plain = MakeMysql(As("plain", "ALL"));
  auto finish = OpenFinish(*plain);
  for (const char* setting : {"read_only", "super_read_only"}) {
    Prepared branch = PrepareAndClose();
    ASSERT_TRUE(server().Execute(std::string("SET GLOBAL ") + setting + " = 1").ok());
    FinishAnswer answer = CommitSettled(*finish, branch);
    ASSERT_TRUE(server().Execute("SET GLOBAL super_read_only = 0").ok());
    ASSERT_TRUE(server().Execute("SET GLOBAL read_only = 0").ok());
    EXPECT_EQ(answer.finish, Finish::kDone) << setting << ": " << Describe(answer);
  }
  EXPECT_EQ(N(), "2");
}

TEST_P(MysqlOnly, ListingNeedsAPrivilegeThatIsNamed) {
  const ConnectOptions options = As("unlisted", "ALL");
  ASSERT_TRUE(server().Execute("REVOKE XA_RECOVER_ADMIN ON *.* FROM unlisted@'127.0.0.1'").ok());
  auto unlisted = MakeMysql(options);
  ProbeReport report = MustProbe(*unlisted);
  const Finding* finding = Find(report, "XA RECOVER");
  ASSERT_TRUE(finding);
  EXPECT_TRUE(finding->fatal);
  EXPECT_NE(finding->remedy.find("XA_RECOVER_ADMIN"), std::string::npos);
  auto finish = OpenFinish(*unlisted);
  EXPECT_EQ(finish->Recover().status().code(), Code::kPermissionDenied);
  // What an unknown gid means can't be found out then; nobody may guess.
  FinishAnswer answer = finish->Commit(FreshGid(), ServerEvidence(), JournalWord::kWill);
  EXPECT_EQ(answer.finish, Finish::kRefused) << Describe(answer);
  EXPECT_NE(answer.detail.find("XA_RECOVER_ADMIN"), std::string::npos) << Describe(answer);
  // A branch that is there can be finished without it.
  Prepared branch = PrepareAndClose();
  EXPECT_EQ(CommitSettled(*OpenFinish(*unlisted), branch).finish, Finish::kDone);
  EXPECT_EQ(N(), "1");
}

TEST_P(MysqlOnly, PasswordTravelsUnderTheServersKey) {
  // caching_sha2_password at the first login, without TLS.
  ConnectOptions options = As("guarded", "ALL", "IDENTIFIED BY 'secret'");
  EXPECT_EQ(MustNotOpen(options).code, "1045/28000");
  options.password = "secret";
  EXPECT_TRUE(OpenWork(*MakeMysql(options)));
  EXPECT_TRUE(OpenWork(*MakeMysql(options))) << "and from the server's cache";
}

// Where xa_detach_on_prepare is on: the branch leaves its session with the vote.
class MysqlDetached : public MysqlTest {};
std::vector<ServerUnderTest> DetachingServers() {
  std::vector<ServerUnderTest> detaching;
  for (const ServerUnderTest& server : ServersUnderTest()) {
    if (!server.attaches) detaching.push_back(server);
  }
  return detaching;
}
INSTANTIATE_TEST_SUITE_P(Servers, MysqlDetached, ::testing::ValuesIn(DetachingServers()), NameOf);

TEST_P(MysqlDetached, SessionIsFreeAfterTheVote) {
  Prepared first = PrepareIncrement(1);
  EXPECT_EQ(first.session->FinishPrepared(Decision::kCommit, first.evidence, JournalWord::kNothing)
                .finish,
            Finish::kTransient)
      << "the session has no branch any more";
  const Gid second = MustStart(*first.session, FreshGid());
  MustExecute(*first.session, Increment(2));
  PrepareAnswer vote = first.session->Prepare();
  ASSERT_EQ(vote.vote, Vote::kYes) << Describe(vote);
  EXPECT_EQ(PreparedCount(), 2u);
  // Both from elsewhere, while their session lives.
  auto finish = OpenFinish(resource());
  EXPECT_EQ(finish->Commit(second, vote.evidence, JournalWord::kNothing).finish, Finish::kDone);
  EXPECT_EQ(finish->Rollback(first.gid, first.evidence).finish, Finish::kDone);
  EXPECT_EQ(N(1) + N(2), "01");
  MustStart(*first.session, FreshGid());
  EXPECT_TRUE(first.session->Rollback());
}

TEST_P(MysqlDetached, KilledSessionTakesNothingWithIt) {
  auto session = OpenWork(resource());
  const Gid gid = MustStart(*session, FreshGid());
  MustExecute(*session, Increment());
  std::string id = ConnectionId(*session);
  PrepareAnswer vote = session->Prepare();
  ASSERT_EQ(vote.vote, Vote::kYes);
  KillConnection(id);
  FinishAnswer answer = OpenFinish(resource())->Commit(gid, vote.evidence, JournalWord::kNothing);
  EXPECT_EQ(answer.finish, Finish::kDone) << Describe(answer);
  EXPECT_EQ(N(), "1");
}

TEST_P(MysqlDetached, TemporaryTableCantBePrepared) {
  ASSERT_TRUE(server()
                  .Execute("CREATE PROCEDURE p" + table_ +
                           "() CREATE TEMPORARY TABLE temporary_one (i INT)")
                  .ok());
  auto session = OpenWork(resource());
  MustStart(*session, FreshGid());
  MustExecute(*session, Increment());
  // In a procedure, where only the server sees it.
  WorkError failed = MustFail(*session, "CALL p" + table_ + "()");
  EXPECT_EQ(failed.cause, Cause::kNotPreparable) << failed.code << " " << failed.detail;
  EXPECT_EQ(failed.code, "4091/HY000");
  EXPECT_EQ(session->Prepare().vote, Vote::kNo);
  EXPECT_EQ(N(), "0");
}

}  // namespace
}  // namespace assent::adapters
