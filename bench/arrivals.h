// When requests of an open loop are due.
//
//   even     every 1 / rate seconds
//   poisson  independent of each other: the gaps are exponential with a mean of 1 / rate
//
// A request is due at its time whether or not those before it are answered: a server that stands
// still for 20 ms keeps all that was due meanwhile waiting, and the latencies say so.
//
// Owner: the load. Affinity: one thread. Lifetime: the run. Invariant: times do not decrease.
#pragma once

#include <cmath>
#include <cstdint>

#include "bench/random.h"

namespace torc::bench {

enum class ArrivalKind : uint8_t { kPoisson, kEven };

class Arrivals {
 public:
  // The first request is due a gap after `begin_ns`. Requires rate > 0, in requests a second.
  Arrivals(ArrivalKind kind, double rate, uint64_t begin_ns, uint64_t seed)
      : kind_(kind), gap_ns_(1e9 / rate), begin_ns_(begin_ns), random_(Mix(seed)) {
    Advance();
  }

  // When the next request is due.
  uint64_t due_ns() const { return due_ns_; }

  // Goes on to the request after it.
  void Advance() {
    // Sums of doubles since the beginning: a year of nanoseconds still leaves a precision of 4 ns,
    // and rounding each gap to a whole one would miss the rate at millions a second.
    elapsed_ns_ +=
        kind_ == ArrivalKind::kEven ? gap_ns_ : -gap_ns_ * std::log1p(-random_.Fraction());
    due_ns_ = begin_ns_ + static_cast<uint64_t>(elapsed_ns_);
  }

 private:
  ArrivalKind kind_;
  double gap_ns_;
  uint64_t begin_ns_;
  double elapsed_ns_ = 0;
  uint64_t due_ns_ = 0;
  Random random_;
};

}  // namespace torc::bench
