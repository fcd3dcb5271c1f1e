#include "tests/bench/wire.h"

#include <sys/resource.h>

#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <functional>
#include <thread>
#include <utility>

#include "client/assent.h"
#include "tests/bench/wire_agent.h"
#include "tests/support/assent_processes.h"
#include "tests/support/temp_dir.h"

namespace assent::bench {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::steady_clock;

// Transactions begun before as many are committed; fewer than live_transactions_max.
constexpr int kLiveAtOnce = 4000;

nanoseconds CpuOf(pid_t pid) {
  clockid_t clock;
  timespec used{};
  if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &used) != 0) return {};
  return std::chrono::seconds(used.tv_sec) + nanoseconds(used.tv_nsec);
}

uint64_t OwnWaits() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<uint64_t>(usage.ru_nvcsw);
}

// Sums over its threads; one that has ended is not counted, but none ends while it is measured.
uint64_t WaitsOf(pid_t pid) {
  uint64_t waits = 0;
  std::error_code error;
  const std::string tasks = "/proc/" + std::to_string(pid) + "/task";
  for (const auto& task : std::filesystem::directory_iterator(tasks, error)) {
    std::ifstream status(task.path() / "status");
    for (std::string line; std::getline(status, line);) {
      constexpr std::string_view kField = "voluntary_ctxt_switches:";
      if (line.starts_with(kField)) {
        waits += std::strtoull(line.c_str() + kField.size(), nullptr, 10);
      }
    }
  }
  return waits;
}

// What both ends have used from its making to Stop.
class Meter {
 public:
  explicit Meter(pid_t server)
      : server_(server),
        server_waits_(WaitsOf(server)),
        own_waits_(OwnWaits()),
        server_cpu_(CpuOf(server)),
        own_cpu_(CpuOf(0)),
        from_(steady_clock::now()) {}

  void AddTo(WireCost* cost) const {
    cost->wall += steady_clock::now() - from_;
    cost->own_cpu += CpuOf(0) - own_cpu_;
    cost->server_cpu += CpuOf(server_) - server_cpu_;
    cost->own_waits += OwnWaits() - own_waits_;
    cost->server_waits += WaitsOf(server_) - server_waits_;
  }

 private:
  const pid_t server_;
  const uint64_t server_waits_;
  const uint64_t own_waits_;
  const nanoseconds server_cpu_;
  const nanoseconds own_cpu_;
  const steady_clock::time_point from_;
};

struct Hand {
  Histogram latency;
  uint64_t calls = 0;
  Status status;
  std::vector<client::Transaction> begun;
};

// Runs `work` once in each of `hands`' threads; the first error, if any.
Status InThreads(std::vector<Hand>& hands, const std::function<Status(Hand&)>& work) {
  std::vector<std::thread> threads;
  threads.reserve(hands.size());
  for (Hand& hand : hands) threads.emplace_back([&] { hand.status = work(hand); });
  for (std::thread& thread : threads) thread.join();
  for (const Hand& hand : hands) {
    if (!hand.status.ok()) return hand.status;
  }
  return Ok();
}

template <typename Call>
auto Timed(Hand& hand, const Call& call) {
  const auto from = steady_clock::now();
  auto result = call();
  hand.latency.Add(steady_clock::now() - from);
  ++hand.calls;
  return result;
}

void Collect(std::vector<Hand>& hands, WireCost* cost) {
  for (Hand& hand : hands) {
    cost->calls += std::exchange(hand.calls, 0);
    cost->latency.Merge(std::exchange(hand.latency, {}));
  }
}

class WireBenchImpl final : public WireBench {
 public:
  WireBenchImpl(std::unique_ptr<test_support::TempDir> dir,
                std::unique_ptr<test_support::AssentdProcess> server, client::Client client)
      : dir_(std::move(dir)), server_(std::move(server)), client_(std::move(client)) {}

  Result<WireCost> Measure(WireOp op, int concurrency, milliseconds length) override {
    WireCost cost{.op = op, .concurrency = concurrency};
    Status status;
    switch (op) {
      case WireOp::kBegin:
      case WireOp::kCommit:
        status = Calls(op, length, &cost);
        break;
      case WireOp::kLink:
        status = Link(length, &cost);
        break;
      case WireOp::kWhole:
        status = Whole(length, &cost);
        break;
    }
    if (!status.ok()) return status;
    return cost;
  }

 private:
  Status Calls(WireOp op, milliseconds length, WireCost* cost);
  Status Link(milliseconds length, WireCost* cost);
  Status Whole(milliseconds length, WireCost* cost);
  Status NeedAgent();

  const std::unique_ptr<test_support::TempDir> dir_;
  const std::unique_ptr<test_support::AssentdProcess> server_;
  client::Client client_;
  std::unique_ptr<WireAgent> agent_;
};

Status WireBenchImpl::Calls(WireOp op, milliseconds length, WireCost* cost) {
  std::vector<Hand> hands(static_cast<size_t>(cost->concurrency));
  const int each = kLiveAtOnce / cost->concurrency;
  while (cost->wall < length) {
    WireCost begin;
    WireCost commit;
    Meter beginning(server_->pid());
    Status status = InThreads(hands, [&](Hand& hand) -> Status {
      for (int i = 0; i < each; ++i) {
        auto begun = Timed(hand, [&] { return client_.Begin(); });
        if (!begun.ok()) return begun.status();
        hand.begun.push_back(*std::move(begun));
      }
      return Ok();
    });
    beginning.AddTo(op == WireOp::kBegin ? cost : &begin);
    Collect(hands, op == WireOp::kBegin ? cost : &begin);
    if (!status.ok()) return status;
    Meter committing(server_->pid());
    status = InThreads(hands, [](Hand& hand) -> Status {
      for (client::Transaction& one : hand.begun) {
        const client::CommitResult result = Timed(hand, [&] { return one.Commit(); });
        if (result.outcome != client::Outcome::kCommitted) return Internal("a commit failed");
      }
      return Ok();
    });
    committing.AddTo(op == WireOp::kCommit ? cost : &commit);
    Collect(hands, op == WireOp::kCommit ? cost : &commit);
    if (!status.ok()) return status;
    for (Hand& hand : hands) hand.begun.clear();
  }
  return Ok();
}

Status WireBenchImpl::NeedAgent() {
  if (agent_) return Ok();
  agent_ = std::make_unique<WireAgent>(server_->endpoint());
  if (!agent_->WaitWelcomed(std::chrono::seconds(10)))
    return Unavailable("no welcome for the agent");
  return Ok();
}

Status WireBenchImpl::Link(milliseconds length, WireCost* cost) {
  if (Status status = NeedAgent(); !status.ok()) return status;
  std::vector<client::Transaction> begun;
  std::vector<std::string> gtrids;
  for (int i = 0; i < cost->concurrency; ++i) {
    auto one = client_.Begin();
    if (!one.ok()) return one.status();
    gtrids.push_back(one->gtrid());
    begun.push_back(*std::move(one));
  }
  Meter meter(server_->pid());
  auto echo = agent_->EchoRegistrations(gtrids, length);
  meter.AddTo(cost);
  if (!echo.ok()) return echo.status();
  cost->calls = echo->answers;
  cost->latency = echo->latency;
  return Ok();
}

Status WireBenchImpl::Whole(milliseconds length, WireCost* cost) {
  if (Status status = NeedAgent(); !status.ok()) return status;
  std::vector<Hand> hands(static_cast<size_t>(cost->concurrency));
  Meter meter(server_->pid());
  const auto end = steady_clock::now() + length;
  Status status = InThreads(hands, [&](Hand& hand) -> Status {
    while (steady_clock::now() < end) {
      Status done = Timed(hand, [&]() -> Status {
        auto one = client_.Begin();
        if (!one.ok()) return one.status();
        for (int branch = 0; branch < 2; ++branch) {
          if (Status registered = agent_->Register(one->gtrid()); !registered.ok()) {
            return registered;
          }
        }
        const client::CommitResult result = one->Commit();
        if (result.outcome == client::Outcome::kCommitted) return Ok();
        return Internal("a commit failed");
      });
      if (!done.ok()) return done;
    }
    return Ok();
  });
  meter.AddTo(cost);
  Collect(hands, cost);
  return status;
}

}  // namespace

std::string NameOf(WireOp op) {
  switch (op) {
    case WireOp::kBegin:
      return "begin";
    case WireOp::kCommit:
      return "commit";
    case WireOp::kLink:
      return "link";
    case WireOp::kWhole:
      return "whole";
  }
  return "";
}

Result<std::unique_ptr<WireBench>> WireBench::Start(const std::string& bin_dir) {
  auto dir = std::make_unique<test_support::TempDir>();
  test_support::AssentdOptions options;
  options.bin_dir = bin_dir;
  options.settings["log_level"] = test_support::TomlString("warning");
  auto server = test_support::AssentdProcess::Create(*dir, options);
  if (!server.ok()) return server.status();
  // It says that it is ready at level info.
  if (Status status = (*server)->Launch(); !status.ok()) return status;
  client::ClientOptions client_options;
  client_options.endpoints = {(*server)->endpoint()};
  auto client = client::Client::Connect(client_options);
  if (!client.ok()) return client.status();
  auto first = client->Begin();
  if (!first.ok()) return first.status();
  (void)first->Rollback();
  return std::unique_ptr<WireBench>(
      new WireBenchImpl(std::move(dir), *std::move(server), *std::move(client)));
}

}  // namespace assent::bench
