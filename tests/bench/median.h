// The middle one of several.
#pragma once

#include <algorithm>
#include <vector>

namespace assent::bench {

// Between the two in the middle of an even number. `values` must not be empty.
template <typename T>
T Median(std::vector<T> values) {
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  if (values.size() % 2 == 1) return values[half];
  return (values[half - 1] + values[half]) / 2;
}

}  // namespace assent::bench
