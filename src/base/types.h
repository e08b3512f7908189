// Small types that several modules share.
//
// Owner: none. Affinity: any. Lifetime: values. Invariant: none.
#ifndef TORC_SRC_BASE_TYPES_H_
#define TORC_SRC_BASE_TYPES_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace torc {

// Which shard: 0 up to the number of shards.
using ShardId = uint32_t;

// The most shards one process runs: memcached allows more threads, no machine that we know of has
// more cores.
inline constexpr uint32_t kShardsMax = 128;

inline constexpr size_t kCacheLineBytes = 64;

// A counter with one writer and any number of readers. Writing costs a plain add: no locked
// instruction. Relaxed, because a reader of statistics needs each figure to be one that was true,
// not all of them to be of one instant.
class Counter {
 public:
  void Add(uint64_t n) {
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  void Subtract(uint64_t n) { Add(~n + 1); }
  void Set(uint64_t n) { value_.store(n, std::memory_order_relaxed); }
  uint64_t Get() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

}  // namespace torc

#endif  // TORC_SRC_BASE_TYPES_H_
