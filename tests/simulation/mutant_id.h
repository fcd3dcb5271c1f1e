// Seeded bugs by name, for tests that have a case for each.
#pragma once

#include <string>

#include "base/mutant.h"

namespace assent::simulation {

// As it stands in the source, such as "kRaftDoubleVote".
inline std::string IdOf(Mutant mutant) {
  switch (mutant) {
#define X(id, name) \
  case Mutant::id:  \
    return #id;
    ASSENT_MUTANTS(X)
#undef X
  }
  return {};
}

}  // namespace assent::simulation
