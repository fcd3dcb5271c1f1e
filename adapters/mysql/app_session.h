// Closing the session of an application, so that its prepared branch can be ended by another.
//
// On a server that ties a prepared branch to its session, the branch of a session that was *reset*
// (COM_RESET_CONNECTION or COM_CHANGE_USER, as connection pools do) can be committed from
// elsewhere: the answer is OK, the branch leaves XA RECOVER, and nothing is committed (MariaDB
// 10.11). The connection id outlives the reset, and closing that connection makes the commit real.
// So an agent ends an app-held branch only after the session is gone, never before.
#pragma once

#include <chrono>
#include <optional>

#include "adapters/mysql/finish.h"
#include "adapters/resource_manager.h"

namespace assent::adapters::mysql {

// How long a killed session may take to leave the process list before the caller hears kTransient.
inline constexpr std::chrono::seconds kLeaveMax{2};

// For a branch that the server lists. Nothing: the session is gone and has settled, and a verb from
// here takes effect. Otherwise the answer to give instead of sending it. Blocks for kGrace, at most
// kLeaveMax longer. A connection id from before the last start of the server is never killed.
std::optional<FinishAnswer> CloseAppSession(const FinishTools& tools, const VoteEvidence& evidence);

}  // namespace assent::adapters::mysql
