// Looks app-held branches up in one resource, for their votes. A thread and a finish session of its
// own, never lent to work: what gathers while one look is under way goes into the next, so that a
// busy resource is asked seldom and in bulk.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "adapters/resource_manager.h"
#include "base/inbox.h"
#include "participant-agent/server/events.h"

namespace assent::agent {

class Looker {
 public:
  Looker(std::string resource, adapters::ResourceManager& manager, EventInbox& driver);
  ~Looker();  // Lets the look that runs end, drops the rest: who wants to know asks again.

  // A LooksDone follows for each, after the back-off that its attempt asks for. Thread-safe.
  void Post(std::vector<Look> looks);
  // A RoleChecked follows. Thread-safe.
  void CheckRole(const std::string& role);
  void Stop() { tasks_.Close(); }

  // Branches in one question to the database.
  static constexpr size_t kBatchMax = 1'000;

 private:
  struct RoleTask {
    std::string role;
  };
  using Task = std::variant<std::vector<Look>, RoleTask>;

  void Run();
  void LookAtDue();
  void Perform(std::vector<Look> looks);
  void Perform(const RoleTask& task);
  // Asks on the session, which is opened if need be. One that waited idle may be dead without
  // knowing it: then a fresh one is asked.
  template <typename Ask>
  auto WithSession(Ask&& ask) -> decltype(ask(std::declval<adapters::FinishSession&>()));

  const std::string resource_;
  adapters::ResourceManager& manager_;
  EventInbox& driver_;
  Inbox<Task> tasks_;
  std::multimap<MonotonicTime, Look> due_;  // Of the thread alone, as the session.
  std::unique_ptr<adapters::FinishSession> session_;
  std::thread thread_;
};

}  // namespace assent::agent
