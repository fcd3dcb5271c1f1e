// assent-log-bench: how fast the replicated log is, beside the disk itself and etcd, in turns; see
// tests/bench/log. `node` is one of the processes that it starts.

#include <sched.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/log.h"
#include "tests/bench/disk_load.h"
#include "tests/bench/log_group.h"
#include "tests/bench/log_node.h"
#include "tests/bench/log_report.h"
#include "tests/bench/log_soak.h"
#include "tests/support/temp_dir.h"

namespace assent::bench {
namespace {

struct Arguments {
  std::vector<size_t> in_flight = {1, 8, 64, 512};
  int seconds = 2;
  int rounds = 5;
  std::string etcd;
  std::string engine = "raft";
  bool socket = true;
  bool realtime = false;
  std::string json;
};

int Fail(const std::string& what) {
  std::fprintf(stderr, "assent-log-bench: %s\n", what.c_str());
  return 1;
}

double LoadAverage() {
  double load[1] = {0};
  return getloadavg(load, 1) == 1 ? load[0] : 0;
}

// Where other programs keep the processors busy, a thread that wakes up would wait for the end of
// their slice. The processes that are started from now on inherit this.
bool GoBeforeOthers() {
  sched_param parameters = {.sched_priority = 1};
  return sched_setscheduler(0, SCHED_RR, &parameters) == 0;
}

// One that is measured, and how.
struct Contender {
  System system;
  std::function<Result<Rates>(const Load&)> load;
};

Result<std::vector<LogSample>> Measure(const Arguments& arguments,
                                       const std::vector<Contender>& contenders) {
  std::vector<LogSample> samples;
  for (int round = 1; round <= arguments.rounds; ++round) {
    for (size_t in_flight : arguments.in_flight) {
      // The order moves on, so that nobody always comes behind the same one.
      for (size_t i = 0; i < contenders.size(); ++i) {
        const Contender& one = contenders[(i + static_cast<size_t>(round)) % contenders.size()];
        if (one.system == System::kDisk && in_flight != 1) continue;
        if (one.system == System::kEtcdThreeAtOnce && in_flight == 1) continue;  // As kEtcdThree.
        auto rates =
            one.load({.in_flight = in_flight, .length = std::chrono::seconds(arguments.seconds)});
        if (!rates.ok()) return rates.status();
        std::fprintf(stderr, "round %d  %3zu in flight  %-38s %8.0f entries/s  load %.1f\n", round,
                     in_flight, NameOf(one.system).c_str(), rates->per_second, LoadAverage());
        samples.push_back({round, one.system, in_flight, *rates});
      }
    }
  }
  return samples;
}

int Compare(const Arguments& arguments) {
  test_support::TempDir dir;
  std::vector<std::unique_ptr<LogGroup>> groups;
  std::vector<Contender> contenders = {
      {System::kDisk, [&dir](const Load& load) { return LoadDisk(dir.path(), load); }}};
  const auto keep = [&](Result<std::unique_ptr<LogGroup>> group) -> Result<LogGroup*> {
    if (!group.ok()) return group.status();
    groups.push_back(std::move(*group));
    return groups.back().get();
  };
  const auto place = [&](const char* name, size_t nodes) {
    (void)dir.MakeDir(name);
    return LogGroupOptions{.directory = dir.File(name), .nodes = nodes};
  };
  const auto start_etcd = [&](const char* name, size_t nodes) {
    return keep(LogGroup::StartEtcd(place(name, nodes), arguments.etcd));
  };
  const auto inside = [](LogGroup* group, Proposer proposer) {
    return [group, proposer](Load load) {
      load.proposer = proposer;
      return group->LoadInside(load);
    };
  };
  const auto socket = [](LogGroup* group) {
    return [group](const Load& load) { return group->LoadThroughSocket(load); };
  };
  const LogRun run = {LoadAverage(), arguments.realtime};
  std::fprintf(stderr, "%u processors, load %.1f before\n", std::thread::hardware_concurrency(),
               run.load_before);
  if (arguments.realtime && !GoBeforeOthers()) {
    return Fail(std::string("--realtime: ") + strerror(errno));
  }
  if (arguments.engine == "etcd") {
    const auto etcd = start_etcd("e3", 3);
    if (!etcd.ok()) return Fail(etcd.status().message());
    // Of its own: the transactions of etcd 3.4 stay slower once many keys were put within a tenth
    // of a second, since each copies a buffer that grew to as many.
    const auto below_ours = start_etcd("o3", 3);
    if (!below_ours.ok()) return Fail(below_ours.status().message());
    const auto ours = keep(LogGroup::StartOnEtcd(place("oe", 1), (*below_ours)->doors()));
    if (!ours.ok()) return Fail(ours.status().message());
    contenders.push_back({System::kEtcdThree, socket(*etcd)});
    contenders.push_back({System::kEtcdThreeAtOnce, [group = *etcd](Load load) {
                            load.entries_at_once = std::exchange(load.in_flight, 1);
                            return group->LoadThroughSocket(load);
                          }});
    contenders.push_back({System::kOursOnEtcdThree, inside(*ours, Proposer::kDriver)});
  } else {
    const auto one = keep(LogGroup::StartOurs(place("o1", 1)));
    if (!one.ok()) return Fail(one.status().message());
    contenders.push_back({System::kOursOne, inside(*one, Proposer::kLog)});
    contenders.push_back({System::kOursOneDriver, inside(*one, Proposer::kDriver)});
    const auto three = keep(LogGroup::StartOurs(place("o3", 3)));
    if (!three.ok()) return Fail(three.status().message());
    contenders.push_back({System::kOursThree, inside(*three, Proposer::kDriver)});
    if (arguments.socket) contenders.push_back({System::kOursThreeSocket, socket(*three)});
    if (!arguments.etcd.empty()) {
      const auto etcd_one = start_etcd("e1", 1);
      if (!etcd_one.ok()) return Fail(etcd_one.status().message());
      contenders.push_back({System::kEtcdOne, socket(*etcd_one)});
      const auto etcd_three = start_etcd("e3", 3);
      if (!etcd_three.ok()) return Fail(etcd_three.status().message());
      contenders.push_back({System::kEtcdThree, socket(*etcd_three)});
    }
  }
  const auto samples = Measure(arguments, contenders);
  if (!samples.ok()) return Fail(samples.status().message());
  std::printf("%s\n", LogTable(Summarize(*samples)).c_str());
  for (const auto& [name, ratio] : Ratios(*samples)) {
    std::printf("%-52s %7.2f\n", name.c_str(), ratio);
  }
  if (arguments.json.empty()) return 0;
  std::ofstream file(arguments.json);
  file << LogJson(run, *samples);
  file.close();
  return file ? 0 : Fail("can't write " + arguments.json);
}

}  // namespace
}  // namespace assent::bench

int main(int argc, char** argv) {
  namespace bench = assent::bench;
  bench::Arguments arguments;
  bench::LogNodeOptions node;
  double soak_minutes = 0;
  CLI::App app("Measures the replicated log beside the disk and etcd");
  app.add_option("--in-flight", arguments.in_flight, "Entries under way (default 1,8,64,512)")
      ->delimiter(',')
      ->check(CLI::Range(1, 4096));
  app.add_option("--seconds", arguments.seconds, "Of one measurement (default 2)")
      ->check(CLI::Range(1, 3600));
  app.add_option("--rounds", arguments.rounds, "The table has their medians (default 5)")
      ->check(CLI::Range(1, 100));
  app.add_option("--etcd", arguments.etcd, "The program etcd; without it, etcd is left out");
  app.add_option("--engine", arguments.engine,
                 "raft (the default), or etcd: our log in an etcd, beside plain puts there")
      ->check(CLI::IsMember({"raft", "etcd"}));
  app.add_flag("!--no-socket", arguments.socket, "Do not measure ours through gRPC as well");
  app.add_flag("--realtime", arguments.realtime,
               "Run everything measured before all other programs, on a machine that is not quiet");
  app.add_option("--json", arguments.json, "Also write the results to this file");
  app.add_option(
      "--soak", soak_minutes,
      "Instead: load three nodes for so many minutes, one of them dead, and watch memory "
      "and disk");
  CLI::App* as_node = app.add_subcommand("node", "One node; started by this program");
  as_node->add_option("--id", node.id)->required();
  as_node->add_option("--directory", node.directory)->required();
  as_node->add_option("--door", node.door)->required();
  as_node->add_option("--peers", node.peers)->delimiter(',')->required();
  as_node->add_option("--etcd", node.etcd)->delimiter(',');
  as_node->add_option("--snapshot-after-bytes", node.snapshot_after_bytes);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  std::signal(SIGPIPE, SIG_IGN);
  if (as_node->parsed()) return bench::RunLogNode(node);
  if (arguments.engine == "etcd" && arguments.etcd.empty()) {
    return bench::Fail("--engine etcd: give the program etcd with --etcd, as tests/bench/log does");
  }
  if (soak_minutes > 0)
    return bench::SoakLog(std::chrono::duration<double, std::ratio<60>>(soak_minutes));
  return bench::Compare(arguments);
}
