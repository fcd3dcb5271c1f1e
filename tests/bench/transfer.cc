#include "tests/bench/transfer.h"

#include <grpcpp/create_channel.h>

#include <array>
#include <atomic>
#include <memory>
#include <thread>
#include <utility>

#include "assent/v1/admin_service.grpc.pb.h"
#include "tests/bench/counts.h"
#include "tests/bench/histogram.h"
#include "tests/bench/processor_time.h"
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
  Histogram histogram;                  // Of transfers that ended while it was measured.
  std::array<Histogram, kCalls> calls;  // Of the same ones.
  int64_t to_mariadb = 0;               // The sum of what was committed, also outside of that time.
  uint64_t committed = 0;               // As above.
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
      if (end < times.measure_from || end >= times.end) continue;
      hand->histogram.Add(end - begin);
      const auto& calls = hand->worker->calls().times();
      for (size_t i = 0; i < kCalls; ++i) {
        if (calls[i].count() > 0) hand->calls[i].Add(calls[i]);
      }
    }
  }
}

// Works with every hand until the time is over. What the programs needed of the processors while it
// was measured.
struct Needed {
  Figures before;
  Figures after;
};
Result<Needed> WorkAll(const Deployment& deployment, const Times& times, std::vector<Hand>* hands) {
  std::atomic<bool> stop{false};
  for (Hand& hand : *hands) {
    hand.thread = std::thread([&hand, &times, &stop] { Work(&hand, times, &stop); });
  }
  std::this_thread::sleep_until(times.measure_from);
  auto before = ReadProcessorTime(deployment);
  std::this_thread::sleep_until(times.end);
  auto after = ReadProcessorTime(deployment);
  for (Hand& hand : *hands) hand.thread.join();
  for (const Hand& hand : *hands) {
    if (!hand.status.ok()) return hand.status;
  }
  if (!before.ok()) return before.status();
  if (!after.ok()) return after.status();
  return Needed{*std::move(before), *std::move(after)};
}

uint64_t Committed(const std::vector<Hand>& hands) {
  uint64_t committed = 0;
  for (const Hand& hand : hands) committed += hand.committed;
  return committed;
}

Figures MedianCalls(const std::vector<Hand>& hands) {
  Figures medians;
  for (size_t i = 0; i < kCalls; ++i) {
    Histogram all;
    for (const Hand& hand : hands) all.Merge(hand.calls[i]);
    if (all.count() == 0) continue;
    medians.push_back({kCallNames[i], static_cast<double>(all.Quantile(0.5).count()) / 1000});
  }
  return medians;
}

class Bench {
 public:
  Bench(const TransferOptions& options, House house)
      : options_(options),
        house_(std::move(house)),
        coordinator_(v1::AdminService::NewStub(grpc::CreateChannel(
            house_.deployment.coordinator().endpoint(), grpc::InsecureChannelCredentials()))) {}

  Status CreateTables();
  Result<Measurement> Measure(const Mode& mode, int concurrency);

 private:
  const Deployment& deployment() const { return house_.deployment; }
  Status InBoth(const std::string& sql) const;
  Result<std::vector<Hand>> MakeHands(const Mode& mode, int concurrency) const;
  // Waits until the coordinator has nothing under way.
  Status WaitAllEnded() const;
  Status Check(const std::vector<Hand>& hands) const;
  Status CheckOne(const std::string& database, const Result<Rows>& transfers,
                  const Result<Rows>& accounts, const std::vector<Hand>& hands, int sign) const;

  const TransferOptions& options_;
  const House house_;
  const std::unique_ptr<v1::AdminService::Stub> coordinator_;
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

Result<std::vector<Hand>> Bench::MakeHands(const Mode& mode, int concurrency) const {
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
  if (Status done = deployment().postgres().Execute("CHECKPOINT"); !done.ok()) return done;

  std::vector<Hand> hands(static_cast<size_t>(concurrency));
  for (size_t i = 0; i < hands.size(); ++i) {
    hands[i].account = static_cast<int64_t>(i);
    auto worker = mode.make(house_, hands[i].account);
    if (!worker.ok()) return worker.status();
    hands[i].worker = *std::move(worker);
  }
  return hands;
}

Result<Measurement> Bench::Measure(const Mode& mode, int concurrency) {
  auto hands = MakeHands(mode, concurrency);
  if (!hands.ok()) return hands.status();
  auto counts_before = ReadCounts(deployment());
  if (!counts_before.ok()) return counts_before.status();

  Times times;
  times.measure_from = steady_clock::now() + options_.length / 5;
  times.end = times.measure_from + options_.length;
  auto needed = WorkAll(deployment(), times, &*hands);
  if (!needed.ok()) return needed.status();
  // PostgreSQL's sessions say what they have counted when they end, at the latest.
  for (Hand& hand : *hands) hand.worker.reset();
  if (Status ended = WaitAllEnded(); !ended.ok()) return ended;
  if (Status checked = Check(*hands); !checked.ok()) return checked;
  auto counts_after = ReadCounts(deployment());
  if (!counts_after.ok()) return counts_after.status();

  Measurement measured{.mode = mode.name, .concurrency = concurrency};
  Histogram all;
  for (const Hand& hand : *hands) {
    all.Merge(hand.histogram);
    measured.aborted += hand.aborted;
  }
  if (all.count() == 0) return DeadlineExceeded("no transfer was committed in time");
  const double seconds = std::chrono::duration<double>(options_.length).count();
  const auto count = static_cast<double>(all.count());
  measured.per_second = count / seconds;
  measured.p50 = all.Quantile(0.50);
  measured.p99 = all.Quantile(0.99);
  measured.calls = MedianCalls(*hands);
  measured.cpu = Risen(needed->before, needed->after, count);
  measured.counts = Risen(*counts_before, *counts_after, static_cast<double>(Committed(*hands)));
  return measured;
}

Status Bench::WaitAllEnded() const {
  std::string last = "no answer";
  const bool ended = test_support::WaitUntil(kSettle, [&] {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(2));
    v1::GetStatusReply status;
    if (!coordinator_->GetStatus(&context, {}, &status).ok()) return false;
    last = std::to_string(status.live_transactions()) + " live, " +
           std::to_string(status.unfinished_transactions()) + " unfinished and " +
           std::to_string(status.heuristic_transactions()) + " heuristic transactions";
    return status.live_transactions() == 0 && status.unfinished_transactions() == 0 &&
           status.heuristic_transactions() == 0;
  });
  return ended ? Ok() : DeadlineExceeded("at the end the coordinator has " + last);
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
  const uint64_t committed = Committed(hands);
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
      // Each in its turn comes first, so that none always follows the same other one.
      for (size_t turn = 0; turn < options.modes.size(); ++turn) {
        const Mode& mode =
            options.modes[(turn + static_cast<size_t>(round - 1)) % options.modes.size()];
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
