// Which coordinators an agent dials: those of its configuration, and members of the group that it
// heard of since, so that a group may grow and change while its agents run.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"

namespace assent::agent {

// Every node that welcomes an agent tells it the members' addresses. A member whom no configured
// target leads to is dialled as well, and left when nobody counts it among the members any more.
//
// An address may be written in two ways, and two links of one agent to one node would push each
// other out for ever. So nodes are told apart by their ids, which welcomes carry: while a
// configured target may still turn out to be one of the members, nobody is dialled beside it; and
// an address that leads to another node than the one it was given for is left alone until the
// members change.
//
// Not thread-safe.
class CoordinatorList {
 public:
  // So many beside the configured ones at most.
  static constexpr size_t kLearnedMax = 64;
  // So long configured targets may take to welcome before members are dialled beside them.
  static constexpr auto kSettles = std::chrono::seconds(2);
  // A link that is down for less changes nothing: all are, whenever the agent says hello anew.
  static constexpr auto kPatience = std::chrono::seconds(5);

  struct Member {
    uint64_t id = 0;
    std::string address;  // "host:port".
  };
  // What is to be done. A target that was left may be dialled again later.
  struct Change {
    std::vector<std::string> dial;
    std::vector<std::string> leave;
  };

  CoordinatorList(const std::vector<std::string>& configured, MonotonicTime now);

  // The node at `target` has welcomed this agent: it is node `id`, or 0 of one that tells none.
  Change Welcomed(const std::string& target, uint64_t id, std::vector<Member> members,
                  MonotonicTime now);
  // The node at `target`, which has welcomed this agent, says that the members have changed.
  Change Told(const std::string& target, std::vector<Member> members, MonotonicTime now);
  // The link to `target` is down.
  Change Down(const std::string& target, MonotonicTime now);
  // Call it from time to time: does what was put off.
  Change Tick(MonotonicTime now);

 private:
  struct Node {
    bool configured = false;
    bool up = false;
    uint64_t id = 0;  // Of the last that welcomed; 0: none has.
    MonotonicTime down_since{};
    std::vector<Member> members;

    // Up, or not down for long.
    bool Present(MonotonicTime now) const {
      return up || (id != 0 && now < down_since + kPatience);
    }
  };
  // By address: the ids that it is given for.
  using Listed = std::map<std::string, std::set<uint64_t>>;

  Change Weigh(MonotonicTime now);
  Listed WhoIsListed(MonotonicTime now) const;
  // Whether a configured target leads to this member, as far as is known.
  bool Covered(uint64_t id, const std::string& address, MonotonicTime now) const;
  void PutOff(MonotonicTime until) { due_ = due_ ? std::min(*due_, until) : until; }

  std::map<std::string, Node> nodes_;  // By target.
  Listed misleading_;                  // Addresses that led to others than these.
  const MonotonicTime settled_at_;
  std::optional<MonotonicTime> due_;
};

}  // namespace assent::agent
