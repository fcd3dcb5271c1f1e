// Named numbers of one measurement, in the order in which tables show them.
#pragma once

#include <string>
#include <vector>

namespace assent::bench {

struct Figure {
  std::string name;
  double value = 0;
};
using Figures = std::vector<Figure>;

// What each rose by from `before` to `after`, divided by `by`. A name that `before` lacks is left
// out.
inline Figures Risen(const Figures& before, const Figures& after, double by) {
  Figures risen;
  for (const Figure& end : after) {
    for (const Figure& start : before) {
      if (start.name == end.name) risen.push_back({end.name, (end.value - start.value) / by});
    }
  }
  return risen;
}

}  // namespace assent::bench
