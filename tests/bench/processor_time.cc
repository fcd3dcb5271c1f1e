#include "tests/bench/processor_time.h"

#include <unistd.h>

#include <sstream>
#include <utility>

#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace assent::bench {
namespace {

Result<Ticks> TicksOf(pid_t pid) {
  const std::string stat = test_support::ReadFile("/proc/" + std::to_string(pid) + "/stat");
  if (stat.empty()) return NotFound("process " + std::to_string(pid) + " is gone");
  return ParseStat(stat);
}

// PostgreSQL has a process for each session. One that ends between the listing and the look counts
// with its parent's ended children the next time.
Result<long> TicksOfTree(pid_t parent) {
  auto total = TicksOf(parent);
  if (!total.ok()) return total.status();
  long ticks = total->own + total->ended_children;
  for (pid_t child : test_support::ChildrenOf(parent)) {
    if (auto one = TicksOf(child); one.ok()) ticks += one->own;
  }
  return ticks;
}

}  // namespace

Result<Ticks> ParseStat(const std::string& stat) {
  // The second field is a name in parentheses, which may hold anything.
  const size_t name_end = stat.rfind(')');
  if (name_end == std::string::npos) return InvalidArgument("no /proc/PID/stat: " + stat);
  std::istringstream fields(stat.substr(name_end + 1));
  std::string skipped;
  for (int field = 3; field < 14; ++field) fields >> skipped;
  long user = 0, system = 0, children_user = 0, children_system = 0;
  if (!(fields >> user >> system >> children_user >> children_system)) {
    return InvalidArgument("no /proc/PID/stat: " + stat);
  }
  return Ticks{user + system, children_user + children_system};
}

Result<Figures> ReadProcessorTime(const test_support::Deployment& deployment) {
  const double us_per_tick = 1e6 / static_cast<double>(sysconf(_SC_CLK_TCK));
  Figures times;
  for (const auto& [name, pid] :
       {std::pair("client", getpid()), std::pair("assentd", deployment.coordinator().pid()),
        std::pair("agent-pg", deployment.postgres_agent().pid()),
        std::pair("agent-my", deployment.mariadb_agent().pid()),
        std::pair("mariadbd", deployment.mariadb().pid())}) {
    auto ticks = TicksOf(pid);
    if (!ticks.ok()) return ticks.status();
    times.push_back({name, static_cast<double>(ticks->own) * us_per_tick});
  }
  auto postgres = TicksOfTree(deployment.postgres().pid());
  if (!postgres.ok()) return postgres.status();
  times.push_back({"postgres", static_cast<double>(*postgres) * us_per_tick});
  return times;
}

}  // namespace assent::bench
