// The agent beside a database, and the branches that it holds.
#pragma once

#include <functional>
#include <memory>
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
  friend class AppBranch;
  friend class Transaction;
  explicit Agent(std::shared_ptr<internal::AgentImpl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<internal::AgentImpl> impl_;  // Shared by copies and by branches at work.
};

// Takes one row of a streamed result. False: no more rows are wanted; those still to come are read
// and dropped, so a LIMIT in the statement is cheaper.
using RowSink = std::function<bool(const std::vector<Column>& columns, Row row)>;

// What a streamed statement answered beside its rows.
struct StreamEnd {
  std::vector<Column> columns;
  uint64_t rows = 0;  // That came, wanted or not.
  uint64_t rows_affected = 0;
};

// Work on one database in one transaction, on a session that the agent holds. A handle,
// thread-safe: calls on one branch run one after another. Branches of one transaction may work at
// the same time.
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
    return RunOne({std::move(sql), {Value(std::forward<Parameters>(parameters))...}, false},
                  /*last=*/false);
  }

  // As Execute, but a failure undoes only this statement and the branch lives on. For a statement
  // that may fail in the ordinary course, such as an INSERT of a key that may be there.
  template <typename... Parameters>
  WorkResult<ResultSet> TryExecute(std::string sql, Parameters&&... parameters) {
    return RunOne({std::move(sql), {Value(std::forward<Parameters>(parameters))...}, true},
                  /*last=*/false);
  }

  // As Execute, and it is the last work of this branch: the agent prepares it at once, and Commit
  // hands its vote in instead of asking for it. A vote of no is this call's error, and dooms the
  // transaction. Afterwards the branch takes no more work (FAILED_PRECONDITION).
  template <typename... Parameters>
  WorkResult<ResultSet> ExecuteLast(std::string sql, Parameters&&... parameters) {
    return RunOne({std::move(sql), {Value(std::forward<Parameters>(parameters))...}, false},
                  /*last=*/true);
  }

  // Several statements in one round trip, in order, stopping at the first that fails
  // (error().statement). One result for each.
  WorkResult<std::vector<ResultSet>> Run(std::vector<Statement> statements);
  // As Run, and as ExecuteLast. May be empty: then it only prepares.
  WorkResult<std::vector<ResultSet>> RunLast(std::vector<Statement> statements);

  // As Execute, for a result of any size: `sink` gets the rows as the database gives them, and
  // nobody holds them all. A slow sink slows the database down; the deadline goes on.
  //
  // It is not repeated: after a lost answer the transaction can only roll back. `sink` runs on this
  // thread; it may use other branches but not this one. If it throws, the transaction is doomed.
  WorkResult<StreamEnd> ExecuteStream(Statement statement, const RowSink& sink);

  // Names the branch in databases, logs and assentctl.
  const std::string& gid() const;
  const std::string& resource() const;
  // What OpenOptions::statements answered.
  const std::vector<ResultSet>& open_results() const;

 private:
  friend class Transaction;
  explicit Branch(std::shared_ptr<internal::BranchImpl> impl) : impl_(std::move(impl)) {}
  WorkResult<ResultSet> RunOne(Statement statement, bool last);
  std::shared_ptr<internal::BranchImpl> impl_;  // Shared by copies.
};

}  // namespace assent::client
