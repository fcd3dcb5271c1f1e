// Which coordinators an agent dials: those of its configuration, and members of the group that it
// heard of since, so that a group may grow and change while its agents run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace assent::agent {

// Every node that welcomes an agent tells it the members' addresses. A member whom no configured
// target leads to is dialled as well, and left when nobody counts it among the members any more.
//
// An address may be written in two ways, and two links of one agent to one node would push each
// other out for ever. So nodes are told apart by their ids, which welcomes carry; and as long as a
// configured target may still turn out to be one of the members, nobody is dialled beside it.
//
// Not thread-safe.
class CoordinatorList {
 public:
  // So many beside the configured ones at most.
  static constexpr size_t kLearnedMax = 64;

  struct Member {
    uint64_t id = 0;
    std::string address;  // "host:port".
  };
  // What is to be done. A target that was left may be dialled again later.
  struct Change {
    std::vector<std::string> dial;
    std::vector<std::string> leave;
  };

  explicit CoordinatorList(const std::vector<std::string>& configured);

  // The node at `target` has welcomed this agent: it is node `id`.
  Change Welcomed(const std::string& target, uint64_t id, std::vector<Member> members);
  // The node at `target`, which has welcomed this agent, says that the members have changed.
  Change Told(const std::string& target, std::vector<Member> members);
  // The link to `target` is down: what it said counts no more.
  Change Down(const std::string& target);
  // Configured targets that have not welcomed this agent by now are taken for dead.
  Change Settle();

 private:
  struct Node {
    bool configured = false;
    bool up = false;
    uint64_t id = 0;  // The last that welcomed; 0: none has.
    std::vector<Member> members;
  };

  Change Weigh();
  // Whether a configured target leads to this member, as far as is known.
  bool Covered(const Member& member) const;

  std::map<std::string, Node> nodes_;  // By target.
  bool settled_ = false;
};

}  // namespace assent::agent
