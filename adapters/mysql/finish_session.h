#pragma once

#include <memory>
#include <vector>

#include "adapters/mysql/connection.h"
#include "adapters/mysql/finish.h"
#include "adapters/mysql/identity.h"
#include "adapters/resource_manager.h"

namespace assent::adapters::mysql {

// See adapters/resource_manager.h.
class MysqlFinishSession final : public FinishSession {
 public:
  MysqlFinishSession(const ConnectOptions& options, std::unique_ptr<Connection> connection,
                     std::shared_ptr<OwnRollbacks> own_rollbacks);

  FinishAnswer Commit(const Gid& gid, const Evidence& evidence, JournalWord journal) override;
  FinishAnswer Rollback(const Gid& gid, const Evidence& evidence) override;
  Result<std::vector<PreparedBranch>> Recover() override;

 private:
  const ConnectOptions options_;  // Before identity_, which refers to it.
  std::unique_ptr<Connection> connection_;
  IdentityReader identity_;
  const std::shared_ptr<OwnRollbacks> own_rollbacks_;  // Of the resource, whichever lives longer.
};

}  // namespace assent::adapters::mysql
