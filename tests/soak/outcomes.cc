#include "tests/soak/outcomes.h"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <memory>
#include <thread>
#include <utility>

#include "base/mutex.h"
#include "base/rpc/credentials.h"
#include "client/assent.h"
#include "ctl/connection.h"
#include "tests/bench/wire_agent.h"
#include "tests/support/connect.h"
#include "tests/support/leader.h"
#include "tests/support/memory_in_use.h"
#include "tests/support/process.h"
#include "tests/support/scrape.h"

namespace assent::soak {
namespace {

using client::Outcome;
using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;
using test_support::AssentdProcess;
using test_support::WaitUntil;

constexpr seconds kLimit{60};
constexpr milliseconds kPause{20};
constexpr int kRolledBackOneIn = 50;
constexpr size_t kProblemsMax = 20;

// What a client was told of a transaction.
struct Told {
  std::string gtrid;
  Outcome outcome = Outcome::kUnknown;
};

// Clients without databases behind them.
class Clients {
 public:
  Clients(client::Client client, const OutcomesOptions& options)
      : client_(std::move(client)),
        options_(options),
        sample_every_(std::max<uint64_t>(1, options.count / options.samples)) {}
  ~Clients() { Stop(); }

  void Start() {
    for (int i = 0; i < options_.clients; ++i) threads_.emplace_back([this] { Work(); });
  }
  void Stop() {
    stopping_ = true;
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }

  // False: for a while nothing was committed any more.
  bool WaitCommitted(uint64_t goal) {
    for (uint64_t before = committed_; before < goal; before = committed_) {
      if (!WaitUntil(kLimit, [&] { return committed_ > before; })) return false;
    }
    return true;
  }

  // Asks again for every sample; says what differs. Call after Stop.
  std::vector<std::string> AskAgain();

  uint64_t committed() const { return committed_; }
  uint64_t aborted() const { return aborted_; }
  uint64_t rolled_back() const { return rolled_back_; }
  size_t samples() EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    return samples_.size();
  }
  std::vector<std::string> problems() EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    return problems_;
  }

 private:
  void Work();
  void One(bool commit);
  void Keep(Told told) EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    samples_.push_back(std::move(told));
  }
  void Complain(const std::string& what) EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    if (problems_.size() < kProblemsMax) problems_.push_back(what);
  }

  client::Client client_;
  const OutcomesOptions options_;
  const uint64_t sample_every_;
  std::vector<std::thread> threads_;
  std::atomic<bool> stopping_ = false;
  std::atomic<uint64_t> committed_ = 0;
  std::atomic<uint64_t> aborted_ = 0;
  std::atomic<uint64_t> rolled_back_ = 0;
  Mutex mutex_;
  std::vector<Told> samples_ GUARDED_BY(mutex_);
  std::vector<std::string> problems_ GUARDED_BY(mutex_);
};

void Clients::Work() {
  for (int number = 1; !stopping_ && committed_ < options_.count; ++number) {
    One(number % kRolledBackOneIn != 0);
  }
}

void Clients::One(bool commit) {
  // The session of an application that has nothing to do.
  client::AppSession session(1, [](const std::string&) {});
  client::BeginOptions begin;
  begin.branches = {{bench::WireAgent::kResource, session, client::Finisher::kAgent}};
  auto transaction = client_.Begin(std::move(begin));
  if (!transaction.ok()) {
    // Nobody leads just now, or the agent has not found the new leader yet.
    std::this_thread::sleep_for(kPause);
    return;
  }
  client::CommitResult result;
  if (commit) {
    result = transaction->Commit({.ack = client::Acknowledgement::kDecided});
    if (result.unknown()) result = client_.Resolve(transaction->gtrid(), kLimit);
  } else {
    result = transaction->Rollback(kLimit);
  }
  const Told told = {transaction->gtrid(), result.outcome};
  switch (result.outcome) {
    case Outcome::kCommitted:
      if (!commit) Complain(told.gtrid + " was rolled back, and told COMMITTED");
      if (++committed_ % sample_every_ == 0) Keep(told);
      return;
    case Outcome::kAborted:
      if (commit) {
        ++aborted_;
        Keep(told);
      } else if (++rolled_back_ % sample_every_ == 0) {
        Keep(told);
      }
      return;
    case Outcome::kUnknown:
    case Outcome::kExpired:
      Complain(told.gtrid + " was never told an outcome: " + result.ToString());
  }
}

std::vector<std::string> Clients::AskAgain() {
  std::vector<Told> samples;
  {
    MutexLock lock(mutex_);
    samples = samples_;
  }
  Mutex mutex;
  std::vector<std::string> wrong;
  std::atomic<size_t> next = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < options_.clients; ++i) {
    threads.emplace_back([&] {
      for (size_t at = next++; at < samples.size(); at = next++) {
        const Told& told = samples[at];
        const client::CommitResult now = client_.Resolve(told.gtrid, kLimit);
        if (now.outcome == told.outcome) continue;
        MutexLock lock(mutex);
        if (wrong.size() == kProblemsMax) return;
        wrong.push_back(told.gtrid + " was told " + std::string(OutcomeName(told.outcome)) +
                        ", and is now " + std::string(OutcomeName(now.outcome)));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  return wrong;
}

// The three nodes, an agent's link to each, and what they use.
class Group {
 public:
  static Result<std::unique_ptr<Group>> Start(const OutcomesOptions& options);

  Result<client::Client> Connect() const {
    client::ClientOptions client;
    client.endpoints = Endpoints();
    client.tls = test_support::TlsOf(Tls("client"));
    return client::Client::Connect(client);
  }
  const std::vector<std::unique_ptr<AssentdProcess>>& nodes() const { return nodes_; }
  Status KillLeader();
  Status StopLeader();
  // Kills one; BringBack starts it.
  Status LoseFollower();
  Status BringBack();
  Status RestartAll();
  Status MakeLeader(AssentdProcess& node);
  // Until every committed transaction has its END on record.
  Status WaitEnded();
  // Looks at what every node uses now.
  void Measure();
  void AddTo(OutcomesReport* report);

 private:
  explicit Group(const OutcomesOptions& options) : options_(options) {}

  std::vector<std::string> Endpoints() const;
  // None if the group is plain.
  test_support::TlsPaths Tls(const std::string& name) const {
    if (!options_.tls) return {};
    return test_support::PathsOf(test_support::TestCertificates(), name);
  }
  rpc::TlsFiles TlsFiles(const std::string& name) const {
    const test_support::TlsPaths tls = Tls(name);
    return {tls.ca_file, tls.cert_file, tls.key_file};
  }
  Result<test_support::Scrape> Look(const AssentdProcess& node) const {
    const test_support::TlsPaths tls = Tls("client");
    return test_support::Scrape::From(node.http_endpoint(),
                                      {tls.ca_file, tls.cert_file, tls.key_file});
  }
  Result<AssentdProcess*> Leader();
  Status StartNode(AssentdProcess& node);
  Status AwaitAnswer(const AssentdProcess& node) const;
  void Complain(const AssentdProcess& node, const char* what, uint64_t bytes, uint64_t most);

  const OutcomesOptions options_;
  test_support::TempDir dir_;
  std::vector<std::unique_ptr<AssentdProcess>> nodes_;
  std::vector<std::unique_ptr<bench::WireAgent>> agents_;
  AssentdProcess* away_ = nullptr;
  double last_term_ = 0;
  int leaders_ = 0;
  int restarts_ = 0;
  uint64_t memory_bytes_ = 0;
  uint64_t disk_bytes_ = 0;
  std::vector<std::string> problems_;
};

Result<std::unique_ptr<Group>> Group::Start(const OutcomesOptions& options) {
  std::unique_ptr<Group> group(new Group(options));
  test_support::AssentdOptions assentd;
  assentd.bin_dir = options.bin_dir;
  // A line for each decision would be most of what is written.
  assentd.settings = {{"log_level", test_support::TomlString("warning")},
                      {"segment_bytes", std::to_string(1 << 20)},
                      {"snapshot_log_bytes", std::to_string(4 << 20)}};
  assentd.settings.merge(test_support::TlsSettings(group->Tls("node")));
  for (const auto& [key, value] : options.settings) assentd.settings[key] = value;
  auto credentials = rpc::ChannelCredentials(group->TlsFiles("agent"));
  if (!credentials.ok()) return credentials.status();
  auto nodes = AssentdProcess::CreateGroup(group->dir_, assentd, 3);
  if (!nodes.ok()) return nodes.status();
  group->nodes_ = std::move(*nodes);
  for (const auto& node : group->nodes_) {
    if (Status s = group->StartNode(*node); !s.ok()) return s;
    group->agents_.push_back(std::make_unique<bench::WireAgent>(node->endpoint(), *credentials));
  }
  group->restarts_ = 0;
  if (auto leader = group->Leader(); !leader.ok()) return leader.status();
  for (const auto& agent : group->agents_) {
    if (!agent->WaitWelcomed(kLimit)) return Unavailable("a node does not welcome the agent");
  }
  return group;
}

std::vector<std::string> Group::Endpoints() const {
  std::vector<std::string> endpoints;
  for (const auto& node : nodes_) endpoints.push_back(node->endpoint());
  return endpoints;
}

Result<AssentdProcess*> Group::Leader() {
  AssentdProcess* leader = WaitLeader(nodes_, kLimit, Tls("client"));
  if (leader == nullptr) return Unavailable("nobody leads");
  auto page = Look(*leader);
  const double term = page.ok() ? page->Sum("assent_term") : 0;
  if (term > last_term_) ++leaders_;
  last_term_ = std::max(last_term_, term);
  return leader;
}

// It says that it is ready at a level that is not logged.
Status Group::StartNode(AssentdProcess& node) {
  if (Status s = node.Launch(options_.env); !s.ok()) return s;
  ++restarts_;
  return AwaitAnswer(node);
}

Status Group::AwaitAnswer(const AssentdProcess& node) const {
  if (WaitUntil(kLimit, [&] { return Look(node).ok(); })) {
    return Ok();
  }
  return Unavailable(node.name() + " does not come back: " + node.Log());
}

Status Group::KillLeader() {
  auto leader = Leader();
  if (!leader.ok()) return leader.status();
  (*leader)->Kill9();
  // First somebody else leads, so that it comes back as a follower.
  if (auto next = Leader(); !next.ok()) return next.status();
  return StartNode(**leader);
}

Status Group::StopLeader() {
  auto leader = Leader();
  if (!leader.ok()) return leader.status();
  if (const auto end = (*leader)->Terminate(); !end.ok()) {
    return Internal("a leader that was told to stop ended with " + end.ToString());
  }
  return StartNode(**leader);
}

Status Group::LoseFollower() {
  auto leader = Leader();
  if (!leader.ok()) return leader.status();
  away_ = nodes_[0].get() == *leader ? nodes_[1].get() : nodes_[0].get();
  away_->Kill9();
  return Ok();
}

Status Group::BringBack() {
  if (away_ == nullptr) return Ok();
  return StartNode(*std::exchange(away_, nullptr));
}

Status Group::RestartAll() {
  for (const auto& node : nodes_) node->Kill9();
  for (const auto& node : nodes_) {
    if (Status s = StartNode(*node); !s.ok()) return s;
  }
  return Leader().status();
}

Status Group::MakeLeader(AssentdProcess& node) {
  std::string all;
  for (const std::string& one : Endpoints()) all += (all.empty() ? "" : ",") + one;
  auto connection = ctl::Connection::Make({.endpoint = all, .tls = TlsFiles("client")});
  if (!connection.ok()) return connection.status();
  Status last = Ok();
  const bool leads = WaitUntil(kLimit, [&] {
    auto leader = Leader();
    if (leader.ok() && *leader == &node) return true;
    // Refused while it lacks entries still.
    last = connection->TransferLeadership(static_cast<uint64_t>(node.node_id()), seconds(1));
    return false;
  });
  return leads ? Ok() : Unavailable(node.name() + " does not take the lead: " + last.ToString());
}

Status Group::WaitEnded() {
  double left = -1;
  const bool ended = WaitUntil(kLimit, [&] {
    auto leader = Leader();
    if (!leader.ok()) return false;
    auto page = Look(**leader);
    if (!page.ok()) return false;
    left = page->Sum("assent_transactions_unfinished") + page->Sum("assent_transactions_in_flight");
    return left == 0;
  });
  if (ended) return Ok();
  return DeadlineExceeded(std::to_string(left) + " transactions do not end");
}

void Group::Measure() {
  for (const auto& node : nodes_) {
    if (!node->Running()) continue;
    // The peak since it was started: nothing between two looks is missed.
    const uint64_t memory = test_support::MemoryPeak(node->pid());
    uint64_t disk = 0;
    std::error_code gone;  // Files come and go meanwhile.
    for (const auto& file : std::filesystem::directory_iterator(node->data_dir(), gone)) {
      if (const auto size = file.file_size(gone); !gone) disk += size;
    }
    memory_bytes_ = std::max(memory_bytes_, memory);
    disk_bytes_ = std::max(disk_bytes_, disk);
    Complain(*node, "memory", memory, options_.memory_bytes_max);
    Complain(*node, "disk", disk, options_.disk_bytes_max);
  }
}

void Group::Complain(const AssentdProcess& node, const char* what, uint64_t bytes, uint64_t most) {
  if (bytes <= most || problems_.size() >= kProblemsMax) return;
  problems_.push_back(node.name() + " holds " + std::to_string(bytes >> 10) + " KiB of " + what +
                      ", more than " + std::to_string(most >> 10) + " KiB");
}

void Group::AddTo(OutcomesReport* report) {
  report->leaders = leaders_;
  report->restarts = restarts_;
  report->memory_bytes = memory_bytes_;
  report->disk_bytes = disk_bytes_;
  for (const auto& node : nodes_) {
    bool has = false;
    for (const auto& file : std::filesystem::directory_iterator(node->data_dir())) {
      has = has || file.path().filename().string().starts_with("snapshot-");
    }
    report->snapshots += has ? 1 : 0;
  }
  report->problems.insert(report->problems.end(), problems_.begin(), problems_.end());
}

// One of the troubles, under load.
Status Trouble(Group& group, int number) {
  if (Status s = group.BringBack(); !s.ok()) return s;
  switch (number % 3) {
    case 0:
      return group.KillLeader();
    case 1:
      return group.LoseFollower();
    default:
      return group.StopLeader();
  }
}

// Asks every node, one after the other, as the leader.
Status AskEverywhere(Group& group, Clients& clients, OutcomesReport* report) {
  for (const auto& node : group.nodes()) {
    if (Status s = group.MakeLeader(*node); !s.ok()) return s;
    for (const std::string& wrong : clients.AskAgain()) {
      report->problems.push_back("at " + node->name() + ": " + wrong);
    }
    report->asked_again += clients.samples();
    group.Measure();
  }
  return Ok();
}

}  // namespace

std::string OutcomesReport::ToString() const {
  return "committed=" + std::to_string(committed) + " aborted=" + std::to_string(aborted) +
         " rolled_back=" + std::to_string(rolled_back) + " leaders=" + std::to_string(leaders) +
         " restarts=" + std::to_string(restarts) + " asked_again=" + std::to_string(asked_again) +
         " memory_max_mib=" + std::to_string(memory_bytes >> 20) +
         " snapshots=" + std::to_string(snapshots) +
         " disk_max_mib=" + std::to_string(disk_bytes >> 20) +
         " seconds=" + std::to_string(length.count() / 1000);
}

Result<OutcomesReport> RunOutcomes(const OutcomesOptions& options) {
  const auto begin = steady_clock::now();
  auto group = Group::Start(options);
  if (!group.ok()) return group.status();
  auto client = (*group)->Connect();
  if (!client.ok()) return client.status();
  OutcomesReport report;
  Clients clients(std::move(*client), options);
  clients.Start();
  for (int trouble = 0; trouble <= options.troubles; ++trouble) {
    const uint64_t goal = options.count * static_cast<uint64_t>(trouble + 1) /
                          static_cast<uint64_t>(options.troubles + 1);
    if (!clients.WaitCommitted(goal)) {
      return DeadlineExceeded("after " + std::to_string(clients.committed()) +
                              " commits the group stands still");
    }
    (*group)->Measure();
    if (options.progress) {
      const std::chrono::duration<double> past = steady_clock::now() - begin;
      std::printf("%5.0f s %8llu committed\n", past.count(),
                  static_cast<unsigned long long>(clients.committed()));
      std::fflush(stdout);
    }
    if (trouble == options.troubles) break;
    if (Status s = Trouble(**group, trouble); !s.ok()) return s;
  }
  clients.Stop();
  if (Status s = (*group)->BringBack(); !s.ok()) return s;
  if (Status s = (*group)->WaitEnded(); !s.ok()) return s;
  if (Status s = AskEverywhere(**group, clients, &report); !s.ok()) return s;
  // What they have on disk alone.
  if (Status s = (*group)->RestartAll(); !s.ok()) return s;
  if (Status s = AskEverywhere(**group, clients, &report); !s.ok()) return s;

  report.committed = clients.committed();
  report.aborted = clients.aborted();
  report.rolled_back = clients.rolled_back();
  const auto heard = clients.problems();
  report.problems.insert(report.problems.end(), heard.begin(), heard.end());
  (*group)->AddTo(&report);
  report.length = std::chrono::duration_cast<milliseconds>(steady_clock::now() - begin);
  return report;
}

}  // namespace assent::soak
