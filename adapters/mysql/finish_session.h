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
  // One round trip for any number of branches, and some more at the first of a connection.
  Result<std::vector<PrepareAnswer>> LookUp(const std::vector<AppHeldBranch>& branches) override;
  Evidence SessionEvidence(const AppHeldBranch& branch) override;
  // OK: who knows a gid may end it here (the privileges that LookUp asks for apart).
  Status CheckRole(const std::string& role) override;

 private:
  FinishTools Tools();
  // UNAVAILABLE unless this is a writable primary, as far as can be seen.
  static Status Proven(const Why& why_not_primary);
  Status NotListed(const SqlError& error) const;
  void KeepOurs(std::vector<Gid>* gids) const;

  const ConnectOptions options_;  // Before identity_, which refers to it.
  std::unique_ptr<Connection> connection_;
  IdentityReader identity_;
  RightsReader rights_;
  const std::shared_ptr<OwnRollbacks> own_rollbacks_;  // Of the resource, whichever lives longer.
};

}  // namespace assent::adapters::mysql
