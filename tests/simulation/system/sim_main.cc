// assent-sim --seeds A..B [--minutes M] [--jobs N] [--trace]: one story for each seed, until M
// minutes have passed. A failure prints the seed, what went wrong and the last steps, and replays
// exactly: --seeds N..N --trace prints every step.
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "tests/simulation/system/system_story.h"

namespace {

using assent::simulation::SystemStory;
using assent::simulation::Tracing;

struct Arguments {
  uint64_t first = 0;
  uint64_t last = 0;
  uint64_t jobs = 1;
  uint64_t minutes = 0;  // 0: as long as it takes.
  bool trace = false;
};

int Usage() {
  std::fprintf(stderr, "usage: assent-sim --seeds A..B [--minutes M] [--jobs N] [--trace]\n");
  return 2;
}

bool Parse(int argc, char** argv, Arguments* arguments) {
  bool seeds = false;
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    if (flag == "--trace") {
      arguments->trace = true;
    } else if (i + 1 == argc) {
      return false;
    } else if (flag == "--seeds") {
      char* end = nullptr;
      arguments->first = std::strtoull(argv[++i], &end, 10);
      if (std::strncmp(end, "..", 2) != 0) return false;
      arguments->last = std::strtoull(end + 2, &end, 10);
      seeds = *end == '\0' && arguments->first <= arguments->last;
    } else if (flag == "--minutes") {
      arguments->minutes = std::strtoull(argv[++i], nullptr, 10);
    } else if (flag == "--jobs") {
      arguments->jobs = std::strtoull(argv[++i], nullptr, 10);
    } else {
      return false;
    }
  }
  return seeds && arguments->jobs >= 1 && arguments->jobs <= 64;
}

// Every `step`-th seed, as long as there is time. The number of those that failed.
int RunShare(const Arguments& arguments, uint64_t from, uint64_t step) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(arguments.minutes);
  int failed = 0;
  SystemStory::Met met;
  uint64_t stories = 0;
  for (uint64_t seed = from; seed <= arguments.last; seed += step) {
    if (arguments.minutes > 0 && std::chrono::steady_clock::now() >= end) break;
    SystemStory story(seed, arguments.trace ? Tracing::kPrint : Tracing::kNone);
    const std::string wrong = story.Run();
    met += story.met();
    ++stories;
    if (wrong.empty()) continue;
    ++failed;
    SystemStory again(seed, Tracing::kTail);
    const std::string same = again.Run();
    std::printf("seed %llu: %s\n%s%s", static_cast<unsigned long long>(seed), wrong.c_str(),
                again.tail().c_str(),
                same == wrong ? "" : "THE SAME SEED ENDED OTHERWISE THE SECOND TIME\n");
    std::fflush(stdout);
  }
  std::printf(
      "stories=%llu failed=%d steps=%zu committed=%zu told=%zu terms=%zu node_crashes=%zu "
      "agent_crashes=%zu database_crashes=%zu disk_faults=%zu refused_starts=%zu installed=%zu "
      "changes=%zu cuts=%zu\n",
      static_cast<unsigned long long>(stories), failed, met.steps, met.committed, met.told,
      met.terms, met.node_crashes, met.agent_crashes, met.database_crashes, met.disk_faults,
      met.refused_starts, met.installed, met.changes, met.cuts);
  std::fflush(stdout);
  return failed;
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  if (!Parse(argc, argv, &arguments)) return Usage();
  // The coordinators' own log, which a trace makes easier to read and a campaign does not.
  if (!arguments.trace && std::freopen("/dev/null", "w", stderr) == nullptr) return 2;
  std::vector<pid_t> jobs;
  for (uint64_t i = 1; i < arguments.jobs; ++i) {
    const pid_t pid = fork();
    if (pid == 0) _exit(RunShare(arguments, arguments.first + i, arguments.jobs) == 0 ? 0 : 1);
    if (pid > 0) jobs.push_back(pid);
  }
  bool fine = jobs.size() == arguments.jobs - 1;
  fine = RunShare(arguments, arguments.first, arguments.jobs) == 0 && fine;
  for (pid_t pid : jobs) {
    int status = 0;
    fine = waitpid(pid, &status, 0) == pid && status == 0 && fine;
  }
  return fine ? 0 : 1;
}
