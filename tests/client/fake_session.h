// A session of the application's own driver that only notes what is run on it.
#pragma once

#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "client/app_session.h"

namespace assent::client {

// Thread-safe. Outlives the AppSessions it makes.
class FakeSession {
 public:
  explicit FakeSession(uint64_t connection_id = 71) : connection_id_(connection_id) {}

  // Throws on failure, as libpqxx and Connector/C++ do.
  AppSession Blocking() {
    return AppSession(connection_id_, [this](const std::string& sql) { Run(sql); });
  }
  // Sends without waiting, as libpq can.
  AppSession Starting() {
    return AppSession(
        connection_id_,
        [this](const std::string& sql) {
          Note("start " + sql);
          started_ = sql;
        },
        [this]() -> Status {
          Note("wait");
          return Fails(started_) ? Aborted("no: " + started_) : Ok();
        });
  }

  // Statements that begin so fail from now on.
  void Fail(const std::string& start) {
    MutexLock lock(mutex_);
    failing_.insert(start);
  }
  void Recover() {
    MutexLock lock(mutex_);
    failing_.clear();
  }
  void Run(const std::string& sql) {
    Note(sql);
    if (Fails(sql)) throw std::runtime_error("no: " + sql);
  }
  std::vector<std::string> ran() {
    MutexLock lock(mutex_);
    return ran_;
  }

 private:
  void Note(const std::string& what) {
    MutexLock lock(mutex_);
    ran_.push_back(what);
  }
  bool Fails(const std::string& sql) {
    MutexLock lock(mutex_);
    for (const std::string& start : failing_) {
      if (sql.starts_with(start)) return true;
    }
    return false;
  }

  const uint64_t connection_id_;
  std::string started_;  // One thread's at a time.
  Mutex mutex_;
  std::set<std::string> failing_ GUARDED_BY(mutex_);
  std::vector<std::string> ran_ GUARDED_BY(mutex_);
};

}  // namespace assent::client
