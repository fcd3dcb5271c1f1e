#include "tests/support/bank_books.h"

#include <unordered_set>
#include <utility>

namespace assent::test_support {
namespace {

// Finds a transfer that was applied to its account twice, and half a branch.
void CheckBalances(const std::string& database, const Books& books, int64_t initial_balance,
                   BankReport* report) {
  std::map<int64_t, int64_t> expected;
  for (const auto& [account, balance] : books.balances) expected[account] = initial_balance;
  for (const auto& [id, booked] : books.transfers) expected[booked.account] += booked.change;
  for (const auto& [account, balance] : books.balances) {
    report->sum_before += initial_balance;
    report->sum_after += balance;
    if (balance == expected[account]) continue;
    report->problems.push_back("account " + std::to_string(account) + " in " + database +
                               " holds " + std::to_string(balance) + ", its transfers make " +
                               std::to_string(expected[account]));
  }
}

void CheckTransfer(const ToldTransfer& transfer, const Books& postgres, const Books& mariadb,
                   BankReport* report) {
  auto problem = [&](const std::string& what) {
    report->problems.push_back("transfer " + transfer.id + " (" + transfer.gtrid + ") " + what);
  };
  if (!transfer.problem.empty()) problem(transfer.problem);
  auto in_postgres = postgres.transfers.find(transfer.id);
  auto in_mariadb = mariadb.transfers.find(transfer.id);
  const bool p = in_postgres != postgres.transfers.end();
  const bool m = in_mariadb != mariadb.transfers.end();
  if (p != m) problem(std::string("stands in ") + (p ? "PostgreSQL" : "MariaDB") + " alone");
  if (p && m && in_postgres->second.change != -in_mariadb->second.change) {
    problem("has two halves that don't match");
  }
  switch (transfer.told) {
    case Told::kCommitted:
      ++report->committed;
      if (!p || !m) problem("was told COMMITTED and is not there");
      break;
    case Told::kAborted:
      ++report->aborted;
      if (p || m) problem("was told ABORTED and is there");
      break;
    case Told::kUnknown:
      ++report->unknown;
      problem("was left with UNKNOWN");
      break;
  }
}

}  // namespace

void CompareBooks(const std::vector<ToldTransfer>& told, const Books& postgres,
                  const Books& mariadb, int64_t initial_balance, BankReport* report) {
  CheckBalances("PostgreSQL", postgres, initial_balance, report);
  CheckBalances("MariaDB", mariadb, initial_balance, report);
  if (report->sum_before != report->sum_after) {
    report->problems.push_back("the sum was " + std::to_string(report->sum_before) + " and is " +
                               std::to_string(report->sum_after));
  }
  std::unordered_set<std::string> begun;
  for (const ToldTransfer& transfer : told) {
    begun.insert(transfer.id);
    CheckTransfer(transfer, postgres, mariadb, report);
  }
  for (const Books* books : {&postgres, &mariadb}) {
    for (const auto& [id, booked] : books->transfers) {
      if (!begun.contains(id)) report->problems.push_back("transfer " + id + " was never begun");
    }
  }
}

}  // namespace assent::test_support
