#include "adapters/mysql/statement.h"

#include <cppconn/connection.h>
#include <cppconn/datatype.h>
#include <cppconn/prepared_statement.h>
#include <cppconn/resultset.h>
#include <cppconn/resultset_metadata.h>
#include <cppconn/statement.h>

#include <cstdlib>
#include <memory>
#include <optional>
#include <utility>

#include "adapters/mysql/screening.h"
#include "adapters/mysql/values.h"

namespace assent::adapters::mysql {
namespace {

size_t SizeOf(const Value& value) {
  if (auto* text = std::get_if<std::string>(&value)) return text->size();
  if (auto* bytes = std::get_if<Bytes>(&value)) return bytes->value.size();
  return sizeof(int64_t);
}

// What is wrong, if the result is beyond the limits.
std::optional<std::string> ReadRows(sql::ResultSet& result, ResultSet* out) {
  sql::ResultSetMetaData& meta = *result.getMetaData();
  out->columns = ColumnsOf(meta);
  size_t bytes = 0;
  while (result.next()) {
    if (out->rows.size() == kResultRowsMax) {
      return "the result has more than " + std::to_string(kResultRowsMax) +
             " rows; ask for fewer, for example with LIMIT and a key to go on from";
    }
    std::vector<Value> row = ReadRow(result, meta);
    for (const Value& value : row) bytes += SizeOf(value);
    out->rows.push_back(std::move(row));
    if (bytes > kResultBytesMax) {
      return "the result has more than " + std::to_string(kResultBytesMax) +
             " bytes; ask for fewer rows or columns";
    }
  }
  return std::nullopt;
}

struct Attempt {
  ResultSet result;
  std::optional<std::string> too_large;
  bool took_effect = false;
  bool needs_count = false;  // The library can't tell how many rows were affected.
};

// The first result is the answer; further ones (of CALL) are read and dropped, since an unread one
// would make the next command fail.
void TakeResults(sql::Statement& statement, bool has_rows, Attempt* attempt) {
  bool first = true;
  while (has_rows) {
    std::unique_ptr<sql::ResultSet> rows(statement.getResultSet());
    if (first) attempt->too_large = ReadRows(*rows, &attempt->result);
    first = false;
    rows.reset();
    has_rows = statement.getMoreResults();
  }
}

void RunText(sql::Connection& connection, const std::string& sql, Attempt* attempt) {
  std::unique_ptr<sql::Statement> statement(connection.createStatement());
  bool has_rows = statement->execute(sql);
  attempt->took_effect = true;
  if (has_rows) {
    TakeResults(*statement, has_rows, attempt);
  } else {
    attempt->result.rows_affected = statement->getUpdateCount();
  }
}

// Names a statement that may stay prepared: DML that answers no rows. (The columns of others may
// change under the library's feet.) The types of its parameters belong to it, so that it is never
// bound anew with others; streams and long texts are not kept bound. Empty: not to be kept.
std::string CacheKey(const std::string& sql, const std::vector<Value>& parameters) {
  constexpr size_t kTextBytesMax = 4096;
  const std::string verb = FirstWord(sql);
  if (verb != "INSERT" && verb != "UPDATE" && verb != "DELETE" && verb != "REPLACE") return "";
  if (Mentions(sql, "returning")) return "";
  std::string types;
  for (const Value& value : parameters) {
    const auto* text = std::get_if<std::string>(&value);
    if (std::holds_alternative<Bytes>(value) || (text && text->size() > kTextBytesMax)) return "";
    types += static_cast<char>('0' + value.index());
  }
  return types + ' ' + sql;
}

// The client library can't read JSON of MySQL in the binary protocol, and seldom knows its name.
// (In MariaDB it is text.)
bool AnswersJson(sql::ResultSetMetaData& meta) {
  for (uint32_t i = 1; i <= meta.getColumnCount(); ++i) {
    int type = meta.getColumnType(i);
    if (type == sql::DataType::JSON || type == sql::DataType::UNKNOWN) return true;
  }
  return false;
}

void RunPrepared(sql::Connection& connection, StatementCache& kept, const std::string& sql,
                 const std::vector<Value>& parameters, Attempt* attempt) {
  std::string key = CacheKey(sql, parameters);
  std::unique_ptr<sql::PreparedStatement> statement = key.empty() ? nullptr : kept.Take(key);
  if (statement == nullptr) statement.reset(connection.prepareStatement(sql));
  if (AnswersJson(*statement->getMetaData())) {
    statement.reset();
    RunText(connection, IntoVariables(connection, sql, parameters), attempt);
    return;
  }
  const BoundStreams streams = Bind(parameters, 1, *statement);
  // The columns are known before it runs, except those of CALL and, to this library, of RETURNING.
  if (FirstWord(sql) == "CALL" || Mentions(sql, "returning") ||
      statement->getMetaData()->getColumnCount() > 0) {
    bool has_rows = statement->execute();
    attempt->took_effect = true;
    TakeResults(*statement, has_rows, attempt);
    attempt->needs_count = !has_rows;
  } else {
    int count = statement->executeUpdate();
    attempt->took_effect = true;
    attempt->result.rows_affected = count < 0 ? 0 : static_cast<uint64_t>(count);
    if (!key.empty()) kept.Keep(std::move(key), std::move(statement));
  }
}

}  // namespace

std::variant<ResultSet, StatementFailure> RunStatement(Connection& connection,
                                                       const std::string& sql,
                                                       const std::vector<Value>& parameters) {
  Attempt attempt;
  auto error = connection.Guarded([&](sql::Connection& raw) {
    if (parameters.empty()) {
      RunText(raw, sql, &attempt);
    } else {
      RunPrepared(raw, connection.statements(), sql, parameters, &attempt);
    }
  });
  if (error) {
    // An error of the server's, also in the middle of a result, has undone the statement.
    bool took_effect = attempt.took_effect && error->number == 0;
    return StatementFailure{.error = std::move(*error), .took_effect = took_effect};
  }
  if (attempt.too_large) {
    return StatementFailure{.error = {.message = *std::move(attempt.too_large)},
                            .took_effect = true,
                            .too_large = true};
  }
  if (attempt.needs_count) {
    auto count = connection.Query("SELECT ROW_COUNT()");
    if (auto* rows = std::get_if<std::vector<Row>>(&count)) {
      long long affected = std::atoll((*rows)[0][0].value_or("0").c_str());
      attempt.result.rows_affected = affected < 0 ? 0 : static_cast<uint64_t>(affected);
    }
  }
  if (!attempt.result.columns.empty()) {
    std::string verb = FirstWord(sql);
    // DML with RETURNING: the library's count is that of a query.
    bool changes = verb == "INSERT" || verb == "REPLACE" || verb == "DELETE" || verb == "UPDATE";
    attempt.result.rows_affected = changes ? attempt.result.rows.size() : 0;
  }
  return std::move(attempt.result);
}

std::string NoSelectLimitSetting() {
  return "sql_select_limit=(SELECT 18446744073709551615 FROM (SELECT 1) one)";
}

std::string SelectLimitSetting() {
  return "sql_select_limit=" + std::to_string(kResultRowsMax + 1);
}

}  // namespace assent::adapters::mysql
