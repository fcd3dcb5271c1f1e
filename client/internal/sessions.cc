#include "client/internal/sessions.h"

#include <thread>

namespace assent::client::internal {
namespace {

// Runs the statements from `first` up to `end`.
SessionEnd Run(const SessionStep& step, size_t first, size_t end) {
  for (size_t i = first; i < end; ++i) {
    if (Status status = step.session.Execute(step.statements[i]); !status.ok()) return {status, i};
  }
  return {};
}

SessionEnd RunWhole(const SessionStep& step) { return Run(step, 0, step.statements.size()); }

// Runs all but the last, and starts that one. True: it is to be waited for.
bool StartLast(const SessionStep& step, SessionEnd* end) {
  const size_t last = step.statements.size() - 1;
  *end = Run(step, 0, last);
  if (!end->status.ok()) return false;
  *end = {step.session.Start(step.statements[last]), last};
  return end->status.ok();
}

}  // namespace

std::vector<SessionEnd> RunAtOnce(const std::vector<SessionStep>& steps) {
  std::vector<SessionEnd> ends(steps.size());
  std::vector<size_t> started;
  std::vector<std::thread> threads;
  const SessionStep* own = nullptr;  // The one that blocks this thread.
  SessionEnd* own_end = nullptr;
  for (size_t i = 0; i < steps.size(); ++i) {
    if (steps[i].statements.empty()) continue;
    if (steps[i].session.can_start()) {
      if (StartLast(steps[i], &ends[i])) started.push_back(i);
    } else if (own == nullptr) {
      own = &steps[i];
      own_end = &ends[i];
    } else {
      threads.emplace_back([&step = steps[i], &end = ends[i]] { end = RunWhole(step); });
    }
  }
  if (own != nullptr) *own_end = RunWhole(*own);
  for (size_t i : started) ends[i].status = steps[i].session.Wait();
  for (std::thread& thread : threads) thread.join();
  return ends;
}

void RunRegardless(const SessionStep& step) {
  for (const std::string& statement : step.statements) (void)step.session.Execute(statement);
}

}  // namespace assent::client::internal
