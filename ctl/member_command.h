// `assentctl member`: the group of coordinators.
#pragma once

#include <cstdint>
#include <ostream>
#include <string>

#include "ctl/connection.h"

namespace CLI {
class App;
}

namespace assent::ctl {

struct MemberArguments {
  uint64_t id = 0;
  std::string peer_address;
  std::string address;
  uint64_t drain_ms = 10'000;
  bool if_leading = false;
};

// Adds the subcommand `member`. `arguments` outlive `app`.
void DescribeMember(CLI::App& app, MemberArguments& arguments);

// Runs what DescribeMember has parsed. Answers the exit code: `list` answers kExitNeedsOperator
// when a member does not answer the leader.
int RunMember(const CLI::App& member, const MemberArguments& arguments, bool json,
              Connection& connection, std::ostream& out, std::ostream& err);

}  // namespace assent::ctl
