#include "tests/chaos/walk.h"

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <thread>

#include "assent/v1/admin_service.grpc.pb.h"
#include "base/rpc/credentials.h"
#include "tests/support/connect.h"
#include "tests/support/process.h"
#include "tests/support/stop_point.h"

namespace assent::chaos {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using test_support::Deployment;
using test_support::StopPoint;

// What a transfer may take when something is killed and restarted on its way.
constexpr auto kReachedWithin = seconds(15);
constexpr auto kAskFor = seconds(40);
constexpr auto kSettledWithin = seconds(30);

constexpr const char* kSchema = "CREATE TABLE walk (id VARCHAR(64) PRIMARY KEY)";

}  // namespace

const char* PartName(Part part) {
  switch (part) {
    case Part::kCoordinator:
      return "coordinator";
    case Part::kPostgresAgent:
      return "postgres_agent";
    case Part::kMariadbAgent:
      return "mariadb_agent";
    case Part::kPostgres:
      return "postgres";
    case Part::kMariadb:
      return "mariadb";
  }
  return "?";
}

Result<std::unique_ptr<Walk>> Walk::Create(const test_support::DeploymentOptions& options) {
  auto house = Deployment::Start(options);
  if (!house.ok()) return house.status();
  if (Status s = (*house)->postgres().Execute(kSchema); !s.ok()) return s;
  if (Status s = (*house)->mariadb().Execute(kSchema); !s.ok()) return s;
  return std::unique_ptr<Walk>(new Walk(std::move(*house)));
}

Result<Ending> Walk::Run(const std::string& step, Part stopped, Part killed) {
  const std::string id = "w" + std::to_string(++number_) + "-" + step + "-" + PartName(killed);
  StopPoint stop(step);
  test_support::ServerProcess& process = ProcessOf(stopped);
  process.Kill9();
  if (Status s = process.Start(stop.Env()); !s.ok()) return s;

  Ending ending;
  std::thread client([&] { ending.told = Transfer(id, &ending.log); });

  Status trouble = stop.WaitReached(kReachedWithin);
  if (trouble.ok()) {
    Kill(killed);
    if (killed != stopped) stop.Release();
    trouble = BringBack(killed);
  }
  client.join();
  // The next stretch begins with a process that has no stop point left; so does the check.
  if (killed != stopped) {
    stop.Release();
  } else if (!trouble.ok()) {
    Kill(stopped);
    (void)BringBack(stopped);
  }
  if (!trouble.ok()) return trouble;

  auto left = house_->WaitNothingPrepared(kSettledWithin);
  if (!left.ok()) return left.status();
  if (*left != 0) {
    return DeadlineExceeded(std::to_string(*left) + " prepared branches stay in doubt after " + id);
  }
  if (Status s = WaitAllEnded(); !s.ok()) return s;
  auto in_postgres = StandsIn(Part::kPostgres, id);
  if (!in_postgres.ok()) return in_postgres.status();
  auto in_mariadb = StandsIn(Part::kMariadb, id);
  if (!in_mariadb.ok()) return in_mariadb.status();
  ending.in_postgres = *in_postgres;
  ending.in_mariadb = *in_mariadb;
  return ending;
}

client::Outcome Walk::Transfer(const std::string& id, std::string* why) {
  client::ClientOptions options = test_support::ToCoordinator(*house_);
  options.begin_retry_for = kAskFor;
  auto coordinators = client::Client::Connect(options);
  auto postgres_agent =
      client::Agent::Connect(test_support::ToAgent(*house_, house_->postgres_agent()));
  auto mariadb_agent =
      client::Agent::Connect(test_support::ToAgent(*house_, house_->mariadb_agent()));
  if (!coordinators.ok() || !postgres_agent.ok() || !mariadb_agent.ok()) {
    return client::Outcome::kUnknown;
  }

  client::BeginOptions begin;
  begin.timeout = seconds(20);
  begin.label = id;
  auto transaction = coordinators->Begin(begin);
  if (!transaction.ok()) {
    *why = transaction.status().ToString();
    return client::Outcome::kUnknown;
  }
  client::OpenOptions in_postgres, in_mariadb;
  in_postgres.statements = {{"INSERT INTO walk VALUES ($1)", {id}}};
  in_mariadb.statements = {{"INSERT INTO walk VALUES (?)", {id}}};
  auto first = transaction->Open(*postgres_agent, Deployment::kPostgresResource, in_postgres);
  bool worked = first.ok();
  if (worked) {
    worked = transaction->Open(*mariadb_agent, Deployment::kMariadbResource, in_mariadb).ok();
  }
  client::CommitOptions commit;
  commit.retry_for = kAskFor;
  client::CommitResult result =
      worked ? transaction->Commit(commit) : transaction->Rollback(kAskFor);
  if (result.unknown()) result = coordinators->Resolve(transaction->gtrid(), kAskFor);
  *why = transaction->gtrid() + ": " + result.ToString();
  return result.outcome;
}

test_support::ServerProcess& Walk::ProcessOf(Part part) {
  switch (part) {
    case Part::kPostgresAgent:
      return house_->postgres_agent();
    case Part::kMariadbAgent:
      return house_->mariadb_agent();
    case Part::kCoordinator:
    case Part::kPostgres:
    case Part::kMariadb:
      break;
  }
  return house_->coordinator();
}

void Walk::Kill(Part part) {
  switch (part) {
    case Part::kPostgres:
      house_->postgres().Kill9();
      return;
    case Part::kMariadb:
      house_->mariadb().Kill9();
      return;
    case Part::kCoordinator:
    case Part::kPostgresAgent:
    case Part::kMariadbAgent:
      ProcessOf(part).Kill9();
      return;
  }
}

Status Walk::BringBack(Part part) {
  switch (part) {
    case Part::kPostgres:
      return house_->postgres().Start();
    case Part::kMariadb:
      return house_->mariadb().Start();
    case Part::kCoordinator:
    case Part::kPostgresAgent:
    case Part::kMariadbAgent:
      return ProcessOf(part).Start();
  }
  return Ok();
}

Status Walk::WaitAllEnded() {
  const test_support::TlsPaths& tls = house_->client_tls();
  auto credentials = rpc::ChannelCredentials({tls.ca_file, tls.cert_file, tls.key_file});
  if (!credentials.ok()) return credentials.status();
  auto stub = v1::AdminService::NewStub(
      grpc::CreateChannel(house_->coordinator().endpoint(), *credentials));
  std::string last = "no answer";
  bool ended = test_support::WaitUntil(kSettledWithin, [&] {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + seconds(2));
    v1::GetStatusReply status;
    if (!stub->GetStatus(&context, {}, &status).ok()) return false;
    last = status.ShortDebugString();
    return status.live_transactions() == 0 && status.unfinished_transactions() == 0 &&
           status.heuristic_transactions() == 0;
  });
  if (!ended) {
    return DeadlineExceeded("the coordinator still has transactions under way: " + last);
  }
  // An agent that came back says at its hello what it had done, and is told to forget it. What a
  // branch is opened with later comes later on the same link.
  if (!test_support::WaitUntil(kSettledWithin, [&] { return BothAgentsWork(); })) {
    return DeadlineExceeded("an agent opens no branch any more");
  }
  return Ok();
}

bool Walk::BothAgentsWork() {
  auto coordinators = client::Client::Connect(test_support::ToCoordinator(*house_));
  if (!coordinators.ok()) return false;
  auto transaction = coordinators->Begin();
  if (!transaction.ok()) return false;
  const std::pair<const test_support::AgentProcess*, const char*> places[] = {
      {&house_->postgres_agent(), Deployment::kPostgresResource},
      {&house_->mariadb_agent(), Deployment::kMariadbResource}};
  for (const auto& [process, resource] : places) {
    auto agent = client::Agent::Connect(test_support::ToAgent(*house_, *process));
    if (!agent.ok() || !transaction->Open(*agent, resource).ok()) return false;
  }
  return transaction->Rollback().aborted();
}

Result<bool> Walk::StandsIn(Part database, const std::string& id) {
  const std::string sql = "SELECT id FROM walk WHERE id = '" + id + "'";
  auto rows =
      database == Part::kPostgres ? house_->postgres().Query(sql) : house_->mariadb().Query(sql);
  if (!rows.ok()) return rows.status();
  return !rows->empty();
}

}  // namespace assent::chaos
