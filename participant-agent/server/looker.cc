#include "participant-agent/server/looker.h"

#include <utility>

#include "participant-agent/server/finish_pool.h"

namespace assent::agent {
namespace {

// Post may exceed it: each look belongs to a branch, and their number is bounded elsewhere.
constexpr size_t kTasksMax = 1'000;

Code CodeOf(const Status& status) { return status.code(); }
template <typename T>
Code CodeOf(const Result<T>& result) {
  return result.status().code();
}

}  // namespace

Looker::Looker(std::string resource, adapters::ResourceManager& manager, EventInbox& driver)
    : resource_(std::move(resource)),
      manager_(manager),
      driver_(driver),
      tasks_(kTasksMax),
      thread_([this] { Run(); }) {}

Looker::~Looker() {
  Stop();
  thread_.join();
}

void Looker::Post(std::vector<Look> looks) { tasks_.Post(std::move(looks)); }

void Looker::CheckRole(const std::string& role) { tasks_.Post(RoleTask{.role = role}); }

void Looker::Run() {
  while (true) {
    std::vector<Task> tasks =
        due_.empty() ? tasks_.Drain() : tasks_.DrainUntil(due_.begin()->first);
    if (tasks_.closed()) return;
    const MonotonicTime now = std::chrono::steady_clock::now();
    for (Task& task : tasks) {
      if (auto* looks = std::get_if<std::vector<Look>>(&task)) {
        for (Look& look : *looks) {
          due_.emplace(now + FinishPool::BackOff({.attempt = look.attempt}), std::move(look));
        }
      } else {
        Perform(std::get<RoleTask>(task));
      }
    }
    LookAtDue();
  }
}

void Looker::LookAtDue() {
  std::vector<Look> looks;
  const MonotonicTime now = std::chrono::steady_clock::now();
  while (!due_.empty() && due_.begin()->first <= now && looks.size() < kBatchMax) {
    looks.push_back(std::move(due_.begin()->second));
    due_.erase(due_.begin());
  }
  if (!looks.empty()) Perform(std::move(looks));
}

template <typename Ask>
auto Looker::WithSession(Ask&& ask) -> decltype(ask(std::declval<adapters::FinishSession&>())) {
  for (bool fresh = session_ == nullptr;; fresh = true) {
    if (session_ == nullptr) {
      auto opened = manager_.OpenFinishSession();
      if (auto* error = std::get_if<adapters::WorkError>(&opened)) {
        return Status(Code::kUnavailable, error->detail);
      }
      session_ = std::get<std::unique_ptr<adapters::FinishSession>>(std::move(opened));
    }
    auto answer = ask(*session_);
    // A role that is refused says nothing against the session.
    if (answer.ok() || CodeOf(answer) == Code::kInvalidArgument) return answer;
    session_.reset();
    if (fresh) return answer;
  }
}

void Looker::Perform(std::vector<Look> looks) {
  std::vector<adapters::AppHeldBranch> branches;
  branches.reserve(looks.size());
  for (const Look& look : looks) branches.push_back(look.branch);
  auto answers =
      WithSession([&](adapters::FinishSession& session) { return session.LookUp(branches); });
  driver_.Post(
      LooksDone{.resource = resource_, .looks = std::move(looks), .answers = std::move(answers)});
}

void Looker::Perform(const RoleTask& task) {
  Status status =
      WithSession([&](adapters::FinishSession& session) { return session.CheckRole(task.role); });
  driver_.Post(RoleChecked{.resource = resource_, .role = task.role, .status = std::move(status)});
}

}  // namespace assent::agent
