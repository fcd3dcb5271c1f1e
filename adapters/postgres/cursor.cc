#include "adapters/postgres/cursor.h"

#include <algorithm>

#include "adapters/postgres/values.h"

namespace assent::adapters::postgres {
namespace {

constexpr char kName[] = "assent_stream";

}  // namespace

size_t NextBatchRows(size_t rows, size_t row_bytes_max) {
  // Not at once from a few small rows to very many.
  constexpr size_t kGrowth = 8;
  const size_t fit = kBatchBytes / std::max<size_t>(row_bytes_max, 1);
  return std::clamp<size_t>(std::min(fit, rows * kGrowth), 1, kBatchRowsMax);
}

Outcome<pqxx::result> Cursor::Open(const std::string& sql,
                                   const std::vector<const char*>& parameters) {
  return connection_.RunOne(std::string("DECLARE ") + kName + " NO SCROLL CURSOR FOR " + sql,
                            parameters);
}

Outcome<pqxx::result> Cursor::Fetch() {
  auto answer = connection_.Run("FETCH " + std::to_string(batch_rows_) + " FROM " + kName);
  if (auto* rows = std::get_if<pqxx::result>(&answer)) {
    at_end_ = static_cast<size_t>(rows->size()) < batch_rows_;
    size_t row_bytes_max = 0;
    for (const pqxx::row& row : *rows) row_bytes_max = std::max(row_bytes_max, BytesOf(row));
    batch_rows_ = NextBatchRows(batch_rows_, row_bytes_max);
  }
  return answer;
}

Outcome<pqxx::result> Cursor::Close() { return connection_.Run(std::string("CLOSE ") + kName); }

}  // namespace assent::adapters::postgres
