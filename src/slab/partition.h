// One shard's part of the cache: an index, an arena, and the life of items between them.
//
//            Make             Publish         Unlink, or replaced             readers gone
//    (free) ------> kReserved --------> kLive -------------------> kUnlinked --------------> (free)
//                       |                                              |                       ^
//                       +-- Discard --> (free)                         | pinned                |
//                                                                      +---> kOrphan ----------+
//                                                                             last Unpin
//
// Room is made ahead of need: at the end of each turn, classes that took chunks are topped up to
// what a turn takes, by eviction, so that the chunks are past their readers when the next turn
// asks. When that was not enough, Make says kLater and has seen to it that memory is on its way;
// kNever only if nothing in the partition could be freed.
//
// Where room comes from, in this order: the class's free chunks; the pool of pages; eviction in the
// class. Pages move besides: a class that has none, or that is under more pressure than another
// (it turns over faster, seen by the size of its items), is granted a page of the class under the
// least; the page is drained: what was read lately moves within its class, the rest is evicted.
// For each page's worth that a class evicts it may take one page, so what moves is bounded by what
// is stored, and after a shift in item sizes the memory follows. A chained item that waits
// for pages earmarks them, so that small items, which find room in their classes, do not take each
// one that comes free.
//
// Owner: SlabEngine. Affinity: shard, but for what is marked `any shard`. Lifetime: the engine's.
// Invariant: the index holds exactly the items in state kLive; the counters match a walk of all
// pages.
#ifndef TORC_SRC_SLAB_PARTITION_H_
#define TORC_SRC_SLAB_PARTITION_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "src/base/types.h"
#include "src/engine/engine.h"
#include "src/slab/arena.h"
#include "src/slab/eviction.h"
#include "src/slab/expiry.h"
#include "src/slab/index.h"
#include "src/slab/item.h"
#include "src/slab/limbo.h"
#include "src/slab/pins.h"
#include "src/slab/size_classes.h"
#include "src/slab/value.h"

namespace torc::slab {

// What a class has seen. Written by the owner.
struct ClassCounters {
  // Gauges.
  Counter items;
  Counter bytes;          // of items: headers, keys, values
  Counter oldest_access;  // RelativeSeconds: the last access of the item evicted last, or when the
                          // first item came
  // Counted.
  Counter evicted;
  Counter evicted_nonzero;  // of those with an expiry
  Counter evicted_time;     // seconds since the last access of the item evicted last
  Counter evicted_unfetched;
  Counter evicted_active;
  Counter out_of_memory;
  Counter reclaimed;
  Counter expired_unfetched;
  Counter crawler_reclaimed;
  Counter crawler_checked;
  Counter sets;
  Counter delete_hits;
  Counter increment_hits;
  Counter decrement_hits;
  Counter cas_hits;
  Counter cas_badval;
  Counter touch_hits;

  void Reset();
};

struct PartitionCounters {
  Counter items;
  Counter item_bytes;
  Counter items_stored;
  Counter store_too_large;
  Counter store_no_memory;
  Counter pages_moved;

  void Reset();
};

enum class Room : uint8_t {
  kNow,    // there is
  kLater,  // on its way: ask again next turn
  kNever,  // nothing that could be freed
};

class Partition {
 public:
  struct Config {
    char* memory;  // as Arena wants it
    uint32_t pages;
    bool evict;
    bool huge_pages;
    engine::Quiescence* quiescence;
    ShardId self;
    uint32_t shards = 1;
    uint64_t hash_seed = 0;
  };
  Partition(const Config& config, const SizeClasses& classes);

  // --- any shard ---

  const Index& index() const { return index_; }
  const ValueSpace& values() const { return values_; }
  uint64_t flush_cas() const { return flush_cas_.load(std::memory_order_acquire); }
  const ClassCounters& class_counters(uint32_t c) const { return class_counters_[c]; }
  const PartitionCounters& counters() const { return counters_; }
  const Arena& arena() const { return arena_; }

  // --- the owner: turns ---

  void BeginTurn(RelativeSeconds now);
  void EndTurn();
  // As engine::Engine::Background.
  bool Background();
  RelativeSeconds now() const { return now_; }
  Deadline deadline() const { return {now_, flush_cas_.load(std::memory_order_relaxed)}; }

  // --- the owner: items ---

  struct NewItem {
    size_t key_size;
    uint32_t client_flags;
    uint32_t value_size;
  };
  // A reserved item with its client flags and everything but key and value bytes filled in; null:
  // `*room` says why.
  [[nodiscard]] Item* Make(const NewItem& wanted, Room* room);
  // Gives back a reserved item.
  void Discard(Item* item);
  // Gives a reserved item the next CAS unique and puts it in the index, in place of the item in
  // `slot` if not null. kLater, kNever: the index had no room, and the item is still reserved.
  [[nodiscard]] Room Publish(Item* item, uint64_t hash, Index::Slot* slot);
  Index& index() { return index_; }

  // Takes a live item out of the index. Its memory is freed after all readers.
  void Unlink(Item* item, uint64_t hash);
  // Likewise, counted as the memory of a dead item coming back.
  void Reclaim(Item* item, uint64_t hash);
  void Touch(Item* item, RelativeSeconds exptime);

  [[nodiscard]] bool Pin(Item* item);
  void Unpin(Item* item);

  void Flush(RelativeSeconds when);

  ClassCounters& class_counters(uint32_t c) { return class_counters_[c]; }
  PartitionCounters& counters() { return counters_; }
  void ResetCounters();

  void CheckInvariants() const;

 private:
  friend class PartitionTest;

  // Not a class: the ladder ends before.
  static constexpr uint32_t kNoClass = SizeClasses::kClassesMax - 1;

  // The pages of an item are held while it is reserved or pinned, and again if both: held pages are
  // not drained.
  void Hold(Item* item, int change);
  Item* AllocateChunk(uint32_t size_class);
  // Pages of the pool that this class must leave to others.
  uint32_t PagesClaimedBefore(uint32_t size_class) const;
  Item* MakeChained(const NewItem& wanted, size_t prefix, Room* room);
  void FreeItem(Item* item);
  // Bytes that the item takes but for rounding.
  uint64_t HashOf(const Item* item) const { return engine::HashKey(item->key(), hash_seed_); }
  void SettleDemand();
  uint64_t BytesOf(const Item* item) const;
  static uint32_t WholePages(const Item* item) {
    return item->chained() ? ValueSpace::Chain(item).pages : 0;
  }
  void CountLive(const Item* item, int change);
  // Has left the index: counts, and waits for its readers.
  void ToLimbo(Item* item);

  // Room.
  Room MakeRoomForChunk(uint32_t size_class);
  Room MakeRoomForPages(uint32_t pages);
  uint32_t EvictFrom(uint32_t size_class, uint32_t count);
  void Evict(Item* item, uint64_t hash);
  // Sets a page's worth of memory free, from the class that turns over most slowly, and of equals
  // from the largest; but not from class `but_not`. The heads' class stands for all large items.
  // False: nothing can be.
  bool FreeUpPage(uint32_t but_not, bool spare_hot);
  bool BeginDrainOf(uint32_t size_class);
  // Goes on with the page that is drained. `spare_hot`: items that were read lately move to other
  // chunks of their class, for which others are evicted; that takes turns.
  void DrainStep(bool spare_hot);
  // Moves a live item that is not chained to a free chunk of its class; false: there is none.
  bool Relocate(Item* item, uint64_t hash);
  bool Poor(uint32_t size_class) const;
  // The class has evicted a page's worth since it was last asked, and another one would be under
  // less pressure even after giving it a page.
  bool DeservesPage(uint32_t size_class);
  uint64_t BytesHeld(uint32_t size_class) const;
  // What a page more would be worth to a class, to compare: the pace at which it turns over, by the
  // bytes stored in the recent past for each byte held, weighted by size. By what is stored, not
  // evicted: pages that leave a class evict too, and would call for each other. `pages_more`: if it
  // held so many more.
  double Pressure(uint32_t size_class, int pages_more = 0) const;
  uint32_t EvictableIn(uint32_t size_class) const;
  // An entry for `hash` has no place in the index: evicts one of those in its way. False: none may
  // go.
  bool EvictOccupant(uint64_t hash);
  // Sees off what a growing index had to drop. True: something was.
  bool UnlinkDropped();
  // A page will come to the pool without further effort, and this class will be allowed to take it.
  bool PageComingFor(uint32_t size_class) const;
  void NoteDemand(uint32_t size_class);
  void TopUp(uint32_t size_class);
  // Pages on their way to the pool.
  uint32_t pages_coming() const { return limbo_pages_ + arena_.DrainingUnheld(); }

  const SizeClasses& classes_;
  const bool evict_;

  // Read by all shards, written once a flush.
  alignas(kCacheLineBytes) std::atomic<uint64_t> flush_cas_{0};

  alignas(kCacheLineBytes) Arena arena_;
  ValueSpace values_;
  Index index_;
  Limbo limbo_;
  Pins pins_;
  Eviction eviction_;
  ExpiryCrawler crawler_;

  RelativeSeconds now_ = kClockStart;
  // CAS uniques differ between all items of the server, as memcached's do: each partition counts in
  // steps of their number.
  const uint64_t hash_seed_;
  const uint64_t cas_step_;
  uint64_t cas_;  // given out last
  RelativeSeconds flush_at_ = kNeverExpires;
  uint64_t expiring_ = 0;  // live items with an expiry
  // A flush happened: until this round of the crawler's, dead items may be anywhere. It lets them
  // be at first.
  uint64_t crawl_until_round_ = 0;
  RelativeSeconds flushed_at_ = 0;
  bool flush_uncrawled_ = false;  // a flush whose grace has not passed
  enum class Retired : uint8_t { kNone, kNew, kMarked };
  Retired retired_ = Retired::kNone;  // the index's drained table, on its way through the limbo

  // Room.
  uint64_t turn_ = 0;
  uint32_t evictions_left_ = 0;  // this turn, to make room for pages
  uint32_t earmarked_ = 0;       // pages
  uint64_t earmarked_turn_ = 0;
  uint32_t granted_ = kNoClass;  // the class that the page under way is for
  uint64_t granted_turn_ = 0;
  PageId drain_page_ = 0;  // being walked
  uint32_t drain_chunk_ = 0;
  uint32_t limbo_pages_ = 0;  // whole pages of items in limbo
  uint32_t item_pages_ = 0;   // whole pages of all chained items
  struct Supply {
    uint32_t taken = 0;                // chunks, this grace period
    uint32_t target = 0;               // free chunks wanted, those in limbo included
    uint32_t limbo = 0;                // chunks that come free after their readers
    uint32_t pinned = 0;               // live items that eviction must pass over
    double stored_bytes = 0;           // items, in the recent past: halved now and then
    uint64_t evicted_since_bytes = 0;  // since DeservesPage said yes or no
  };
  std::array<Supply, SizeClasses::kClassesMax> supply_{};
  std::array<uint8_t, SizeClasses::kClassesMax> active_{};  // classes with taken != 0
  uint32_t active_count_ = 0;
  uint32_t decisions_ = 0;  // of DeservesPage, since stored_bytes were halved

  PartitionCounters counters_;
  std::array<ClassCounters, SizeClasses::kClassesMax> class_counters_{};
};

}  // namespace torc::slab

#endif  // TORC_SRC_SLAB_PARTITION_H_
