// `assentctl certs`: makes and shows certificates. Needs no coordinator.
#pragma once

#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

#include "ctl/certs/plan.h"

namespace CLI {
class App;
}

namespace assent::ctl {

using certs::WallTime;

struct CertsArguments {
  std::string directory;
  std::string name;
  std::vector<std::string> hosts;
  int64_t days = certs::kDays.count();
  bool force = false;
  std::string path;
};

// Adds the subcommand `certs`. `arguments` outlive `app`.
void DescribeCerts(CLI::App& app, CertsArguments& arguments);

// Runs what DescribeCerts has parsed. Answers the exit code: `show` answers kExitNeedsOperator when
// something must be renewed.
int RunCerts(const CLI::App& certs, const CertsArguments& arguments, bool json, WallTime now,
             std::ostream& out, std::ostream& err);

}  // namespace assent::ctl
