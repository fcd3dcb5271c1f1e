// `assentctl backup`: the group's decisions as a file, for assentd --restore.
#pragma once

#include <ostream>
#include <string>

#include "ctl/connection.h"

namespace CLI {
class App;
}

namespace assent::ctl {

struct BackupArguments {
  std::string file;
  bool show = false;
  bool force = false;
};

// Adds the subcommand `backup`. `arguments` outlive `app`.
void DescribeBackup(CLI::App& app, BackupArguments& arguments);

// Answers the exit code.
int RunBackup(const BackupArguments& arguments, bool json, const ConnectionOptions& connection,
              std::ostream& out, std::ostream& err);

}  // namespace assent::ctl
