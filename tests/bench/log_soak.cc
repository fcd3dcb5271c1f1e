#include "tests/bench/log_soak.h"

#include <csignal>
#include <cstdio>
#include <string>
#include <vector>

#include "tests/bench/log_group.h"
#include "tests/bench/soak_judge.h"
#include "tests/support/temp_dir.h"

namespace assent::bench {
namespace {

using std::chrono::steady_clock;

constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kSnapshotAfterBytes = 64 * kMiB;
// What a node holds by its options (txlog/raft/options.h), with room for what the allocator keeps:
// the cache, what is uncommitted, what waits to be applied, a snapshot or two.
constexpr uint64_t kResidentBytesMax = 128 * kMiB;
// The log up to the snapshot that is asked for, as much again until it is written, segments that
// are not full, the one that is made ahead, two snapshots. Entries have up to a quarter more on
// disk.
constexpr uint64_t kDiskBytesMax = 3 * kSnapshotAfterBytes + 64 * kMiB;
constexpr size_t kInFlight = 512;
constexpr std::chrono::seconds kInterval{5};
// Of the 100,000 and more that two processors do: less proves nothing about memory under load.
constexpr double kPerSecondMin = 1000;

int Fail(const std::string& what) {
  std::fprintf(stderr, "soak: FAILED: %s\n", what.c_str());
  return 1;
}

}  // namespace

int SoakLog(std::chrono::duration<double, std::ratio<60>> length) {
  test_support::TempDir dir;
  auto started = LogGroup::StartOurs(
      {.directory = dir.path(), .nodes = 3, .snapshot_after_bytes = kSnapshotAfterBytes});
  if (!started.ok()) return Fail(started.status().message());
  LogGroup& group = **started;
  const auto leader = group.Leader();
  if (!leader.ok()) return Fail(leader.status().message());
  const size_t dead = (*leader + 1) % group.size();
  // At first it only hangs: its connection stays, and takes nothing.
  group.node(dead).Signal(SIGSTOP);

  SoakJudge judge({.per_second_min = kPerSecondMin,
                   .memory_bytes_max = kResidentBytesMax,
                   .disk_bytes_max = kDiskBytesMax,
                   .living = group.size() - 1});
  const auto begin = steady_clock::now();
  for (auto now = begin; now - begin < length; now = steady_clock::now()) {
    if (now - begin > length / 2 && group.node(dead).Running()) group.node(dead).Kill9();
    const auto rates = group.LoadInside(
        {.in_flight = kInFlight, .warm_up = std::chrono::milliseconds(0), .length = kInterval});
    if (!rates.ok()) return Fail(rates.status().message());
    std::printf("%4.0f s %8.0f entries/s", std::chrono::duration<double>(now - begin).count(),
                rates->per_second);
    std::vector<NodeUse> living;
    for (size_t i = 0; i < group.size(); ++i) {
      if (i == dead) continue;
      living.push_back(
          {i + 1, ResidentBytes(group.node(i).pid()), DirectoryBytes(group.directory(i))});
      std::printf("  node %zu: memory %4llu MiB, disk %4llu MiB", i + 1,
                  static_cast<unsigned long long>(living.back().memory_bytes / kMiB),
                  static_cast<unsigned long long>(living.back().disk_bytes / kMiB));
    }
    std::printf("\n");
    std::fflush(stdout);
    const double seconds = std::chrono::duration<double>(kInterval).count();
    if (std::string wrong = judge.Add(seconds, rates->per_second, living); !wrong.empty()) {
      return Fail(wrong);
    }
  }
  if (std::string wrong = judge.Verdict(); !wrong.empty()) return Fail(wrong);
  std::printf("soak: ok %s\n", judge.Summary().c_str());
  return 0;
}

}  // namespace assent::bench
