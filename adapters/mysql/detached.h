// Whether a prepared branch of MariaDB has really left the session that prepared it.
//
// MariaDB 10.11 has a gap between closing a session and being rid of it (seen in 1 of some 1,000
// closes, and in the source: trans_xa_detach comes first, InnoDB's close_connection later). In the
// gap XA COMMIT from another session answers OK and removes the branch from XA RECOVER, but InnoDB
// commits nothing: the row keeps its old value and its lock until the server restarts, and then the
// branch is listed as prepared again. XA ROLLBACK does likewise. So nothing is sent before InnoDB
// says that the transaction has no session any more, which it then never has again.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <set>
#include <string_view>
#include <variant>

#include "adapters/mysql/connection.h"

namespace assent::adapters::mysql {

// The connections that still hold a prepared transaction, by the text of SHOW ENGINE INNODB STATUS;
// nothing if the server has cut the text short. Pure.
std::optional<std::set<uint64_t>> HoldersOfPrepared(std::string_view status);

// True if the branch that this connection prepared has left it, so that another session's verb
// takes effect. Without a connection id (a branch found by a scan) it is true if every holder is a
// living session: for a branch of theirs the verb is refused with XAER_NOTA.
//
// Needs the privilege PROCESS. Without it the process list, which shows a user its own sessions,
// and a wait of kGrace stand in: no proof, but far longer than the gap.
inline constexpr std::chrono::milliseconds kGrace{100};
std::variant<bool, SqlError> IsDetached(Connection& connection, std::optional<uint64_t> preparer);

}  // namespace assent::adapters::mysql
