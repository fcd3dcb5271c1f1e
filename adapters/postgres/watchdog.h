// libpq waits for an answer without limit. The watchdog cuts the socket of a verb that overstays,
// and libpq then reports a lost connection, which the sessions know how to handle. A server that is
// alive answers earlier: its own statement_timeout is shorter.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <thread>
#include <utility>

#include "base/mutex.h"

namespace assent::adapters::postgres {

// Thread-safe. One thread, started at the first use.
class Watchdog {
 public:
  Watchdog() = default;
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  // Watches one call for the life of the object. The socket must stay open for as long.
  class Watch {
   public:
    Watch(Watchdog& dog, int socket, std::chrono::milliseconds limit);  // limit 0: does nothing.
    ~Watch();
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;

   private:
    Watchdog& dog_;
    uint64_t id_ = 0;
  };

 private:
  using Deadline = std::chrono::steady_clock::time_point;
  struct Entry {
    int socket = -1;
    Deadline deadline;
  };

  void Run();

  Mutex mutex_;
  CondVar changed_;
  std::map<uint64_t, Entry> watched_ GUARDED_BY(mutex_);
  uint64_t last_id_ GUARDED_BY(mutex_) = 0;
  // Until when the thread sleeps; a later deadline need not wake it.
  Deadline wakes_at_ GUARDED_BY(mutex_) = Deadline::max();
  bool stop_ GUARDED_BY(mutex_) = false;
  std::thread thread_ GUARDED_BY(mutex_);
};

}  // namespace assent::adapters::postgres
