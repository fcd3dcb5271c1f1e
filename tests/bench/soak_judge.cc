#include "tests/bench/soak_judge.h"

#include <algorithm>
#include <cstdio>

namespace assent::bench {
namespace {

std::string MiB(uint64_t bytes) { return std::to_string(bytes >> 20) + " MiB"; }

std::string Rounded(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.0f", value);
  return text;
}

}  // namespace

std::string SoakJudge::Add(double seconds, double per_second, const std::vector<NodeUse>& living) {
  const std::string wrong = Judge(per_second, living);
  if (first_wrong_.empty()) first_wrong_ = wrong;
  slowest_ = intervals_ == 0 ? per_second : std::min(slowest_, per_second);
  ++intervals_;
  seconds_ += seconds;
  entries_ += seconds * per_second;
  for (const NodeUse& use : living) {
    memory_bytes_ = std::max(memory_bytes_, use.memory_bytes);
    disk_bytes_ = std::max(disk_bytes_, use.disk_bytes);
  }
  return wrong;
}

std::string SoakJudge::Judge(double per_second, const std::vector<NodeUse>& living) const {
  // A rate that is no number is none, either.
  if (!(per_second >= bounds_.per_second_min)) {
    return "an interval carried " + Rounded(per_second) + " entries/s; below " +
           Rounded(bounds_.per_second_min) + " it is no load";
  }
  if (living.size() != bounds_.living) {
    return std::to_string(living.size()) + " nodes were measured, not " +
           std::to_string(bounds_.living);
  }
  for (const NodeUse& use : living) {
    const std::string node = "node " + std::to_string(use.node);
    // Of a process that is gone, both are 0.
    if (use.memory_bytes == 0) return node + " holds no memory: it is gone";
    if (use.disk_bytes == 0) return node + " holds no file";
    if (use.memory_bytes > bounds_.memory_bytes_max) {
      return node + " holds " + MiB(use.memory_bytes) + " of memory, more than " +
             MiB(bounds_.memory_bytes_max);
    }
    if (use.disk_bytes > bounds_.disk_bytes_max) {
      return node + " holds " + MiB(use.disk_bytes) + " of disk, more than " +
             MiB(bounds_.disk_bytes_max);
    }
  }
  return "";
}

std::string SoakJudge::Verdict() const {
  return intervals_ == 0 ? "no interval was measured" : first_wrong_;
}

std::string SoakJudge::Summary() const {
  return "intervals=" + std::to_string(intervals_) + " entries=" + Rounded(entries_) +
         " per_second=" + Rounded(seconds_ > 0 ? entries_ / seconds_ : 0) +
         " slowest_per_second=" + Rounded(slowest_) +
         " memory_max_mib=" + std::to_string(memory_bytes_ >> 20) +
         " disk_max_mib=" + std::to_string(disk_bytes_ >> 20);
}

}  // namespace assent::bench
