// The background search for expired and flushed items, so that their memory comes back without
// anyone asking for them.
//
//   items        | 70 | -  | 95 | 71 |  | -  | -  | -  | -  |  | 80 | -  | 88 | -  |   expiry
//   page.due     |        70         |  |       never       |  |         80        |   at most
//   due          70: until then nothing can be found, and nothing is looked at
//
// Each page knows a time before which none of its items expires; a store or touch lowers it, and a
// walk of the page sets it anew. A lap goes over all pages in order and walks those that are due,
// or all of them after a flush. Laps begin kLapSeconds apart at least, so that items that expire in
// every second in every page cost a walk in that time, not one a second. Items that do not expire
// soon cost nothing.
//
// An item is left alone until it has been dead for kGraceSeconds: until then a get that asks for it
// is told that it expired, and counted so, as clients and dashboards of memcached expect. So its
// memory is back after the grace, the rest of the lap that was under way, and the next lap's way to
// it; some 5 seconds unless the pace holds it up.
//
// Pace: what is done in a slice and in a second is bounded, in chunks looked at, as which a
// reclaimed item counts for kReclaimCost.
//
// Owner: Partition. Affinity: shard. Lifetime: the partition's. Invariant: due() <= page.due <=
// each live item's expiry, or the past; no live item has a CAS count up to swept_cas().
#ifndef TORC_SRC_SLAB_EXPIRY_H_
#define TORC_SRC_SLAB_EXPIRY_H_

#include <algorithm>
#include <cstdint>
#include <span>

#include "src/base/clock.h"
#include "src/slab/arena.h"

namespace torc::slab {

// The earlier of two expiry times, of which kNeverExpires is the latest.
inline RelativeSeconds Earlier(RelativeSeconds a, RelativeSeconds b) {
  static_assert(kNeverExpires == 0);
  return std::min(a - 1, b - 1) + 1;
}

class ExpiryCrawler {
 public:
  static constexpr RelativeSeconds kGraceSeconds = 2;
  static constexpr RelativeSeconds kLapSeconds = 2;
  // As much as so many chunks looked at.
  static constexpr uint32_t kReclaimCost = 10;
  // 10 to 20 microseconds: a chunk looked at takes 5 to 8 ns, a reclaimed item some 80.
  static constexpr uint32_t kWorkPerSlice = 2048;
  // At most a sixth of a core, and 1.8 million items.
  static constexpr uint32_t kWorkPerSecond = 20'000'000;

  // Something live in the page expires then.
  void NoteExpiry(Arena& arena, PageId id, RelativeSeconds exptime, RelativeSeconds now);
  // All items are flushed.
  void NoteFlush(RelativeSeconds now);
  // All pages are to be walked, without grace and at no pace.
  void Ask() { asked_ = true; }
  // Whether that is still to be done.
  bool asked() const { return asked_ || (lap_ == Lap::kAsked); }

  // False: there is nothing to do now.
  [[nodiscard]] bool BeginSlice(RelativeSeconds now, uint64_t flush_cas);
  struct Found {
    uint32_t looked_at = 0;  // chunks; 0: the slice is over
    uint32_t dead = 0;
    uint32_t size_class = 0;  // of them all
  };
  // Looks for dead items, at most as many as there is room for. The caller takes all of them out of
  // the index.
  Found Find(Arena& arena, std::span<Item*> dead);
  // Whether another slice would find work now.
  bool has_work() const {
    return lap_ == Lap::kAsked || (lap_ != Lap::kNone && second_left_ > 0) || asked_;
  }

  // Whether there may be dead items, reclaimable or in their grace.
  bool may_be_dead(RelativeSeconds now) const {
    return flush_waits_ || lap_ == Lap::kFlush || lap_ == Lap::kAsked ||
           (due_ != kNeverExpires && due_ <= now);
  }
  // Nothing expires before.
  RelativeSeconds due() const { return due_; }
  // Items up to this CAS count were flushed and are gone.
  uint64_t swept_cas() const { return swept_cas_; }

 private:
  enum class Lap : uint8_t {
    kNone,
    kDue,    // the pages where something is due
    kFlush,  // all pages
    kAsked,  // likewise, without grace and at no pace
  };

  void BeginLap(Lap lap, uint64_t flush_cas);
  void EndLap();
  void Spend(uint32_t work);
  bool IsDue(const Item* item) const;

  RelativeSeconds now_ = kClockStart;
  RelativeSeconds due_ = kNeverExpires;
  uint64_t swept_cas_ = 0;
  bool asked_ = false;
  bool flush_waits_ = false;        // for its grace to pass
  RelativeSeconds flushed_at_ = 0;  // the first flush that waits

  // Pace.
  uint32_t slice_left_ = 0;
  uint32_t second_left_ = 0;

  // The lap under way.
  Lap lap_ = Lap::kNone;
  RelativeSeconds lap_began_at_ = 0;
  Deadline deadline_{};
  RelativeSeconds lap_due_ = kNeverExpires;  // of the pages passed, and what was noted since
  PageId page_ = 0;
  uint32_t chunk_ = 0;
  RelativeSeconds page_due_ = kNeverExpires;  // likewise, of the page's chunks
};

}  // namespace torc::slab

#endif  // TORC_SRC_SLAB_EXPIRY_H_
