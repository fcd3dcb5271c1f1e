// A person ends a prepared branch by hand, against the decision or with it: nothing is silent, and
// nothing is forgotten before an operator says so (docs/protocols.md, "Heuristic outcomes").
#include <grpcpp/grpcpp.h>

#include <thread>

#include "assent/v1/admin_service.grpc.pb.h"
#include "assent/v1/transaction_service.grpc.pb.h"
#include "tests/support/process.h"
#include "tests/support/stop_point.h"
#include "tests/system/system_fixture.h"

#if defined(ASSENT_FAILPOINTS)

namespace assent::system_tests {
namespace {

using client::Outcome;
using std::chrono::seconds;
using test_support::StopPoint;
using test_support::WaitUntil;

class HeuristicOutcome : public SystemTest {
 protected:
  // Commits `id` in both databases; while PostgreSQL's agent stands right before COMMIT PREPARED,
  // a person runs `verb` on the branch.
  client::CommitResult CommitWhileAPersonRuns(const std::string& verb, const std::string& id,
                                              std::string* gtrid) {
    StopPoint stop("agent.commit.before");
    House().postgres_agent().Kill9();
    EXPECT_TRUE(House().postgres_agent().Start(stop.Env()).ok());
    client::CommitResult result;
    std::thread client([&] {
      auto transaction = Coordinators().Begin();
      ASSERT_TRUE(transaction.ok()) << transaction.status().ToString();
      *gtrid = transaction->gtrid();
      auto postgres = InsertInPostgres(*transaction, id);
      ASSERT_TRUE(postgres.ok()) << postgres.status().ToString();
      ASSERT_TRUE(InsertInMariadb(*transaction, id).ok());
      result = transaction->Commit();
    });
    Status reached = stop.WaitReached(seconds(15));
    EXPECT_TRUE(reached.ok()) << reached.ToString();
    auto rows = House().postgres().Query("SELECT gid FROM pg_prepared_xacts");
    EXPECT_TRUE(rows.ok() && rows->size() == 1u);
    if (rows.ok() && !rows->empty()) {
      Status done = House().postgres().Execute(verb + " PREPARED '" + rows->at(0)[0] + "'");
      EXPECT_TRUE(done.ok()) << done.ToString();
    }
    stop.Release();
    client.join();
    return result;
  }

  static std::shared_ptr<grpc::Channel> Channel() {
    return grpc::CreateChannel(House().coordinator().endpoint(),
                               grpc::InsecureChannelCredentials());
  }
  static v1::Transaction Get(const std::string& gtrid) {
    v1::Transaction transaction;
    WaitUntil(seconds(10), [&] {
      grpc::ClientContext context;
      v1::GetRequest request;
      request.set_gtrid(gtrid);
      v1::GetReply reply;
      if (!v1::TransactionService::NewStub(Channel())->Get(&context, request, &reply).ok()) {
        return false;
      }
      transaction = reply.transaction();
      return true;
    });
    return transaction;
  }
  static grpc::Status Forget(const std::string& gtrid) {
    grpc::ClientContext context;
    v1::ForgetRequest request;
    request.set_gtrid(gtrid);
    v1::ForgetReply reply;
    return v1::AdminService::NewStub(Channel())->Forget(&context, request, &reply);
  }
};

TEST_F(HeuristicOutcome, ARollbackByHandIsReportedAndKeptUntilForgotten) {
  std::string gtrid;
  auto result = CommitWhileAPersonRuns("ROLLBACK", "by-hand", &gtrid);
  EXPECT_EQ(result.outcome, Outcome::kCommitted) << "the decision stands: " << result.ToString();
  EXPECT_FALSE(result.applied);
  EXPECT_TRUE(result.heuristic) << result.ToString();
  EXPECT_FALSE(InPostgres("by-hand"));
  EXPECT_TRUE(InMariadb("by-hand"));
  EXPECT_EQ(Get(gtrid).state(), v1::STATE_HEURISTIC);

  House().coordinator().Kill9();
  ASSERT_TRUE(House().coordinator().Start().ok());
  v1::Transaction shown = Get(gtrid);
  EXPECT_EQ(shown.state(), v1::STATE_HEURISTIC) << shown.ShortDebugString();
  ASSERT_EQ(shown.branches_size(), 2) << shown.ShortDebugString();
  EXPECT_EQ(shown.branches(0).state(), v1::BRANCH_STATE_HEURISTIC_ROLLBACK)
      << shown.ShortDebugString();

  // MariaDB's branch must be known to be done before the record may go.
  grpc::Status forgotten;
  EXPECT_TRUE(WaitUntil(seconds(10), [&] {
    forgotten = Forget(gtrid);
    return forgotten.ok();
  })) << forgotten.error_message();
  EXPECT_EQ(Forget(gtrid).error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(Get(gtrid).outcome(), v1::OUTCOME_COMMITTED) << "clients keep the answer they had";
}

TEST_F(HeuristicOutcome, ACommitByHandAgreesWithTheDecisionAndIsDone) {
  std::string gtrid;
  auto result = CommitWhileAPersonRuns("COMMIT", "agreed", &gtrid);
  EXPECT_EQ(result.outcome, Outcome::kCommitted) << result.ToString();
  EXPECT_TRUE(result.applied) << "pg_xact_status says that it committed: " << result.ToString();
  EXPECT_FALSE(result.heuristic);
  EXPECT_TRUE(InPostgres("agreed"));
  EXPECT_TRUE(InMariadb("agreed"));
}

}  // namespace
}  // namespace assent::system_tests

#endif
