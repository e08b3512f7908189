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
// Where room comes from, in this order: the class's free chunks; the pool of pages; a page of
// another class; eviction in the class. A class takes a page from the one that turns over most
// slowly if even with it, it turns over faster than the other one without it; so when all classes
// turn over at nearly the same pace, nothing moves, however few pages some have. Demand is measured
// by what was stored, on a clock of bytes stored, and one answer holds for a page's worth of it: so
// what moves is bounded by what is stored, a class that is new to a full partition fills as it
// would fill an empty one, and one that nothing is stored in any more gives way at once. But what
// is read there stays: a page whose items were nearly all read is spared, as the hand spares an
// item, and from one that is drained those that were read move to other chunks, for which colder
// items are evicted. A chained item that waits for pages earmarks them, so that small items, which
// find room in their classes, do not take each one that comes free.
//
// Which size classes there are beside the coarse ones follows what is stored (ladder.h). A class
// that was closed takes no chunks any more and so turns over most slowly: its pages go first.
//
// Owner: SlabEngine. Affinity: shard, but for what is marked `any shard`. Lifetime: the engine's.
// Invariant: the index holds exactly the items in state kLive; the counters match a walk of all
// pages.
#ifndef TORC_SRC_SLAB_PARTITION_H_
#define TORC_SRC_SLAB_PARTITION_H_

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>

#include "src/base/types.h"
#include "src/engine/engine.h"
#include "src/slab/arena.h"
#include "src/slab/copy_queue.h"
#include "src/slab/eviction.h"
#include "src/slab/expiry.h"
#include "src/slab/index.h"
#include "src/slab/item.h"
#include "src/slab/ladder.h"
#include "src/slab/limbo.h"
#include "src/slab/pins.h"
#include "src/slab/size_classes.h"
#include "src/slab/value.h"
#include "src/slab/zeroed_array.h"

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
  Counter pages_moved;  // taken from the class for others

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
    uint32_t pages_reserved = 0;  // what memory has room for, if more than `pages`
    uint64_t copy_slice_bytes = kCopySliceBytes;
  };
  Partition(const Config& config, const SizeClasses& classes);

  // --- any shard ---

  const Index& index() const { return index_; }
  // Calls into the cache what publishing an item of a new key looks at.
  void PrefetchAdmission(uint64_t hash) const { eviction_.Prefetch(hash); }
  const ValueSpace& values() const { return values_; }
  uint64_t flush_cas() const { return flush_cas_.load(std::memory_order_acquire); }
  // The item's CAS unique as clients see it. They differ between all items of the server, as
  // memcached's do: each partition counts for itself and adds its number.
  // A client may have chosen another one.
  uint64_t CasOf(const Item* item) const {
    if (__builtin_expect(item->has_own_cas(), 0)) return item->own_cas();
    return item->cas_count() * shards_ + self_;
  }
  // Bytes that the item takes but for rounding.
  uint64_t BytesOf(const Item* item) const;
  const ClassCounters& class_counters(uint32_t c) const { return class_counters_[c]; }
  const PartitionCounters& counters() const { return counters_; }
  const Arena& arena() const { return arena_; }
  // Memory outside the limit, as of the last turn in which something was stored.
  const Counter& eviction_bytes() const { return eviction_bytes_; }
  const Counter& page_table_bytes() const { return page_table_bytes_; }

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
    RelativeSeconds exptime;
    uint32_t value_size;
    bool has_own_cas = false;   // set_own_cas follows
    bool is_touchable = false;  // has room for an expiry, even if it has none yet
  };
  // A reserved item with everything but its own CAS, key and value bytes filled in; null: `*room`
  // says why.
  [[nodiscard]] Item* Make(const NewItem& wanted, Room* room);
  // Why Make said kNever.
  engine::Shortage WhyNever(const NewItem& wanted) const;
  // Gives back a reserved item.
  void Discard(Item* item);
  // Gives a reserved item the next CAS unique and puts it in the index, in place of the item in
  // `slot` if not null. kLater, kNever: the index had no room, and the item is still reserved.
  [[nodiscard]] Room Publish(Item* item, uint64_t hash, Index::Slot* slot);
  // Puts a reserved item in the index in place of the item in `slot`, of which it is a copy with
  // more room: it keeps its CAS unique and what is known of its use.
  void PublishCopy(Item* item, Index::Slot* slot);
  Index& index() { return index_; }
  // Operations that wait for a copy, and the copy under way.
  CopyQueue& copies() { return copies_; }
  // Gives up the copy under way, if there is one.
  void DropCopy();

  // Takes a live item out of the index. Its memory is freed after all readers.
  void Unlink(Item* item, uint64_t hash);
  // Likewise, counted as the memory of a dead item coming back.
  void Reclaim(Item* item, uint64_t hash);
  // Likewise, counted as an eviction.
  void Evict(Item* item, uint64_t hash);
  // Sets a live item's expiry. False: it has no room for one.
  [[nodiscard]] bool Touch(Item* item, RelativeSeconds exptime);

  [[nodiscard]] bool Pin(Item* item);
  void Unpin(Item* item);

  void Flush(RelativeSeconds when);

  // --- the owner: for operators, as engine::Engine has them (walk.cc, resize.cc) ---

  void Walk(engine::WalkCursor* cursor, uint32_t items_max, engine::ItemVisitor& visitor) const;
  void ListPins(engine::WalkCursor* cursor, uint32_t pins_max, engine::PinVisitor& visitor) const;
  void SetLimit(uint32_t pages) { arena_.SetLimit(pages); }
  // From the class of this number (SizeClasses::NumberOf); 0: from the pool.
  engine::Engine::MoveResult MovePage(uint32_t number);

  void SetAutomove(bool on) { automove_ = on; }
  void SetCrawler(bool on) { crawler_on_ = on; }
  void Crawl() { crawler_.Ask(); }

  ClassCounters& class_counters(uint32_t c) { return class_counters_[c]; }
  PartitionCounters& counters() { return counters_; }
  void ResetCounters();

  void CheckInvariants() const;

 private:
  friend class PartitionTest;

  static constexpr uint32_t kNoClass = SizeClasses::kClassesMax;  // none

  // The pages of an item are held while it is reserved or pinned, and again if both: held pages are
  // not drained.
  void Hold(Item* item, int change);
  // Calls try_class(c) for the class and those above it up to the next coarse one, until it says
  // true. Without eviction no page is moved to a class that was opened late, so the chunks of these
  // serve instead.
  template <typename TryClass>
  bool AnyClassNear(uint32_t size_class, TryClass try_class) const;
  // A chunk of class `*size_class`, or, without eviction, of one near: it says which.
  Item* AllocateChunk(uint32_t* size_class);
  // Pages of the pool that this class must leave to others.
  uint32_t PagesClaimedBefore(uint32_t size_class) const;
  // As Arena::Allocate, counted as the class's turnover.
  Item* TakeChunk(uint32_t size_class, bool from_pool);
  Item* MakeChained(ItemLayout layout, Room* room);
  // Puts a reserved item that has its CAS count in the place of a live one.
  void Replace(Item* item, Index::Slot* slot);
  void BecomeLive(Item* item);
  void FreeItem(Item* item);
  uint64_t HashOf(const Item* item) const { return engine::HashKey(item->key(), hash_seed_); }
  void SettleDemand();
  void CountOverhead();
  engine::ItemInfo Describe(const Item* item) const;
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
  // Sets a page's worth of memory free, from the class that turns over most slowly, and of equals
  // from the largest; but not from class `but_not`. The heads' class stands for all large items.
  enum class Choice : uint8_t { kWorthless, kAny };
  // False: nothing can be. kWorthless: only a page with few items that were read lately.
  // No class is asked that turns over faster than `turnover_max`.
  bool FreeUpPage(uint32_t but_not, Choice choice,
                  double turnover_max = std::numeric_limits<double>::infinity());
  bool BeginDrainOf(uint32_t size_class, Choice choice);
  // Nearly all of the page's items were read since it was asked last, going by some of them.
  bool MostlyRead(PageId id);
  // Goes on with the page that is drained. Items that were read lately move to other chunks, for
  // which colder ones are evicted: that takes turns. False: it waits for them.
  bool DrainStep();
  // A live item that moves to another chunk when its page is drained.
  bool IsKept(const Item& item) const;
  // How many of those that move to one class there are in the page that is drained, in the next
  // chunks from this one on.
  uint32_t KeptFrom(uint32_t chunk, uint32_t refuge) const;
  // Where an item that is not chained goes when its page is drained: its class, or the one that it
  // would be stored in today, if its own was closed.
  uint32_t RefugeOf(const Item* item) const;
  // Moves a live item to a free chunk of this class; false: there is none.
  bool Relocate(Item* item, uint64_t hash, uint32_t refuge);
  // A page moved to the class would bring its pace and another class's closer together. The answer
  // holds until a page's worth was stored, in any class.
  bool DeservesPage(uint32_t size_class);
  // Begins to move a page to the class if it deserves one, and no other class's is under way.
  bool BeginMoveTo(uint32_t size_class);
  // The class that the pages under way are for does not want them any more.
  bool GrantIsVoid() const;
  // Counts bytes handed out for new items, and lets the past fade.
  void NoteStored(uint32_t size_class, uint64_t bytes);
  // Pages' worth of bytes stored so far: the clock by which demand is measured. It stands still
  // while nothing is stored, so that an idle hour makes nothing old.
  uint32_t clock() const { return static_cast<uint32_t>(stored_bytes_ >> classes_.page_shift()); }
  uint64_t BytesHeld(uint32_t size_class) const;
  // Nothing has been stored in the class for long.
  bool IsIdle(uint32_t size_class) const;
  // How often a class would have turned over in the recent past with a page more, or less; to
  // compare. By what was stored, not evicted: a class that fills a page it was given evicts nothing
  // meanwhile, and would look slow and lose it again. 0: nothing is stored lately, or it is closed.
  // Weighed by size, so that the classes of small items come to turn over more slowly.
  double TurnoverWithPageMore(uint32_t size_class) const;
  double TurnoverWithPageLess(uint32_t size_class) const;
  double SizeWeight(uint32_t size_class) const;
  // Expired or flushed items may lie about.
  bool may_hold_dead() const { return crawler_.may_be_dead(now_); }
  uint32_t EvictableIn(uint32_t size_class) const;
  // An entry for `hash` has no place in the index: evicts one of those in its way. False: none may
  // go.
  bool EvictOccupant(uint64_t hash);
  // Sees off what a growing index had to drop. True: something was.
  bool UnlinkDropped();
  // A page will come to the pool without further effort, and this class will be allowed to take it.
  bool PageComingFor(uint32_t size_class) const;
  void NoteDemand(uint32_t size_class);
  // A chunk was taken for so many bytes.
  void NoteSize(size_t bytes);
  void TopUp(uint32_t size_class);
  // A slice of making the pages in use no more than the limit. False: there is nothing to do now.
  bool Shrink();
  // A slice of the search for dead items. False: there is nothing to do now.
  bool ReclaimDead();
  // Pages that will be free for use: those on their way to the pool, but for what exceeds the
  // limit.
  uint32_t pages_coming() const {
    const uint32_t freed = limbo_pages_ + arena_.DrainingUnheld();
    return freed - std::min(freed, arena_.pages_excess());
  }

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
  CopyQueue copies_;
  bool crawler_on_ = true;
  uint32_t reclaims_ = 0;  // of the crawler's, since a batch came out of the limbo
  bool automove_ = true;

  RelativeSeconds now_ = kClockStart;
  const uint64_t hash_seed_;
  const uint64_t shards_;
  const ShardId self_;
  uint64_t cas_count_ = 0;  // given out last
  RelativeSeconds flush_at_ = kNeverExpires;
  enum class Retired : uint8_t { kNone, kNew, kMarked };
  Retired retired_ = Retired::kNone;  // the index's drained table, on its way through the limbo

  // Room.
  uint64_t turn_ = 0;
  uint32_t evictions_left_ = 0;  // this turn, to make room for pages
  uint32_t earmarked_ = 0;       // pages
  uint64_t earmarked_turn_ = 0;
  uint32_t granted_ = kNoClass;  // the class that the pages under way are for
  uint32_t granted_pages_ = 0;
  uint64_t granted_turn_ = 0;
  PageId drain_page_ = 0;  // being walked
  uint32_t drain_chunk_ = 0;
  uint32_t drain_waits_ = 0;  // of the chunk it stands at, for room elsewhere
  uint32_t limbo_pages_ = 0;  // whole pages of items in limbo
  uint32_t item_pages_ = 0;   // whole pages of all chained items
  struct Supply {
    uint32_t taken = 0;          // chunks, this grace period
    uint32_t target = 0;         // free chunks wanted, those in limbo included
    uint32_t limbo = 0;          // chunks that come free after their readers
    uint32_t pinned = 0;         // live items that eviction must pass over
    uint64_t taken_bytes = 0;    // chunks, in the recent past: halved now and then
    uint32_t taken_at = 0;       // clock() when a chunk was taken last
    uint32_t decided_at = 0;     // clock() of the last answer of DeservesPage
    bool deserves_page = false;  // the answer
  };
  Ladder ladder_;
  ZeroedArray<Supply> supply_;                               // by class
  std::array<uint16_t, SizeClasses::kClassesMax> active_{};  // classes with taken != 0
  uint32_t active_count_ = 0;
  uint64_t stored_bytes_ = 0;  // chunks and pages handed out for items, ever
  uint32_t faded_at_ = 0;      // clock() when taken_bytes were halved last

  PartitionCounters counters_;
  Counter eviction_bytes_;
  Counter page_table_bytes_;
  ZeroedArray<ClassCounters> class_counters_;
};

}  // namespace torc::slab

#endif  // TORC_SRC_SLAB_PARTITION_H_
