// A session that works on branches and prepares them.
//
// Round trips (each verb's own comment says why they suffice): Start 1, Execute 1 (3 with
// keep_on_error), ExecuteStreamed 2 and one for each batch of rows, Prepare 1 for a branch known to
// have changed rows and 2 for any other, Rollback 1.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "adapters/postgres/connection.h"
#include "adapters/postgres/cursor.h"
#include "adapters/postgres/values.h"
#include "adapters/resource_manager.h"

namespace assent::adapters::postgres {

class PostgresWorkSession final : public WorkSession {
 public:
  PostgresWorkSession(const ConnectOptions& options, std::unique_ptr<Connection> connection,
                      const ServerFacts& server);

  std::optional<WorkError> Start(const Gid& gid, const StartOptions& options) override;
  std::variant<ResultSet, WorkError> Execute(const std::string& sql,
                                             const std::vector<Value>& parameters,
                                             bool keep_on_error) override;
  Result<StatementResult> ExecuteStreamed(const Statement& statement, RowSink& sink) override;
  PrepareAnswer Prepare() override;
  bool Rollback() override;
  void Cancel() override { connection_->Cancel(); }
  bool AttachedWhenPrepared() const override { return false; }
  FinishAnswer FinishPrepared(Decision decision, const Evidence& evidence,
                              JournalWord journal) override;

 private:
  // A name of ours, so that a user's savepoints are left alone.
  static constexpr char kSavepoint[] = "assent_keep_on_error";

  WorkError LostBefore(const std::string& what) const;
  WorkError Misuse(const std::string& detail) const;
  WorkError Error(Cause cause, const Failure& failure, const std::string& what) const;
  WorkError FailStatement(WorkError error, bool keep_on_error);
  // Why a statement must not be sent, if so. `what` names it in errors.
  std::optional<WorkError> Refuse(const std::string& sql, const Parameters& texts,
                                  bool keep_on_error, std::string* what);
  // Goes back to kSavepoint and drops it. False: the transaction has failed for good.
  bool UndoToSavepoint();
  // What became of a statement that the server has failed; undone if it was marked by kSavepoint.
  WorkError Failed(const Failure& failure, const std::string& what, bool marked);
  StatementResult ReadCursor(Cursor& cursor, const Statement& statement, const std::string& what,
                             RowSink& sink);

  PrepareAnswer No(WorkError error);
  // Ends a branch that surely wrote nothing; nothing returned if that is not sure.
  std::optional<PrepareAnswer> TryReadOnly();
  PrepareAnswer PrepareWriter();
  // Ends whatever transaction there is and makes the session as new. False: it is lost.
  bool Clean();

  const std::string cluster_;
  const std::string resource_;
  const ServerFacts server_;  // As it was at the start: a primary stays what it is.
  std::unique_ptr<Connection> connection_;

  std::optional<Gid> gid_;  // The open branch.
  // The first failed statement of the open branch: it can only roll back.
  std::optional<WorkError> failed_;
  bool wrote_ = false;   // A statement has changed rows.
  bool unsure_ = false;  // A statement may matter at COMMIT without having a transaction id.
};

}  // namespace assent::adapters::postgres
