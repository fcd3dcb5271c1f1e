#include "tests/support/node_network.h"

#include <unistd.h>

#include "tests/support/process.h"

namespace assent::test_support {
namespace {

constexpr std::chrono::seconds kPatience{10};

Status RunAll(const std::vector<Argv>& commands) {
  for (const Argv& argv : commands) {
    auto ran = Run(argv, {}, {}, "/dev/null", kPatience);
    std::string command;
    for (const std::string& word : argv) command += word + " ";
    if (!ran.ok()) return Unavailable(command + ": " + ran.status().message());
    if (!ran->status.ok()) return Unavailable(command + ": " + ran->output);
  }
  return Ok();
}

}  // namespace

// Two harnesses at once have different pids, and so different names and subnets.
NodeNetwork::NodeNetwork(int nodes)
    : nodes_(nodes),
      prefix_("as" + std::to_string(getpid())),
      subnet_("10." + std::to_string(200 + getpid() / 250 % 50) + "." +
              std::to_string(getpid() % 250)) {}

Result<std::unique_ptr<NodeNetwork>> NodeNetwork::Make(int nodes) {
  if (getuid() != 0) return Unavailable("network namespaces need root");
  std::unique_ptr<NodeNetwork> made(new NodeNetwork(nodes));
  if (Status s = made->Build(); !s.ok()) return s;
  return made;
}

Status NodeNetwork::Build() {
  const std::string bridge = prefix_ + "br";
  Status s = RunAll({{"ip", "link", "add", bridge, "type", "bridge"},
                     {"ip", "addr", "add", subnet_ + ".1/24", "dev", bridge},
                     {"ip", "link", "set", bridge, "up"}});
  for (int node = 1; node <= nodes_ && s.ok(); ++node) {
    const std::string space = Space(node);
    const std::string outside = prefix_ + "v" + std::to_string(node);
    const Argv in = {"ip", "netns", "exec", space};
    auto inside = [&in](const Argv& command) {
      Argv argv = in;
      argv.insert(argv.end(), command.begin(), command.end());
      return argv;
    };
    s = RunAll(
        {{"ip", "netns", "add", space},
         {"ip", "link", "add", outside, "type", "veth", "peer", "name", "eth0", "netns", space},
         {"ip", "link", "set", outside, "master", bridge},
         {"ip", "link", "set", outside, "up"},
         inside({"ip", "addr", "add", Host(node) + "/24", "dev", "eth0"}),
         inside({"ip", "link", "set", "lo", "up"}),
         inside({"ip", "link", "set", "eth0", "up"}),
         inside({"nft", "add", "table", "inet", "cut"}),
         inside({"nft", "add", "chain", "inet", "cut", "out",
                 "{ type filter hook output priority 0; }"})});
  }
  return s;
}

NodeNetwork::~NodeNetwork() {
  for (int node = 1; node <= nodes_; ++node) {
    (void)RunAll({{"ip", "netns", "del", Space(node)}});
    (void)RunAll({{"ip", "link", "del", prefix_ + "v" + std::to_string(node)}});
  }
  (void)RunAll({{"ip", "link", "del", prefix_ + "br"}});
}

std::map<int, NodePlace> NodeNetwork::Places() const {
  std::map<int, NodePlace> places;
  for (int node = 1; node <= nodes_; ++node) {
    places[node] = {.host = Host(node), .launcher = {"ip", "netns", "exec", Space(node)}};
  }
  return places;
}

std::vector<std::string> NodeNetwork::Hosts() const {
  std::vector<std::string> hosts;
  for (int node = 1; node <= nodes_; ++node) hosts.push_back(Host(node));
  return hosts;
}

Status NodeNetwork::CutOneWay(int from, int to) {
  return RunAll({{"ip", "netns", "exec", Space(from), "nft", "add", "rule", "inet", "cut", "out",
                  "ip", "daddr", Host(to), "drop"}});
}

Status NodeNetwork::Cut(int one, int other) {
  if (Status s = CutOneWay(one, other); !s.ok()) return s;
  return CutOneWay(other, one);
}

Status NodeNetwork::Heal() {
  for (int node = 1; node <= nodes_; ++node) {
    Status s = RunAll(
        {{"ip", "netns", "exec", Space(node), "nft", "flush", "chain", "inet", "cut", "out"}});
    if (!s.ok()) return s;
  }
  return Ok();
}

}  // namespace assent::test_support
