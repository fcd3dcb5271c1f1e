#include "tests/system/probe.h"

#include <utility>

#include "tests/support/connect.h"

namespace assent::system_tests {
namespace {

using client::Outcome;
using std::chrono::milliseconds;
using Time = std::chrono::steady_clock;
using test_support::Deployment;

constexpr milliseconds kBeginFor{10'000};
constexpr milliseconds kCommitFor{30'000};

constexpr const char* kTable = "CREATE TABLE IF NOT EXISTS probe (id VARCHAR(64) PRIMARY KEY)";

milliseconds Since(Time::time_point begin) {
  return std::chrono::duration_cast<milliseconds>(Time::now() - begin);
}

}  // namespace

Result<Probe> Probe::Make(const Deployment& house) {
  if (Status s = house.postgres().Execute(kTable); !s.ok()) return s;
  if (Status s = house.mariadb().Execute(kTable); !s.ok()) return s;
  client::ClientOptions options = ToCoordinator(house);
  options.begin_retry_for = kBeginFor;
  auto coordinators = client::Client::Connect(options);
  if (!coordinators.ok()) return coordinators.status();
  auto postgres = client::Agent::Connect(ToAgent(house, house.postgres_agent()));
  if (!postgres.ok()) return postgres.status();
  auto mariadb = client::Agent::Connect(ToAgent(house, house.mariadb_agent()));
  if (!mariadb.ok()) return mariadb.status();
  return Probe(house, std::move(*coordinators), std::move(*postgres), std::move(*mariadb));
}

Probe::Probe(const Deployment& house, client::Client coordinators, client::Agent postgres_agent,
             client::Agent mariadb_agent)
    : house_(&house),
      coordinators_(std::move(coordinators)),
      postgres_agent_(std::move(postgres_agent)),
      mariadb_agent_(std::move(mariadb_agent)) {}

std::string Probe::Commit::ToString() const {
  return std::to_string(committed.count()) + " ms (begun " + std::to_string(begun.count()) +
         ", worked " + std::to_string(worked.count()) + ", tries " + std::to_string(tries) + ")";
}

Status Probe::WorkIn(client::Transaction& transaction) {
  client::OpenOptions in_postgres;
  in_postgres.statements = {{"INSERT INTO probe VALUES ($1)", {transaction.gtrid()}}};
  auto first = transaction.Open(postgres_agent_, Deployment::kPostgresResource, in_postgres);
  if (!first.ok()) return first.error().status;
  client::OpenOptions in_mariadb;
  in_mariadb.statements = {{"INSERT INTO probe VALUES (?)", {transaction.gtrid()}}};
  auto second = transaction.Open(mariadb_agent_, Deployment::kMariadbResource, in_mariadb);
  if (!second.ok()) return second.error().status;
  return Ok();
}

Result<client::Transaction> Probe::Work() {
  auto transaction = coordinators_.Begin();
  if (!transaction.ok()) return transaction.status();
  if (Status s = WorkIn(*transaction); !s.ok()) return s;
  return std::move(*transaction);
}

Result<Probe::Commit> Probe::CommitOne(milliseconds limit) {
  const Time::time_point start = Time::now();
  std::string failure = "none";
  Commit commit;
  for (; Since(start) < limit; ++commit.tries) {
    auto transaction = coordinators_.Begin();
    if (!transaction.ok()) {
      failure = transaction.status().ToString();
      continue;
    }
    commit.begun = Since(start);
    if (Status s = WorkIn(*transaction); !s.ok()) {
      failure = s.ToString();
      (void)transaction->Rollback(kBeginFor);
      continue;
    }
    commit.worked = Since(start);
    client::CommitOptions options;
    options.retry_for = kCommitFor;
    const client::CommitResult result = transaction->Commit(options);
    if (result.outcome == Outcome::kCommitted) {
      commit.committed = Since(start);
      commit.gtrid = transaction->gtrid();
      return commit;
    }
    failure = result.ToString();
    if (result.outcome != Outcome::kAborted) return Internal("no answer: " + failure);
  }
  return DeadlineExceeded("no commit within " + std::to_string(limit.count()) +
                          " ms; last failure: " + failure);
}

Result<bool> Probe::IsApplied(const std::string& gtrid) const {
  const std::string query = "SELECT id FROM probe WHERE id = '" + gtrid + "'";
  auto in_postgres = house_->postgres().Query(query);
  if (!in_postgres.ok()) return in_postgres.status();
  auto in_mariadb = house_->mariadb().Query(query);
  if (!in_mariadb.ok()) return in_mariadb.status();
  if (in_postgres->empty() != in_mariadb->empty()) {
    return Internal(gtrid + " stands in one database only");
  }
  return !in_postgres->empty();
}

}  // namespace assent::system_tests
