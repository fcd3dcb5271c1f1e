// One life of a few processes around one etcd, drawn from a seed: requests lost, answers lost,
// requests done long after they were given up, and out of order; watches that lag and break;
// leases that end early; processes paused, cut off, killed; no space, compaction. Then everything
// is healed, and must come right.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "tests/simulation/etcd_model.h"
#include "tests/simulation/raft_checker.h"
#include "txlog/etcd/core/member.h"

namespace assent::simulation {

class EtcdStory {
 public:
  enum class Focus {
    kGeneral,
    kLeaders,    // Who leads changes all the time.
    kSnapshots,  // Made all the time.
  };

  // With `trace`, everything that happens is printed to stderr.
  EtcdStory(uint64_t seed, Focus focus, bool trace = false);
  ~EtcdStory();

  // Empty, or what went wrong first.
  std::string Run();

  // What was met, so that a test can tell that its stories are not empty.
  struct Met {
    size_t decided = 0;
    size_t durable = 0;
    size_t refused = 0;
    size_t in_doubt = 0;
    size_t reads = 0;
    size_t terms = 0;
    size_t crashes = 0;
    size_t late = 0;  // Requests done after their sender had given up.
    size_t restored = 0;
    size_t snapshots = 0;
    size_t no_space = 0;
    size_t settled = 0;  // Reigns that ended with a look at what of them is there.
    size_t resigned = 0;

    Met& operator+=(const Met& other);
  };
  Met met() const;

 private:
  struct Request {
    txlog::etcd::Action what;
    bool given_up = false;
  };
  struct Watch {
    uint64_t number = 0;
    std::string key, end;
    txlog::etcd::Revision next = 0;
  };
  // A process; a new one takes its place when it is killed.
  struct Process {
    uint64_t id = 0;  // The owner of this start.
    std::unique_ptr<txlog::etcd::Member> member;
    bool paused = false;
    bool cut_off = false;
    std::deque<Request> requests;
    std::deque<txlog::etcd::Event> answers;
    std::unique_ptr<Watch> watch;
    bool leads = false;
    // The owner's state: how far it is, and the chain of all up to there.
    txlog::Index index = 0;
    txlog::Term term = 0;
    uint64_t chain = 0;
    bool snapshot_wanted = false;
  };

  uint64_t Draw(uint64_t below) { return random_() % below; }
  bool Chance(unsigned percent) { return Draw(100) < percent; }
  bool Fine() { return checker_.wrong().empty(); }
  MonotonicTime Now() const { return MonotonicTime(time_); }
  Process& AnyProcess() { return *processes_[Draw(processes_.size())]; }
  Process* Leader();
  void Trace(const Process& process, const std::string& line) const;

  void Bootstrap();
  void Start(Process& process);
  void Kill(Process& process);
  void Step(Process& process, txlog::etcd::Event event);
  void Take(Process& process, txlog::etcd::Event event);
  void Perform(Process& process, txlog::etcd::Action& action);
  void Applied(Process& process, const txlog::Applied& entry);
  void Restored(Process& process, const txlog::etcd::Restore& restore);
  std::string State(const Process& process);

  void Round();
  void Pass(Duration time);
  void Work(Process& process);
  void Fault();
  void Happen(Process& process);
  void DoRequest(Process& process);
  void Answer(Process& process, const Request& request, bool lost);
  void DeliverAnswer(Process& process);
  void DeliverWatch(Process& process);

  void Heal();
  bool CaughtUp();
  bool Calm(int rounds);
  void CheckProgress();

  const Focus focus_;
  const bool trace_;
  std::mt19937_64 random_;
  txlog::etcd::Options options_;
  EtcdModel etcd_;
  RaftChecker checker_;
  Duration time_ = std::chrono::hours(1);
  std::vector<std::unique_ptr<Process>> processes_;
  // Of processes that were killed, or were given up: done at some time, or never.
  std::vector<txlog::etcd::Txn> late_;
  unsigned loss_percent_ = 0;
  unsigned disorder_percent_ = 0;
  unsigned fault_percent_ = 0;
  uint64_t faults_ = 0;
  bool healed_ = false;
  uint64_t next_id_ = 1;
  uint64_t next_owner_ = 1;
  std::map<txlog::Term, uint64_t> leaders_;
  Met met_;
};

}  // namespace assent::simulation
