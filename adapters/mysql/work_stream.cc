// Statements whose rows go to a sink.
#include <utility>

#include "adapters/mysql/screening.h"
#include "adapters/mysql/streaming.h"
#include "adapters/mysql/work_session.h"
#include "base/mutant.h"

namespace assent::adapters::mysql {

Result<StatementResult> MysqlWorkSession::ExecuteStreamed(const Statement& statement,
                                                          RowSink& sink) {
  const std::string& sql = statement.sql;
  const bool keep = statement.keep_on_error;
  if (!CanStream(sql)) return WorkSession::ExecuteStreamed(statement, sink);
  bool savepoint = false;
  if (auto error = Refuse(sql, keep)) return StatementResult{.error = std::move(error)};
  if (auto error = Mark(sql, keep, &savepoint)) return StatementResult{.error = std::move(error)};
  if (auto error = connection_->Run("SET SESSION " + NoSelectLimitSetting())) {
    return StatementResult{.error = Failed(sql, {.error = *std::move(error)}, keep, savepoint)};
  }
  std::variant<Streamed, StatementFailure> answer;
  {
    Executing executing(*this);
    answer = StreamRows(*connection_, sql, statement.parameters, sink, [this] { Cancel(); });
  }
  const auto* streamed = std::get_if<Streamed>(&answer);
  const bool to_its_end = streamed != nullptr && streamed->wanted;
  if (to_its_end && streamed->gave_rows && !MutantOn(Mutant::kBrokenStreamIsWhole)) {
    if (auto error = HiddenError(*connection_)) answer = StatementFailure{.error = *error};
  }
  // Without its limit the session would hold any result of Execute.
  if (!connection_->lost() && connection_->Run("SET SESSION " + SelectLimitSetting())) {
    connection_->MarkLost();
  }
  if (auto* failure = std::get_if<StatementFailure>(&answer)) {
    return StatementResult{.error = Failed(sql, *failure, keep, savepoint)};
  }
  const Streamed& done = std::get<Streamed>(answer);
  if (!done.wanted) {
    return StatementResult{.error = StatementFailed(sql, NotWanted("statement"), true)};
  }
  const bool changes = FirstWord(sql) == "INSERT" || FirstWord(sql) == "REPLACE" ||
                       FirstWord(sql) == "DELETE";  // With RETURNING.
  StatementResult result{.rows_affected = changes ? done.rows : done.rows_affected};
  if (connection_->lost()) {
    result.error = StatementFailed(
        sql, {.cause = Cause::kConnectionLost, .detail = "statement: the session was lost"}, true);
  }
  return result;
}

}  // namespace assent::adapters::mysql
