#include "tests/bench/histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace assent::bench {

// Below kFine each microsecond has a bucket; from there on each power of two has kFine of them.
size_t Histogram::BucketOf(uint64_t us) {
  if (us < kFine) return us;
  const int shift = std::bit_width(us) - 1 - kFineBits;
  const size_t bucket = static_cast<size_t>(shift) * kFine + (us >> shift);
  return std::min(bucket, kBuckets - 1);
}

uint64_t Histogram::EndOf(size_t bucket) {
  if (bucket < kFine) return bucket;
  const size_t shift = bucket / kFine - 1;
  return ((kFine + bucket % kFine + 1) << shift) - 1;
}

void Histogram::Add(std::chrono::nanoseconds duration) {
  const auto us = std::chrono::ceil<std::chrono::microseconds>(duration).count();
  ++buckets_[BucketOf(us < 1 ? 1 : static_cast<uint64_t>(us))];
  ++count_;
}

void Histogram::Merge(const Histogram& other) {
  for (size_t i = 0; i < kBuckets; ++i) buckets_[i] += other.buckets_[i];
  count_ += other.count_;
}

std::chrono::microseconds Histogram::Quantile(double share) const {
  if (count_ == 0) return std::chrono::microseconds(0);
  const auto wanted = std::clamp<uint64_t>(
      static_cast<uint64_t>(std::ceil(share * static_cast<double>(count_))), 1, count_);
  uint64_t seen = 0;
  size_t bucket = 0;
  for (; bucket < kBuckets; ++bucket) {
    seen += buckets_[bucket];
    if (seen >= wanted) break;
  }
  return std::chrono::microseconds(EndOf(bucket));
}

}  // namespace assent::bench
