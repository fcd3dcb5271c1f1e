// The owner of a log in the bench: what the coordinator's driver is in assentd. It proposes and
// hears what is applied, on a thread of its own, or while that has nothing to do on the log's.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "base/helped_inbox.h"
#include "base/mutex.h"
#include "tests/bench/load.h"
#include "txlog/decision_log.h"

namespace assent::bench {

class LogDriver final : public txlog::Listener {
 public:
  // `snapshot_bytes`: the size of the state that it pretends to have.
  explicit LogDriver(size_t snapshot_bytes) : snapshot_bytes_(snapshot_bytes) {}
  // Whoever waits is told an error. Before the log is destroyed, or after; not while it calls.
  ~LogDriver() override;

  // Once, after the log was opened with this listener. `log` must outlive Stop, and take proposals
  // on any thread.
  void Start(txlog::DecisionLog& log);
  void Stop();

  // Thread-safe. `done` runs on the driver thread, once the record is applied here, or with an
  // error: FAILED_PRECONDITION, this node does not lead; ABORTED, it was refused or is in doubt.
  void Put(std::string record, std::function<void(Status)> done);
  // Thread-safe. Loads the log and measures from Propose to the moment at which the proposer hears
  // that the entry is applied. One at a time.
  void Run(const Load& load, std::function<void(Result<Rates>)> done);
  // Thread-safe. 0: unknown.
  uint64_t leader() const { return leader_.load(); }

 private:
  struct PutAsked {
    std::string record;
    std::function<void(Status)> done;
  };
  struct RunAsked {
    Load load;
    std::function<void(Result<Rates>)> done;
  };
  struct AppliedCame {
    std::vector<txlog::Applied> entries;
  };
  struct LeadershipCame {
    txlog::Term term;
    bool leader;
  };
  struct SnapshotWanted {};
  struct NotDurable {};
  using Input =
      std::variant<PutAsked, RunAsked, AppliedCame, LeadershipCame, SnapshotWanted, NotDurable>;
  struct Running {
    RunAsked asked;
    Window window;
    txlog::Term term = 0;
    size_t under_way = 0;
  };

  // The log thread.
  void OnSnapshot(txlog::Index, txlog::Term, std::string) override {}
  void OnApplied(std::vector<txlog::Applied> entries) override EXCLUDES(mutex_);
  void OnLeadership(txlog::Term term, bool leader) override {
    inbox_.Post(LeadershipCame{term, leader});
  }
  void OnSnapshotWanted() override { inbox_.Post(SnapshotWanted{}); }
  void OnGroup(txlog::Group group) override { leader_ = group.leader; }

  // The driver thread.
  void On(PutAsked& input);
  void On(RunAsked& input) EXCLUDES(mutex_);
  void On(AppliedCame& input) EXCLUDES(mutex_);
  void On(LeadershipCame& input);
  void On(SnapshotWanted& input);
  void On(NotDurable& input);
  void Fail(const Status& status) EXCLUDES(mutex_);

  // Either.
  void Propose(std::string record, txlog::Term term);
  void GoOn(const std::vector<txlog::Applied>& entries) REQUIRES(mutex_);

  const size_t snapshot_bytes_;
  std::atomic<uint64_t> leader_ = 0;
  std::atomic<txlog::Index> applied_ = 0;
  HelpedInbox<Input> inbox_{1 << 16};  // As that of the coordinator's driver.
  txlog::DecisionLog* log_ = nullptr;
  std::thread thread_;
  txlog::Term term_ = 0;                          // 0: this node does not lead.
  std::deque<std::function<void(Status)>> puts_;  // Under way, in the order of the log.
  Mutex mutex_;
  std::optional<Running> running_ GUARDED_BY(mutex_);
};

}  // namespace assent::bench
