// Single transactions over both databases of a house, beside whatever load there is: whether the
// house commits now, and how long that takes.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "base/status.h"
#include "client/assent.h"
#include "tests/support/deployment.h"

namespace assent::system_tests {

// Not thread-safe. Its connections live as long as it, as those of a service do.
class Probe {
 public:
  // Creates table `probe` in both databases if it is not there.
  static Result<Probe> Make(const test_support::Deployment& house);

  // When each step of the transaction that committed in the end was over, since the call.
  struct Commit {
    std::chrono::milliseconds begun{};
    std::chrono::milliseconds worked{};
    std::chrono::milliseconds committed{};
    int tries = 1;  // Transactions begun; all but the last were aborted.
    std::string gtrid;
    std::string ToString() const;
  };
  // Begins transactions, one after the other, until one has committed and is applied in both
  // databases. DEADLINE_EXCEEDED: not within `limit`; the message has the last failure.
  // INTERNAL: a client was left without an answer.
  Result<Commit> CommitOne(std::chrono::milliseconds limit);

  // One whose work is done and whose end the caller decides. Errors: the call's that failed.
  Result<client::Transaction> Work();

  // Whether the rows of the transaction of that Work are in both databases, or in neither.
  // INTERNAL: in one of them only.
  Result<bool> IsApplied(const std::string& gtrid) const;

  client::Client& coordinators() { return coordinators_; }

 private:
  Probe(const test_support::Deployment& house, client::Client coordinators,
        client::Agent postgres_agent, client::Agent mariadb_agent);
  // Inserts the gtrid in both.
  Status WorkIn(client::Transaction& transaction);

  const test_support::Deployment* house_;
  client::Client coordinators_;
  client::Agent postgres_agent_;
  client::Agent mariadb_agent_;
};

}  // namespace assent::system_tests
