// What PostgreSQL's codes and messages mean to us. Pure: tables, no connection.
#pragma once

#include <string_view>

#include "adapters/resource_manager.h"

namespace assent::adapters::postgres {

// True if the server has ended the session that reports this SQLSTATE.
bool EndsSession(std::string_view code);

// A statement of the branch, BEGIN, or COMMIT of a branch that only read.
Cause CauseOfStatement(std::string_view code);

// PREPARE TRANSACTION.
Cause CauseOfPrepare(std::string_view code);

// A connection that was refused: libpq gives no SQLSTATE there, only text. What the text does not
// settle is kUnavailable: try again.
Cause CauseOfConnect(std::string_view message);

// What to do about a failed COMMIT PREPARED or ROLLBACK PREPARED.
enum class FinishReply {
  kAbsent,          // 42704: a question, which only evidence answers.
  kAskAgain,        // Busy, cancelled, out of resources; also everything nobody foresaw.
  kUncleanSession,  // This session can't do it (it is inside a transaction): open another.
  kReadOnlyServer,  // 25006: a standby.
  kRefused,         // Missing privilege, or another database: an administrator must act.
};
FinishReply ReplyOfFinish(std::string_view code);

}  // namespace assent::adapters::postgres
