// The news that the application has committed branches by itself: it rides in the next call that
// goes to the coordinator anyway, or goes out alone when none comes.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include <google/protobuf/repeated_ptr_field.h>

#include "base/clock.h"
#include "base/mutex.h"

namespace assent::client::internal {

// Thread-safe. A report that is lost costs nothing but the coordinator's finish_grace: the agent
// then looks, and finds the branch committed.
class FinishedReports {
 public:
  using Gids = google::protobuf::RepeatedPtrField<std::string>;

  // A report that has waited so long goes out alone: well before finish_grace (2 s) has passed.
  static constexpr std::chrono::milliseconds kWaitMax{250};
  // In one call; and in all, beyond which new ones are dropped.
  static constexpr int kPerCallMax = 256;
  static constexpr size_t kWaitingMax = 16'384;

  // `send` makes the call of its own. It runs on a thread of this object, which starts with the
  // first report, and in the destructor.
  explicit FinishedReports(std::function<void(const Gids&)> send) : send_(std::move(send)) {}
  // Sends what is left.
  ~FinishedReports();
  FinishedReports(const FinishedReports&) = delete;
  FinishedReports& operator=(const FinishedReports&) = delete;

  void Add(std::string gid) EXCLUDES(mutex_);
  // Takes the oldest into a request that is about to go out.
  void Take(Gids* finished) EXCLUDES(mutex_);
  // That call failed: they are still to be reported. Reporting twice is harmless.
  void PutBack(const Gids& finished) EXCLUDES(mutex_);

 private:
  void AddOne(std::string gid) REQUIRES(mutex_);
  Gids TakeSome() REQUIRES(mutex_);
  void Run() EXCLUDES(mutex_);

  const std::function<void(const Gids&)> send_;
  Mutex mutex_;
  CondVar changed_;
  std::vector<std::string> waiting_ GUARDED_BY(mutex_);
  MonotonicTime oldest_ GUARDED_BY(mutex_);  // When the oldest of them came.
  bool asleep_ GUARDED_BY(mutex_) = false;   // The thread waits for a first report.
  bool closed_ GUARDED_BY(mutex_) = false;
  std::thread thread_ GUARDED_BY(mutex_);
};

}  // namespace assent::client::internal
