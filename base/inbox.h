// The queue in front of a thread that owns state: many post, one drains. Draining takes all that
// has gathered, which is how batches form here: never by waiting.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <utility>
#include <vector>

#include "base/mutex.h"

namespace assent {

// Thread-safe. `bound` is the most items that TryPost lets wait; Post ignores it (for events that
// must not be lost, whose number is bounded elsewhere).
template <typename T>
class Inbox {
 public:
  explicit Inbox(size_t bound) : bound_(bound) {}

  // False, and `item` dropped, after Close.
  bool Post(T item) EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    if (closed_) return false;
    items_.push_back(std::move(item));
    size_.store(items_.size(), std::memory_order_relaxed);
    if (items_.size() == 1) changed_.NotifyOne();
    return true;
  }

  // False if `bound` items wait already, or after Close.
  bool TryPost(T item) EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    if (closed_ || items_.size() >= bound_) return false;
    items_.push_back(std::move(item));
    size_.store(items_.size(), std::memory_order_relaxed);
    if (items_.size() == 1) changed_.NotifyOne();
    return true;
  }

  // As TryPost and Post, but wake nobody: see HelpedInbox.
  bool TryPostQuietly(T item) EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    if (closed_ || items_.size() >= bound_) return false;
    items_.push_back(std::move(item));
    size_.store(items_.size(), std::memory_order_relaxed);
    return true;
  }
  bool PostQuietly(T item) EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    if (closed_) return false;
    items_.push_back(std::move(item));
    size_.store(items_.size(), std::memory_order_relaxed);
    return true;
  }

  // Waits until there is an item, the inbox is closed, Wake was called, or `deadline` has passed.
  void WaitUntil(std::chrono::steady_clock::time_point deadline) EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    while (items_.empty() && !closed_ && !woken_) {
      if (!changed_.WaitUntil(mutex_, deadline)) break;
    }
    woken_ = false;
  }
  // Makes WaitUntil return.
  void Wake() EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    woken_ = true;
    changed_.NotifyOne();
  }
  // Takes everything, and waits for nothing.
  std::vector<T> TakeAll() EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    size_.store(0, std::memory_order_relaxed);
    return std::exchange(items_, {});
  }

  // Waits until there is an item, the inbox is closed, or `deadline` has passed; takes everything.
  // An empty answer means the deadline or the close.
  std::vector<T> DrainUntil(std::chrono::steady_clock::time_point deadline) EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    while (items_.empty() && !closed_) {
      if (!changed_.WaitUntil(mutex_, deadline)) break;
    }
    size_.store(0, std::memory_order_relaxed);
    return std::exchange(items_, {});
  }

  std::vector<T> Drain() EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    while (items_.empty() && !closed_) changed_.Wait(mutex_);
    size_.store(0, std::memory_order_relaxed);
    return std::exchange(items_, {});
  }

  // Whoever waits wakes up; what was posted before can still be drained.
  void Close() EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    closed_ = true;
    changed_.NotifyAll();
  }

  bool closed() EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    return closed_;
  }

  // Unlike size, it has seen whatever was posted before.
  bool empty() EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    return items_.empty();
  }

  // How many wait, without the lock: whoever watches the queue must not delay it.
  size_t size() const { return size_.load(std::memory_order_relaxed); }

 private:
  const size_t bound_;
  Mutex mutex_;
  CondVar changed_;
  std::vector<T> items_ GUARDED_BY(mutex_);
  std::atomic<size_t> size_{0};  // Of items_; written under the mutex.
  bool closed_ GUARDED_BY(mutex_) = false;
  bool woken_ GUARDED_BY(mutex_) = false;
};

}  // namespace assent
