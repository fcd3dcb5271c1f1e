#include "adapters/mysql/streaming.h"

#include <cppconn/connection.h>
#include <cppconn/resultset.h>
#include <cppconn/resultset_metadata.h>
#include <cppconn/statement.h>

#include <cstdlib>
#include <memory>
#include <utility>

#include "adapters/mysql/screening.h"
#include "adapters/mysql/values.h"

namespace assent::adapters::mysql {

bool CanStream(std::string_view sql) {
  const std::string verb = FirstWord(sql);
  if (verb == "INSERT" || verb == "REPLACE" || verb == "DELETE") return Mentions(sql, "returning");
  return verb == "SELECT" || verb == "WITH" || verb == "VALUES" || verb == "TABLE" || verb == "(";
}

std::variant<Streamed, StatementFailure> StreamRows(Connection& connection, const std::string& sql,
                                                    const std::vector<Value>& parameters,
                                                    RowSink& sink,
                                                    const std::function<void()>& stop) {
  Streamed streamed;
  bool took_effect = false;
  auto error = connection.Guarded([&](sql::Connection& raw) {
    const std::string text = parameters.empty() ? sql : IntoVariables(raw, sql, parameters);
    std::unique_ptr<sql::Statement> statement(raw.createStatement());
    statement->setResultSetType(sql::ResultSet::TYPE_FORWARD_ONLY);
    streamed.gave_rows = statement->execute(text);
    took_effect = true;
    if (!streamed.gave_rows) {
      streamed.rows_affected = statement->getUpdateCount();
      return;
    }
    std::unique_ptr<sql::ResultSet> rows(statement->getResultSet());
    sql::ResultSetMetaData& meta = *rows->getMetaData();
    auto offer = [&](bool taken) {
      streamed.wanted = taken;
      if (!taken) stop();
    };
    offer(sink.Columns(ColumnsOf(meta)));
    while (rows->next()) {
      ++streamed.rows;
      if (streamed.wanted) offer(sink.Row(ReadRow(*rows, meta)));
    }
  });
  if (!error) return streamed;
  // An error of the server's has undone the statement.
  took_effect = took_effect && error->number == 0;
  return StatementFailure{.error = *std::move(error), .took_effect = took_effect};
}

std::optional<SqlError> HiddenError(Connection& connection) {
  // Statements that look at the list of errors leave it as it is; all others may empty it.
  auto count = connection.Query("SHOW COUNT(*) ERRORS");
  if (auto* error = std::get_if<SqlError>(&count)) return *error;
  if (std::get<std::vector<Row>>(count).at(0).at(0) == "0") return std::nullopt;
  SqlError hidden{.number = 1105, .state = "HY000", .message = "the result broke off"};
  auto conditions = connection.Query("SHOW WARNINGS");
  if (auto* error = std::get_if<SqlError>(&conditions)) return *error;
  size_t number = 0;
  for (const Row& row : std::get<std::vector<Row>>(conditions)) {
    ++number;
    if (row.at(0) != "Error") continue;
    hidden.number = std::atoi(row.at(1).value_or("").c_str());
    hidden.message = row.at(2).value_or("");
    const std::string condition = std::to_string(number);
    if (!connection.Run("GET DIAGNOSTICS CONDITION " + condition +
                        " @assent_state = RETURNED_SQLSTATE")) {
      auto state = connection.Query("SELECT @assent_state");
      if (auto* rows = std::get_if<std::vector<Row>>(&state)) {
        hidden.state = rows->at(0).at(0).value_or(hidden.state);
      }
    }
    break;
  }
  return hidden;
}

}  // namespace assent::adapters::mysql
