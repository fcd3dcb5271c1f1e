#include "adapters/postgres/watchdog.h"

#include <sys/socket.h>

#include <algorithm>

namespace assent::adapters::postgres {

Watchdog::~Watchdog() {
  std::thread thread;
  {
    MutexLock lock(mutex_);
    stop_ = true;
    changed_.NotifyAll();
    thread = std::move(thread_);
  }
  if (thread.joinable()) thread.join();
}

Watchdog::Watch::Watch(Watchdog& dog, int socket, std::chrono::milliseconds limit) : dog_(dog) {
  if (limit.count() <= 0 || socket < 0) return;
  MutexLock lock(dog_.mutex_);
  if (!dog_.thread_.joinable()) dog_.thread_ = std::thread([&d = dog_] { d.Run(); });
  id_ = ++dog_.last_id_;
  Deadline deadline = std::chrono::steady_clock::now() + limit;
  dog_.watched_[id_] = {.socket = socket, .deadline = deadline};
  if (deadline < dog_.wakes_at_) dog_.changed_.NotifyAll();
}

Watchdog::Watch::~Watch() {
  if (id_ == 0) return;
  MutexLock lock(dog_.mutex_);
  dog_.watched_.erase(id_);
}

void Watchdog::Run() {
  MutexLock lock(mutex_);
  while (!stop_) {
    Deadline now = std::chrono::steady_clock::now();
    // Never later than an hour: wait_until overflows at max() in some implementations.
    wakes_at_ = now + std::chrono::hours(1);
    for (auto& [id, entry] : watched_) {
      if (entry.deadline <= now) {
        // Under the lock, so that the call can't end and close the socket in between. Cut once.
        shutdown(entry.socket, SHUT_RDWR);
        entry.deadline = Deadline::max();
      }
      wakes_at_ = std::min(wakes_at_, entry.deadline);
    }
    changed_.WaitUntil(mutex_, wakes_at_);
  }
}

}  // namespace assent::adapters::postgres
