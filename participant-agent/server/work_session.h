// A session for work: one thread, one connection, one branch at a time. The driver gives it tasks;
// what came of them returns as events. A prepared branch that stays tied to its connection keeps
// the session until it is finished.
#pragma once

#include <google/protobuf/repeated_field.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "adapters/resource_manager.h"
#include "base/mutex.h"
#include "participant-agent/server/events.h"
#include "participant-agent/server/row_stream.h"

namespace assent::agent {

// The request that holds them lives until its call is answered, which is after the task.
using Statements = google::protobuf::RepeatedPtrField<v1::Statement>;

// The results of one call, together. More is refused like a single result that is too large; the
// replies to come must fit into a message that clients accept.
inline constexpr size_t kReplyBytesMax = 12 << 20;

class SessionThread {
 public:
  struct StartTask {
    Gid gid;
    adapters::StartOptions options;
    const Statements* statements = nullptr;
    bool prepare = false;  // If all statements succeed.
  };
  struct RunTask {
    Gid gid;
    const Statements* statements = nullptr;
    bool prepare = false;
  };
  struct StreamTask {
    Gid gid;
    std::shared_ptr<RowStream> stream;
  };
  struct PrepareTask {
    Gid gid;
  };
  struct RollBackTask {
    Gid gid;
  };
  struct FinishTask {
    Gid gid;
    FinishOnSession action;
  };
  struct CloseTask {};
  using Task = std::variant<StartTask, RunTask, StreamTask, PrepareTask, RollBackTask, FinishTask,
                            CloseTask>;

  SessionThread(adapters::ResourceManager& manager, EventInbox& driver);
  ~SessionThread();  // Interrupts what runs, closes the connection: unprepared work rolls back.

  // Driver thread only.
  void Post(Task task) { tasks_.Post(std::move(task)); }

  // Cancels the statement of `gid`; false if no task of it runs any more. A cancel may come between
  // two statements, or be lost: to be repeated. Blocks on the database: not for the driver.
  bool Interrupt(const Gid& gid) EXCLUDES(mutex_);
  // Tells the thread to end; ~SessionThread waits for it.
  void Stop() EXCLUDES(mutex_);

 private:
  void Run();
  void Perform(const StartTask& task);
  void Perform(const RunTask& task);
  void Perform(const StreamTask& task);
  void Perform(const PrepareTask& task);
  void Perform(const RollBackTask& task);
  void Perform(const FinishTask& task);
  void Perform(const CloseTask& task);

  std::optional<adapters::WorkError> Begin(const StartTask& task);
  // False: not all succeeded.
  bool RunStatements(const Statements& statements, WorkDone* done);
  void RunStreamed(RowStream& stream, WorkDone* done);
  PrepareAnswered Prepare() EXCLUDES(mutex_);
  void CloseSession() EXCLUDES(mutex_);
  void SetRunning(const std::optional<Gid>& gid, std::shared_ptr<RowStream> stream = nullptr)
      EXCLUDES(mutex_);
  void CancelWork() REQUIRES(mutex_);

  adapters::ResourceManager& manager_;
  EventInbox& driver_;
  Inbox<Task> tasks_;
  Mutex mutex_;
  // Changed under the mutex by this thread alone; others only cancel through it.
  std::unique_ptr<adapters::WorkSession> session_;
  std::optional<Gid> running_ GUARDED_BY(mutex_);
  std::shared_ptr<RowStream> stream_ GUARDED_BY(mutex_);  // That the running statement fills.
  bool stopping_ GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

// The sessions of one resource, at most `sessions_max`. Driver thread only.
class SessionPool {
 public:
  SessionPool(adapters::ResourceManager& manager, EventInbox& driver, size_t sessions_max);
  ~SessionPool();

  static constexpr auto kInterruptAgain = std::chrono::milliseconds(500);

  // Null when all are in use.
  SessionThread* Acquire();
  void Release(SessionThread* session) { idle_.push_back(session); }
  // Cancels the statements of `gid` until none runs, from a thread of its own.
  void Interrupt(SessionThread* session, const Gid& gid);
  size_t in_use() const { return all_.size() - idle_.size(); }
  // Tells every session to end, without waiting.
  void Stop();

 private:
  struct InterruptTask {
    SessionThread* session = nullptr;
    Gid gid;
  };

  void RunInterrupts();

  adapters::ResourceManager& manager_;
  EventInbox& driver_;
  const size_t sessions_max_;
  std::vector<std::unique_ptr<SessionThread>> all_;
  std::vector<SessionThread*> idle_;  // The one used last first: its connection is the warmest.
  Inbox<InterruptTask> interrupts_;
  std::thread interrupter_;
};

}  // namespace assent::agent
