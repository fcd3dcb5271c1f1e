// Values that go into statements and come out of results. Plain values: copy them as you like; one
// object is not to be changed by one thread while another uses it.
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/status.h"

namespace assent::client {

// Bytes that are not text (bytea, BLOB).
struct Bytes {
  std::string value;
  bool operator==(const Bytes&) const = default;
};

// A parameter or a field of a result: NULL, a boolean, an integer, a real, text (UTF-8) or bytes.
// Decimals, dates and every other type travel as the database's own text form, so that nothing is
// rounded: pass "12.50" for a decimal, and read it back with AsText.
class Value {
 public:
  using Kind = std::variant<std::monostate, bool, int64_t, double, std::string, Bytes>;

  Value() = default;  // NULL.
  Value(std::nullptr_t) {}
  Value(std::nullopt_t) {}
  Value(bool value) : kind_(value) {}
  // An unsigned number above the largest int64 travels as text.
  template <std::integral Integer>
  requires(!std::same_as<Integer, bool> && !std::same_as<Integer, char>) Value(Integer value) {
    if (std::in_range<int64_t>(value)) {
      kind_ = static_cast<int64_t>(value);
    } else {
      kind_ = std::to_string(value);
    }
  }
  Value(double value) : kind_(value) {}
  Value(const char* value) : kind_(std::string(value)) {}
  Value(std::string_view value) : kind_(std::string(value)) {}
  Value(std::string value) : kind_(std::move(value)) {}
  Value(Bytes value) : kind_(std::move(value)) {}
  template <typename T>
  Value(const std::optional<T>& value) {
    if (value) *this = Value(*value);
  }

  bool is_null() const { return kind_.index() == 0; }
  const Kind& kind() const { return kind_; }

  // Each answers FAILED_PRECONDITION for NULL and OUT_OF_RANGE when the value has no such form.
  // Text that spells exactly a number (a NUMERIC, an unsigned BIGINT) converts; nothing is rounded,
  // cut or guessed.
  Result<int64_t> AsInt64() const;
  Result<double> AsDouble() const;
  // Integers 0 and 1 and the texts t, f, true, false count as booleans: MySQL and MariaDB have none
  // of their own.
  Result<bool> AsBool() const;
  // The text form of anything but bytes that are not text.
  Result<std::string> AsText() const;
  // Bytes, or the bytes of a text.
  Result<std::string> AsBytes() const;

  // For logs and messages: NULL, the value, or "<n bytes>".
  std::string ToString() const;

  bool operator==(const Value&) const = default;

 private:
  Kind kind_;
};

struct Column {
  std::string name;
  std::string type;  // The database's own name for it; informative.
};

using Row = std::vector<Value>;

// What one statement answered.
struct ResultSet {
  std::vector<Column> columns;  // Empty for statements that return no rows.
  std::vector<Row> rows;
  uint64_t rows_affected = 0;

  bool empty() const { return rows.empty(); }

  // The field of a row (from 0) by its column's name. NOT_FOUND: no such column; OUT_OF_RANGE: no
  // such row. The message says which there are.
  Result<Value> At(size_t row, std::string_view column) const;

  // The only field of the only row. OUT_OF_RANGE if the result has another shape.
  Result<Value> Scalar() const;
};

// A statement with the database's own placeholders: $1, $2 on PostgreSQL, ? on MySQL and MariaDB.
// At most 1 MiB. Statements that begin or end transactions are refused.
struct Statement {
  std::string sql;
  std::vector<Value> parameters;
  // A failure undoes only this statement. Otherwise it dooms the whole transaction, on every
  // database alike.
  bool keep_on_error = false;
};

}  // namespace assent::client
