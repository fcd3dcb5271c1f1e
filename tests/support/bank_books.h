// The pure half of the bank's checker: what clients were told against what two databases hold.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

namespace assent::test_support {

enum class Told : uint8_t { kUnknown, kCommitted, kAborted };

// One transfer, as its client saw it.
struct ToldTransfer {
  std::string id;
  std::string gtrid;
  Told told = Told::kUnknown;
  std::string problem;  // A wrong answer on the way; empty: none.
};

// What one database holds.
struct Books {
  struct Booked {
    int64_t account = 0;
    int64_t change = 0;
  };
  std::unordered_map<std::string, Booked> transfers;  // By id.
  std::map<int64_t, int64_t> balances;                // By account.
};

struct AbortCount {
  uint64_t count = 0;
  std::string example;  // The first one's message.
};

struct BankReport {
  uint64_t committed = 0;  // Transfers, as told to the clients.
  uint64_t aborted = 0;
  uint64_t unknown = 0;
  uint64_t in_doubt = 0;  // Prepared branches left in the databases.
  int64_t sum_before = 0;
  int64_t sum_after = 0;
  // What is wrong, one sentence each. Empty: all is well.
  std::vector<std::string> problems;
  // Why transfers were aborted. For people.
  std::map<std::string, AbortCount> abort_causes;

  bool ok() const { return problems.empty(); }
};

// Fills the counts and sums of `report` and adds a problem for everything that must not be:
// a transfer in one database alone; one told COMMITTED that is not there, or told ABORTED that is;
// one whose client was left with UNKNOWN; one that nobody began; two halves that don't match; an
// account (it began with `initial_balance`) that its transfers don't explain; a changed sum.
void CompareBooks(const std::vector<ToldTransfer>& told, const Books& postgres,
                  const Books& mariadb, int64_t initial_balance, BankReport* report);

}  // namespace assent::test_support
