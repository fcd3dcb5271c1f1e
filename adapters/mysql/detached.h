// Whether a prepared branch of MariaDB has really left the session that prepared it.
//
// MariaDB 10.11 has a gap between closing a session and being rid of it (met in 1 of some 300
// closes; in the source, trans_xa_detach comes first and InnoDB's close_connection later). In the
// gap XA COMMIT from another session answers OK and removes the branch from XA RECOVER, but InnoDB
// commits nothing: the row keeps its old value and its lock until the server restarts, and then the
// branch is listed as prepared again. XA ROLLBACK does likewise. So nothing is sent before the
// session has left the process list, and kGrace after that.
//
// The process list lets go some microseconds before InnoDB does, hence the grace: no proof, but
// the only known witness that does no harm. SHOW ENGINE INNODB STATUS would tell exactly, and
// crashes the server now and then when a session is just closing (10.11.19, signal 11, 1 of some
// 3,000 tries); INNODB_TRX is cached.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <variant>

#include "adapters/mysql/connection.h"

namespace assent::adapters::mysql {

inline constexpr std::chrono::milliseconds kGrace{100};

// The connection that prepared a branch. Connection ids begin anew with the server, hence its start
// (seconds since 1970 by its own clock, good to a second or two).
struct Preparer {
  uint64_t connection_id = 0;
  int64_t server_started = 0;

  bool operator==(const Preparer&) const = default;
};

// True if the server has surely started since `age` ago, so that no connection id from before then
// means anything any more.
bool StartedWithin(const ServerFacts& facts, std::chrono::milliseconds age);

// True if the server that `preparer` was a session of has ended since; none of its sessions lives.
bool IsOfEarlierStart(const ServerFacts& facts, const Preparer& preparer);

std::variant<bool, SqlError> IsInProcessList(Connection& connection, uint64_t connection_id);

// True if another session's verb takes effect. Blocks for kGrace, except after a restart of the
// server. Without a preparer (a branch found by a scan) there is only the grace. A user without the
// privilege PROCESS sees its own sessions, which are those of the agent.
std::variant<bool, SqlError> IsDetached(Connection& connection,
                                        const std::optional<Preparer>& preparer);

}  // namespace assent::adapters::mysql
