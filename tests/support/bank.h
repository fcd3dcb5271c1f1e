// The transfer workload that quickstart, chaos and bench share: money moves between a PostgreSQL
// and a MariaDB in global transactions, each transfer writes its id in both, and a checker compares
// what the clients were told with what the databases hold.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "base/status.h"
#include "client/assent.h"
#include "tests/support/bank_books.h"
#include "tests/support/deployment.h"

namespace assent::test_support {

struct BankOptions {
  int accounts = 100;              // In each database.
  int64_t initial_balance = 1000;  // Of each account.
  int concurrency = 8;             // Workers, one transfer at a time each.
  uint64_t seed = 1;
  // Out of 100 transfers, so many are rolled back by the client after their work.
  int rollback_percent = 3;
  // Within which Commit must arrive; after it a vanished client's transaction is rolled back.
  std::chrono::milliseconds transaction_timeout{10'000};
};

// Counts of the moment, for a progress line.
struct BankProgress {
  uint64_t committed = 0;
  uint64_t aborted = 0;
  uint64_t asking = 0;   // Heard UNKNOWN and ask again now.
  uint64_t unsure = 0;   // Transfers that ever heard UNKNOWN.
  uint64_t refused = 0;  // Begins that no coordinator took; no transaction came of them.
};

// Not thread-safe, except progress(). One bank on one deployment; the deployment outlives it, and
// may lose and regain any part while workers run.
class Bank {
 public:
  Bank(const Deployment& deployment, BankOptions options);
  ~Bank();  // Stops the workers; waits for transfers under way, at most some seconds.
  Bank(const Bank&) = delete;
  Bank& operator=(const Bank&) = delete;

  // Creates and fills `accounts(id, balance)` and creates `transfers(id, amount)` in both
  // databases, and notes the sum.
  Status Open();

  // Starts the workers.
  Status Start();
  // Ends the work: transfers under way are finished, and a client that heard UNKNOWN goes on asking
  // until it knows, at most `settle` from now.
  void Stop(std::chrono::milliseconds settle);

  // Waits at most `settle` until no prepared branch is left, then compares. Call after Stop.
  //
  // Beside CompareBooks: nothing is left prepared, and a sample of the transfers asked once more
  // gives the answers that were given before.
  BankReport Check(std::chrono::milliseconds settle);

  // Every transfer, as its client saw it. After Stop.
  std::vector<ToldTransfer> Told() const;

  // Removes its tables, so that another bank can be opened on the same deployment. After Stop.
  Status Close();

  // Thread-safe.
  BankProgress progress() const;

 private:
  struct Transfer {
    ToldTransfer told;
    bool from_postgres = false;
    int64_t postgres_account = 0;
    int64_t mariadb_account = 0;
    int64_t amount = 0;
  };
  struct Worker {
    std::thread thread;
    std::vector<Transfer> transfers;  // The thread's own until it is joined.
  };

  void Work(int index, Worker* worker);
  Transfer Draw(int worker, uint64_t number, std::mt19937_64* random) const;
  // True if all of its work was done.
  bool DoWork(client::Transaction* transaction, const Transfer& transfer);
  bool WorkOn(client::Transaction* transaction, const client::Agent& agent,
              const std::string& resource, const std::string& id, int64_t account, int64_t change);
  void Finish(client::Transaction* transaction, bool commit, Transfer* transfer);
  void NoteAbort(const client::Transaction& transaction, const client::Abort& abort);
  void AskAgain(const std::vector<ToldTransfer>& told, BankReport* report);
  bool Stopping() const { return stopping_.load(); }
  bool MayAskOn() const;
  void Pause(std::chrono::milliseconds time);

  const Deployment& deployment_;
  const BankOptions options_;
  std::optional<client::Client> client_;
  std::optional<client::Agent> postgres_agent_;
  std::optional<client::Agent> mariadb_agent_;
  int64_t sum_before_ = 0;

  std::vector<std::unique_ptr<Worker>> workers_;
  std::atomic<bool> stopping_{false};
  std::atomic<std::chrono::steady_clock::time_point> give_up_{
      std::chrono::steady_clock::time_point::max()};
  std::atomic<uint64_t> committed_{0};
  std::atomic<uint64_t> aborted_{0};
  std::atomic<uint64_t> asking_{0};
  std::atomic<uint64_t> unsure_{0};
  std::atomic<uint64_t> refused_{0};

  mutable std::mutex mutex_;
  std::condition_variable stopped_;
  std::map<std::string, AbortCount> abort_causes_;  // Guarded by mutex_.
};

}  // namespace assent::test_support
