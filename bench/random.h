// Random numbers from a seed, the same on every machine.
//
// Owner: whoever made it. Affinity: one thread. Lifetime: any. Invariant: none.
#pragma once

#include <cstdint>

namespace torc::bench {

// A step of splitmix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators").
inline uint64_t Mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t Next() { return Mix(state_++); }

  // Uniform in [0, limit) but for a bias below limit / 2^64 (Lemire's multiplication).
  uint64_t Below(uint64_t limit) {
    return static_cast<uint64_t>((static_cast<unsigned __int128>(Next()) * limit) >> 64);
  }

  // Uniform in [0, 1).
  double Fraction() { return static_cast<double>(Next() >> 11) * 0x1p-53; }

 private:
  uint64_t state_;
};

}  // namespace torc::bench
