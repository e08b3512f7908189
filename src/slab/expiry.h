// The background walk that finds expired and flushed items, so that their memory comes back without
// anyone asking for them.
//
// It goes over all pages in order, a bounded number of chunks a slice, at a pace that takes it once
// around in kRoundSeconds.
//
// An item is left alone until it has been dead for kGraceSeconds: until then a get that asks for it
// is told that it expired, and counted so, as clients and dashboards of memcached expect; nothing
// is gained by hurrying.
//
// It never walks faster than kChunksPerSecondMax: in a partition so large that a round takes
// longer, eviction, which takes dead items first, and the exact test on each read do most of the
// work.
//
// Owner: Partition. Affinity: shard. Lifetime: the partition's. Invariant: none: any position is
// valid.
#ifndef TORC_SRC_SLAB_EXPIRY_H_
#define TORC_SRC_SLAB_EXPIRY_H_

#include <cstdint>

#include "src/base/clock.h"
#include "src/slab/arena.h"

namespace torc::slab {

class ExpiryCrawler {
 public:
  static constexpr uint32_t kRoundSeconds = 30;
  static constexpr uint64_t kChunksPerSecondMax = 200'000;
  static constexpr uint32_t kChunksPerSlice = 64;
  static constexpr RelativeSeconds kGraceSeconds = 10;

  // Earns the chunks that the time since the last call allows to look at.
  void Pace(const Arena& arena, RelativeSeconds now);
  // Earns a whole round at once.
  void EarnRound(const Arena& arena);
  // Whether earned chunks are left.
  bool has_work() const { return earned_ > 0; }
  // Rounds completed.
  uint64_t rounds() const { return rounds_; }
  // The next live item; null at the end of the slice: call BeginSlice first.
  void BeginSlice() { slice_left_ = kChunksPerSlice; }
  Item* Next(Arena& arena);

 private:
  RelativeSeconds paced_until_ = 0;
  uint64_t earned_ = 0;
  uint32_t slice_left_ = 0;
  uint64_t rounds_ = 0;
  PageId page_ = 1;
  uint32_t chunk_ = 0;
};

}  // namespace torc::slab

#endif  // TORC_SRC_SLAB_EXPIRY_H_
