#include "tests/system/failover.h"

#include <algorithm>
#include <sstream>
#include <utility>

#include "ctl/connection.h"
#include "ctl/render.h"
#include "tests/support/leader.h"
#include "tests/support/process.h"

namespace assent::system_tests {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using test_support::AssentdProcess;
using test_support::Deployment;

constexpr seconds kLimit{30};

std::string Joined(const std::vector<std::string>& words) {
  std::string all;
  for (const std::string& word : words) all += (all.empty() ? "" : ",") + word;
  return all;
}

}  // namespace

Result<v1::ListMembersReply> AskMembers(const Deployment& house) {
  const test_support::TlsPaths& tls = house.client_tls();
  auto connection = ctl::Connection::Make({.endpoint = Joined(house.endpoints()),
                                           .tls = {tls.ca_file, tls.cert_file, tls.key_file},
                                           .timeout = seconds(2)});
  if (!connection.ok()) return connection.status();
  auto members = connection->ListMembers();
  if (members.ok() && members->node() != members->leader()) {
    return Unavailable("node " + std::to_string(members->node()) + " knows of leader " +
                       std::to_string(members->leader()) + ", which does not answer");
  }
  return members;
}

Status WaitWhole(const Deployment& house, milliseconds timeout) {
  uint64_t goal = 0;
  std::string lacking;
  auto whole = [&] {
    auto members = AskMembers(house);
    lacking = members.status().ToString();
    if (!members.ok()) return false;
    if (goal == 0) goal = members->commit_index();
    lacking.clear();
    for (const v1::Member& member : members->members()) {
      if (ctl::IsStandby(member)) continue;  // How far it is, nobody knows.
      if (member.reachable() && member.match_index() >= goal) continue;
      lacking += " node " + std::to_string(member.id()) + " is " +
                 (member.reachable()
                      ? "at " + std::to_string(member.match_index()) + " of " + std::to_string(goal)
                      : "silent");
    }
    return lacking.empty();
  };
  if (test_support::WaitUntil(timeout, whole)) return Ok();
  return DeadlineExceeded("the group is not whole: " + lacking);
}

Result<Failovers> Failovers::Measure(Deployment& house, Probe& probe, int kills) {
  Failovers measured;
  for (int kill = 1; kill <= kills; ++kill) {
    const std::string where = "kill " + std::to_string(kill) + ": ";
    if (Status s = WaitWhole(house, kLimit); !s.ok()) return Status(s.code(), where + s.message());
    // So that the probe's client, too, knows the leader that dies.
    if (auto before = probe.CommitOne(kLimit); !before.ok()) {
      return Status(before.status().code(), where + "before it, " + before.status().message());
    }
    AssentdProcess* leader = WaitLeader(house, kLimit);
    if (leader == nullptr) return Unavailable(where + "nobody leads");
    leader->Kill9();
    auto commit = probe.CommitOne(kLimit);
    if (!commit.ok()) return Status(commit.status().code(), where + commit.status().message());
    measured.commits_.push_back(std::move(*commit));
    if (Status s = leader->Start(); !s.ok()) return Status(s.code(), where + s.message());
  }
  return measured;
}

std::vector<milliseconds> Failovers::Sorted() const {
  std::vector<milliseconds> sorted;
  for (const Probe::Commit& commit : commits_) sorted.push_back(commit.committed);
  std::sort(sorted.begin(), sorted.end());
  return sorted;
}

// The upper one of two.
milliseconds Failovers::median() const { return Sorted().at(commits_.size() / 2); }
milliseconds Failovers::worst() const { return Sorted().back(); }

std::string Failovers::ToString() const {
  std::ostringstream text;
  for (const Probe::Commit& commit : commits_) text << "  " << commit.ToString() << "\n";
  text << "  sorted:";
  for (milliseconds one : Sorted()) text << " " << one.count();
  text << "\n  median " << median().count() << " ms, worst " << worst().count() << " ms of "
       << commits_.size() << " kills\n";
  return text.str();
}

}  // namespace assent::system_tests
