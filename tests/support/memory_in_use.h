// Resident memory of a process, in bytes, from /proc. Under AddressSanitizer, which keeps what was
// freed, it tells nothing and is 0.
#pragma once

#include <sys/types.h>
#include <unistd.h>

#include <fstream>
#include <string>

namespace assent::test_support {

inline size_t MemoryOf(pid_t pid, const std::string& field) {
  size_t kilobytes = 0;
#if !defined(__SANITIZE_ADDRESS__)
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string word; status >> word;) {
    if (word == field + ":" && status >> kilobytes) break;
  }
#else
  (void)pid, (void)field;
#endif
  return kilobytes << 10;
}

inline size_t MemoryInUse(pid_t pid = getpid()) { return MemoryOf(pid, "VmRSS"); }
// The most that was ever in use.
inline size_t MemoryPeak(pid_t pid) { return MemoryOf(pid, "VmHWM"); }

}  // namespace assent::test_support
