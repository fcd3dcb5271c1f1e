// Values in and out, in PostgreSQL's text format.
#pragma once

#include <optional>
#include <pqxx/pqxx>
#include <string>
#include <variant>
#include <vector>

#include "adapters/resource_manager.h"

namespace assent::adapters::postgres {

// Parameters as libpq wants them. Types are left to the server, which takes them from the context
// ($1::int where there is none).
class Parameters {
 public:
  explicit Parameters(const std::vector<Value>& values);
  // Valid for the life of this object; nullptr is NULL.
  const std::vector<const char*>& pointers() const { return pointers_; }
  // Number of the first parameter (from 1) whose text holds a NUL byte, which PostgreSQL can't
  // store and libpq would cut off without a word. 0: none.
  size_t number_with_nul() const { return number_with_nul_; }

 private:
  std::vector<std::string> texts_;
  std::vector<const char*> pointers_;
  size_t number_with_nul_ = 0;
};

// Typed by the columns' OIDs: bool, int2/4/8, float4/8, bytea; everything else is text.
std::vector<Column> ColumnsOf(const pqxx::result& result);
std::vector<Value> ValuesOf(const pqxx::row& row);
size_t BytesOf(const pqxx::row& row);  // As the server wrote it.
// Nothing if the result exceeds kResultRowsMax or kResultBytesMax.
std::optional<ResultSet> ToResultSet(const pqxx::result& result, bool count_rows);

}  // namespace assent::adapters::postgres
