#include "adapters/mysql/values.h"

#include <cppconn/connection.h>
#include <cppconn/datatype.h>
#include <cppconn/prepared_statement.h>
#include <cppconn/resultset.h>
#include <cppconn/resultset_metadata.h>
#include <cppconn/statement.h>

#include <charconv>
#include <limits>
#include <sstream>
#include <utility>

namespace assent::adapters::mysql {
namespace {

std::string Copy(const sql::SQLString& text) { return std::string(text.c_str(), text.length()); }

// A FLOAT arrives as text in one protocol and as four bytes in the other; its shortest decimal form
// is the same number in both.
double Widen(float narrow) {
  char text[32];
  auto written = std::to_chars(text, text + sizeof text, narrow);
  double wide = narrow;
  std::from_chars(text, written.ptr, wide);
  return wide;
}

Value ReadUnsigned(uint64_t number) {
  if (number > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
    return std::to_string(number);
  }
  return static_cast<int64_t>(number);
}

Value ReadValue(sql::ResultSet& result, sql::ResultSetMetaData& meta, uint32_t i) {
  // Only after a read does isNull speak of this row in every protocol.
  sql::SQLString text = result.getString(i);
  if (result.isNull(i)) return std::monostate{};
  switch (meta.getColumnType(i)) {
    case sql::DataType::SQLNULL:
      return std::monostate{};
    case sql::DataType::BIT:
      return ReadUnsigned(result.getUInt64(i));
    case sql::DataType::TINYINT:
    case sql::DataType::SMALLINT:
    case sql::DataType::MEDIUMINT:
    case sql::DataType::INTEGER:
    case sql::DataType::BIGINT:
    case sql::DataType::YEAR:
      if (meta.isSigned(i)) return result.getInt64(i);
      return ReadUnsigned(result.getUInt64(i));
    case sql::DataType::REAL:
      return Widen(static_cast<float>(result.getDouble(i)));
    case sql::DataType::DOUBLE:
      return static_cast<double>(result.getDouble(i));
    case sql::DataType::BINARY:
    case sql::DataType::VARBINARY:
    case sql::DataType::LONGVARBINARY:
    case sql::DataType::GEOMETRY:
      return Bytes{Copy(text)};
  }
  return Copy(text);
}

class Binder {
 public:
  Binder(sql::PreparedStatement& statement, uint32_t index)
      : statement_(statement), index_(index) {}

  std::unique_ptr<std::istream> Bind(const Value& value) {
    std::visit([this](const auto& v) { Set(v); }, value);
    return std::move(stream_);
  }

 private:
  void Set(std::monostate) { statement_.setNull(index_, sql::DataType::SQLNULL); }
  void Set(bool value) { statement_.setInt(index_, value ? 1 : 0); }
  void Set(int64_t value) { statement_.setInt64(index_, value); }
  void Set(double value) { statement_.setDouble(index_, value); }
  void Set(const std::string& value) { statement_.setString(index_, value); }
  // As a blob: a string would be declared UTF-8, which bytes need not be.
  void Set(const Bytes& value) {
    stream_ = std::make_unique<std::istringstream>(value.value);
    statement_.setBlob(index_, stream_.get());
  }

  sql::PreparedStatement& statement_;
  uint32_t index_;
  std::unique_ptr<std::istream> stream_;
};

}  // namespace

std::vector<Column> ColumnsOf(sql::ResultSetMetaData& meta) {
  std::vector<Column> columns;
  for (uint32_t i = 1; i <= meta.getColumnCount(); ++i) {
    columns.push_back(
        {.name = Copy(meta.getColumnLabel(i)), .type = Copy(meta.getColumnTypeName(i))});
  }
  return columns;
}

std::vector<Value> ReadRow(sql::ResultSet& result, sql::ResultSetMetaData& meta) {
  const uint32_t columns = meta.getColumnCount();
  std::vector<Value> row;
  row.reserve(columns);
  for (uint32_t i = 1; i <= columns; ++i) row.push_back(ReadValue(result, meta, i));
  return row;
}

BoundStreams Bind(const std::vector<Value>& values, uint32_t first,
                  sql::PreparedStatement& statement) {
  BoundStreams streams;
  for (const Value& value : values) streams.push_back(Binder(statement, first++).Bind(value));
  return streams;
}

std::string IntoVariables(sql::Connection& connection, const std::string& sql,
                          const std::vector<Value>& parameters) {
  std::string set = "SET @assent_sql = ?", execute = "EXECUTE assent_sql USING ";
  for (size_t i = 0; i < parameters.size(); ++i) {
    const std::string variable = "@assent_" + std::to_string(i + 1);
    set += ", " + variable + " = ?";
    execute += (i == 0 ? "" : ", ") + variable;
  }
  std::unique_ptr<sql::PreparedStatement> variables(connection.prepareStatement(set));
  const BoundStreams of_sql = Bind({sql}, 1, *variables);
  const BoundStreams of_parameters = Bind(parameters, 2, *variables);
  variables->executeUpdate();
  std::unique_ptr<sql::Statement> prepare(connection.createStatement());
  prepare->execute("PREPARE assent_sql FROM @assent_sql");  // In place of the one before.
  return execute;
}

}  // namespace assent::adapters::mysql
