// An annotated std::mutex: clang's -Wthread-safety proves that guarded fields are touched only
// under their lock. (absl::Mutex from the distribution gives false races under ThreadSanitizer.)
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

#if defined(__clang__)
#define ASSENT_TSA(x) __attribute__((x))
#else
#define ASSENT_TSA(x)
#endif
// Abseil, which gRPC's headers include, has this one too, with the same meaning.
#ifndef GUARDED_BY
#define GUARDED_BY(m) ASSENT_TSA(guarded_by(m))
#endif
#define REQUIRES(...) ASSENT_TSA(requires_capability(__VA_ARGS__))
#define EXCLUDES(...) ASSENT_TSA(locks_excluded(__VA_ARGS__))

namespace assent {

class ASSENT_TSA(capability("mutex")) Mutex {
 public:
  void Lock() ASSENT_TSA(acquire_capability()) { mutex_.lock(); }
  // False, at once, if another thread has it. Not for a thread that has it already.
  bool TryLock() ASSENT_TSA(try_acquire_capability(true)) { return mutex_.try_lock(); }
  void Unlock() ASSENT_TSA(release_capability()) { mutex_.unlock(); }

 private:
  friend class CondVar;
  std::mutex mutex_;
};

class ASSENT_TSA(scoped_lockable) MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) ASSENT_TSA(acquire_capability(mutex)) : mutex_(mutex) {
    mutex_.Lock();
  }
  ~MutexLock() ASSENT_TSA(release_capability()) { mutex_.Unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

// Waits in a loop around the condition, as std::condition_variable does:
//   while (!ready_) changed_.Wait(mutex_);
class CondVar {
 public:
  void Wait(Mutex& mutex) REQUIRES(mutex) {
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    condition_.wait(lock);
    lock.release();
  }
  // False once the deadline has passed.
  bool WaitUntil(Mutex& mutex, std::chrono::steady_clock::time_point deadline) REQUIRES(mutex) {
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    bool in_time = condition_.wait_until(lock, deadline) == std::cv_status::no_timeout;
    lock.release();
    return in_time;
  }
  void NotifyOne() { condition_.notify_one(); }
  void NotifyAll() { condition_.notify_all(); }

 private:
  std::condition_variable condition_;
};

}  // namespace assent
