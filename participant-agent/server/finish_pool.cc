#include "participant-agent/server/finish_pool.h"

#include <algorithm>
#include <utility>

#include "base/failpoint.h"
#include "participant-agent/server/convert.h"

namespace assent::agent {

Duration FinishPool::BackOff(const FinishInPool& action) {
  if (action.attempt == 0) return Duration::zero();
  if (action.slowly) return std::chrono::seconds(5);
  return std::chrono::milliseconds(
      std::min<uint64_t>(2'000, uint64_t{1} << std::min<uint32_t>(action.attempt, 20)));
}

FinishPool::FinishPool(adapters::ResourceManager& manager, EventInbox& driver, size_t sessions)
    : manager_(manager), driver_(driver) {
  for (size_t i = 0; i < sessions; ++i) threads_.emplace_back([this] { Run(); });
}

FinishPool::~FinishPool() {
  Stop();
  for (std::thread& thread : threads_) thread.join();
}

void FinishPool::Stop() {
  MutexLock lock(mutex_);
  stopping_ = true;
  changed_.NotifyAll();
}

void FinishPool::Post(const Gid& gid, const FinishInPool& action,
                      std::optional<adapters::AppHeldBranch> app) {
  const MonotonicTime due = std::chrono::steady_clock::now() + BackOff(action);
  MutexLock lock(mutex_);
  tasks_.push({.due = due, .gid = gid, .action = action, .app = std::move(app)});
  waiting_.store(tasks_.size(), std::memory_order_relaxed);
  changed_.NotifyOne();
}

void FinishPool::Run() {
  std::unique_ptr<adapters::FinishSession> session;
  while (true) {
    Task task;
    {
      MutexLock lock(mutex_);
      while (!stopping_) {
        if (tasks_.empty()) {
          changed_.Wait(mutex_);
        } else if (const MonotonicTime due = tasks_.top().due;
                   due > std::chrono::steady_clock::now()) {
          changed_.WaitUntil(mutex_, due);
        } else {
          break;
        }
      }
      if (stopping_) return;
      task = tasks_.top();
      tasks_.pop();
      waiting_.store(tasks_.size(), std::memory_order_relaxed);
    }
    Perform(task, session);
  }
}

void FinishPool::Perform(const Task& task, std::unique_ptr<adapters::FinishSession>& session) {
  FinishDone done{.gid = task.gid};
  if (session == nullptr) {
    auto opened = manager_.OpenFinishSession();
    if (auto* error = std::get_if<adapters::WorkError>(&opened)) {
      done.answer = {.finish = FinishClass::kTransient,
                     .detail = "database: " + error->detail,
                     .no_effect = true};
      driver_.Post(std::move(done));
      return;
    }
    session = std::get<std::unique_ptr<adapters::FinishSession>>(std::move(opened));
  }
  adapters::FinishAnswer answer;
  if (task.action.decision == Decision::kCommit) {
    ASSENT_FAILPOINT("agent.commit.before");
    answer = session->Commit(task.gid, task.action.evidence, ToAdapter(task.action.word));
    ASSENT_FAILPOINT("agent.commit.after");
  } else {
    const bool unnamed = task.action.evidence.empty() && task.app.has_value();
    answer = session->Rollback(
        task.gid, unnamed ? session->SessionEvidence(*task.app) : task.action.evidence);
  }
  if (answer.session_lost) session.reset();
  done.answer = {.finish = FromAdapter(answer.finish),
                 .detail = std::move(answer.detail),
                 .no_effect = answer.no_effect};
  driver_.Post(std::move(done));
}

}  // namespace assent::agent
