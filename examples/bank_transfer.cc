// The smallest honest program: moves money from an account in PostgreSQL to one in MariaDB, and
// looks at every outcome. Both databases have  account(id INT PRIMARY KEY, balance BIGINT).
//
//   bank_transfer COORDINATOR PG_AGENT MARIADB_AGENT FROM TO AMOUNT
//   bank_transfer 127.0.0.1:7400 127.0.0.1:7410 127.0.0.1:7420 1 2 50
//
// Exit codes: 0 committed, 1 aborted (nothing was changed), 3 unknown or expired (ask again).
#include <charconv>
#include <chrono>
#include <cstdint>
#include <iostream>
#include <string>

#include "client/assent.h"

namespace client = assent::client;

namespace {

// The work of the transaction. False: something failed; the transaction need only be dropped.
bool Move(client::Transaction& transaction, const client::Agent& pg_agent,
          const client::Agent& my_agent, int64_t from, int64_t to, int64_t amount) {
  auto orders = transaction.Open(pg_agent, "orders_pg");
  if (!orders.ok()) return std::cerr << orders.status().ToString() << "\n", false;
  auto stock = transaction.Open(my_agent, "stock_my");
  if (!stock.ok()) return std::cerr << stock.status().ToString() << "\n", false;

  auto taken = orders->Execute(
      "UPDATE account SET balance = balance - $1 WHERE id = $2 AND balance >= $1", amount, from);
  if (!taken.ok()) return std::cerr << taken.status().ToString() << "\n", false;
  auto given = stock->Execute("UPDATE account SET balance = balance + ? WHERE id = ?", amount, to);
  if (!given.ok()) return std::cerr << given.status().ToString() << "\n", false;
  // A statement that changed nothing is no error to a database: only we know that it should have.
  if (taken->rows_affected != 1) return std::cerr << "not enough money, or no account\n", false;
  if (given->rows_affected != 1) return std::cerr << "no account to give to\n", false;
  return true;
}

int Report(const client::CommitResult& result) {
  std::cout << result.ToString() << "\n";
  switch (result.outcome) {
    case client::Outcome::kCommitted:
      return 0;
    case client::Outcome::kAborted:
      if (result.abort.retryable()) std::cout << "worth another try\n";
      return 1;
    case client::Outcome::kUnknown:  // Neither: keep the gtrid and ask again later.
    case client::Outcome::kExpired:  // Too old to be remembered: look into the databases.
      return 3;
  }
  return 3;
}

int Transfer(char** argv, int64_t from, int64_t to, int64_t amount) {
  auto coordinator = client::Client::Connect({.endpoints = {argv[1]}});
  if (!coordinator.ok()) return std::cerr << coordinator.status().ToString() << "\n", 2;
  auto pg_agent = client::Agent::Connect({.endpoint = argv[2]});
  if (!pg_agent.ok()) return std::cerr << pg_agent.status().ToString() << "\n", 2;
  auto my_agent = client::Agent::Connect({.endpoint = argv[3]});
  if (!my_agent.ok()) return std::cerr << my_agent.status().ToString() << "\n", 2;

  auto transaction = coordinator->Begin({.label = "bank_transfer"});
  if (!transaction.ok()) return std::cerr << transaction.status().ToString() << "\n", 1;
  // Printed before Commit: if this program dies now, `assentctl show` still tells what became of
  // it.
  std::cout << "gtrid=" << transaction->gtrid() << "\n" << std::flush;

  if (!Move(*transaction, *pg_agent, *my_agent, from, to, amount)) {
    return Report(transaction->Rollback());
  }
  client::CommitResult result = transaction->Commit();
  if (result.unknown()) {  // The coordinator is away: a while longer, then say so.
    result = coordinator->Resolve(transaction->gtrid(), std::chrono::seconds(60));
  }
  return Report(result);
}

}  // namespace

int main(int argc, char** argv) {
  int64_t numbers[3] = {};
  bool good = argc == 7;
  for (int i = 0; good && i < 3; ++i) {
    std::string_view text = argv[4 + i];
    good = std::from_chars(text.begin(), text.end(), numbers[i]).ec == std::errc();
  }
  if (good && numbers[2] > 0) return Transfer(argv, numbers[0], numbers[1], numbers[2]);
  std::cerr << "usage: bank_transfer COORDINATOR PG_AGENT MARIADB_AGENT FROM TO AMOUNT\n";
  return 2;
}
