#include "base/random.h"

#include <sys/random.h>

#include <cerrno>
#include <cstdio>

#include "base/check.h"

namespace assent {

uint64_t SystemRandom64() {
  uint64_t bits = 0;
  ssize_t got = 0;
  do {
    got = getrandom(&bits, sizeof bits, 0);
  } while (got < 0 && errno == EINTR);
  ASSENT_CHECK(got == sizeof bits);  // Small requests are never cut short (getrandom(2)).
  return bits;
}

std::string RandomUuid() {
  uint64_t high = (SystemRandom64() & ~0xF000ull) | 0x4000ull;
  uint64_t low = (SystemRandom64() & ~(3ull << 62)) | 1ull << 63;
  char text[37];
  std::snprintf(text, sizeof text, "%08x-%04x-%04x-%04x-%012llx", static_cast<unsigned>(high >> 32),
                static_cast<unsigned>(high >> 16 & 0xFFFF), static_cast<unsigned>(high & 0xFFFF),
                static_cast<unsigned>(low >> 48),
                static_cast<unsigned long long>(low & 0xFFFFFFFFFFFFull));
  return text;
}

}  // namespace assent
