// Values in and out. Only for use within Connection::Guarded: the library throws.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <memory>
#include <string>
#include <vector>

#include "adapters/resource_manager.h"

namespace sql {
class Connection;
class PreparedStatement;
class ResultSet;
class ResultSetMetaData;
}  // namespace sql

namespace assent::adapters::mysql {

std::vector<Column> ColumnsOf(sql::ResultSetMetaData& meta);
// The row that the result stands at.
std::vector<Value> ReadRow(sql::ResultSet& result, sql::ResultSetMetaData& meta);

// Streams of bound bytes; the library reads them when the statement runs.
using BoundStreams = std::vector<std::unique_ptr<std::istream>>;
// Binds to the placeholders from `first` (1: the first of all).
BoundStreams Bind(const std::vector<Value>& values, uint32_t first,
                  sql::PreparedStatement& statement);

// For a statement with parameters whose results are to come as text: parameters and statement go
// into user variables, as binary as ever, and the server takes both from there when the answer is
// run.
std::string IntoVariables(sql::Connection& connection, const std::string& sql,
                          const std::vector<Value>& parameters);

}  // namespace assent::adapters::mysql
