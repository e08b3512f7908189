// What was evicted lately, and from where: fingerprints of keys' hashes, so that a key that comes
// back is known.
//
//   buckets   | fp fp fp ... 32 of 2 bytes: one cache line | ... |      newest first; 0: none
//   fp        | 15 bits of the hash, not all 0 | 1: it was in the main population |
//
// A bucket is a queue: an evicted key's fingerprint enters in front, and the last one falls out.
// Its depth follows the number of items, so that the ghost remembers about as many keys as are
// resident; in a partition of small items its memory is the bound, and it remembers fewer. One key
// in 1,000 is taken for another that was evicted, which does no harm.
//
// Owner: Eviction. Affinity: shard. Lifetime: the partition's. Invariant: none: any content is
// valid.
#ifndef TORC_SRC_SLAB_GHOST_H_
#define TORC_SRC_SLAB_GHOST_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "src/base/types.h"

namespace torc::slab {

class Ghost {
 public:
  enum class Origin : uint8_t { kUnknown, kProbation, kMain };

  // Of at most `bytes`, at least one bucket.
  explicit Ghost(size_t bytes);

  void Prefetch(uint64_t hash) const { __builtin_prefetch(&buckets_[BucketOf(hash)], 1); }
  // Remembers an evicted key. About `resident` keys are remembered, if there is room.
  void Add(uint64_t hash, Origin origin, uint64_t resident);
  // Where the key was evicted from, if that was lately; forgets it.
  Origin Take(uint64_t hash);

  size_t bytes() const { return count_ * sizeof(Bucket); }

 private:
  static constexpr uint32_t kDepthMax = 32;
  static constexpr uint32_t kDepthMin = 2;
  static constexpr uint16_t kMainBit = 1;
  struct alignas(kCacheLineBytes) Bucket {
    uint16_t fingerprints[kDepthMax];
  };
  static_assert(sizeof(Bucket) == kCacheLineBytes);

  // The hash's own bits choose shard and index bucket: these are mixed anew.
  static uint64_t Mix(uint64_t hash) { return hash * 0x9e3779b97f4a7c15; }
  size_t BucketOf(uint64_t hash) const {
    return static_cast<size_t>(((Mix(hash) >> 32) * count_) >> 32);
  }
  // Without the bit of its origin.
  static uint16_t FingerprintOf(uint64_t hash) {
    const auto fingerprint = static_cast<uint16_t>(Mix(hash) >> 8 & ~uint64_t{kMainBit});
    return fingerprint == 0 ? 2 * kMainBit : fingerprint;
  }

  const size_t count_;
  std::unique_ptr<Bucket[]> buckets_;
};

}  // namespace torc::slab

#endif  // TORC_SRC_SLAB_GHOST_H_
