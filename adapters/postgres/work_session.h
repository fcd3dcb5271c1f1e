// A session that works on branches and prepares them.
//
// Round trips (each verb's own comment says why they suffice): Start 1, Execute 1 (3 with
// keep_on_error), Prepare 1 for a branch known to have changed rows and 2 for any other,
// Rollback 1.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "adapters/postgres/connection.h"
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
  PrepareAnswer Prepare() override;
  bool Rollback() override;
  void Cancel() override { connection_->Cancel(); }
  bool AttachedWhenPrepared() const override { return false; }
  FinishAnswer FinishPrepared(Decision decision, const Evidence& evidence,
                              JournalWord journal) override;

 private:
  WorkError LostBefore(const std::string& what) const;
  WorkError Misuse(const std::string& detail) const;
  WorkError Error(Cause cause, const Failure& failure, const std::string& what) const;
  WorkError FailStatement(WorkError error, bool keep_on_error);

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
