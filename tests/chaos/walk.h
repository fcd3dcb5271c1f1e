// One stretch of the walk: a process stops at a named step of one transfer, somebody is killed with
// kill -9 and brought back, and the transfer must end the same way in both databases, as the client
// was told.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/status.h"
#include "client/assent.h"
#include "tests/support/deployment.h"

namespace assent::chaos {

enum class Part { kCoordinator, kPostgresAgent, kMariadbAgent, kPostgres, kMariadb };
const char* PartName(Part part);

// What became of one transfer.
struct Ending {
  client::Outcome told = client::Outcome::kUnknown;
  bool in_postgres = false;
  bool in_mariadb = false;
  std::string log;  // For people, when something is wrong.
};

// Not thread-safe. One deployment serves all stretches; every part of it runs again after each.
class Walk {
 public:
  static Result<std::unique_ptr<Walk>> Create(const test_support::DeploymentOptions& options);

  // Runs a transfer while `stopped` is made to stop at `step`, kills `killed` there, lets
  // everything go on, and waits until nothing is prepared any more. DEADLINE_EXCEEDED: the step was
  // never reached, or something stayed in doubt.
  Result<Ending> Run(const std::string& step, Part stopped, Part killed);

 private:
  explicit Walk(std::unique_ptr<test_support::Deployment> house) : house_(std::move(house)) {}

  client::Outcome Transfer(const std::string& id, std::string* why);
  test_support::ServerProcess& ProcessOf(Part part);
  void Kill(Part part);
  Status BringBack(Part part);
  Result<bool> StandsIn(Part database, const std::string& id);
  // Until the coordinator has no transaction under way, and both agents have heard so: the next
  // stretch must meet only its own.
  Status WaitAllEnded();
  bool BothAgentsWork();

  std::unique_ptr<test_support::Deployment> house_;
  int number_ = 0;
};

}  // namespace assent::chaos
