#include "ctl/hand_sql.h"

#include "adapters/common/xid.h"
#include "base/ids.h"

namespace assent::ctl {

std::vector<HandSql> HandSqlFor(const v1::Branch& branch) {
  Result<Gid> gid = ParseGid(branch.gid());
  if (!gid.ok()) return {};
  const std::string pg = adapters::PostgresLiteral(*gid);
  const std::string xa = adapters::XaLiteral(*gid);
  std::vector<HandSql> all = {
      {"postgresql", "SELECT * FROM pg_prepared_xacts WHERE gid = " + pg + ";",
       "COMMIT PREPARED " + pg + ";", "ROLLBACK PREPARED " + pg + ";"},
      {"mariadb", "XA RECOVER FORMAT='SQL';", "XA COMMIT " + xa + ";", "XA ROLLBACK " + xa + ";"},
      {"mysql", "XA RECOVER CONVERT XID;", "XA COMMIT " + xa + ";", "XA ROLLBACK " + xa + ";"},
  };
  for (const HandSql& sql : all) {
    if (sql.kind == branch.kind()) return {sql};
  }
  return all;
}

bool MayBePrepared(v1::BranchState state) {
  return state == v1::BRANCH_STATE_PREPARING || state == v1::BRANCH_STATE_PREPARED ||
         state == v1::BRANCH_STATE_COMMITTING || state == v1::BRANCH_STATE_HEURISTIC_ROLLBACK ||
         state == v1::BRANCH_STATE_HEURISTIC_COMMIT || state == v1::BRANCH_STATE_HAZARD;
}

}  // namespace assent::ctl
