// assent-wire-bench: the cost of one Begin, one Commit, one round trip of an agent's link, and of a
// whole transaction, in latency and in processor time of either end. Several builds of assentd can
// be measured in turns, so that a busy machine troubles each alike.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include "tests/bench/wire.h"

namespace assent::bench {
namespace {

struct Arguments {
  std::vector<WireOp> ops = {WireOp::kBegin, WireOp::kCommit, WireOp::kLink, WireOp::kWhole};
  std::vector<int> concurrencies = {1, 8, 32};
  std::vector<std::string> bin_dirs = {""};
  int milliseconds = 500;
  int rounds = 5;
};

int Fail(const std::string& what) {
  std::fprintf(stderr, "assent-wire-bench: %s\n", what.c_str());
  return 1;
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// Medians over the rounds, in microseconds a call.
void Print(const std::string& side, const std::vector<WireCost>& costs) {
  auto median = [&](auto&& of) {
    std::vector<double> values;
    for (const WireCost& cost : costs) values.push_back(of(cost));
    return Median(std::move(values));
  };
  auto per_call = [](std::chrono::nanoseconds time, const WireCost& cost) {
    return static_cast<double>(time.count()) / 1e3 / static_cast<double>(cost.calls);
  };
  std::printf(
      "%-7s c%-3d %8.0f/s  p50 %6.0f  p99 %6.0f  cpu us: server %6.2f own %6.2f both %6.2f  "
      "waits: server %5.2f own %5.2f  %s\n",
      NameOf(costs[0].op).c_str(), costs[0].concurrency, median([](const WireCost& c) {
        return static_cast<double>(c.calls) * 1e9 / static_cast<double>(c.wall.count());
      }),
      median([](const WireCost& c) { return c.latency.Quantile(0.5).count(); }),
      median([](const WireCost& c) { return c.latency.Quantile(0.99).count(); }),
      median([&](const WireCost& c) { return per_call(c.server_cpu, c); }),
      median([&](const WireCost& c) { return per_call(c.own_cpu, c); }),
      median([&](const WireCost& c) { return per_call(c.server_cpu + c.own_cpu, c); }),
      median([](const WireCost& c) { return static_cast<double>(c.server_waits) / c.calls; }),
      median([](const WireCost& c) { return static_cast<double>(c.own_waits) / c.calls; }),
      side.c_str());
}

int Run(const Arguments& arguments) {
  std::vector<std::unique_ptr<WireBench>> sides;
  for (const std::string& bin_dir : arguments.bin_dirs) {
    auto side = WireBench::Start(bin_dir);
    if (!side.ok()) return Fail(side.status().message());
    sides.push_back(*std::move(side));
  }
  for (WireOp op : arguments.ops) {
    for (int concurrency : arguments.concurrencies) {
      std::vector<std::vector<WireCost>> costs(sides.size());
      for (int round = 0; round < arguments.rounds; ++round) {
        for (size_t i = 0; i < sides.size(); ++i) {
          auto cost =
              sides[i]->Measure(op, concurrency, std::chrono::milliseconds(arguments.milliseconds));
          if (!cost.ok()) return Fail(cost.status().ToString());
          costs[i].push_back(*std::move(cost));
        }
      }
      for (size_t i = 0; i < sides.size(); ++i) Print(arguments.bin_dirs[i], costs[i]);
      std::fflush(stdout);
    }
  }
  return 0;
}

}  // namespace
}  // namespace assent::bench

int main(int argc, char** argv) {
  using assent::bench::WireOp;
  assent::bench::Arguments arguments;
  CLI::App app("Measures the calls of clients and the link of an agent, without databases");
  const std::map<std::string, WireOp> names = {{"begin", WireOp::kBegin},
                                               {"commit", WireOp::kCommit},
                                               {"link", WireOp::kLink},
                                               {"whole", WireOp::kWhole}};
  app.add_option("--op", arguments.ops, "begin, commit, link, whole (default: all)")
      ->delimiter(',')
      ->transform(CLI::CheckedTransformer(names));
  app.add_option("--concurrency", arguments.concurrencies, "Calls at once (default 1,8,32)")
      ->delimiter(',')
      ->check(CLI::Range(1, 1000));
  app.add_option("--side", arguments.bin_dirs,
                 "Directories with an assentd each, to be measured in turns (default: this one's)")
      ->delimiter(',');
  app.add_option("--ms", arguments.milliseconds, "Of one measurement (default 500)")
      ->check(CLI::Range(10, 60'000));
  app.add_option("--rounds", arguments.rounds, "The table has their medians (default 5)")
      ->check(CLI::Range(1, 1000));
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  std::signal(SIGPIPE, SIG_IGN);
  return assent::bench::Run(arguments);
}
