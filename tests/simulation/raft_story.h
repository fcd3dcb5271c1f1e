// One life of a group, drawn from a seed: messages lost, doubled, delayed, overtaken; links cut one
// way or both; crashes that lose what was not forced; full disks; snapshots, changes of membership
// and leader all the while. Then everything is healed, and must come right.
#pragma once

#include <cstdint>
#include <map>
#include <random>
#include <string>

#include "tests/simulation/raft_cluster.h"

namespace assent::simulation {

class RaftStory {
 public:
  enum class Focus {
    kGeneral,    // Anything.
    kElections,  // Leaders that never finish, voters that forget.
    kMembers,    // Leaders that change the members first of all.
    kFirstChanges,
    kSnapshots,  // Followers that are far behind.
  };

  // With `trace`, everything that happens is printed to stderr.
  RaftStory(uint64_t seed, Focus focus, bool trace = false);

  // Empty, or what went wrong first.
  std::string Run();

  // What was met, so that a test can tell that its stories are not empty.
  struct Met {
    size_t decided = 0;
    size_t durable = 0;
    size_t in_doubt = 0;
    size_t reads = 0;
    size_t crashes = 0;
    size_t terms = 0;
    size_t installed = 0;
    size_t changes = 0;
    size_t disk_fulls = 0;
    size_t transfers = 0;

    Met& operator+=(const Met& other);
  };
  Met met() const;

 private:
  uint64_t Draw(uint64_t below) { return random_() % below; }
  bool Chance(unsigned percent) { return Draw(100) < percent; }
  bool Fine() { return cluster_.checker().wrong().empty(); }
  // With that chance something from `from` to `to`, otherwise 0.
  unsigned Percent(unsigned chance, unsigned from, unsigned to);
  RaftNode& AnyNode();

  static txlog::raft::Options DrawOptions(uint64_t seed, Focus focus);
  void Trace(const std::string& line) const;
  void OnAction(txlog::raft::NodeId id, const txlog::raft::Action& action);

  void Round();
  void Fault();
  void Happen();
  void Mend();
  void CutLinks();
  void Depose(RaftNode& leader);
  void Propose(RaftNode& node);
  void ChangeMembers(RaftNode& leader);
  void Crash(RaftNode& node);
  void Restart(RaftNode& node);

  // The end: no more faults.
  void Heal();
  bool Calm(int rounds);  // Ticks and settles; true once every member has what the leader has.
  bool CaughtUp();
  void CheckProgress();
  void CheckUndisturbed();
  void CheckTransferEnds();

  const bool trace_;
  std::mt19937_64 random_;
  RaftCluster cluster_;
  uint64_t faults_ = 0;  // Bits: which kinds there are.
  unsigned loss_percent_ = 0;
  unsigned members_percent_ = 0;
  unsigned fault_percent_ = 0;
  unsigned depose_percent_ = 0;
  unsigned crash_percent_ = 0;
  uint64_t steps_max_ = 0;
  unsigned add_percent_ = 40;
  int rounds_ = 250;
  uint64_t next_id_ = 1;
  uint64_t next_node_ = 1;
  // Transfers and changes of membership that wait for their answer, and of whom.
  std::map<uint64_t, txlog::raft::NodeId> open_;
  uint64_t last_transfer_ = 0;
  bool last_transfer_ended_ = true;
  Met met_;
};

}  // namespace assent::simulation
