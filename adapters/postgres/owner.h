// Who may end a prepared branch: only the role that was current at PREPARE, or a superuser. An
// agent ends the branches of applications under their role (SET ROLE), of which its user must be a
// member.
#pragma once

#include <string>

namespace assent::adapters::postgres {

// SQL of one row's column: whether this session may SET ROLE to the role that the expression names;
// and the GRANT that would allow it.
std::string MayBecome(const std::string& role);
std::string GrantNeeded(const std::string& role);

}  // namespace assent::adapters::postgres
