// assent-quickstart: money moves atomically between a real PostgreSQL and a real MariaDB while
// every process of the house is killed once. Its last line tells how it went; see
// examples/quickstart.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/bank.h"
#include "tests/support/deployment.h"
#include "tests/support/leader.h"

namespace assent::test_support {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Time = std::chrono::steady_clock;

struct Options {
  int seconds = 20;
  std::string engine = "raft";
  int coordinators = 0;  // 0: three, or two that keep their log in etcd.
  int concurrency = 8;
  bool keep = false;
  bool no_faults = false;
};

// How long a killed process stays away, so that others meet its absence.
constexpr milliseconds kDownFor{700};
// A longer run goes through the faults again and again, one round in so many seconds.
constexpr int kSecondsPerRound = 30;
// Together with the start and the default run these stay below the promised 90 seconds.
constexpr seconds kAskingMax{25};
constexpr seconds kInDoubtMax{20};
constexpr seconds kLeaderMax{10};
// With the log in etcd: a leader that was killed is succeeded when its lease has ended.
constexpr size_t kEtcdServers = 3;
constexpr char kLeaseMs[] = "2000";

volatile std::sig_atomic_t g_interrupted = 0;
void OnSignal(int) { g_interrupted = 1; }

// Prints lines of events, and below them one line of counts that renews itself.
class Progress {
 public:
  explicit Progress(const Bank& bank) : bank_(bank), live_(isatty(STDOUT_FILENO) == 1) {
    thread_ = std::thread([this] { Run(); });
  }
  ~Progress() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      over_ = true;
    }
    changed_.notify_all();
    thread_.join();
    std::lock_guard<std::mutex> lock(mutex_);
    PrintCounts();
    if (live_) std::printf("\n");
    std::fflush(stdout);
  }

  void Say(const std::string& text) {
    std::lock_guard<std::mutex> lock(mutex_);
    std::printf("%s%5.1fs  %s%s\n", live_ ? "\r" : "", Elapsed(), text.c_str(),
                live_ ? "\033[K" : "");
    PrintCounts();
  }

 private:
  void Run() {
    std::unique_lock<std::mutex> lock(mutex_);
    while (!over_) {
      PrintCounts();
      changed_.wait_for(lock, live_ ? milliseconds(200) : milliseconds(2'000));
    }
  }

  void PrintCounts() {
    BankProgress now = bank_.progress();
    std::printf("%s%5.1fs  committed=%llu aborted=%llu asking=%llu%s", live_ ? "\r" : "", Elapsed(),
                static_cast<unsigned long long>(now.committed),
                static_cast<unsigned long long>(now.aborted),
                static_cast<unsigned long long>(now.asking), live_ ? "\033[K" : "\n");
    std::fflush(stdout);
  }

  double Elapsed() const { return std::chrono::duration<double>(Time::now() - begin_).count(); }

  const Bank& bank_;
  const bool live_;
  const Time::time_point begin_ = Time::now();
  std::mutex mutex_;
  std::condition_variable changed_;
  bool over_ = false;
  std::thread thread_;
};

struct Fault {
  std::string name;
  std::function<void()> kill;
  std::function<Status()> start;
};

// A follower, and the one that leads.
std::vector<Fault> FaultsOfEtcd(EtcdServers* etcd) {
  auto fault = [etcd](const std::string& name, bool leader) -> Fault {
    auto killed = std::make_shared<size_t>(0);
    auto kill = [etcd, killed, leader] {
      auto leads = etcd->Leader();
      const size_t which = leads.ok() ? *leads : 0;
      *killed = leader ? which : (which + 1) % etcd->size();
      etcd->Kill9(*killed);
    };
    auto start = [etcd, killed] {
      Status started = etcd->Start(*killed);
      return started.ok() ? etcd->WaitHealthy() : started;
    };
    return {name, kill, start};
  };
  return {fault("a server of etcd", false), fault("the server of etcd that leads", true)};
}

std::vector<Fault> Faults(Deployment* house) {
  // Whoever leads when the fault comes.
  auto killed = std::make_shared<AssentdProcess*>(nullptr);
  std::vector<Fault> faults = {
      {house->coordinators().size() == 1 ? "the coordinator" : "the coordinator that leads",
       [house, killed] {
         AssentdProcess* leader = WaitLeader(house->coordinators(), kLeaderMax);
         *killed = leader == nullptr ? &house->coordinator() : leader;
         (*killed)->Kill9();
       },
       [killed] { return (*killed)->Start(); }},
      {"PostgreSQL's agent", [house] { house->postgres_agent().Kill9(); },
       [house] { return house->postgres_agent().Start(); }},
      {"MariaDB's agent", [house] { house->mariadb_agent().Kill9(); },
       [house] { return house->mariadb_agent().Start(); }},
      {"PostgreSQL", [house] { house->postgres().Kill9(); },
       [house] { return house->postgres().Start(); }},
      {"MariaDB", [house] { house->mariadb().Kill9(); },
       [house] { return house->mariadb().Start(); }},
  };
  if (house->etcd() != nullptr) {
    for (Fault& fault : FaultsOfEtcd(house->etcd())) faults.push_back(std::move(fault));
  }
  return faults;
}

bool Interrupted() { return g_interrupted != 0; }

void SleepUntil(Time::time_point time) {
  while (!Interrupted() && Time::now() < time) {
    std::this_thread::sleep_for(std::min<Time::duration>(time - Time::now(), milliseconds(50)));
  }
}

// Lets the workers work, kills and restarts in turn. Answers the number of faults.
Result<int> RunFaults(const Options& options, Deployment* house, Progress* progress) {
  const Time::time_point begin = Time::now();
  const auto length = std::chrono::duration_cast<milliseconds>(seconds(options.seconds));
  const std::vector<Fault> faults = Faults(house);
  const int rounds = options.no_faults ? 0 : std::max(1, options.seconds / kSecondsPerRound);
  const int count = rounds * static_cast<int>(faults.size());
  for (int i = 0; i < count && !Interrupted(); ++i) {
    SleepUntil(begin + length * (i + 1) / (count + 1));
    if (Interrupted()) break;
    const Fault& fault = faults[static_cast<size_t>(i) % faults.size()];
    fault.kill();
    const Time::time_point killed = Time::now();
    progress->Say("kill -9 " + fault.name);
    SleepUntil(killed + kDownFor);
    if (Status started = fault.start(); !started.ok()) {
      return Unavailable("restart of " + fault.name + ": " + started.message());
    }
    auto down = std::chrono::duration_cast<milliseconds>(Time::now() - killed);
    progress->Say(fault.name + " is back after " + std::to_string(down.count()) + " ms");
  }
  SleepUntil(begin + length);
  return count;
}

std::string Joined(const std::vector<std::string>& endpoints) {
  std::string all;
  for (const std::string& endpoint : endpoints) all += (all.empty() ? "" : ",") + endpoint;
  return all;
}

void PrintWays(const Deployment& house) {
  std::printf(
      "\nIt goes on running. To look at it:\n"
      "  PostgreSQL   %s/psql %s\n"
      "  MariaDB      %s\n"
      "  coordinators %s/assentctl --endpoint %s status\n"
      "  agents       %s (PostgreSQL, resource %s), %s (MariaDB, resource %s)\n"
      "  logs         %s\n"
      "Ctrl-C stops and removes all of it.\n\n",
      PostgresServer::BinDir().c_str(), house.postgres().Url().c_str(),
      house.mariadb().CommandLine().c_str(), OwnBinDir().c_str(), Joined(house.endpoints()).c_str(),
      house.postgres_agent().endpoint().c_str(), Deployment::kPostgresResource,
      house.mariadb_agent().endpoint().c_str(), Deployment::kMariadbResource, house.dir().c_str());
}

void PrintDetails(const BankReport& report) {
  constexpr size_t kExampleBytesMax = 160;
  constexpr size_t kShownMax = 20;
  for (const auto& [cause, aborts] : report.abort_causes) {
    std::printf("  aborted %llu times: %s%s%s\n", static_cast<unsigned long long>(aborts.count),
                cause.c_str(), aborts.example.empty() ? "" : ", such as ",
                aborts.example.substr(0, kExampleBytesMax).c_str());
  }
  for (size_t i = 0; i < report.problems.size() && i < kShownMax; ++i) {
    std::fprintf(stderr, "problem: %s\n", report.problems[i].c_str());
  }
  if (report.problems.size() > kShownMax) {
    std::fprintf(stderr, "%zu problems in all\n", report.problems.size());
  }
}

void PrintLastLine(const BankReport& report, int faults) {
  std::printf(
      "quickstart: %s committed=%llu aborted=%llu unknown=%llu in_doubt=%llu faults=%d "
      "sum_before=%lld sum_after=%lld\n",
      report.ok() ? "ok" : "failed", static_cast<unsigned long long>(report.committed),
      static_cast<unsigned long long>(report.aborted),
      static_cast<unsigned long long>(report.unknown),
      static_cast<unsigned long long>(report.in_doubt), faults,
      static_cast<long long>(report.sum_before), static_cast<long long>(report.sum_after));
  std::fflush(stdout);
}

int Fail(const std::string& what) {
  std::fprintf(stderr, "quickstart: %s\n", what.c_str());
  return 1;
}

int RunQuickstart(const Options& options) {
  const bool on_etcd = options.engine == "etcd";
  DeploymentOptions house_options;
  house_options.coordinators = options.coordinators;
  if (options.coordinators == 0) house_options.coordinators = on_etcd ? 2 : 3;
  if (on_etcd) {
    house_options.etcd_servers = kEtcdServers;
    house_options.coordinator_settings = {{"etcd_lease_ms", kLeaseMs}};
  }
  std::printf("Starting a PostgreSQL, a MariaDB, %s%d coordinator%s and two agents ...\n",
              on_etcd ? "three servers of etcd, " : "", house_options.coordinators,
              house_options.coordinators == 1 ? "" : "s");
  std::fflush(stdout);
  auto house = Deployment::Start(house_options);
  if (!house.ok()) return Fail("can't start: " + house.status().message());

  BankOptions bank_options;
  bank_options.concurrency = options.concurrency;
  Bank bank(**house, bank_options);
  if (Status opened = bank.Open(); !opened.ok()) return Fail("can't begin: " + opened.message());
  std::printf("%d clients move money between %d accounts, for %d seconds:\n", options.concurrency,
              2 * bank_options.accounts, options.seconds);
  if (Status started = bank.Start(); !started.ok()) return Fail(started.message());

  int faults = 0;
  BankReport report;
  {
    Progress progress(bank);
    auto done = RunFaults(options, house->get(), &progress);
    if (Interrupted()) {
      bank.Stop(seconds(0));
      return 130;
    }
    if (done.ok()) faults = *done;
    progress.Say("waiting until nothing is in doubt");
    bank.Stop(kAskingMax);
    report = bank.Check(kInDoubtMax);
    if (!done.ok()) report.problems.push_back(done.status().message());
  }
  PrintDetails(report);
  if (!report.ok()) {
    (*house)->Keep();
    std::fprintf(stderr, "Logs and configs are kept in %s\n", (*house)->dir().c_str());
  }
  if (options.keep) PrintWays(**house);
  PrintLastLine(report, faults);
  while (options.keep && !Interrupted()) SleepUntil(Time::now() + seconds(1));
  return report.ok() ? 0 : 1;
}

}  // namespace
}  // namespace assent::test_support

int main(int argc, char** argv) {
  assent::test_support::Options options;
  CLI::App app(
      "Moves money between a real PostgreSQL and a real MariaDB while processes are killed");
  app.add_option("--seconds", options.seconds, "How long clients work (default 20)")
      ->check(CLI::Range(1, 86'400));
  app.add_option("--concurrency", options.concurrency, "Clients at work at once (default 8)")
      ->check(CLI::Range(1, 100));
  app.add_option(
         "--engine", options.engine,
         "Where decisions are kept: raft, by the coordinators themselves (default), or etcd")
      ->check(CLI::IsMember({"raft", "etcd"}));
  app.add_option("--coordinators", options.coordinators,
                 "Nodes in the group that decides (default 3; with etcd 2)")
      ->check(CLI::IsMember({1, 2, 3, 5}));
  app.add_flag("--keep", options.keep, "Leave it running, and print how to connect");
  app.add_flag("--no-faults", options.no_faults, "Kill nothing");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  struct sigaction action {};
  action.sa_handler = assent::test_support::OnSignal;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  return assent::test_support::RunQuickstart(options);
}
