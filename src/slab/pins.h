// Which items are pinned, how often and since when: items whose bytes a send in flight still reads.
//
// An open-addressing table of fixed size, at most half full, so that pinning never allocates; an
// item carries one bit that says whether to look here. Removal moves later entries back: there are
// no tombstones.
//
// Owner: Partition. Affinity: shard. Lifetime: the partition's. Invariant: at most kPinsMax
// entries, each found from its hash without an empty slot in between; counts are not zero.
#ifndef TORC_SRC_SLAB_PINS_H_
#define TORC_SRC_SLAB_PINS_H_

#include <cstdint>

#include "src/base/clock.h"
#include "src/slab/item.h"
#include "src/slab/zeroed_array.h"

namespace torc::slab {

class Pins {
 public:
  // Distinct items pinned at the same time: sends in flight with a large value, one or two a
  // connection.
  static constexpr uint32_t kPinsMax = 4096;

  Pins();

  enum class Added : uint8_t { kFull, kFirst, kAgain };
  // Counts one more pin of the item at `ref`.
  [[nodiscard]] Added Add(Ref ref, RelativeSeconds now);
  // Counts one pin less. True: it was the last.
  bool Remove(Ref ref);
  uint32_t CountOf(Ref ref) const;
  uint32_t size() const { return size_; }
  // When the longest-standing pin began; `now` if there is none. O(table).
  RelativeSeconds OldestSince(RelativeSeconds now) const;

  void CheckInvariants() const;

 private:
  struct Entry {
    Ref ref = 0;  // 0: empty
    uint32_t count = 0;
    RelativeSeconds since = 0;
  };
  static constexpr uint32_t kSlots = 2 * kPinsMax;
  static_assert((kSlots & (kSlots - 1)) == 0);

  static uint32_t HomeOf(Ref ref) { return (ref * 0x9e3779b1u) >> 19; }
  static_assert(kSlots == 1u << (32 - 19));
  // The slot of `ref`, or the empty one where it would go.
  uint32_t SlotOf(Ref ref) const;

  ZeroedArray<Entry> entries_;
  uint32_t size_ = 0;
};

}  // namespace torc::slab

#endif  // TORC_SRC_SLAB_PINS_H_
