// Bad input and full houses: each a clear answer that names the thing, the value and the remedy.
#include <gmock/gmock.h>

#include <fstream>

#include "tests/agent/agent_fixture.h"

namespace assent::agent {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class LimitsTest : public AgentFixture {
 protected:
  grpc::Status TryOpen(v1::OpenReply* reply) {
    return Open(ToString(coordinator_->NextGtrid()), "1", {"write x"}, reply);
  }
};

TEST_F(LimitsTest, BadOpensAreRefusedByName) {
  StartServing();
  const std::string gtrid = ToString(coordinator_->NextGtrid());
  const struct {
    std::string why, gtrid, open_id, resource, word;
    grpc::StatusCode code;
  } cases[] = {
      {"malformed gtrid", "nonsense", "1", "orders_pg", "gtrid",
       grpc::StatusCode::INVALID_ARGUMENT},
      {"over-long gtrid", std::string(5000, 'a'), "1", "orders_pg", "gtrid",
       grpc::StatusCode::INVALID_ARGUMENT},
      {"no open_id", gtrid, "", "orders_pg", "open_id", grpc::StatusCode::INVALID_ARGUMENT},
      {"over-long open_id", gtrid, std::string(65, 'x'), "orders_pg", "open_id",
       grpc::StatusCode::INVALID_ARGUMENT},
      {"bad resource name", gtrid, "1", "Orders PG", "resource",
       grpc::StatusCode::INVALID_ARGUMENT},
      {"unknown resource", gtrid, "1", "orders_my", "it serves: orders_pg",
       grpc::StatusCode::NOT_FOUND},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.why);
    v1::OpenReply reply;
    const grpc::Status status = Open(c.gtrid, c.open_id, {}, &reply, false, c.resource);
    EXPECT_EQ(status.error_code(), c.code);
    EXPECT_THAT(status.error_message(), HasSubstr(c.word));
  }
}

TEST_F(LimitsTest, BadExecutesAreRefusedByName) {
  StartServing();
  v1::ExecuteReply reply;
  EXPECT_EQ(Execute("nonsense", 1, {}, &reply).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  const grpc::Status unknown = Execute(ToString(OtherGid()), 1, {"select"}, &reply);
  EXPECT_EQ(unknown.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(DetailOf(unknown).reason(), v1::REASON_BRANCH_LOST);
  const std::string gid = Opened({});
  EXPECT_EQ(Execute(gid, 0, {"select"}, &reply).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(Execute(gid, 1, {std::string(kSqlBytesMax + 1, 'x')}, &reply).error_message(),
              HasSubstr(std::to_string(kSqlBytesMax)));
  EXPECT_THAT(Execute(gid, 1, std::vector<std::string>(kStatementsMax + 1, "select"), &reply)
                  .error_message(),
              HasSubstr(std::to_string(kStatementsMax)));
  EXPECT_TRUE(Execute(gid, 1, {"select"}, &reply).ok());  // Nothing was lost by all that.
}

TEST_F(LimitsTest, TheResultsOfOneCallAreLimitedTogether) {
  StartServing();
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(16 << 20);  // As libassent has it.
  stub_ = v1::BranchService::NewStub(
      grpc::CreateCustomChannel(options_.listen, grpc::InsecureChannelCredentials(), arguments));
  const std::string gid = Opened({});
  v1::ExecuteReply reply;
  ASSERT_TRUE(Execute(gid, 1, {"bulk", "bulk", "bulk", "bulk", "bulk"}, &reply, true).ok());
  ASSERT_EQ(reply.results_size(), 3);
  EXPECT_EQ(reply.results(1).rows_size(), 1);
  EXPECT_EQ(reply.results(2).error().database_code(), "OUT_OF_RANGE");
  EXPECT_FALSE(reply.results(2).error().branch_doomed());
  EXPECT_EQ(reply.results(2).rows_size(), 0);
}

TEST_F(LimitsTest, ARefusedRegistrationIsTheAnswerOfOpen) {
  StartServing();
  v1::BranchRegistered refusal;
  refusal.set_code(static_cast<uint32_t>(Code::kFailedPrecondition));
  refusal.set_reason(v1::REASON_NOT_ACTIVE);
  refusal.set_message("its deadline has passed");
  coordinator_->RefuseRegistrations(refusal);
  v1::OpenReply reply;
  const grpc::Status status = TryOpen(&reply);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(DetailOf(status).reason(), v1::REASON_NOT_ACTIVE);
  EXPECT_THAT(status.error_message(), HasSubstr("deadline"));
}

TEST_F(LimitsTest, ADatabaseThatWillNotBeginIsTheAnswerOfOpen) {
  StartServing();
  database_.FailStarts(
      1, {.cause = adapters::Cause::kPermission, .code = "42501", .detail = "permission denied"});
  v1::OpenReply reply;
  const grpc::Status status = TryOpen(&reply);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::ABORTED);
  EXPECT_EQ(DetailOf(status).reason(), v1::REASON_DATABASE);
  EXPECT_THAT(status.error_message(), HasSubstr("permission denied"));
}

TEST_F(LimitsTest, AllSessionsInUseIsSaidWithADelay) {
  options_.sessions_max = 2;  // One is the fixture's.
  StartServing();
  v1::OpenReply first;
  ASSERT_TRUE(TryOpen(&first).ok());
  v1::OpenReply second;
  const grpc::Status full = TryOpen(&second);
  EXPECT_EQ(full.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(DetailOf(full).reason(), v1::REASON_LIMIT);
  EXPECT_GT(DetailOf(full).retry_delay_ms(), 0u);
  EXPECT_THAT(full.error_message(), HasSubstr("sessions_max"));
  // Once the first has voted, its session is free.
  coordinator_->Prepare(first.gid());
  ASSERT_EQ(coordinator_->NextVote()->vote(), v1::BranchVote::YES);
  EXPECT_TRUE(TryOpen(&second).ok());
}

TEST_F(LimitsTest, PreparedBranchesStayBelowTheDatabasesLimit) {
  database_.SetReport(
      {.server = "Fake 1.0", .identity = "fake-1", .prepared_max = 4, .findings = {}});
  StartServing();  // Its probe is one of the three that are left after the reserve.
  const std::string prepared = PreparedBranch("a");
  v1::OpenReply reply;
  ASSERT_TRUE(TryOpen(&reply).ok());
  v1::OpenReply refused;
  const grpc::Status full = TryOpen(&refused);
  EXPECT_EQ(full.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(full.error_message(), HasSubstr("max_prepared_transactions"));
  coordinator_->Finish(prepared, true);
  ASSERT_EQ(coordinator_->NextFinished()->state(), v1::BRANCH_STATE_COMMITTED);
  EXPECT_TRUE(Eventually([&] { return TryOpen(&refused).ok(); }));
}

TEST_F(LimitsTest, ADatabaseWithUnsafeSettingsIsNotServed) {
  database_.SetReport({.server = "Fake 1.0",
                       .identity = "fake-1",
                       .prepared_max = 0,
                       .findings = {{.fatal = true,
                                     .name = "max_prepared_transactions",
                                     .value = "0",
                                     .remedy = "set it to 200 and restart the server"}}});
  StartAgent();
  ASSERT_TRUE(coordinator_->WaitServed(0));
  v1::OpenReply reply;
  grpc::Status status;
  EXPECT_TRUE(Eventually([&] {
    status = TryOpen(&reply);
    return status.error_code() == grpc::StatusCode::FAILED_PRECONDITION;
  }));
  EXPECT_THAT(status.error_message(),
              AllOf(HasSubstr("orders_pg"), HasSubstr("max_prepared_transactions is 0"),
                    HasSubstr("set it to 200")));
}

// ---- Options ------------------------------------------------------------------------------------

TEST_F(LimitsTest, EveryProblemOfTheOptionsIsToldAtOnce) {
  EXPECT_THAT(ValidateOptions(options_), IsEmpty());
  const std::string open_file = directory_ + "/password";
  std::ofstream(open_file) << "secret\n";
  Options bad = options_;
  bad.coordinators = {"nowhere"};
  bad.listen = "0.0.0.0:7410";
  bad.http_listen = "0.0.0.0:7412";
  bad.resources = {{.name = "Orders"},
                   {.name = "stock", .password_file = open_file},
                   {.name = "stock", .password_env = "NOT_SET_ANYWHERE"}};
  const std::vector<std::string> problems = ValidateOptions(bad);
  EXPECT_THAT(problems, Contains(HasSubstr("'nowhere'")));
  EXPECT_THAT(problems, Contains(HasSubstr("0.0.0.0:7410")));
  EXPECT_THAT(problems, Contains(AllOf(HasSubstr("http_listen \"0.0.0.0:7412\""),
                                       HasSubstr("listen on 127.0.0.1:7412"))));
  EXPECT_THAT(problems, Contains(HasSubstr("\"Orders\"")));
  EXPECT_THAT(problems, Contains(HasSubstr("stands twice")));
  EXPECT_THAT(problems, Contains(HasSubstr("chmod 600")));
  EXPECT_THAT(problems, Contains(HasSubstr("NOT_SET_ANYWHERE")));
}

TEST_F(LimitsTest, ConfigurationFilesAreReadAndTheirMistakesNamed) {
  const std::string config = directory_ + "/agent.toml";
  std::ofstream(config) << "agent_id = \"orders-1\"\ndata_dir = \"/tmp/x\"\n"
                           "coordinators = [\"c1:7400\", \"c2:7400\"]\nsesions_max = 3\n"
                           "[[resource]]\nname = \"orders_pg\"\nkind = \"oracle\"\n"
                           "database = \"orders\"\nuser = \"assent\"\n";
  Options options;
  OptionSet set("assent-agent", "test");
  AddOptions(set, &options);
  const ParseResult result = set.Parse({"--config", config}, {});
  EXPECT_THAT(result.problems, Contains(HasSubstr("sesions_max")));
  EXPECT_THAT(result.problems, Contains(HasSubstr("oracle")));
  EXPECT_EQ(options.coordinators.size(), 2u);
}

}  // namespace
}  // namespace assent::agent
