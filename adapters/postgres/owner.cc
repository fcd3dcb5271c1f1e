#include "adapters/postgres/owner.h"

namespace assent::adapters::postgres {

std::string MayBecome(const std::string& role) {
  // From PostgreSQL 16 on a membership may be granted without the right to SET ROLE.
  return "coalesce(pg_has_role(session_user, " + role +
         ", CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET'"
         " ELSE 'MEMBER' END), false)";
}

std::string GrantNeeded(const std::string& role) {
  // Unlike format('%I'), this answers NULL for a role that is NULL: a row of nothing listed.
  return "'GRANT ' || quote_ident(" + role + ") || ' TO ' || quote_ident(session_user)";
}

}  // namespace assent::adapters::postgres
