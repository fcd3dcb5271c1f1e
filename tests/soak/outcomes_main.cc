// assent-outcomes: a group of three coordinators decides a million transactions while its nodes are
// killed and stopped, and is asked again for a sample of them. Exit code 1: an outcome changed, or
// a node uses more memory or disk than it may.
#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>

#include "tests/soak/outcomes.h"

int main(int argc, char** argv) {
  assent::soak::OutcomesOptions options;
  options.progress = true;
  uint64_t memory_mib = options.memory_bytes_max >> 20;
  uint64_t disk_mib = options.disk_bytes_max >> 20;
  CLI::App app("Lets three coordinators decide very many transactions, and asks again");
  app.add_option("--count", options.count, "Commits")
      ->check(CLI::Range(100, 100'000'000))
      ->capture_default_str();
  app.add_option("--clients", options.clients, "Transactions under way")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--troubles", options.troubles, "Kills and stops of nodes")
      ->check(CLI::Range(0, 1000))
      ->capture_default_str();
  app.add_option("--memory-mib", memory_mib, "Bound of each node")->capture_default_str();
  app.add_option("--disk-mib", disk_mib, "Bound of each node")->capture_default_str();
  app.add_flag("--tls", options.tls, "Mutual TLS at every port");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  options.memory_bytes_max = memory_mib << 20;
  options.disk_bytes_max = disk_mib << 20;
  std::signal(SIGPIPE, SIG_IGN);
  auto report = assent::soak::RunOutcomes(options);
  if (!report.ok()) {
    std::fprintf(stderr, "outcomes: %s\n", report.status().ToString().c_str());
    return 1;
  }
  for (const std::string& problem : report->problems) {
    std::fprintf(stderr, "outcomes: %s\n", problem.c_str());
  }
  std::printf("outcomes: %s %s\n", report->ok() ? "ok" : "failed", report->ToString().c_str());
  return report->ok() ? 0 : 1;
}
