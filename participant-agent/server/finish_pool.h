// The sessions and threads of one resource that commit and roll back prepared branches. Never lent
// to work: the branch that blocks the work sessions would wait for itself
// (docs/protocols.md 16.12).
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <optional>
#include <queue>
#include <thread>
#include <vector>

#include "adapters/resource_manager.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "participant-agent/server/events.h"

namespace assent::agent {

class FinishPool {
 public:
  FinishPool(adapters::ResourceManager& manager, EventInbox& driver, size_t sessions);
  ~FinishPool();  // Lets verbs that run end, drops the rest: the coordinator repeats decisions.

  // Carries the action out, after the back-off that its attempt asks for; a FinishDone follows.
  // `app`: whose session may hold it, if an abort brings no evidence that says so.
  // Thread-safe. What waits is bounded by the prepared branches of the database.
  void Post(const Gid& gid, const FinishInPool& action,
            std::optional<adapters::AppHeldBranch> app = {}) EXCLUDES(mutex_);
  void Stop() EXCLUDES(mutex_);
  // How many actions wait, those that are due later among them. Any thread, without a lock.
  size_t waiting() const { return waiting_.load(std::memory_order_relaxed); }

  // 2 ms, doubled for each attempt, up to 2 s; an administrator gets 5 s.
  static Duration BackOff(const FinishInPool& action);

 private:
  struct Task {
    MonotonicTime due;
    Gid gid;
    FinishInPool action;
    std::optional<adapters::AppHeldBranch> app;
    bool operator>(const Task& other) const { return due > other.due; }
  };

  void Run() EXCLUDES(mutex_);
  void Perform(const Task& task, std::unique_ptr<adapters::FinishSession>& session);

  adapters::ResourceManager& manager_;
  EventInbox& driver_;
  Mutex mutex_;
  CondVar changed_;
  std::priority_queue<Task, std::vector<Task>, std::greater<>> tasks_ GUARDED_BY(mutex_);
  std::atomic<size_t> waiting_{0};  // The size of tasks_; written under the mutex.
  bool stopping_ GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace assent::agent
