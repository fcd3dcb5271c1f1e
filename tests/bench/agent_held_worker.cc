// A transfer through libassent: the agents hold the sessions.
#include <utility>

#include "tests/bench/worker.h"

namespace assent::bench {
namespace {

using client::Outcome;
using test_support::Deployment;

class AgentHeldWorker final : public Worker {
 public:
  AgentHeldWorker(const House& house, int64_t account)
      : house_(house), client_(house.client), account_(account) {}

  Status Transfer(int64_t id) override {
    const int64_t change = PostgresChange(id);
    auto transaction = client_.Begin();
    if (!transaction.ok()) return transaction.status();
    client::OpenOptions in_postgres;
    in_postgres.statements = {
        {"UPDATE accounts SET balance = balance + $1::bigint WHERE id = $2", {change, account_}},
        {"INSERT INTO transfers(id, account, amount) VALUES ($1, $2, $3)", {id, account_, change}}};
    client::OpenOptions in_mariadb;
    in_mariadb.statements = {
        {"UPDATE accounts SET balance = balance + ? WHERE id = ?", {-change, account_}},
        {"INSERT INTO transfers(id, account, amount) VALUES (?, ?, ?)", {id, account_, -change}}};
    auto branches = transaction->OpenAll(
        {{house_.postgres_agent, Deployment::kPostgresResource, std::move(in_postgres)},
         {house_.mariadb_agent, Deployment::kMariadbResource, std::move(in_mariadb)}});
    if (!branches.ok()) return branches.status();
    client::CommitResult result = transaction->Commit({.ack = house_.ack});
    if (result.outcome == Outcome::kAborted) return Aborted(result.ToString());
    if (result.outcome != Outcome::kCommitted) return Internal(result.ToString());
    if (house_.ack == client::Acknowledgement::kApplied && !result.applied) {
      return Internal("not applied: " + result.ToString());
    }
    return Ok();
  }

 private:
  const House& house_;
  client::Client client_;  // A handle; its calls are not const.
  const int64_t account_;
};

}  // namespace

Result<std::unique_ptr<Worker>> MakeAgentHeld(const House& house, int64_t account) {
  return std::unique_ptr<Worker>(std::make_unique<AgentHeldWorker>(house, account));
}

}  // namespace assent::bench
