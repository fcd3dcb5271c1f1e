// One statement of the application: binding parameters, reading typed results within their limits.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "adapters/mysql/connection.h"
#include "adapters/resource_manager.h"

namespace assent::adapters::mysql {

struct StatementFailure {
  SqlError error;
  // The server had carried it out before we failed (a result beyond the limits, or of a type that
  // the client library can't read): nothing undid it.
  bool took_effect = false;
  bool too_large = false;
};

// Statements with parameters go through a server-side prepared statement, others as text. Results
// are held in full by the client library before we see them: reading row by row, it takes an error
// in the middle of a result for its end. kResultRowsMax bounds them on the server (see
// SelectLimitSetting); the bytes are counted only here.
std::variant<ResultSet, StatementFailure> RunStatement(Connection& connection,
                                                       const std::string& sql,
                                                       const std::vector<Value>& parameters);

// A session setting under which the server itself ends a SELECT one row beyond the limit, and the
// one that lifts it. The latter, having a derived table, also empties the server's list of errors,
// which a statement without tables leaves as it is.
std::string SelectLimitSetting();
std::string NoSelectLimitSetting();

}  // namespace assent::adapters::mysql
