// assent-failover: kills the leader of three coordinators under load again and again and prints how
// long each time nothing was committed. Exit code 1: too long, or a client heard something wrong.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>

#include "tests/support/bank.h"
#include "tests/system/failover.h"

namespace assent::system_tests {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using test_support::Bank;
using test_support::Deployment;

struct Options {
  int kills = 20;
  int concurrency = 8;
  bool tls = false;
  bool keep = false;
};

constexpr milliseconds kMedianMax{1000};
constexpr milliseconds kWorstMax{3000};

int Fail(const Status& why) {
  std::fprintf(stderr, "assent-failover: %s\n", why.ToString().c_str());
  return 1;
}

int Run(const Options& options) {
  auto house = Deployment::Start({.coordinators = 3, .tls = options.tls});
  if (!house.ok()) return Fail(house.status());
  if (options.keep) {
    (*house)->Keep();
    std::printf("logs and data stay in %s\n", (*house)->dir().c_str());
  }
  Bank bank(**house, {.concurrency = options.concurrency});
  if (Status s = bank.Open(); !s.ok()) return Fail(s);
  auto probe = Probe::Make(**house);
  if (!probe.ok()) return Fail(probe.status());
  if (Status s = bank.Start(); !s.ok()) return Fail(s);
  auto measured = Failovers::Measure(**house, *probe, options.kills);
  bank.Stop(seconds(30));
  if (!measured.ok()) return Fail(measured.status());
  std::printf("from kill -9 of the leader to the next commit:\n%s", measured->ToString().c_str());
  const test_support::BankReport report = bank.Check(seconds(30));
  std::printf("bank: committed=%llu aborted=%llu unknown=%llu in_doubt=%llu\n",
              static_cast<unsigned long long>(report.committed),
              static_cast<unsigned long long>(report.aborted),
              static_cast<unsigned long long>(report.unknown),
              static_cast<unsigned long long>(report.in_doubt));
  for (const std::string& problem : report.problems) std::printf("bank: %s\n", problem.c_str());
  const bool ok = report.ok() && measured->median() <= kMedianMax && measured->worst() <= kWorstMax;
  std::printf("failover: %s\n", ok ? "ok" : "failed");
  return ok ? 0 : 1;
}

}  // namespace
}  // namespace assent::system_tests

int main(int argc, char** argv) {
  assent::system_tests::Options options;
  CLI::App app("Kills leaders of a group of three coordinators, and measures");
  app.add_option("--kills", options.kills, "How often")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--concurrency", options.concurrency, "Clients that move money meanwhile")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  app.add_flag("--tls", options.tls, "Mutual TLS at every port");
  app.add_flag("--keep", options.keep, "Leave logs and data behind");
  CLI11_PARSE(app, argc, argv);
  return assent::system_tests::Run(options);
}
