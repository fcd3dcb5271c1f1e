#include "adapters/common/statements.h"

#include "adapters/common/xid.h"

namespace assent::adapters {

std::optional<BranchStatements> StatementsOf(std::string_view kind, const Gid& gid) {
  if (kind == "postgresql") {
    const std::string id = PostgresLiteral(gid);
    return BranchStatements{.begin = {"BEGIN"},
                            .prepare = {"PREPARE TRANSACTION " + id},
                            .abandon = {"ROLLBACK"},
                            .commit = "COMMIT PREPARED " + id,
                            .rollback = "ROLLBACK PREPARED " + id};
  }
  if (kind == "mariadb" || kind == "mysql") {
    const std::string id = XaLiteral(gid);
    return BranchStatements{.begin = {"XA START " + id},
                            .prepare = {"XA END " + id, "XA PREPARE " + id},
                            // XA ROLLBACK of an active branch is refused: END comes first.
                            .abandon = {"XA END " + id, "XA ROLLBACK " + id},
                            .commit = "XA COMMIT " + id,
                            .rollback = "XA ROLLBACK " + id};
  }
  return std::nullopt;
}

}  // namespace assent::adapters
