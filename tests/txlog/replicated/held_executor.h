// Work that runs when the test says so.
#pragma once

#include <deque>
#include <functional>
#include <utility>

#include "txlog/storage/executor.h"

namespace assent::txlog {

class HeldExecutor final : public Executor {
 public:
  void Run(std::function<void()> task) override {
    if (at_once) return task();
    tasks_.push_back(std::move(task));
  }
  // False if there was nothing.
  bool RunOne() {
    if (tasks_.empty()) return false;
    std::function<void()> task = std::move(tasks_.front());
    tasks_.pop_front();
    task();
    return true;
  }
  void Drop() { tasks_.clear(); }
  bool at_once = false;  // As fast as another thread may be.

 private:
  std::deque<std::function<void()>> tasks_;
};

}  // namespace assent::txlog
