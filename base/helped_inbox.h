// An inbox whose posters handle what they post, when the thread that owns it has nothing to do: to
// wake a thread costs more than most events do. There is still one at a time that handles, events
// keep their order, and what gathers while one is at it makes the next batch.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <thread>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/inbox.h"
#include "base/mutant.h"
#include "base/mutex.h"

namespace assent {

// Thread-safe. `bound` is as of Inbox.
template <typename T>
class HelpedInbox {
 public:
  // Handles a batch, perhaps of none, and answers when to be called again at the latest. Never runs
  // twice at a time; on the thread of Run or of a poster.
  using Handler = std::function<MonotonicTime(std::vector<T>)>;

  explicit HelpedInbox(size_t bound) : inbox_(bound) {}

  // As those of Inbox, and handle one batch before they return if nobody else is at it. For threads
  // that hold no lock that the handler may take, and may spend the time of a batch. What the
  // handler posts itself wakes nobody: it comes next.
  bool Post(T item) EXCLUDES(seat_) {
    if (!inbox_.PostQuietly(std::move(item))) return false;
    Help();
    return true;
  }
  bool TryPost(T item) EXCLUDES(seat_) {
    if (!inbox_.TryPostQuietly(std::move(item))) return false;
    Help();
    return true;
  }
  // For all others: the thread of Run handles it.
  bool PostAndWake(T item) {
    return Handles() ? inbox_.PostQuietly(std::move(item)) : inbox_.Post(std::move(item));
  }

  // Handles until the inbox is closed and empty, then runs `end`, which nothing follows.
  void Run(const Handler& handle, const std::function<void()>& end) EXCLUDES(seat_) {
    MonotonicTime wake{};
    while (true) {
      inbox_.WaitUntil(wake);
      MutexLock lock(seat_);
      handle_ = &handle;
      const bool closed = inbox_.closed();  // Then nothing is added to what is taken next.
      std::vector<T> items = inbox_.TakeAll();
      const bool over = closed && items.empty();
      wake = wakes_at_ = Handle(handle, std::move(items));
      if (!over) continue;
      handle_ = nullptr;
      return end();
    }
  }

  // For a thread that takes by itself instead of Run: then posters help with nothing.
  std::vector<T> Drain() { return inbox_.Drain(); }
  std::vector<T> DrainUntil(MonotonicTime deadline) { return inbox_.DrainUntil(deadline); }
  std::vector<T> TakeAll() { return inbox_.TakeAll(); }

  void Close() { inbox_.Close(); }
  bool closed() { return inbox_.closed(); }
  size_t size() const { return inbox_.size(); }

 private:
  // Is this thread the one that handles now?
  bool Handles() const {
    return handler_.load(std::memory_order_relaxed) == std::this_thread::get_id();
  }
  MonotonicTime Handle(const Handler& handle, std::vector<T> items) REQUIRES(seat_) {
    handler_.store(std::this_thread::get_id(), std::memory_order_relaxed);
    const MonotonicTime next = handle(std::move(items));
    handler_.store({}, std::memory_order_relaxed);
    return next;
  }
  // One batch: if more has come meanwhile, it is worth waking the thread of Run.
  void Help() EXCLUDES(seat_) {
    if (Handles() || !seat_.TryLock()) return;  // Who has it looks at the inbox again.
    bool wake = true;
    if (handle_ != nullptr) {
      const MonotonicTime next = Handle(*handle_, inbox_.TakeAll());
      wake = next < wakes_at_;
      if (wake) wakes_at_ = next;
    }
    seat_.Unlock();
    if (wake || (!inbox_.empty() && !MutantOn(Mutant::kHelperLeavesRest))) inbox_.Wake();
  }

  Inbox<T> inbox_;
  // Of the one who takes and handles.
  Mutex seat_;
  const Handler* handle_ GUARDED_BY(seat_) = nullptr;  // While Run runs.
  MonotonicTime wakes_at_ GUARDED_BY(seat_){};         // When Run looks again by itself.
  std::atomic<std::thread::id> handler_{};
};

}  // namespace assent
