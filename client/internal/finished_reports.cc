#include "client/internal/finished_reports.h"

#include <algorithm>
#include <utility>

namespace assent::client::internal {

FinishedReports::~FinishedReports() {
  std::thread thread;
  {
    MutexLock lock(mutex_);
    closed_ = true;
    thread = std::move(thread_);
  }
  changed_.NotifyOne();
  if (thread.joinable()) thread.join();
  for (;;) {
    Gids some;
    Take(&some);
    if (some.empty()) return;
    send_(some);
  }
}

void FinishedReports::Add(std::string gid) {
  MutexLock lock(mutex_);
  AddOne(std::move(gid));
}

void FinishedReports::Take(Gids* finished) {
  MutexLock lock(mutex_);
  *finished = TakeSome();
}

void FinishedReports::PutBack(const Gids& finished) {
  MutexLock lock(mutex_);
  for (const std::string& gid : finished) AddOne(gid);
}

void FinishedReports::AddOne(std::string gid) {
  if (closed_ || waiting_.size() >= kWaitingMax) return;
  if (waiting_.empty()) oldest_ = std::chrono::steady_clock::now();
  waiting_.push_back(std::move(gid));
  if (!thread_.joinable()) thread_ = std::thread([this] { Run(); });
  // A thread that is awake looks by itself, so that a busy client does not wake it for each report.
  if (std::exchange(asleep_, false)) changed_.NotifyOne();
}

FinishedReports::Gids FinishedReports::TakeSome() {
  Gids some;
  auto end = waiting_.begin() + std::min<ptrdiff_t>(kPerCallMax, std::ssize(waiting_));
  for (auto it = waiting_.begin(); it != end; ++it) *some.Add() = std::move(*it);
  waiting_.erase(waiting_.begin(), end);
  // What is left counts as fresh: when it came was not kept, and the next call may take it soon.
  oldest_ = std::chrono::steady_clock::now();
  return some;
}

void FinishedReports::Run() {
  mutex_.Lock();
  while (!closed_) {
    const MonotonicTime due = oldest_ + kWaitMax;
    if (waiting_.empty()) {
      asleep_ = true;
      changed_.Wait(mutex_);
    } else if (std::chrono::steady_clock::now() < due) {
      changed_.WaitUntil(mutex_, due);
    } else {
      const Gids some = TakeSome();
      mutex_.Unlock();
      send_(some);
      mutex_.Lock();
    }
  }
  mutex_.Unlock();
}

}  // namespace assent::client::internal
