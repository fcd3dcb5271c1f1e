// A transfer through libassent: the agents hold the sessions. Begin registers both branches, and
// each is prepared with its last statement.
#include <memory>
#include <utility>

#include "tests/bench/worker.h"

namespace assent::bench {
namespace {

using test_support::Deployment;

class AgentHeldWorker final : public Worker {
 public:
  AgentHeldWorker(const House& house, int64_t account)
      : house_(house), client_(house.client), account_(account) {}

  Status Transfer(int64_t id) override {
    calls_.Begin();
    auto transaction = client_.Begin(
        {.branches = {{Deployment::kPostgresResource}, {Deployment::kMariadbResource}}});
    if (!transaction.ok()) return transaction.status();
    calls_.End(Call::kBegin);

    const int64_t change = PostgresChange(id);
    client::OpenOptions in_postgres;
    in_postgres.statements = {
        {"UPDATE accounts SET balance = balance + $1::bigint WHERE id = $2", {change, account_}},
        {"INSERT INTO transfers(id, account, amount) VALUES ($1, $2, $3)", {id, account_, change}}};
    in_postgres.prepare = true;
    client::OpenOptions in_mariadb;
    in_mariadb.statements = {
        {"UPDATE accounts SET balance = balance + ? WHERE id = ?", {-change, account_}},
        {"INSERT INTO transfers(id, account, amount) VALUES (?, ?, ?)", {id, account_, -change}}};
    in_mariadb.prepare = true;
    auto branches = transaction->OpenAll(
        {{house_.postgres_agent, Deployment::kPostgresResource, std::move(in_postgres)},
         {house_.mariadb_agent, Deployment::kMariadbResource, std::move(in_mariadb)}});
    if (!branches.ok()) return branches.status();
    calls_.End(Call::kWork);

    Status committed = ToStatus(transaction->Commit({.ack = house_.ack}), house_.ack);
    calls_.End(Call::kCommit);
    return committed;
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
