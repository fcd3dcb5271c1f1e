// The four things that a service holds: Client and Agent (one of each per process, shared by all
// threads), Transaction and Branch (one piece of work).
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "client/options.h"
#include "client/outcome.h"
#include "client/value.h"

namespace assent::client {

namespace internal {
class AgentImpl;
class BranchImpl;
class Coordinators;
class TransactionImpl;
}  // namespace internal

// A connection to one participant agent, usually the sidecar of this service. A handle: copies
// share the connection. Thread-safe.
class Agent {
 public:
  // Does not wait for the agent: the first Open does. INVALID_ARGUMENT: an option is wrong, or a
  // TLS file can't be read; the message names it.
  static Result<Agent> Connect(AgentOptions options);

  const std::string& endpoint() const;

 private:
  friend class Transaction;
  explicit Agent(std::shared_ptr<internal::AgentImpl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<internal::AgentImpl> impl_;  // Shared by copies and by branches at work.
};

// Work on one database in one transaction. A handle, thread-safe: calls on one branch run one after
// another. Branches of one transaction may work at the same time.
//
// Do not call Commit or Rollback while a call on a branch is under way: the agent would vote no
// (STATEMENT_RUNNING).
class Branch {
 public:
  // Runs one statement and waits for it: at most until the transaction's deadline. Lost answers are
  // asked for again under the same number, so that no statement runs twice.
  //
  // A failed statement dooms the transaction, whatever the database: error() says why, Commit will
  // roll back. `branch.Execute("UPDATE account SET balance = balance - $1 WHERE id = $2", 10, 7)`.
  template <typename... Parameters>
  WorkResult<ResultSet> Execute(std::string sql, Parameters&&... parameters) {
    return RunOne({std::move(sql), {Value(std::forward<Parameters>(parameters))...}, false});
  }

  // As Execute, but a failure undoes only this statement and the branch lives on. For a statement
  // that may fail in the ordinary course, such as an INSERT of a key that may be there.
  template <typename... Parameters>
  WorkResult<ResultSet> TryExecute(std::string sql, Parameters&&... parameters) {
    return RunOne({std::move(sql), {Value(std::forward<Parameters>(parameters))...}, true});
  }

  // Several statements in one round trip, in order, stopping at the first that fails
  // (error().statement). One result for each.
  WorkResult<std::vector<ResultSet>> Run(std::vector<Statement> statements);

  // Names the branch in databases, logs and assentctl.
  const std::string& gid() const;
  const std::string& resource() const;
  // What OpenOptions::statements answered.
  const std::vector<ResultSet>& open_results() const;

 private:
  friend class Transaction;
  explicit Branch(std::shared_ptr<internal::BranchImpl> impl) : impl_(std::move(impl)) {}
  WorkResult<ResultSet> RunOne(Statement statement);
  std::shared_ptr<internal::BranchImpl> impl_;  // Shared by copies.
};

// What Transaction::OpenAll opens.
struct Opening {
  Agent agent;
  std::string resource;
  OpenOptions options;
};

// A global transaction, from Begin to its outcome. Movable. Open may be called from several threads
// at once; Commit, Rollback and the destructor by one, when all work has returned.
//
// The destructor of a transaction on which neither Commit nor Rollback was called rolls it back: it
// tries for ClientOptions::destructor_timeout, and otherwise the deadline does it.
class Transaction {
 public:
  Transaction(Transaction&&) noexcept;
  Transaction& operator=(Transaction&&) noexcept;
  ~Transaction();

  // Store it with the business record *before* Commit if the outcome must be found again after a
  // crash of this service (Client::Resolve).
  const std::string& gtrid() const;

  // BeginOptions::client_key was committed before: there is nothing to do, Open is refused, and
  // Commit answers kCommitted.
  bool already_committed() const;

  // Time left until the deadline, as far as known here; never negative.
  std::chrono::milliseconds remaining() const;

  // Opens a branch on one of the agent's resources. The coordinator knows of it before this
  // returns, so it can't be forgotten at Commit.
  WorkResult<Branch> Open(const Agent& agent, std::string resource, OpenOptions options = {});

  // Opens several branches at once, and runs their OpenOptions::statements at the same time: takes
  // as long as the slowest instead of all together. One branch for each, in the same order; or the
  // first error, and then the transaction can only roll back.
  WorkResult<std::vector<Branch>> OpenAll(std::vector<Opening> openings);

  // What made the transaction roll-back-only, if anything did: the first failure.
  std::optional<WorkError> failure() const;

  // Commits: every database keeps the change or none does. Repeats with the same gtrid across lost
  // replies, restarts and leader changes until an outcome is known or options.retry_for has passed:
  // then kUnknown, which the caller must look at. Call it again to ask again, or keep the gtrid.
  //
  // A roll-back-only transaction is rolled back instead, and answers kAborted once the coordinator
  // has said so. A transaction that lost its coordinator's memory answers kAborted, PRESUMED.
  // (A transaction that wrote nothing is not remembered: if its first reply is lost, it may hear
  // kAborted, which is harmless as it had no effect.)
  CommitResult Commit(CommitOptions options = {});

  // Rolls back. kAborted, or kUnknown if the coordinator could not be asked within `retry_for`; the
  // deadline then rolls it back. kCommitted only if Commit came before.
  CommitResult Rollback(std::chrono::milliseconds retry_for = std::chrono::seconds(5));

 private:
  friend class Client;
  explicit Transaction(std::shared_ptr<internal::TransactionImpl> impl);
  std::shared_ptr<internal::TransactionImpl> impl_;  // Shared with its branches.
};

// The way to the coordinators. A handle: copies share the connections. Thread-safe.
class Client {
 public:
  // Does not wait for a coordinator: the first Begin does. INVALID_ARGUMENT: an option is wrong, or
  // a TLS file can't be read; the message names it.
  static Result<Client> Connect(ClientOptions options);

  // Begins a transaction. Repeated while no coordinator answers or one is at a limit, for
  // ClientOptions::begin_retry_for, no sooner than the coordinator asks. Errors:
  //   UNAVAILABLE, DEADLINE_EXCEEDED  no coordinator answered. Nothing is left behind but an id.
  //   RESOURCE_EXHAUSTED              the coordinator stays at a limit; try later.
  //   ALREADY_EXISTS                  a live transaction has this client_key; the message has its
  //                                   gtrid. Resolve that one, then begin again.
  //   INVALID_ARGUMENT                mend the options.
  Result<Transaction> Begin(BeginOptions options = {});

  // What became of a transaction, asked once (each node at most once). kUnknown while it is alive
  // or nobody answers. Never changes anything.
  CommitResult OutcomeOf(const std::string& gtrid);

  // Asks until the outcome is known or `wait` has passed (then kUnknown). For a gtrid whose
  // Transaction is gone, say after a restart of this service. It does not push a commit on, on
  // purpose: only the Transaction knows whether all of its work arrived. A transaction whose Commit
  // was never heard is rolled back at its deadline, and then this answers kAborted.
  CommitResult Resolve(const std::string& gtrid, std::chrono::milliseconds wait);

 private:
  explicit Client(std::shared_ptr<internal::Coordinators> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<internal::Coordinators> impl_;  // Shared by copies and by transactions.
};

}  // namespace assent::client
