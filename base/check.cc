#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace assent {
void CheckFailed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "check_failed %s:%d: %s\n", file, line, condition);
  std::fflush(stderr);
  std::abort();
}
}  // namespace assent
