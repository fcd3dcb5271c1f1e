// Rows of one query, a batch at a time, through a cursor of the server.
#pragma once

#include <cstddef>
#include <pqxx/pqxx>
#include <string>
#include <vector>

#include "adapters/postgres/connection.h"

namespace assent::adapters::postgres {

// How many rows to ask for next, when the last `rows` rows had `bytes` together, the largest of
// them `row_bytes_max`. A batch is meant to have kBatchBytes. Nobody knows the rows to come: if
// they are as large as those before, it has no more; it can have more only as far as they grow.
size_t NextBatchRows(size_t rows, size_t row_bytes_max);

inline constexpr size_t kFirstBatchRows = 8;
inline constexpr size_t kBatchRowsMax = 1024;
inline constexpr size_t kBatchBytes = 256 << 10;

// Within a transaction. Rolling back to before Open closes it, as the end of the transaction does;
// so there is no need to Close after a failure.
class Cursor {
 public:
  explicit Cursor(Connection& connection) : connection_(connection) {}

  // Fails for statements that no cursor takes, before they do anything.
  Outcome<pqxx::result> Open(const std::string& sql, const std::vector<const char*>& parameters);
  // Some more rows; the last of all if at_end() then.
  Outcome<pqxx::result> Fetch();
  Outcome<pqxx::result> Close();

  bool at_end() const { return at_end_; }

 private:
  Connection& connection_;
  size_t batch_rows_ = kFirstBatchRows;
  bool at_end_ = false;
};

}  // namespace assent::adapters::postgres
