// Over gRPC: branches that Begin names, tickets, reports, and what is wrong with bad ones.
#include "base/ids.h"
#include "coordinator/server/proto_convert.h"
#include "tests/coordinator/grpc_fixture.h"

namespace assent::coordinator {
namespace {

class AppHeldGrpcTest : public GrpcTest {
 protected:
  void SetUp() override {
    // No test waits for it to pass; no loaded machine makes it pass by chance.
    options_.finish_grace = std::chrono::minutes(5);
    Bootstrap();
    Start();
  }
  static v1::BeginRequest NamingPg(v1::Finisher finisher) {
    v1::BeginRequest request;
    v1::BranchRequest* branch = request.add_branches();
    branch->set_resource("pg");
    branch->mutable_app_held()->set_connection_id("4711");
    branch->mutable_app_held()->set_finisher(finisher);
    return request;
  }
  grpc::Status Begin(const v1::BeginRequest& request, v1::BeginReply* reply) {
    grpc::ClientContext context;
    return client_->Begin(&context, request, reply);
  }
  grpc::Status Commit(const v1::CommitRequest& request, v1::CommitReply* reply) {
    grpc::ClientContext context;
    return client_->Commit(&context, request, reply);
  }
  grpc::Status ReportFinished(const v1::ReportFinishedRequest& request) {
    grpc::ClientContext context;
    v1::ReportFinishedReply reply;
    return client_->ReportFinished(&context, request, &reply);
  }
  static void ExpectRefusal(const grpc::Status& status, grpc::StatusCode code,
                            const std::vector<std::string>& words) {
    EXPECT_EQ(status.error_code(), code) << status.error_message();
    for (const std::string& word : words) {
      EXPECT_NE(status.error_message().find(word), std::string::npos) << status.error_message();
    }
  }
};

TEST_F(AppHeldGrpcTest, TheApplicationPreparesCommitsAndReports) {
  auto agent = Connect();
  v1::BeginReply begun;
  ASSERT_TRUE(Begin(NamingPg(v1::FINISHER_APP), &begun).ok());
  ASSERT_EQ(begun.branches_size(), 1);
  const v1::RegisteredBranch& branch = begun.branches(0);
  EXPECT_EQ(branch.resource(), "pg");
  EXPECT_EQ(branch.kind(), "postgresql");
  EXPECT_EQ(branch.statements().prepare(0), "PREPARE TRANSACTION '" + branch.gid() + "'");
  EXPECT_EQ(branch.statements().commit(), "COMMIT PREPARED '" + branch.gid() + "'");

  v1::CommitRequest request;
  request.set_gtrid(begun.gtrid());
  std::future<std::pair<grpc::Status, v1::CommitReply>> commit = GrpcTest::Commit(begun.gtrid());
  ASSERT_TRUE(agent->WaitFor([](const auto& told) { return told.prepares_size() > 0; }));
  EXPECT_EQ(agent->told().prepares(0).app_held().connection_id(), "4711");
  EXPECT_EQ(agent->told().prepares(0).app_held().finisher(), v1::FINISHER_APP);
  v1::AgentMessage vote;
  vote.add_votes()->set_gid(branch.gid());
  vote.mutable_votes(0)->set_vote(v1::BranchVote::YES);
  agent->Say(vote);
  auto [status, reply] = commit.get();
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(reply.outcome(), v1::OUTCOME_COMMITTED);
  EXPECT_FALSE(reply.applied());
  ASSERT_EQ(reply.pending_size(), 1);
  EXPECT_TRUE(reply.pending(0).yours());
  EXPECT_EQ(reply.pending(0).gid(), branch.gid());

  v1::ReportFinishedRequest report;
  report.add_gids(branch.gid());
  ASSERT_TRUE(ReportFinished(report).ok());
  ASSERT_TRUE(Commit(request, &reply).ok());
  EXPECT_TRUE(reply.applied());
  ASSERT_TRUE(agent->WaitFor([](const auto& told) { return told.forget_size() > 0; }));
  EXPECT_EQ(agent->told().finishes_size(), 0) << "nothing was left for the agent to do";
}

// What can't be put on record can't decide anything, and the link lives on.
TEST_F(AppHeldGrpcTest, AVoteWhoseEvidenceIsTooLongIsANo) {
  auto agent = Connect();
  for (size_t bytes : {kEvidenceBytesMax + 1, kEvidenceBytesMax}) {
    const int asked = agent->told().prepares_size();
    v1::BeginReply begun;
    ASSERT_TRUE(Begin(NamingPg(v1::FINISHER_AGENT), &begun).ok());
    std::future<std::pair<grpc::Status, v1::CommitReply>> commit = GrpcTest::Commit(begun.gtrid());
    ASSERT_TRUE(agent->WaitFor([&](const auto& told) { return told.prepares_size() > asked; }));
    v1::AgentMessage vote;
    vote.add_votes()->set_gid(begun.branches(0).gid());
    vote.mutable_votes(0)->set_vote(v1::BranchVote::YES);
    vote.mutable_votes(0)->set_evidence(std::string(bytes, 'x'));
    agent->Say(vote);
    if (bytes > kEvidenceBytesMax) {
      auto [status, reply] = commit.get();
      ASSERT_TRUE(status.ok()) << status.error_message();
      EXPECT_EQ(reply.outcome(), v1::OUTCOME_ABORTED);
      EXPECT_NE(reply.abort().message().find("1025 bytes"), std::string::npos)
          << reply.ShortDebugString();
      continue;
    }
    ASSERT_TRUE(agent->WaitFor([](const auto& told) {
      return told.finishes_size() > 0 && told.finishes(told.finishes_size() - 1).commit();
    }));
    const v1::CoordinatorMessage told = agent->told();
    EXPECT_EQ(told.finishes(told.finishes_size() - 1).evidence(), std::string(bytes, 'x'));
    v1::AgentMessage finished;
    finished.add_finished()->set_gid(begun.branches(0).gid());
    finished.mutable_finished(0)->set_state(v1::BRANCH_STATE_COMMITTED);
    agent->Say(finished);
    EXPECT_EQ(commit.get().second.outcome(), v1::OUTCOME_COMMITTED);
  }
}

TEST_F(AppHeldGrpcTest, ATicketIsAVoteAndTheAgentIsToldOfTheSession) {
  auto agent = Connect();
  v1::BeginReply begun;
  ASSERT_TRUE(Begin(NamingPg(v1::FINISHER_AGENT), &begun).ok());
  v1::CommitRequest request;
  request.set_gtrid(begun.gtrid());
  request.set_acknowledgement(v1::ACKNOWLEDGEMENT_DECIDED);
  v1::Ticket* ticket = request.add_tickets();
  ticket->set_gid(begun.branches(0).gid());
  ticket->set_agent_incarnation(1);
  ticket->set_evidence("xid:731");
  v1::CommitReply reply;
  ASSERT_TRUE(Commit(request, &reply).ok());
  EXPECT_EQ(reply.outcome(), v1::OUTCOME_COMMITTED);
  EXPECT_FALSE(reply.pending(0).yours());
  ASSERT_TRUE(agent->WaitFor([](const auto& told) { return told.finishes_size() > 0; }));
  const v1::CoordinatorMessage told = agent->told();
  EXPECT_EQ(told.prepares_size(), 0);
  EXPECT_TRUE(told.finishes(0).commit());
  EXPECT_EQ(told.finishes(0).evidence(), "xid:731");
  EXPECT_EQ(told.finishes(0).app_held().connection_id(), "4711");
  EXPECT_EQ(told.finishes(0).app_held().finisher(), v1::FINISHER_AGENT);
}

TEST_F(AppHeldGrpcTest, EnlistThroughAnAgentMayReplaceAnAttempt) {
  auto agent = Connect();
  std::string gtrid = GrpcTest::Begin();
  v1::AgentMessage message;
  v1::RegisterBranch* asked = message.add_registers();
  asked->set_request_id(1);
  asked->set_gtrid(gtrid);
  asked->set_resource("pg");
  asked->mutable_app_held()->set_connection_id("4711");
  agent->Say(message);
  ASSERT_TRUE(agent->WaitFor([](const auto& told) { return told.registered_size() > 0; }));
  const std::string first = agent->told().registered(0).gid();
  asked->set_request_id(2);
  asked->set_again(first);
  agent->Say(message);
  ASSERT_TRUE(agent->WaitFor([](const auto& told) { return told.registered_size() > 1; }));
  EXPECT_EQ(ParseGid(agent->told().registered(1).gid())->bqual.attempt, 2u);
  ASSERT_TRUE(agent->WaitFor([](const auto& told) { return told.finishes_size() > 0; }));
  EXPECT_EQ(agent->told().finishes(0).gid(), first);
  EXPECT_FALSE(agent->told().finishes(0).commit());

  asked->set_request_id(3);
  asked->set_again("nonsense");
  agent->Say(message);
  ASSERT_TRUE(agent->WaitFor([](const auto& told) { return told.registered_size() > 2; }));
  EXPECT_EQ(agent->told().registered(2).code(), static_cast<uint32_t>(grpc::INVALID_ARGUMENT));
}

TEST_F(AppHeldGrpcTest, BadBranchesOfBeginAreRefusedByName) {
  v1::BeginReply reply;
  grpc::Status unknown = Begin(NamingPg(v1::FINISHER_APP), &reply);
  ExpectRefusal(unknown, grpc::NOT_FOUND, {"'pg'", "start its agent"});
  v1::ErrorDetail detail;
  ASSERT_TRUE(detail.ParseFromString(unknown.error_details()));
  EXPECT_EQ(detail.reason(), v1::REASON_UNKNOWN_RESOURCE);

  auto agent = Connect();
  for (const char* id : {"12a", "-1", " 1", "123456789012345678901"}) {
    v1::BeginRequest request = NamingPg(v1::FINISHER_APP);
    request.mutable_branches(0)->mutable_app_held()->set_connection_id(id);
    ExpectRefusal(Begin(request, &reply), grpc::INVALID_ARGUMENT,
                  {"'pg'", "connection_id", id, "CONNECTION_ID()"});
  }
  v1::BeginRequest finisher = NamingPg(static_cast<v1::Finisher>(9));
  ExpectRefusal(Begin(finisher, &reply), grpc::INVALID_ARGUMENT, {"finisher 9", "AGENT (1)"});

  v1::BeginRequest many = NamingPg(v1::FINISHER_APP);
  while (many.branches_size() <= static_cast<int>(kBranchesMax)) {
    *many.add_branches() = many.branches(0);
  }
  ExpectRefusal(Begin(many, &reply), grpc::INVALID_ARGUMENT, {"65", "64"});
  many.mutable_branches()->RemoveLast();
  EXPECT_TRUE(Begin(many, &reply).ok());
  EXPECT_EQ(reply.branches_size(), static_cast<int>(kBranchesMax));
}

TEST_F(AppHeldGrpcTest, BadTicketsAndReportsAreRefusedByName) {
  auto agent = Connect();
  v1::BeginReply begun;
  ASSERT_TRUE(Begin(NamingPg(v1::FINISHER_APP), &begun).ok());
  const std::string gid = begun.branches(0).gid();
  v1::CommitRequest request;
  v1::CommitReply reply;
  request.set_gtrid(begun.gtrid());
  request.add_tickets()->set_gid("nonsense");
  ExpectRefusal(Commit(request, &reply), grpc::INVALID_ARGUMENT, {"tickets", "nonsense"});
  request.mutable_tickets(0)->set_gid(gid);
  request.mutable_tickets(0)->set_evidence(std::string(kEvidenceBytesMax + 1, 'x'));
  ExpectRefusal(Commit(request, &reply), grpc::INVALID_ARGUMENT, {gid, "1025", "1024"});
  request.mutable_tickets(0)->clear_evidence();
  while (request.tickets_size() <= kTicketsMax) *request.add_tickets() = request.tickets(0);
  ExpectRefusal(Commit(request, &reply), grpc::INVALID_ARGUMENT, {"tickets", "257", "256"});
  request.clear_tickets();
  request.add_finished("nonsense");
  ExpectRefusal(Commit(request, &reply), grpc::INVALID_ARGUMENT, {"finished", "nonsense"});

  v1::BeginRequest begin;
  begin.add_finished("nonsense");
  ExpectRefusal(Begin(begin, &begun), grpc::INVALID_ARGUMENT, {"finished", "nonsense"});
  v1::ReportFinishedRequest report;
  report.add_gids("nonsense");
  ExpectRefusal(ReportFinished(report), grpc::INVALID_ARGUMENT, {"gids", "nonsense"});
  report.clear_gids();
  for (int i = 0; i <= kFinishedMax; ++i) report.add_gids(gid);
  ExpectRefusal(ReportFinished(report), grpc::INVALID_ARGUMENT, {"gids", "1001", "1000"});
  report.mutable_gids()->RemoveLast();
  EXPECT_TRUE(ReportFinished(report).ok()) << "ignored: it is not decided";
}

}  // namespace
}  // namespace assent::coordinator
