// The SQL by which a person inspects or ends a branch, as text. The adapters say the same
// (ResourceManager::HandSql; a test compares), but bring their databases' libraries with them.
#pragma once

#include <string>
#include <vector>

#include "assent/v1/transaction_service.pb.h"

namespace assent::ctl {

struct HandSql {
  std::string kind;  // "postgresql", "mariadb", "mysql".
  std::string inspect;
  std::string commit;
  std::string rollback;
};

// One entry, or one for each kind of database if the branch's is not known. None for a gid that is
// not ours.
std::vector<HandSql> HandSqlFor(const v1::Branch& branch);

// Whether a database may list the branch as prepared, or did when somebody ended it.
bool MayBePrepared(v1::BranchState state);

}  // namespace assent::ctl
