// Latencies, to within 0.1 % of each, from 1 ns to 1,000 s, with percentiles out to the last.
//
// The buckets are Boost.Histogram's: an axis of equal steps of the logarithm. (What everyone uses
// for this is HdrHistogram's C library; Debian 12 does not have it, and the shape is the same: a
// bounded relative error at a fixed size.) Recording costs a logarithm, some 10 ns; the load
// generator records once for each part of a batch that is answered, not for each request.
//
// Owner: whoever measures. Affinity: one thread. Lifetime: any.
// Invariant: the buckets' counts add up to count().
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

namespace torc::bench {

class Histogram {
 public:
  Histogram();
  ~Histogram();
  Histogram(const Histogram& other);
  Histogram& operator=(const Histogram& other);

  // Adds `count` values of `value`.
  void Record(uint64_t value, uint64_t count);

  uint64_t count() const { return count_; }
  uint64_t max() const { return max_; }
  double Mean() const;

  // A value that is at most 0.1 % above the one at which the given share of the values ends, and
  // not above max(); 0 when nothing was recorded. `percentile` is in (0, 100].
  uint64_t Percentile(double percentile) const;

  // Of each bucket that is not empty: its highest value, at most max(), and how many values are in
  // it and those below.
  struct Step {
    uint64_t value;
    uint64_t count;
  };
  std::vector<Step> Distribution() const;

 private:
  struct Buckets;

  std::unique_ptr<Buckets> buckets_;
  uint64_t count_ = 0;
  uint64_t max_ = 0;
  double sum_ = 0;
};

}  // namespace torc::bench
