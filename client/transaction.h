// The transaction, and the client that begins it. (Client and Agent: one of each per process,
// shared by all threads. Transaction and its branches: one piece of work.)
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "client/app_branch.h"
#include "client/app_session.h"
#include "client/branch.h"
#include "client/context.h"
#include "client/options.h"
#include "client/outcome.h"

namespace assent::client {

namespace internal {
class Coordinators;
class TransactionImpl;
}  // namespace internal

// What Transaction::OpenAll opens.
struct Opening {
  Agent agent;
  std::string resource;
  OpenOptions options;
};

// A global transaction, from Begin to its outcome. Movable. Open and Enlist may be called from
// several threads at once; Commit, Rollback and the destructor by one, when all work has returned.
//
// The destructor of a transaction on which neither Commit nor Rollback was called rolls it back,
// and gives up the work of app-held sessions: it tries for ClientOptions::destructor_timeout, and
// otherwise the deadline does it.
//
// A *joined* transaction (Client::Join) takes work as any other, but who began it ends it: Commit
// and Rollback change nothing, RollbackOnly rolls back at once, and the destructor leaves it alone,
// unless something failed here: then it rolls back too, so that the work can't be committed in
// part.
class Transaction {
 public:
  Transaction(Transaction&&) noexcept;
  Transaction& operator=(Transaction&&) noexcept;
  ~Transaction();

  // Store it with the business record *before* Commit if the outcome must be found again after a
  // crash of this service (Client::Resolve).
  const std::string& gtrid() const;

  // BeginOptions::client_key was committed before: there is nothing to do, Open and Enlist are
  // refused, no session was touched, and Commit answers kCommitted.
  bool already_committed() const;

  // Came from Client::Join.
  bool joined() const;

  // Time left until the deadline, as far as known here; never negative.
  std::chrono::milliseconds remaining() const;

  // To pass the transaction on to another service, which calls Client::Join.
  TransactionContext context() const;

  // Opens a branch on one of the agent's resources. The coordinator knows of it before this
  // returns, so it can't be forgotten at Commit. A branch of that resource that Begin registered is
  // the one that is opened, if there is any left.
  WorkResult<Branch> Open(const Agent& agent, std::string resource, OpenOptions options = {});

  // Opens several branches at once, and runs their OpenOptions::statements at the same time: takes
  // as long as the slowest instead of all together. One branch for each, in the same order; or the
  // first error, and then the transaction can only roll back.
  WorkResult<std::vector<Branch>> OpenAll(std::vector<Opening> openings);

  // Registers a branch that the application holds on `session`, and begins it there. Errors as of
  // Open; besides them:
  //   INVALID_ARGUMENT  the session's connection_id is 0 on a database that ties prepared branches
  //                     to sessions; the agent may not finish for `role` (the message has the
  //                     GRANT).
  //   ABORTED           the session could not begin it; the transaction can only roll back.
  WorkResult<AppBranch> Enlist(const Agent& agent, std::string resource, AppSession session,
                               EnlistOptions options = {});

  // Those that Begin registered with a session and those that were enlisted, in that order. Needed
  // only by those who do not leave everything to Commit.
  std::vector<AppBranch> app_branches() const;

  // Prepares every app-held branch that is not yet prepared, all at the same time. The last step of
  // a joined transaction with sessions of its own; elsewhere Commit does it. Errors as of
  // AppBranch::Prepare, of the first that failed.
  WorkStatus Prepare();

  // What made the transaction roll-back-only, if anything did: the first failure.
  std::optional<WorkError> failure() const;

  // Makes it roll-back-only: whatever is called later, it will not be committed; Abort::message is
  // `why`. Costs nothing until Commit; but a joined transaction is rolled back at the coordinator
  // at once (trying for destructor_timeout), since who began it may not hear of it otherwise.
  void RollbackOnly(std::string why);

  // Commits: every database keeps the change or none does. Sessions of the application are prepared
  // first, if they are not, and ended before this answers. Repeats with the same gtrid across lost
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

  // Begins a transaction, and the sessions among its BeginOptions::branches. Repeated while no
  // coordinator answers or one is at a limit, for ClientOptions::begin_retry_for, no sooner than
  // the coordinator asks. Errors:
  //   UNAVAILABLE, DEADLINE_EXCEEDED  no coordinator answered. Nothing is left behind but an id.
  //   RESOURCE_EXHAUSTED              the coordinator stays at a limit; try later.
  //   ALREADY_EXISTS                  a live transaction has this client_key; the message has its
  //                                   gtrid. Resolve that one, then begin again.
  //   INVALID_ARGUMENT                mend the options.
  //   NOT_FOUND                       no agent has ever served the resource of a planned branch.
  //   ABORTED                         a session could not begin its branch; everything was rolled
  //                                   back.
  Result<Transaction> Begin(BeginOptions options = {});

  // Joins a transaction that another service began and passed on (kTransactionMetadataKey). Makes
  // no call. When all is done, answer your caller; only then may it call Commit.
  Transaction Join(const TransactionContext& context);

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
