// How long a group of coordinators commits nothing after its leader was killed.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "assent/v1/admin_service.pb.h"
#include "base/status.h"
#include "tests/support/deployment.h"
#include "tests/system/probe.h"

namespace assent::system_tests {

// What the leader says of its group. UNAVAILABLE: nobody leads now.
Result<v1::ListMembersReply> AskMembers(const test_support::Deployment& house);

// Waits until the leader hears every member, and each has what was committed at the beginning.
// DEADLINE_EXCEEDED: says what is lacking.
Status WaitWhole(const test_support::Deployment& house, std::chrono::milliseconds timeout);

// The times of a number of failovers.
class Failovers {
 public:
  // Kills (kill -9) the leader of a house under load and measures until a transaction that began
  // afterwards has committed, `kills` times. The killed node comes back each time, and the next
  // one dies once the group is whole again. Answers what went wrong instead: no commit within 30 s,
  // a node that does not come back.
  static Result<Failovers> Measure(test_support::Deployment& house, Probe& probe, int kills);

  std::chrono::milliseconds median() const;
  std::chrono::milliseconds worst() const;
  // One line each, then the distribution.
  std::string ToString() const;

 private:
  std::vector<std::chrono::milliseconds> Sorted() const;

  std::vector<Probe::Commit> commits_;
};

}  // namespace assent::system_tests
