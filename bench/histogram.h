// Latencies in buckets of about 1.6 % of their value.
//
// A value below 64 has its own bucket; above, each power of two is split into 64 equal ones, so
// a bucket's number is the position of the top bit and the six bits below it. Recording is a shift
// and an addition, and costs the load generator nothing that shows.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>

namespace torc::bench {

class Histogram {
 public:
  void Record(uint64_t value, uint64_t count) {
    buckets_[BucketOf(value)] += count;
    count_ += count;
    if (count != 0) max_ = std::max(max_, value);
  }

  uint64_t count() const { return count_; }
  uint64_t max() const { return max_; }

  // The highest value of the bucket in which the given share of the values ends, at most max();
  // 0 when nothing was recorded. `percentile` is in (0, 100].
  uint64_t Percentile(double percentile) const {
    const double wanted = static_cast<double>(count_) * percentile / 100;
    uint64_t seen = 0;
    for (size_t bucket = 0; bucket < buckets_.size(); ++bucket) {
      seen += buckets_[bucket];
      if (seen != 0 && static_cast<double>(seen) >= wanted) {
        return std::min(max_, HighestOf(bucket));
      }
    }
    return max_;
  }

 private:
  static constexpr unsigned kSplitBits = 6;
  static constexpr uint64_t kSplit = uint64_t{1} << kSplitBits;

  static constexpr size_t BucketOf(uint64_t value) {
    if (value < kSplit) return value;
    const unsigned shift = static_cast<unsigned>(std::bit_width(value)) - kSplitBits - 1;
    return (size_t{shift} << kSplitBits) + (value >> shift);
  }

  static constexpr uint64_t HighestOf(size_t bucket) {
    if (bucket < kSplit) return bucket;
    const unsigned shift = static_cast<unsigned>(bucket >> kSplitBits) - 1;
    const uint64_t top = (bucket & (kSplit - 1)) + kSplit;
    return ((top + 1) << shift) - 1;
  }

  std::array<uint64_t, (64 - kSplitBits + 1) * kSplit> buckets_{};
  uint64_t count_ = 0;
  uint64_t max_ = 0;
};

}  // namespace torc::bench
