// Statements whose rows go to a sink. A query is read through a cursor. What no cursor takes (a
// change with RETURNING, SHOW, EXPLAIN) is run as Execute does, within its limits: the server holds
// such rows as a whole, and so would the client library.
#include <utility>

#include "adapters/postgres/statement.h"
#include "adapters/postgres/work_session.h"

namespace assent::adapters::postgres {

Result<StatementResult> PostgresWorkSession::ExecuteStreamed(const Statement& statement,
                                                             RowSink& sink) {
  const CursorFit fit = FitForCursor(statement.sql);
  if (fit == CursorFit::kNo) return WorkSession::ExecuteStreamed(statement, sink);
  const Parameters texts(statement.parameters);
  std::string what;
  if (auto refused = Refuse(statement.sql, texts, statement.keep_on_error, &what)) {
    return StatementResult{.error = std::move(refused)};
  }
  const bool marked = statement.keep_on_error || fit == CursorFit::kPerhaps;
  if (marked) {
    auto answer = connection_->Run(std::string("SAVEPOINT ") + kSavepoint);
    if (auto* failure = std::get_if<Failure>(&answer)) {
      return StatementResult{.error = Failed(*failure, what, false)};
    }
  }
  Cursor cursor(*connection_);
  auto opened = cursor.Open(statement.sql, texts.pointers());
  if (auto* failure = std::get_if<Failure>(&opened)) {
    // Nothing was done yet. If it is the cursor that does not fit, the statement alone succeeds; if
    // it is the statement, it fails with its own words.
    if (fit == CursorFit::kPerhaps && !failure->lost && UndoToSavepoint()) {
      return WorkSession::ExecuteStreamed(statement, sink);
    }
    return StatementResult{.error = Failed(*failure, what, statement.keep_on_error)};
  }
  if (MayHoldWithoutXid(statement.sql)) unsure_ = true;
  StatementResult result = ReadCursor(cursor, statement, what, sink);
  if (result.error || !marked) return result;
  auto released = connection_->Run(std::string("RELEASE ") + kSavepoint);
  if (auto* failure = std::get_if<Failure>(&released)) result.error = Failed(*failure, what, false);
  return result;
}

StatementResult PostgresWorkSession::ReadCursor(Cursor& cursor, const Statement& statement,
                                                const std::string& what, RowSink& sink) {
  for (bool first = true; !cursor.at_end(); first = false) {
    auto answer = cursor.Fetch();
    if (auto* failure = std::get_if<Failure>(&answer)) {
      return {.error = Failed(*failure, what, statement.keep_on_error)};
    }
    const auto& rows = std::get<pqxx::result>(answer);
    bool wanted = !first || sink.Columns(ColumnsOf(rows));
    for (auto row = rows.begin(); wanted && row != rows.end(); ++row) {
      wanted = sink.Row(ValuesOf(*row));
    }
    // Functions of the query may have done a part of their work: nobody can tell which.
    if (!wanted) return {.error = FailStatement(NotWanted(what), false)};
  }
  auto closed = cursor.Close();
  if (auto* failure = std::get_if<Failure>(&closed)) {
    return {.error = Failed(*failure, what, statement.keep_on_error)};
  }
  return {};
}

}  // namespace assent::adapters::postgres
