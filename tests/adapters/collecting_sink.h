// Takes the rows of a stream, and watches what they cost.
#pragma once

#include <algorithm>
#include <functional>
#include <limits>
#include <utility>
#include <vector>

#include "adapters/resource_manager.h"
#include "tests/support/memory_in_use.h"

namespace assent::adapters {

class CollectingSink final : public RowSink {
 public:
  bool Columns(std::vector<Column> given) override {
    ++columns_calls;
    columns = std::move(given);
    return true;
  }
  bool Row(std::vector<Value> values) override {
    ++count;
    if (rows.size() < rows_kept_max) rows.push_back(values);
    last = std::move(values);
    if (count % 1000 == 1) memory_max = std::max(memory_max, test_support::MemoryInUse());
    if (on_row) on_row(count);
    return count < rows_wanted;
  }
  // Over what was in use when the sink was made.
  size_t memory_growth() const { return memory_max - std::min(memory_max, memory_before); }

  size_t rows_wanted = std::numeric_limits<size_t>::max();
  size_t rows_kept_max = 100;
  std::function<void(size_t count)> on_row;

  int columns_calls = 0;
  std::vector<Column> columns;
  std::vector<std::vector<Value>> rows;  // The first.
  std::vector<Value> last;
  size_t count = 0;

 private:
  const size_t memory_before = test_support::MemoryInUse();
  size_t memory_max = 0;
};

}  // namespace assent::adapters
