#include "txlog/storage/executor.h"

namespace assent::txlog {

BackgroundThread::BackgroundThread()
    : thread_([this] {
        for (;;) {
          std::vector<std::function<void()>> tasks = tasks_.Drain();
          if (tasks.empty()) return;
          for (auto& task : tasks) task();
        }
      }) {}

BackgroundThread::~BackgroundThread() {
  tasks_.Close();
  thread_.join();
}

}  // namespace assent::txlog
