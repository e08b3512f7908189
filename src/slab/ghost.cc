#include "src/slab/ghost.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace torc::slab {

Ghost::Ghost(size_t bytes)
    : count_(std::max<size_t>(bytes / sizeof(Bucket), 1)),
      buckets_(std::make_unique<Bucket[]>(count_)) {}

void Ghost::Add(uint64_t hash, Origin origin, uint64_t resident) {
  const uint64_t depth = std::clamp<uint64_t>(resident / count_ + 1, kDepthMin, kDepthMax);
  uint16_t* const fingerprints = buckets_[BucketOf(hash)].fingerprints;
  std::memmove(fingerprints + 1, fingerprints, (depth - 1) * sizeof(*fingerprints));
  fingerprints[0] =
      static_cast<uint16_t>(FingerprintOf(hash) | (origin == Origin::kMain ? kMainBit : 0));
  std::memset(fingerprints + depth, 0, (kDepthMax - depth) * sizeof(*fingerprints));
}

Ghost::Origin Ghost::Take(uint64_t hash) {
  uint16_t* const fingerprints = buckets_[BucketOf(hash)].fingerprints;
  const uint16_t wanted = FingerprintOf(hash);
  // Without a branch in the loop: one comparison of vectors.
  uint32_t found = 0;
  for (uint32_t i = 0; i < kDepthMax; ++i) {
    found |= static_cast<uint32_t>((fingerprints[i] & ~kMainBit) == wanted) << i;
  }
  if (found == 0) return Origin::kUnknown;
  const uint16_t taken = std::exchange(fingerprints[__builtin_ctz(found)], uint16_t{0});
  return (taken & kMainBit) != 0 ? Origin::kMain : Origin::kProbation;
}

}  // namespace torc::slab
