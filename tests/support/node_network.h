// A network of its own for each node of a group, in which single links can be cut: network
// namespaces, joined by a bridge, with nft in each.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "tests/support/assent_processes.h"

namespace assent::test_support {

// The namespaces go at destruction; what runs in them should have ended. Not thread-safe.
class NodeNetwork {
 public:
  // UNAVAILABLE: this machine does not let us (no root, no namespaces, no nft); says which.
  static Result<std::unique_ptr<NodeNetwork>> Make(int nodes);
  ~NodeNetwork();
  NodeNetwork(const NodeNetwork&) = delete;
  NodeNetwork& operator=(const NodeNetwork&) = delete;

  // Of nodes 1 to `nodes`. Whoever runs in none of them reaches them all, whatever is cut.
  std::map<int, NodePlace> Places() const;
  // Their addresses, for certificates: nodes insist on TLS where other machines could reach them.
  std::vector<std::string> Hosts() const;

  // Drops whatever `from` sends to `to`, silently.
  Status CutOneWay(int from, int to);
  Status Cut(int one, int other);
  // All that was cut.
  Status Heal();

 private:
  explicit NodeNetwork(int nodes);
  Status Build();
  std::string Space(int node) const { return prefix_ + "n" + std::to_string(node); }
  std::string Host(int node) const { return subnet_ + "." + std::to_string(10 + node); }

  const int nodes_;
  const std::string prefix_;  // Of all names; interfaces have at most 15 characters.
  const std::string subnet_;
};

}  // namespace assent::test_support
