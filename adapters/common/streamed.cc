// Rows for a sink: what is common to the adapters, and how a session that can only give them all at
// once does it.
#include <utility>

#include "adapters/resource_manager.h"

namespace assent::adapters {

WorkError NotWanted(const std::string& what) {
  return {.cause = Cause::kStatementFailed,
          .code = std::string(CodeName(Code::kCancelled)),
          .detail = what + ": its rows were not wanted to their end"};
}

Result<StatementResult> WorkSession::ExecuteStreamed(const Statement& statement, RowSink& sink) {
  auto answer = Execute(statement.sql, statement.parameters, statement.keep_on_error);
  StatementResult result;
  if (auto* error = std::get_if<WorkError>(&answer)) {
    result.error = std::move(*error);
    return result;
  }
  auto& rows = std::get<ResultSet>(answer);
  result.rows_affected = rows.rows_affected;
  if (rows.columns.empty() || !sink.Columns(std::move(rows.columns))) return result;
  for (std::vector<Value>& row : rows.rows) {
    if (!sink.Row(std::move(row))) break;
  }
  return result;
}

}  // namespace assent::adapters
