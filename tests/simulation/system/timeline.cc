#include "tests/simulation/system/timeline.h"

#include <cstdio>

namespace assent::simulation {
namespace {

constexpr size_t kLinesKept = 200;

}  // namespace

bool Timeline::RunOne(Micros end) {
  if (queue_.empty() || queue_.begin()->first.first > end) {
    now_ = end;
    return false;
  }
  auto next = queue_.extract(queue_.begin());
  now_ = next.key().first;
  ++steps_;
  next.mapped()();
  return true;
}

void Timeline::Keep(const std::string& line) {
  char time[32];
  std::snprintf(time, sizeof(time), "%10.3f ms  ", static_cast<double>(now_) / kMilli);
  lines_.push_back(time + line);
  if (printing_) std::printf("%s\n", lines_.back().c_str());
  if (lines_.size() > kLinesKept) lines_.pop_front();
}

std::string Timeline::Tail() const {
  std::string tail;
  for (const std::string& line : lines_) tail += line + "\n";
  return tail;
}

}  // namespace assent::simulation
