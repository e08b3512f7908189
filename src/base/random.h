// Dice from a seed: every choice of a simulated run, and of the kernel in it, comes from one
// number.
//
// Owner: whoever draws. Affinity: one thread. Lifetime: a value. Invariant: the same seed and the
// same calls give the same numbers, on every machine.
#ifndef TORC_SRC_BASE_RANDOM_H_
#define TORC_SRC_BASE_RANDOM_H_

#include <cstdint>

#include "src/base/assert.h"

namespace torc {

// splitmix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t Next() {
    uint64_t z = state_ += 0x9E3779B97F4A7C15;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    return z ^ (z >> 31);
  }
  // 0 up to `bound`, exclusive. Requires bound > 0.
  uint64_t Below(uint64_t bound) {
    CHECK(bound > 0);
    return Next() % bound;
  }
  // `low` up to `high`, both inclusive.
  uint64_t Between(uint64_t low, uint64_t high) { return low + Below(high - low + 1); }
  bool Chance(uint32_t out_of_thousand) {
    return out_of_thousand != 0 && Below(1000) < out_of_thousand;
  }
  // A seed for another one.
  uint64_t Fork() { return Next() ^ 0x5851F42D4C957F2D; }

 private:
  uint64_t state_;
};

}  // namespace torc

#endif  // TORC_SRC_BASE_RANDOM_H_
