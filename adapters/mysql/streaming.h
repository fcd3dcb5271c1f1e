// One statement of the application whose rows are not kept: each goes to a sink as the server sends
// it, so that a slow reader holds the server back.
//
// The rows are read as text, since the client library keeps all rows of a prepared statement.
// Reading so, it takes an error in the middle of a result for the end of it: HiddenError asks the
// server what it was.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "adapters/mysql/connection.h"
#include "adapters/mysql/statement.h"
#include "adapters/resource_manager.h"

namespace assent::adapters::mysql {

// Whether StreamRows can run it: statements that give at most one result with rows.
bool CanStream(std::string_view sql);

struct Streamed {
  uint64_t rows = 0;           // That came.
  uint64_t rows_affected = 0;  // Of a statement that gave no rows.
  bool gave_rows = false;
  bool wanted = true;  // By the sink, to the end.
};

// With no limit for SELECT set in the session. `stop` is called when the sink wants no more; the
// rows that come in spite of it are read and dropped.
std::variant<Streamed, StatementFailure> StreamRows(Connection& connection, const std::string& sql,
                                                    const std::vector<Value>& parameters,
                                                    RowSink& sink,
                                                    const std::function<void()>& stop);

// The error that ended the last statement, if one did. Before any other statement is run; and the
// list of errors must have been empty before that one (NoSelectLimitSetting).
std::optional<SqlError> HiddenError(Connection& connection);

}  // namespace assent::adapters::mysql
