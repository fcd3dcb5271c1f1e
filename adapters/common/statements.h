// The SQL of each step of a branch that an application holds on a session of its own, per kind of
// database (docs/protocols.md 5). Needs no connection: gids hold nothing that needs quoting.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"

namespace assent::adapters {

// As assent.v1.BranchStatements.
struct BranchStatements {
  std::vector<std::string> begin;    // Before the first work.
  std::vector<std::string> prepare;  // After the last.
  std::vector<std::string> abandon;  // Instead of prepare.
  std::string commit;                // Of the prepared branch, after COMMITTED.
  std::string rollback;              // Of the prepared branch, after ABORTED.
};

// `kind`: "postgresql", "mariadb" or "mysql". Nothing for others.
std::optional<BranchStatements> StatementsOf(std::string_view kind, const Gid& gid);

}  // namespace assent::adapters
