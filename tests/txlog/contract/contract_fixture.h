// Processes of one group, each with a listener that checks what every engine promises of it
// (decision_log.h) while it listens.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "tests/txlog/contract/fleet.h"

namespace assent::txlog {

// Remembers what a process was told, and complains at once about what no engine may tell.
class ContractListener final : public Listener {
 public:
  void OnSnapshot(Index index, Term term, std::string state) override EXCLUDES(mutex_);
  void OnApplied(std::vector<Applied> entries) override EXCLUDES(mutex_);
  void OnLeadership(Term term, bool leader) override EXCLUDES(mutex_);
  void OnSnapshotWanted() override EXCLUDES(mutex_);
  void OnGroup(Group group) override EXCLUDES(mutex_);

  struct Seen {
    std::vector<Applied> applied;
    Index snapshot_index = 0;
    std::string snapshot;
    Index last_index = 0;
    Term term = 0;  // The last that OnLeadership told.
    bool leads = false;
    // Leads, and the first entry of its own term is applied.
    bool ready = false;
    int snapshots_wanted = 0;
    Group group;

    // Without those that are the log's own.
    std::vector<std::string> Records() const;
  };
  Seen seen() EXCLUDES(mutex_);
  // False if it did not hold within twenty seconds.
  bool Wait(const std::function<bool(const Seen&)>& condition) EXCLUDES(mutex_);

 private:
  Mutex mutex_;
  CondVar changed_;
  Seen seen_ GUARDED_BY(mutex_);
  Term applied_term_ GUARDED_BY(mutex_) = 0;
  bool told_group_ GUARDED_BY(mutex_) = false;
};

class Contract : public testing::TestWithParam<EngineUnderTest> {
 protected:
  struct Process {
    std::unique_ptr<ContractListener> listener;
    std::unique_ptr<DecisionLog> log;
  };

  void SetUp() override;
  void TearDown() override;

  bool Alone() const { return GetParam().processes == 1; }
  void Start(size_t which);
  void StartAll();
  void Stop(size_t which);
  void StopAll();
  // Who leads and is ready, of those that run; a failure if nobody is within twenty seconds.
  size_t WaitLeader();
  // Another one than `leader`.
  size_t OtherThan(size_t leader) const { return leader == 0 ? 1 : 0; }
  Process& At(size_t which) { return processes_[which]; }
  ContractListener::Seen Seen(size_t which) { return At(which).listener->seen(); }
  // All that run have applied up to there.
  bool WaitApplied(Index index);

  // Fates by record. Waits for all, unless told otherwise.
  std::vector<Fate> Propose(size_t which, Term term, const std::vector<std::string>& records);
  // Asks the leader until all are durable there.
  void MustPropose(const std::vector<std::string>& records);
  Status Barrier(size_t which);

  uint64_t snapshot_after_bytes_ = 64 << 20;
  std::unique_ptr<Fleet> fleet_;
  std::vector<Process> processes_;
};

// Fates that arrive one after the other, each once.
class Fates {
 public:
  explicit Fates(size_t count) : fates_(count), times_(count) {}

  std::function<void(Fate)> At(size_t which);
  // False if some have not come within twenty seconds.
  bool WaitAll() EXCLUDES(mutex_);
  std::vector<Fate> all() EXCLUDES(mutex_);

 private:
  Mutex mutex_;
  CondVar changed_;
  std::vector<Fate> fates_ GUARDED_BY(mutex_);
  std::vector<int> times_ GUARDED_BY(mutex_);
  size_t come_ GUARDED_BY(mutex_) = 0;
};

}  // namespace assent::txlog
