#include "base/mutant.h"

#if defined(ASSENT_FAILPOINTS)

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace assent {
namespace {

constexpr int kNone = -1;

int FromEnvironment() {
  const char* wanted = std::getenv("ASSENT_MUTANT");
  if (wanted == nullptr || *wanted == '\0') return kNone;
#define X(id, name) \
  if (std::string_view(wanted) == name) return static_cast<int>(Mutant::id);
  ASSENT_MUTANTS(X)
#undef X
  // A misspelt mutant would make a test of a seeded bug pass for the wrong reason.
  std::fprintf(stderr, "ASSENT_MUTANT=%s names no seeded bug; see base/mutant.h\n", wanted);
  std::abort();
}

std::atomic<int>& Current() {
  static std::atomic<int> current{FromEnvironment()};
  return current;
}

}  // namespace

bool MutantOn(Mutant mutant) {
  return Current().load(std::memory_order_relaxed) == static_cast<int>(mutant);
}

ScopedMutant::ScopedMutant(Mutant mutant) { Current() = static_cast<int>(mutant); }
ScopedMutant::~ScopedMutant() { Current() = kNone; }

}  // namespace assent

#endif
