// The impure half of the checker: it asks the databases and the coordinator.
#include <cstdlib>
#include <functional>
#include <utility>

#include "tests/support/bank.h"

namespace assent::test_support {
namespace {

using client::Outcome;

// Transfers asked once more at the end: enough to see a pattern, few enough to take no time.
constexpr size_t kAskedAgainMax = 500;

Result<Books> ReadBooks(const std::function<Result<Rows>(const std::string&)>& query) {
  Books books;
  auto transfers = query("SELECT id, account, amount FROM transfers");
  if (!transfers.ok()) return transfers.status();
  for (const auto& row : *transfers) {
    books.transfers[row.at(0)] = {std::atoll(row.at(1).c_str()), std::atoll(row.at(2).c_str())};
  }
  auto accounts = query("SELECT id, balance FROM accounts");
  if (!accounts.ok()) return accounts.status();
  for (const auto& row : *accounts) {
    books.balances[std::atoll(row.at(0).c_str())] = std::atoll(row.at(1).c_str());
  }
  return books;
}

}  // namespace

BankReport Bank::Check(std::chrono::milliseconds settle) {
  BankReport report;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    report.abort_causes = abort_causes_;
  }
  auto prepared = deployment_.WaitNothingPrepared(settle);
  if (!prepared.ok()) {
    report.problems.push_back("can't ask for prepared branches: " + prepared.status().ToString());
    return report;
  }
  report.in_doubt = static_cast<uint64_t>(*prepared);
  if (*prepared != 0) {
    report.problems.push_back(std::to_string(*prepared) + " branches are left prepared");
  }
  auto postgres =
      ReadBooks([this](const std::string& sql) { return deployment_.postgres().Query(sql); });
  auto mariadb =
      ReadBooks([this](const std::string& sql) { return deployment_.mariadb().Query(sql); });
  if (!postgres.ok() || !mariadb.ok()) {
    report.problems.push_back("can't read the books: " + postgres.status().ToString() + "; " +
                              mariadb.status().ToString());
    return report;
  }
  const std::vector<ToldTransfer> told = Told();
  CompareBooks(told, *postgres, *mariadb, options_.initial_balance, &report);
  AskAgain(told, &report);
  return report;
}

std::vector<ToldTransfer> Bank::Told() const {
  std::vector<ToldTransfer> told;
  for (const auto& worker : workers_) {
    for (const Transfer& transfer : worker->transfers) told.push_back(transfer.told);
  }
  return told;
}

void Bank::AskAgain(const std::vector<ToldTransfer>& told, BankReport* report) {
  const size_t every = told.size() / kAskedAgainMax + 1;
  for (size_t i = 0; i < told.size(); i += every) {
    if (told[i].told == Told::kUnknown) continue;
    const Outcome before =
        told[i].told == Told::kCommitted ? Outcome::kCommitted : Outcome::kAborted;
    client::CommitResult now = client_->OutcomeOf(told[i].gtrid);
    if (now.outcome == before) continue;
    report->problems.push_back("transfer " + told[i].id + " (" + told[i].gtrid + ") was told " +
                               std::string(client::OutcomeName(before)) + ", and asked once more " +
                               now.ToString());
  }
}

}  // namespace assent::test_support
