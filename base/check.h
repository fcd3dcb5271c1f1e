// ASSENT_CHECK: a broken invariant is a bug, and going on would risk data. On in release builds.
#pragma once

namespace assent {
// Prints the condition and where it stood, then aborts the process.
[[noreturn]] void CheckFailed(const char* condition, const char* file, int line);
}  // namespace assent

#define ASSENT_CHECK(condition) \
  ((condition) ? (void)0 : ::assent::CheckFailed(#condition, __FILE__, __LINE__))
