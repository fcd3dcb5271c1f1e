#include "base/failpoint.h"

#if defined(ASSENT_FAILPOINTS)

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>

namespace assent::failpoint {
namespace {

struct StopAt {
  std::string step;
  std::string file;
  int visit = 1;
};

StopAt FromEnvironment() {
  StopAt stop;
  const char* at = std::getenv("ASSENT_STOP_AT");
  const char* file = std::getenv("ASSENT_STOP_FILE");
  if (at == nullptr || file == nullptr) return stop;
  stop.step = at;
  stop.file = file;
  if (size_t colon = stop.step.find(':'); colon != std::string::npos) {
    stop.visit = std::atoi(stop.step.c_str() + colon + 1);
    stop.step.resize(colon);
  }
  return stop;
}

// The report must appear whole: written beside, then renamed.
void Report(const StopAt& stop) {
  std::string temporary = stop.file + ".tmp";
  if (std::FILE* out = std::fopen(temporary.c_str(), "w")) {
    std::fputs(stop.step.c_str(), out);
    std::fclose(out);
    std::rename(temporary.c_str(), stop.file.c_str());
  }
}

}  // namespace

void Reached(std::string_view step) {
  static const StopAt stop = FromEnvironment();
  static std::atomic<int> visits{0};
  if (stop.step != step) return;
  if (visits.fetch_add(1) + 1 != stop.visit) return;
  Report(stop);
  while (access(stop.file.c_str(), F_OK) == 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

}  // namespace assent::failpoint

#endif
