#include "tests/bench/transfer.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <memory>
#include <thread>
#include <utility>

#include "tests/bench/histogram.h"
#include "tests/support/deployment.h"

namespace assent::bench {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using test_support::Deployment;
using test_support::DeploymentOptions;
using test_support::Rows;

constexpr int64_t kInitialBalance = 1'000'000'000;
constexpr milliseconds kSettle{20'000};
// Ids of one measurement lie apart from those of others, and of one worker from those of others.
constexpr int64_t kIdsPerWorker = int64_t{1} << 32;

// One thread and what it measured. The thread's own until it is joined.
struct Hand {
  std::unique_ptr<Worker> worker;
  std::thread thread;
  int64_t account = 0;
  Histogram histogram;     // Of transfers that ended while it was measured.
  int64_t to_mariadb = 0;  // The sum of what was committed, also outside of that time.
  uint64_t committed = 0;  // As above.
  uint64_t aborted = 0;
  Status status;
};

struct Times {
  steady_clock::time_point measure_from;
  steady_clock::time_point end;
};

void Work(Hand* hand, const Times& times, std::atomic<bool>* stop) {
  for (int64_t number = 0; !stop->load(std::memory_order_relaxed); ++number) {
    const auto begin = steady_clock::now();
    if (begin >= times.end) return;
    const int64_t id = hand->account * kIdsPerWorker + number;
    Status done = hand->worker->Transfer(id);
    const auto end = steady_clock::now();
    if (done.code() == Code::kAborted) {
      ++hand->aborted;
    } else if (!done.ok()) {
      hand->status = std::move(done);
      stop->store(true);
    } else {
      ++hand->committed;
      hand->to_mariadb -= PostgresChange(id);
      if (end >= times.measure_from && end < times.end) hand->histogram.Add(end - begin);
    }
  }
}

class Bench {
 public:
  Bench(const TransferOptions& options, House house)
      : options_(options), house_(std::move(house)) {}

  Status CreateTables();
  Result<Measurement> Measure(const Mode& mode, int concurrency);

 private:
  const Deployment& deployment() const { return house_.deployment; }
  Status InBoth(const std::string& sql) const;
  Status Check(const std::vector<Hand>& hands) const;
  Status CheckOne(const std::string& database, const Result<Rows>& transfers,
                  const Result<Rows>& accounts, const std::vector<Hand>& hands, int sign) const;

  const TransferOptions& options_;
  const House house_;
};

Status Bench::InBoth(const std::string& sql) const {
  if (Status done = deployment().postgres().Execute(sql); !done.ok()) return done;
  return deployment().mariadb().Execute(sql);
}

Status Bench::CreateTables() {
  for (const char* sql : {"CREATE TABLE accounts(id bigint PRIMARY KEY, balance bigint NOT NULL)",
                          "CREATE TABLE transfers(id bigint PRIMARY KEY, account bigint NOT NULL, "
                          "amount bigint NOT NULL)"}) {
    if (Status done = InBoth(sql); !done.ok()) return done;
  }
  return Ok();
}

Result<Measurement> Bench::Measure(const Mode& mode, int concurrency) {
  // Each begins with the same small tables, so that none pays for what came before.
  for (const char* table : {"accounts", "transfers"}) {
    if (Status done = InBoth(std::string("TRUNCATE TABLE ") + table); !done.ok()) return done;
  }
  std::string rows;
  for (int i = 0; i < concurrency; ++i) {
    rows +=
        (i == 0 ? "(" : ", (") + std::to_string(i) + ", " + std::to_string(kInitialBalance) + ")";
  }
  if (Status done = InBoth("INSERT INTO accounts VALUES " + rows); !done.ok()) return done;

  std::vector<Hand> hands(static_cast<size_t>(concurrency));
  for (size_t i = 0; i < hands.size(); ++i) {
    hands[i].account = static_cast<int64_t>(i);
    auto worker = mode.make(house_, hands[i].account);
    if (!worker.ok()) return worker.status();
    hands[i].worker = *std::move(worker);
  }
  Times times;
  times.measure_from = steady_clock::now() + options_.length / 5;
  times.end = times.measure_from + options_.length;
  std::atomic<bool> stop{false};
  for (Hand& hand : hands) {
    hand.thread = std::thread([&hand, &times, &stop] { Work(&hand, times, &stop); });
  }
  for (Hand& hand : hands) hand.thread.join();

  Measurement measured{.mode = mode.name, .concurrency = concurrency};
  Histogram all;
  for (const Hand& hand : hands) {
    if (!hand.status.ok()) return hand.status;
    all.Merge(hand.histogram);
    measured.aborted += hand.aborted;
  }
  const double seconds = std::chrono::duration<double>(options_.length).count();
  measured.per_second = static_cast<double>(all.count()) / seconds;
  measured.p50 = all.Quantile(0.50);
  measured.p99 = all.Quantile(0.99);
  if (Status checked = Check(hands); !checked.ok()) return checked;
  return measured;
}

Status Bench::Check(const std::vector<Hand>& hands) const {
  auto prepared = deployment().WaitNothingPrepared(kSettle);
  if (!prepared.ok()) return prepared.status();
  if (*prepared != 0) {
    return Internal(std::to_string(*prepared) + " branches are left prepared");
  }
  const std::string transfers = "SELECT count(*) FROM transfers";
  const std::string accounts = "SELECT id, balance FROM accounts ORDER BY id";
  const auto& postgres = deployment().postgres();
  const auto& mariadb = deployment().mariadb();
  Status checked =
      CheckOne("PostgreSQL", postgres.Query(transfers), postgres.Query(accounts), hands, -1);
  if (!checked.ok()) return checked;
  return CheckOne("MariaDB", mariadb.Query(transfers), mariadb.Query(accounts), hands, 1);
}

Status Bench::CheckOne(const std::string& database, const Result<Rows>& transfers,
                       const Result<Rows>& accounts, const std::vector<Hand>& hands,
                       int sign) const {
  if (!transfers.ok()) return transfers.status();
  if (!accounts.ok()) return accounts.status();
  uint64_t committed = 0;
  for (const Hand& hand : hands) committed += hand.committed;
  if (const std::string& found = transfers->at(0).at(0); found != std::to_string(committed)) {
    return Internal(database + " holds " + found + " transfers, but " + std::to_string(committed) +
                    " were told committed");
  }
  if (accounts->size() != hands.size()) return Internal(database + " lost an account");
  for (size_t i = 0; i < hands.size(); ++i) {
    const int64_t wanted = kInitialBalance + sign * hands[i].to_mariadb;
    if (const std::string& found = accounts->at(i).at(1); found != std::to_string(wanted)) {
      return Internal(database + ": account " + std::to_string(i) + " holds " + found +
                      ", but by what was told committed it should hold " + std::to_string(wanted));
    }
  }
  return Ok();
}

Result<House> Connect(const Deployment& deployment, client::Acknowledgement ack) {
  client::ClientOptions coordinator;
  coordinator.endpoints = {deployment.coordinator().endpoint()};
  auto made_client = client::Client::Connect(coordinator);
  if (!made_client.ok()) return made_client.status();
  auto agent = [](const test_support::AgentProcess& process) {
    client::AgentOptions options;
    options.endpoint = process.endpoint();
    return client::Agent::Connect(options);
  };
  auto postgres = agent(deployment.postgres_agent());
  if (!postgres.ok()) return postgres.status();
  auto mariadb = agent(deployment.mariadb_agent());
  if (!mariadb.ok()) return mariadb.status();
  return House{deployment, *std::move(made_client), *std::move(postgres), *std::move(mariadb), ack};
}

}  // namespace

Result<std::vector<Measurement>> RunTransfer(const TransferOptions& options,
                                             const std::function<void(const Measurement&)>& heard) {
  auto deployment = Deployment::Start();
  if (!deployment.ok()) return deployment.status();
  auto house = Connect(**deployment, options.ack);
  if (!house.ok()) return house.status();
  Bench bench(options, *std::move(house));
  if (Status made = bench.CreateTables(); !made.ok()) return made;

  std::vector<Measurement> all;
  for (int round = 1; round <= options.rounds; ++round) {
    for (int concurrency : options.concurrencies) {
      for (const Mode& mode : options.modes) {
        auto measured = bench.Measure(mode, concurrency);
        if (!measured.ok()) {
          return Status(measured.status().code(),
                        mode.name + " at concurrency " + std::to_string(concurrency) + ", round " +
                            std::to_string(round) + ": " + measured.status().message());
        }
        measured->round = round;
        heard(*measured);
        all.push_back(*std::move(measured));
      }
    }
  }
  return all;
}

}  // namespace assent::bench
