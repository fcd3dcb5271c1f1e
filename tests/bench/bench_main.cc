// assent-bench: what a distributed transaction costs, beside the same work committed by hand. It
// starts private databases, a coordinator and two agents; see tests/bench/transfer.

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "tests/bench/report.h"

namespace assent::bench {
namespace {

struct Arguments {
  std::vector<std::string> modes;
  std::vector<int> concurrencies = {1, 8, 32};
  int seconds = 5;
  int rounds = 3;
  std::string ack = "applied";
  std::string json;
  bool cpu = false;
  bool calls = false;
};

int Fail(const std::string& what) {
  std::fprintf(stderr, "assent-bench: %s\n", what.c_str());
  return 1;
}

double LoadAverage() {
  double load[1] = {0};
  return getloadavg(load, 1) == 1 ? load[0] : 0;
}

void PrintFigures(const char* what, const std::string& table) {
  if (!table.empty()) std::printf("\n%s:\n%s", what, table.c_str());
}

int Transfer(const Arguments& arguments) {
  TransferOptions options;
  if (arguments.modes.empty()) options.modes = Modes();
  for (const std::string& name : arguments.modes) {
    auto mode = FindMode(name);
    if (!mode.ok()) {
      Fail(mode.status().message());
      return 2;
    }
    options.modes.push_back(*std::move(mode));
  }
  options.concurrencies = arguments.concurrencies;
  options.length = std::chrono::seconds(arguments.seconds);
  options.rounds = arguments.rounds;
  if (arguments.ack == "decided") options.ack = client::Acknowledgement::kDecided;

  std::fprintf(stderr, "%u processors, load %.1f before; starting the house ...\n",
               std::thread::hardware_concurrency(), LoadAverage());
  auto measured = RunTransfer(options, [](const Measurement& m) {
    std::fprintf(stderr, "round %d  c%-3d %-15s %8.0f transfers/s\n", m.round, m.concurrency,
                 m.mode.c_str(), m.per_second);
  });
  if (!measured.ok()) return Fail(measured.status().message());
  const std::vector<Line> lines = Summarize(*measured);
  std::printf("%s", Table(lines).c_str());
  PrintFigures("Per transfer", FiguresTable(lines, &Line::counts, ""));
  if (arguments.calls) {
    PrintFigures("Calls, p50 ms", FiguresTable(lines, &Line::calls, ""));
  }
  if (arguments.cpu) {
    PrintFigures("Processor time, us per transfer", FiguresTable(lines, &Line::cpu, "all"));
  }
  if (arguments.json.empty()) return 0;
  std::ofstream file(arguments.json);
  file << Json(options, lines, *measured);
  file.close();
  return file ? 0 : Fail("can't write " + arguments.json);
}

}  // namespace
}  // namespace assent::bench

int main(int argc, char** argv) {
  assent::bench::Arguments arguments;
  CLI::App app("Measures Assent beside the same work committed by hand");
  app.require_subcommand(1);
  CLI::App* transfer = app.add_subcommand(
      "transfer", "One UPDATE and one INSERT in PostgreSQL and in MariaDB, all or nothing");
  transfer
      ->add_option("--mode", arguments.modes,
                   "raw-seq, raw-overlapped, app-held, agent-held; several are measured in turns "
                   "(default: all)")
      ->delimiter(',');
  transfer->add_option("--concurrency", arguments.concurrencies, "Clients at once (default 1,8,32)")
      ->delimiter(',')
      ->check(CLI::Range(1, 60));
  transfer->add_option("--seconds", arguments.seconds, "Of one measurement (default 5)")
      ->check(CLI::Range(1, 3600));
  transfer->add_option("--rounds", arguments.rounds, "The table has their medians (default 3)")
      ->check(CLI::Range(1, 100));
  transfer->add_option("--ack", arguments.ack, "When Commit answers (default applied)")
      ->check(CLI::IsMember({"applied", "decided"}));
  transfer->add_flag("--cpu", arguments.cpu, "Also print each program's processor time");
  transfer->add_flag("--calls", arguments.calls, "Also print how long each call takes");
  transfer->add_option("--json", arguments.json, "Also write the results to this file");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  std::signal(SIGPIPE, SIG_IGN);
  return assent::bench::Transfer(arguments);
}
