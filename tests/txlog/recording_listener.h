// A listener that remembers what it was told, for tests to wait for and look at.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "txlog/decision_log.h"

namespace assent::txlog {

class RecordingListener final : public Listener {
 public:
  void OnSnapshot(Index index, Term term, std::string state) override EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    story_.push_back("snapshot " + std::to_string(index) + " " + std::to_string(term) + " " +
                     state);
    changed_.NotifyAll();
  }
  void OnApplied(std::vector<Applied> entries) override EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    for (Applied& entry : entries) {
      story_.push_back("apply " + std::to_string(entry.index) + " " + std::to_string(entry.term) +
                       (entry.record.empty() ? "" : " ") + entry.record);
      applied_.push_back(std::move(entry));
    }
    changed_.NotifyAll();
  }
  void OnLeadership(Term term, bool leader) override EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    story_.push_back((leader ? "lead " : "follow ") + std::to_string(term));
    changed_.NotifyAll();
  }
  void OnSnapshotWanted() override EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    ++snapshots_wanted_;
    changed_.NotifyAll();
  }

  // In order, one line a call or entry.
  std::vector<std::string> story() EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    return story_;
  }
  std::vector<Applied> applied() EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    return applied_;
  }
  int snapshots_wanted() EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    return snapshots_wanted_;
  }
  // False if it did not come to that within ten seconds.
  bool WaitApplied(Index index) EXCLUDES(mutex_) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    MutexLock lock(mutex_);
    while (applied_.empty() || applied_.back().index < index) {
      if (!changed_.WaitUntil(mutex_, deadline)) return false;
    }
    return true;
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  std::vector<std::string> story_ GUARDED_BY(mutex_);
  std::vector<Applied> applied_ GUARDED_BY(mutex_);
  int snapshots_wanted_ GUARDED_BY(mutex_) = 0;
};

}  // namespace assent::txlog
