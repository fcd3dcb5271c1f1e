#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "adapters/mysql/connection.h"
#include "adapters/mysql/finish.h"
#include "adapters/mysql/identity.h"
#include "adapters/mysql/statement.h"
#include "adapters/resource_manager.h"
#include "base/mutex.h"

namespace assent::adapters::mysql {

// See adapters/resource_manager.h.
class MysqlWorkSession final : public WorkSession {
 public:
  // Connects. An error says that there is no session.
  static std::variant<std::unique_ptr<MysqlWorkSession>, WorkError> Open(
      const ConnectOptions& options, std::shared_ptr<OwnRollbacks> own_rollbacks);

  std::optional<WorkError> Start(const Gid& gid, const StartOptions& options) override;
  std::variant<ResultSet, WorkError> Execute(const std::string& sql,
                                             const std::vector<Value>& parameters,
                                             bool keep_on_error) override;
  Result<StatementResult> ExecuteStreamed(const Statement& statement, RowSink& sink) override;
  PrepareAnswer Prepare() override;
  // A prepared branch is left alone (and true returned): only a decision ends it.
  bool Rollback() override;
  // Returns when the server has heard it. Execute does not return while a Cancel of it is under
  // way, at most connect_timeout long: so that it can't hit the verb after it.
  void Cancel() override;
  bool AttachedWhenPrepared() const override;
  FinishAnswer FinishPrepared(Decision decision, const Evidence& evidence,
                              JournalWord journal) override;

  const ServerFacts& facts() const { return connection_->facts(); }

 private:
  enum class State {
    kIdle,      // No branch.
    kActive,    // Between XA START and the end.
    kPrepared,  // Prepared and attached to this session.
  };
  // The first failure, after which the branch can only roll back.
  struct Doom {
    std::string code;
    std::string detail;
  };

  MysqlWorkSession(const ConnectOptions& options, std::unique_ptr<Connection> connection,
                   std::shared_ptr<OwnRollbacks> own_rollbacks);

  // For its life there is something to Cancel; its end awaits a Cancel that is under way.
  class Executing {
   public:
    explicit Executing(MysqlWorkSession& session) : session_(session) {
      session_.SetExecuting(true);
    }
    ~Executing() { session_.SetExecuting(false); }
    Executing(const Executing&) = delete;
    Executing& operator=(const Executing&) = delete;

   private:
    MysqlWorkSession& session_;
  };
  void SetExecuting(bool executing) EXCLUDES(cancel_mutex_);

  std::optional<SqlError> ApplyTimeouts(const StartOptions& options);
  // Why a statement must not be sent, if so.
  std::optional<WorkError> Refuse(const std::string& sql, bool keep_on_error);
  // Marks where a statement begins if the server would not undo it by itself. *savepoint: it did.
  std::optional<WorkError> Mark(const std::string& sql, bool keep_on_error, bool* savepoint);
  // What became of a statement that failed; undone where keep_on_error can have it.
  WorkError Failed(const std::string& sql, const StatementFailure& failure, bool keep_on_error,
                   bool savepoint);
  WorkError StatementFailed(const std::string& sql, WorkError error, bool dooms);
  PrepareAnswer VoteNo(WorkError error);
  std::string LiteralOf() const;

  const ConnectOptions options_;  // Before identity_, which refers to it.
  std::unique_ptr<Connection> connection_;
  IdentityReader identity_;
  const std::shared_ptr<OwnRollbacks> own_rollbacks_;  // Of the resource, whichever lives longer.
  Evidence evidence_;

  State state_ = State::kIdle;
  Gid gid_;
  bool read_only_ = false;
  std::optional<Doom> doom_;
  // What the session's settings stand at.
  std::optional<int64_t> lock_timeout_seconds_;
  bool statement_timeout_set_ = false;
  bool took_user_locks_ = false;  // Perhaps.

  Mutex cancel_mutex_;
  bool executing_ GUARDED_BY(cancel_mutex_) = false;
};

}  // namespace assent::adapters::mysql
