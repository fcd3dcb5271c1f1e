// Where slow disk work goes, so that the log thread never waits for it. Injected: tests decide when
// it runs.
#pragma once

#include <functional>
#include <thread>

#include "base/inbox.h"

namespace assent::txlog {

// Thread-safe.
class Executor {
 public:
  virtual ~Executor() = default;
  // Runs `task` later, one at a time, in order.
  virtual void Run(std::function<void()> task) = 0;
};

// One thread. Destruction first finishes what was asked for.
class BackgroundThread final : public Executor {
 public:
  BackgroundThread();
  ~BackgroundThread() override;

  void Run(std::function<void()> task) override { tasks_.Post(std::move(task)); }

 private:
  Inbox<std::function<void()>> tasks_{1};
  std::thread thread_;
};

}  // namespace assent::txlog
