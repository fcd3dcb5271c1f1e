// What the error numbers of MySQL and MariaDB mean to us. Pure: tables, no connection.
#pragma once

#include <optional>
#include <string>

#include "adapters/resource_manager.h"

namespace assent::adapters::mysql {

// The numbers that callers ask about by name; errors.cc knows the rest.
inline constexpr int kErNoSuchTable = 1146;
inline constexpr int kErXaNota = 1397;
inline constexpr int kErXaRecoverPrivilege = 1401;  // MySQL: XA RECOVER without XA_RECOVER_ADMIN.

// An error as the server or the client library reported it.
struct SqlError {
  int number = 0;  // 0: the client library refused by itself, or something was thrown.
  std::string state;
  std::string message;
};

// "1397/XAE04"; empty for number 0.
std::string CodeOf(const SqlError& error);
// "Unknown table (1146/42S02)".
std::string TextOf(const SqlError& error);

// The connection is of no more use.
bool MeansConnectionLost(const SqlError& error);

// The server has rolled back the whole branch, not only the statement. With
// innodb_rollback_on_timeout a lock time-out does that too.
bool EndsBranch(const SqlError& error, bool rollback_on_timeout);

// Why a statement, or a verb before the vote, failed.
Cause CauseOf(const SqlError& error);
WorkError ToWorkError(const SqlError& error, std::string what);

// What an error of XA COMMIT or XA ROLLBACK on a prepared branch means. Nothing for XAER_NOTA: that
// is a question, answered in finish.h.
std::optional<FinishAnswer> ClassifyFinish(Decision decision, const SqlError& error);

}  // namespace assent::adapters::mysql
