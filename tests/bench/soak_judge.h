// What a soak of the log must keep to, interval by interval. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace assent::bench {

struct SoakBounds {
  // In each interval: with less, nothing is proven by the rest.
  double per_second_min = 0;
  uint64_t memory_bytes_max = 0;  // Resident, of a node.
  uint64_t disk_bytes_max = 0;    // All files of a node.
  size_t living = 0;              // Nodes that must be measured in each interval.
};

// What a living node holds at the end of an interval.
struct NodeUse {
  size_t node = 0;  // From 1.
  uint64_t memory_bytes = 0;
  uint64_t disk_bytes = 0;
};

// Not thread-safe.
class SoakJudge {
 public:
  explicit SoakJudge(const SoakBounds& bounds) : bounds_(bounds) {}

  // Takes an interval in. Answers what is wrong with it, with the figure and its bound; empty:
  // nothing.
  std::string Add(double seconds, double per_second, const std::vector<NodeUse>& living);

  // What is wrong with the whole: the first interval that was, or that there was none. Empty:
  // nothing.
  std::string Verdict() const;
  // The figures: intervals, entries, slowest interval, the most of memory and disk.
  std::string Summary() const;

 private:
  std::string Judge(double per_second, const std::vector<NodeUse>& living) const;

  const SoakBounds bounds_;
  size_t intervals_ = 0;
  double seconds_ = 0;
  double entries_ = 0;
  double slowest_ = 0;
  uint64_t memory_bytes_ = 0;
  uint64_t disk_bytes_ = 0;
  std::string first_wrong_;
};

}  // namespace assent::bench
