// assentctl against a fake coordinator. What it prints is compared with tests/testdata/ctl; with
// ASSENT_REWRITE=1 in the environment those files are written anew (review the diff as code).
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "assent/v1/admin_service.grpc.pb.h"
#include "assent/v1/transaction_service.grpc.pb.h"
#include "base/rpc/status.h"
#include "ctl/ctl.h"
#include "tests/support/paths.h"

namespace assent::ctl {
namespace {

using testing::HasSubstr;

const char kCommitting[] = "prod-eu.028q5cu4qnjff.0007.0000001a.000000v8";
const char kHeuristic[] = "prod-eu.028q5cu4qnjff.0007.0000001a.000000v9";
const char kAborted[] = "prod-eu.028q5cu4qnjff.0007.0000001a.000000va";
const char kNoSuch[] = "prod-eu.028q5cu4qnjff.0007.0000001a.000000vb";

void AddBranch(v1::Transaction* transaction, const std::string& resource, const std::string& kind,
               v1::BranchState state, const std::string& detail, const std::string& evidence) {
  v1::Branch* branch = transaction->add_branches();
  int number = transaction->branches_size();
  branch->set_gid("assent:" + transaction->gtrid() + ":A." + resource + ".00" +
                  std::to_string(number) + ".0001");
  branch->set_resource(resource);
  branch->set_kind(kind);
  branch->set_state(state);
  branch->set_agent("agent-" + std::to_string(number));
  branch->set_detail(detail);
  branch->set_evidence(evidence);
}

v1::Transaction Committing() {
  v1::Transaction t;
  t.set_gtrid(kCommitting);
  t.set_state(v1::STATE_COMMITTED);
  t.set_outcome(v1::OUTCOME_COMMITTED);
  t.set_label("transfer");
  t.set_client_key("transfer-4711");
  t.set_age_ms(93'784'000);
  AddBranch(&t, "orders_pg", "postgresql", v1::BRANCH_STATE_COMMITTED, "", "xid=77 sys=1 db=5");
  AddBranch(&t, "stock_my", "mariadb", v1::BRANCH_STATE_COMMITTING, "database: connection refused",
            "id=stock");
  return t;
}

v1::Transaction Heuristic() {
  v1::Transaction t;
  t.set_gtrid(kHeuristic);
  t.set_state(v1::STATE_HEURISTIC);
  t.set_outcome(v1::OUTCOME_COMMITTED);
  t.set_age_ms(61'000);
  AddBranch(&t, "orders_pg", "postgresql", v1::BRANCH_STATE_HEURISTIC_ROLLBACK,
            "rolled back behind our back", "xid=78 sys=1 db=5");
  AddBranch(&t, "stock_my", "", v1::BRANCH_STATE_HAZARD, "gone,\n\x1b[31mno evidence", "");
  return t;
}

v1::Transaction AbortedOne() {
  v1::Transaction t;
  t.set_gtrid(kAborted);
  t.set_state(v1::STATE_ABORTED);
  t.set_outcome(v1::OUTCOME_ABORTED);
  t.mutable_abort()->set_cause(v1::ABORT_CAUSE_BRANCH_VOTED_NO);
  t.mutable_abort()->set_resource("stock_my");
  t.mutable_abort()->set_branch_cause(v1::BRANCH_CAUSE_DEADLOCK);
  t.mutable_abort()->set_database_code("1213/40001");
  t.mutable_abort()->set_message("Deadlock found when trying to get lock");
  AddBranch(&t, "orders_pg", "postgresql", v1::BRANCH_STATE_PREPARED, "", "xid=79 sys=1 db=5");
  AddBranch(&t, "stock_my", "mariadb", v1::BRANCH_STATE_FAILED, "deadlock", "");
  return t;
}

class FakeTransactions final : public v1::TransactionService::Service {
 public:
  std::vector<v1::Transaction> all = {Committing(), Heuristic(), AbortedOne()};
  bool not_leader = false;
  int elections = 0;   // So many calls find no leader yet.
  std::string leader;  // The hint that comes with it.
  bool hang = false;

  grpc::Status Get(grpc::ServerContext* context, const v1::GetRequest* request,
                   v1::GetReply* reply) override {
    while (hang && !context->IsCancelled()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    for (const v1::Transaction& transaction : all) {
      if (transaction.gtrid() == request->gtrid()) *reply->mutable_transaction() = transaction;
    }
    if (reply->has_transaction()) return grpc::Status::OK;
    return rpc::ToGrpc(FailedPrecondition("gtrid " + request->gtrid() + " is of another cluster"));
  }

  grpc::Status List(grpc::ServerContext*, const v1::ListRequest* request,
                    v1::ListReply* reply) override {
    if (not_leader || elections-- > 0) {
      v1::ErrorDetail detail;
      detail.set_reason(v1::REASON_NOT_LEADER);
      detail.set_leader(leader);
      return rpc::ToGrpc(Unavailable("node-1 follows"), detail);
    }
    for (const v1::Transaction& transaction : all) {
      bool wanted = request->states().empty() ||
                    std::count(request->states().begin(), request->states().end(),
                               static_cast<int>(transaction.state())) > 0;
      if (!wanted || transaction.gtrid() <= request->after()) continue;
      // Small pages, so that paging is walked.
      if (reply->transactions_size() == std::min<int>(2, static_cast<int>(request->limit()))) {
        reply->set_more(true);
        break;
      }
      *reply->add_transactions() = transaction;
    }
    return grpc::Status::OK;
  }
};

class FakeAdmin final : public v1::AdminService::Service {
 public:
  v1::GetStatusReply status;
  std::vector<std::string> forgotten;

  FakeAdmin() {
    status.set_version("0.1.0");
    status.set_cluster("prod-eu");
    status.set_cluster_uuid("6f1c0f0e-8f6e-4f6e-9d35-0a4d9a3a7c11");
    status.set_group(7);
    status.set_group_incarnation(9'876'543'210'123'456'789u);
    status.set_node("node-1");
    status.set_term(42);
    status.set_leader(true);
    status.set_applied_index(1'234);
    status.set_uptime_ms(7'260'000);
    status.set_live_transactions(2);
    status.set_unfinished_transactions(1);
    v1::AgentStatus* agent = status.add_agents();
    agent->set_agent_id("agent-1");
    agent->set_peer("ipv4:127.0.0.1:50112");
    agent->set_version("0.1.0");
    agent->set_connected_ms(59'000);
    agent->add_resources("orders_pg");
    v1::ResourceStatus* orders = status.add_resources();
    orders->set_name("orders_pg");
    orders->set_kind("postgresql");
    orders->set_identity("7300000000000000001/16384");
    orders->set_server("PostgreSQL 15.18");
    orders->set_agents(1);
    v1::ResourceStatus* stock = status.add_resources();
    stock->set_name("stock_my");
    stock->set_pending_branches(3);
  }

  grpc::Status GetStatus(grpc::ServerContext*, const v1::GetStatusRequest*,
                         v1::GetStatusReply* reply) override {
    *reply = status;
    return grpc::Status::OK;
  }
  grpc::Status Forget(grpc::ServerContext*, const v1::ForgetRequest* request,
                      v1::ForgetReply*) override {
    if (request->gtrid() == kHeuristic) {
      forgotten.push_back(request->gtrid());
      return grpc::Status::OK;
    }
    if (request->gtrid() == kCommitting) {
      return rpc::ToGrpc(FailedPrecondition("it has no heuristic outcome"));
    }
    return rpc::ToGrpc(NotFound("no transaction " + request->gtrid() + " on record"));
  }
};

struct Ran {
  int exit_code;
  std::string out;
  std::string err;
};

class CtlTest : public testing::Test {
 protected:
  CtlTest() {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&transactions_);
    builder.RegisterService(&admin_);
    server_ = builder.BuildAndStart();
    endpoint_ = "127.0.0.1:" + std::to_string(port);
    // By the environment, as a shell would.
    setenv("ASSENT_ENDPOINT", endpoint_.c_str(), 1);
  }
  ~CtlTest() override { unsetenv("ASSENT_ENDPOINT"); }

  Ran Ctl(std::vector<std::string> arguments) {
    std::vector<const char*> argv = {"assentctl"};
    for (const std::string& argument : arguments) argv.push_back(argument.c_str());
    std::ostringstream out, err;
    int exit_code = ctl::Run(static_cast<int>(argv.size()), argv.data(), out, err);
    return {exit_code, Masked(out.str()), Masked(err.str())};
  }

  // The port differs from run to run.
  std::string Masked(std::string text) const {
    for (size_t at; (at = text.find(endpoint_)) != std::string::npos;) {
      text.replace(at, endpoint_.size(), "HOST:PORT");
    }
    return text;
  }

  static void ExpectGolden(const std::string& name, const std::string& actual) {
    const std::string path = std::string(assent::tests::TestDataDir()) + "/ctl/" + name;
    if (std::getenv("ASSENT_REWRITE") != nullptr) {
      std::ofstream(path, std::ios::binary) << actual;
      return;
    }
    std::ifstream file(path, std::ios::binary);
    std::string expected{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    EXPECT_EQ(actual, expected) << "differs from " << path;
  }

  FakeTransactions transactions_;
  FakeAdmin admin_;
  std::string endpoint_;
  std::unique_ptr<grpc::Server> server_;
};

TEST_F(CtlTest, StatusTellsWhatIsUnderWay) {
  Ran text = Ctl({"status"});
  EXPECT_EQ(text.exit_code, kExitOk) << text.err;
  ExpectGolden("status.txt", text.out);
  Ran json = Ctl({"status", "--json"});
  ExpectGolden("status.json", json.out);
}

TEST_F(CtlTest, StatusWithHeuristicsAsksForAnOperator) {
  admin_.status.set_heuristic_transactions(1);
  Ran ran = Ctl({"status"});
  EXPECT_EQ(ran.exit_code, kExitNeedsOperator);
  EXPECT_THAT(ran.out, HasSubstr("assentctl list --state heuristic"));
  EXPECT_EQ(Ctl({"status", "--json"}).exit_code, kExitNeedsOperator);
}

TEST_F(CtlTest, StatusShowsALogInEtcd) {
  v1::LogStatus& log = *admin_.status.mutable_log();
  log.set_engine("etcd");
  log.set_lease_left_ms(4'200);
  v1::LogServer* up = log.add_servers();
  up->set_address("10.0.0.1:2379");
  up->set_up(true);
  up->set_asked(true);
  up->set_version("3.5.9");
  up->set_database_bytes(20'480);
  v1::LogServer* down = log.add_servers();
  down->set_address("10.0.0.2:2379");
  down->set_problem("Connection refused");
  Ran text = Ctl({"status"});
  EXPECT_EQ(text.exit_code, kExitOk) << text.err;
  ExpectGolden("status_etcd.txt", text.out);
  ExpectGolden("status_etcd.json", Ctl({"status", "--json"}).out);

  log.set_no_space(true);
  log.set_lease_left_ms(0);
  log.set_trouble("etcd has no space");
  text = Ctl({"status"});
  EXPECT_EQ(text.exit_code, kExitNeedsOperator);
  EXPECT_THAT(text.out, AllOf(HasSubstr("no lease"), HasSubstr("the log: etcd has no space"),
                              HasSubstr("etcdctl alarm disarm")));
}

TEST_F(CtlTest, ListWalksThePagesInOrder) {
  Ran text = Ctl({"list"});
  EXPECT_EQ(text.exit_code, kExitOk) << text.err;
  ExpectGolden("list.txt", text.out);
  ExpectGolden("list.json", Ctl({"--json", "list"}).out);
}

TEST_F(CtlTest, ListSaysWhenMoreFollows) {
  Ran ran = Ctl({"list", "--limit", "1"});
  EXPECT_THAT(ran.out, HasSubstr("the first 1; more follow: raise --limit"));
  EXPECT_TRUE(nlohmann::json::parse(Ctl({"list", "--limit=1", "--json"}).out)["more"]);
}

TEST_F(CtlTest, ListOfSomeStatesAndOfNone) {
  Ran ran = Ctl({"list", "--state", "heuristic,ABORTED"});
  EXPECT_THAT(ran.out, testing::Not(HasSubstr(kCommitting)));
  EXPECT_THAT(ran.out, HasSubstr(kHeuristic));
  EXPECT_THAT(ran.out, HasSubstr(kAborted));
  EXPECT_EQ(Ctl({"list", "--state", "active"}).out, "no transactions\n");
}

TEST_F(CtlTest, ShowGivesTheSqlThatAgreesWithTheOutcome) {
  Ran committing = Ctl({"show", kCommitting});
  EXPECT_EQ(committing.exit_code, kExitOk) << committing.err;
  ExpectGolden("show_committing.txt", committing.out);
  ExpectGolden("show_committing.json", Ctl({"show", kCommitting, "--json"}).out);

  Ran heuristic = Ctl({"show", kHeuristic});
  EXPECT_EQ(heuristic.exit_code, kExitNeedsOperator);
  ExpectGolden("show_heuristic.txt", heuristic.out);
  ExpectGolden("show_heuristic.json", Ctl({"show", kHeuristic, "--json"}).out);

  ExpectGolden("show_aborted.txt", Ctl({"show", kAborted}).out);
}

// Ending a branch of a transaction that is still being decided would make it mixed.
TEST_F(CtlTest, ShowOffersNoVerbBeforeTheDecision) {
  transactions_.all[0].set_state(v1::STATE_PREPARING);
  transactions_.all[0].set_outcome(v1::OUTCOME_UNKNOWN);
  transactions_.all[0].mutable_branches(0)->set_state(v1::BRANCH_STATE_PREPARED);
  Ran ran = Ctl({"show", kCommitting});
  EXPECT_THAT(ran.out, HasSubstr("do not end it by hand"));
  EXPECT_THAT(ran.out, testing::Not(HasSubstr("COMMIT PREPARED")));
  EXPECT_THAT(ran.out, testing::Not(HasSubstr("ROLLBACK PREPARED")));
}

TEST_F(CtlTest, ForgetSaysWhatItDid) {
  EXPECT_EQ(Ctl({"forget", kHeuristic}).out, std::string("forgotten ") + kHeuristic + "\n");
  EXPECT_EQ(nlohmann::json::parse(Ctl({"forget", kHeuristic, "--json"}).out)["forgotten"],
            kHeuristic);
  EXPECT_EQ(admin_.forgotten.size(), 2u);
}

TEST_F(CtlTest, ForgetPassesTheRefusalOn) {
  Ran live = Ctl({"forget", kCommitting});
  EXPECT_EQ(live.exit_code, kExitError);
  EXPECT_EQ(live.out, "");
  EXPECT_EQ(live.err, "assentctl: coordinator HOST:PORT: it has no heuristic outcome\n");
  EXPECT_EQ(Ctl({"forget", kNoSuch}).exit_code, kExitError);
}

TEST_F(CtlTest, MalformedGtridNamesItAndTheRemedyWithoutACall) {
  server_->Shutdown();
  for (const char* verb : {"show", "forget"}) {
    Ran ran = Ctl({verb, "not-a-gtrid"});
    EXPECT_EQ(ran.exit_code, kExitUsage);
    EXPECT_THAT(ran.err, HasSubstr("\"not-a-gtrid\""));
    EXPECT_THAT(ran.err, HasSubstr("assentctl list"));
    // What databases list is a gid.
    Ran gid = Ctl({verb, "assent:" + std::string(kCommitting) + ":A.orders_pg.001.0001"});
    EXPECT_EQ(gid.exit_code, kExitUsage);
    EXPECT_THAT(gid.err, HasSubstr("give its transaction: " + std::string(kCommitting)));
  }
}

TEST_F(CtlTest, UnreachableCoordinatorNamesItAndTheRemedy) {
  server_->Shutdown();
  Ran ran = Ctl({"status"});
  EXPECT_EQ(ran.exit_code, kExitError);
  EXPECT_THAT(ran.err, HasSubstr("coordinator HOST:PORT can't be reached"));
  EXPECT_THAT(ran.err, HasSubstr("--endpoint"));
  EXPECT_EQ(ran.out, "");
}

TEST_F(CtlTest, SilentCoordinatorIsNotWaitedForLongerThanAsked) {
  transactions_.hang = true;
  Ran ran = Ctl({"show", kCommitting, "--timeout-ms", "100"});
  EXPECT_EQ(ran.exit_code, kExitError);
  EXPECT_THAT(ran.err, HasSubstr("did not answer within 100 ms"));
}

TEST_F(CtlTest, AFollowerWithoutALeaderIsNamed) {
  transactions_.not_leader = true;
  EXPECT_THAT(Ctl({"list", "--timeout-ms", "300"}).err,
              HasSubstr("HOST:PORT does not lead: node-1 follows; it knows no leader"));
}

TEST_F(CtlTest, ALeaderThatIsNotThereIsNamed) {
  transactions_.not_leader = true;
  transactions_.leader = "127.0.0.1:1";
  EXPECT_THAT(
      Ctl({"list", "--timeout-ms", "300"}).err,
      HasSubstr("it names 127.0.0.1:1, which does not lead either. Nobody did within 300 ms"));
}

TEST_F(CtlTest, AGroupThatChoosesItsLeaderIsWaitedFor) {
  transactions_.elections = 3;
  transactions_.leader = "127.0.0.1:1";  // The one that died.
  Ran ran = Ctl({"list"});
  EXPECT_EQ(ran.exit_code, kExitOk) << ran.err;
  EXPECT_LT(transactions_.elections, 0);
}

TEST_F(CtlTest, ALeaderInACircleIsNotFollowedForEver) {
  transactions_.not_leader = true;
  transactions_.leader = endpoint_;
  EXPECT_THAT(Ctl({"list", "--timeout-ms", "300"}).err, HasSubstr("does not lead"));
}

TEST_F(CtlTest, AnotherNodeIsAskedWhereOneCantBeReached) {
  Ran ran = Ctl({"--endpoint", "127.0.0.1:1," + endpoint_, "status"});
  EXPECT_EQ(ran.exit_code, kExitOk) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("node-1 at HOST:PORT"));
}

TEST_F(CtlTest, WrongUsageIsExitCodeTwoAndNamesTheValue) {
  for (std::vector<std::string> wrong : {std::vector<std::string>{},
                                         {"frob"},
                                         {"show"},
                                         {"status", "--frob"},
                                         {"list", "--limit", "0"},
                                         {"list", "--limit", "many"},
                                         {"status", "--timeout-ms", "0"}}) {
    Ran ran = Ctl(wrong);
    EXPECT_EQ(ran.exit_code, kExitUsage) << testing::PrintToString(wrong);
    EXPECT_NE(ran.err, "");
  }
  EXPECT_THAT(Ctl({"list", "--state", "frob"}).err, HasSubstr("'frob'"));
  Ran endpoint = Ctl({"status", "--endpoint", "frob"});
  EXPECT_EQ(endpoint.exit_code, kExitUsage);
  EXPECT_THAT(endpoint.err, HasSubstr("'frob'"));
}

TEST_F(CtlTest, TlsFilesThatAreNotThereAreNamed) {
  Ran ran = Ctl({"status", "--tls-ca-file", "/does/not/exist.pem"});
  EXPECT_EQ(ran.exit_code, kExitError);
  EXPECT_THAT(ran.err, HasSubstr("/does/not/exist.pem"));
}

TEST_F(CtlTest, HelpAndVersionAreNoErrors) {
  EXPECT_EQ(Ctl({"--help"}).exit_code, kExitOk);
  EXPECT_EQ(Ctl({"list", "--help"}).exit_code, kExitOk);
  EXPECT_THAT(Ctl({"--version"}).out, HasSubstr("assentctl "));
}

}  // namespace
}  // namespace assent::ctl
