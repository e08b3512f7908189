// A partition's memory: pages, each cut into chunks of one size class, or part of one large item.
//
//   partition   | page 0: never used, so that reference 0 is none | page 1 | page 2 | ... |
//   page        | chunk | chunk | chunk | ...never handed out |
//
//                 TakePage / a class takes it
//      [pool] ---------------------------------> [class page] or [item page]
//         ^                                            |  BeginDrain: its chunks are
//         |   last chunk freed                         v  handed out no more
//         +---------------------------------------- [draining]
//
// Free chunks are listed per page, so a page is taken back by walking it, with nothing to search
// elsewhere. A page whose last chunk is freed goes back to the pool at once: starting a page anew
// costs nothing, as its chunks are cut as they are handed out.
//
// The arena hands out and takes back; who must go, and when memory has no readers left, is decided
// elsewhere.
//
// Owner: Partition. Affinity: shard; the Counters are read by any thread. Lifetime: the engine's.
// Invariant: per page and class, counts match the chunks' states and the lists; each page is in the
// pool, in one class's ring, an item's, or draining.
#ifndef TORC_SRC_SLAB_ARENA_H_
#define TORC_SRC_SLAB_ARENA_H_

#include <array>
#include <atomic>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <span>

#include "src/base/clock.h"
#include "src/base/types.h"
#include "src/slab/item.h"
#include "src/slab/size_classes.h"
#include "src/slab/zeroed_array.h"

namespace torc::slab {

using PageId = uint32_t;  // 0: none

enum class PageUse : uint8_t { kPool, kClass, kDraining, kItem };

struct Page {
  PageUse use = PageUse::kPool;
  bool listed = false;  // in its class's list of pages with free chunks
  uint16_t size_class = 0;
  uint32_t used = 0;         // chunks handed out and not yet freed
  uint32_t cut = 0;          // chunks ever handed out since the page came to its class
  uint32_t held = 0;         // chunks that must stay: pinned or reserved, they or their heads
  Ref free_head = 0;         // free chunks below `cut`
  Ref item = 0;              // of kItem: the head
  PageId next = 0;           // ring of the class; list of the pool, of the draining pages
  PageId previous = 0;       // ring of the class
  PageId next_free = 0;      // class's list of pages with free chunks
  PageId previous_free = 0;  // 0: the list's first
  RelativeSeconds due = kNeverExpires;  // of kClass: nothing in it expires before (expiry.h)
  uint32_t spared_at = 0;  // the partition's clock when it was found worth keeping; 0: never
};

// One size class's pages. The counters are for statistics, and written by the owner only.
struct PageClass {
  PageId hand_page = 0;  // where the clock stands (eviction.h); any page of the ring; 0: no pages
  uint32_t hand_chunk = 0;
  PageId free_list = 0;
  uint32_t holding_index = 0;  // in Arena::holding, if it has pages
  Counter pages;
  Counter chunks_used;
};

class Arena {
 public:
  // `memory`: one page more than `pages_reserved`, readable and writable, zero, aligned to the page
  // size. Keeps a pointer to it. `pages` may be in use at a time, until SetLimit.
  Arena(char* memory, uint32_t pages, uint32_t pages_reserved, const SizeClasses& classes);

  const SizeClasses& classes() const { return classes_; }
  ItemSpace items() const { return ItemSpace(memory_, classes_.granule_shift()); }

  // A chunk of a class, header uninitialised, from a page that has one, or from the pool if
  // `from_pool`. Null: none. O(1).
  [[nodiscard]] Item* Allocate(uint32_t size_class, bool from_pool);
  // Frees a chunk that nobody can reach any more. O(1).
  void Free(Item* chunk);
  // A whole page for the chained item `head`; 0: the pool is empty.
  [[nodiscard]] PageId TakePage(Ref head);
  void FreePage(PageId page);

  // Takes a page from its class for good: it goes to the pool when its last chunk is freed.
  void BeginDrain(PageId page);

  // How many pages may be in use, up to pages_reserved(). If more are, none comes from the pool.
  void SetLimit(uint32_t pages);
  uint32_t pages_reserved() const { return pages_reserved_; }
  // Pages in use beyond the limit.
  uint32_t pages_excess() const {
    const uint32_t used = static_cast<uint32_t>(pages_used_.Get());
    return used > pages_total() ? used - pages_total() : 0;
  }
  // Gives a free page's memory back to the kernel, if the free ones and those in use are more than
  // the limit. False: they are not, or none is free.
  bool GiveBackSurplus();

  // The limit.
  uint32_t pages_total() const { return static_cast<uint32_t>(pages_total_.Get()); }
  // Pages that were ever used: they have the numbers 1 to this.
  uint32_t pages_touched() const { return pages_touched_; }
  uint32_t pool_pages() const {
    const uint32_t used = static_cast<uint32_t>(pages_used_.Get());
    return used < pages_total() ? pages_total() - used : 0;
  }
  uint32_t free_chunks(uint32_t size_class) const {
    const PageClass& c = page_classes_[size_class];
    return static_cast<uint32_t>(c.pages.Get() * classes_.chunks_per_page(size_class) -
                                 c.chunks_used.Get());
  }
  // Draining pages that nothing holds: sure to come to the pool once readers are gone. O(draining
  // pages).
  uint32_t DrainingUnheld() const;
  PageId draining_first() const { return draining_; }

  const Page& page(PageId id) const { return pages_[id]; }
  Page& page(PageId id) { return pages_[id]; }
  // The classes that have pages, in no order; changes with Allocate, Free and BeginDrain.
  std::span<const uint16_t> holding() const { return {holding_.data(), holding_count_}; }
  // The classes that ever had pages, in no order. Any thread.
  std::span<const uint16_t> ever_held() const {
    return {ever_held_.data(), ever_held_count_.load(std::memory_order_acquire)};
  }
  PageClass& page_class(uint32_t size_class) { return page_classes_[size_class]; }
  const PageClass& page_class(uint32_t size_class) const { return page_classes_[size_class]; }

  PageId PageOf(Ref ref) const { return ref >> (classes_.page_shift() - classes_.granule_shift()); }
  PageId PageOf(const Item* item) const { return PageOf(items().Of(item)); }
  Ref RefOf(PageId page) const {
    return page << (classes_.page_shift() - classes_.granule_shift());
  }
  Item* ChunkAt(PageId page, uint32_t chunk) {
    return reinterpret_cast<Item*>(memory_ + (size_t{page} << classes_.page_shift()) +
                                   size_t{chunk} * classes_.chunk_size(pages_[page].size_class));
  }
  const Item* ChunkAt(PageId page, uint32_t chunk) const {
    return const_cast<Arena*>(this)->ChunkAt(page, chunk);
  }

  // Bytes of this record keeping, outside the memory limit.
  size_t overhead_bytes() const { return (size_t{pages_touched_} + 1) * sizeof(Page); }
  Counter& pages_used() { return pages_used_; }
  const Counter& pages_used() const { return pages_used_; }

  void CheckInvariants() const;

 private:
  PageId TakeFromPool();
  void GiveToPool(PageId page);
  void NoteHolding(uint32_t size_class);
  void NoteHoldingNoMore(uint32_t size_class);
  void AddToRing(PageId page, uint32_t size_class);
  void RemoveFromRing(PageId page);
  void List(PageId page);
  void Unlist(PageId page);

  const SizeClasses& classes_;
  char* memory_;
  Counter pages_total_;  // the limit: the owner writes it, statistics read it
  const uint32_t pages_reserved_;
  uint32_t pages_touched_ = 0;  // those beyond were never used; taken last, so as not to be touched
  PageId pool_ = 0;             // used pages that came back
  uint32_t pool_size_ = 0;      // of this list
  PageId given_back_ = 0;       // likewise, but the kernel has their memory
  PageId draining_ = 0;
  Counter pages_used_;
  ZeroedArray<Page> pages_;  // [0] stands for the unused page
  ZeroedArray<PageClass> page_classes_;
  std::array<uint16_t, SizeClasses::kClassesMax> holding_{};
  uint32_t holding_count_ = 0;
  // Appended to by the owner, released by the count: statistics read both.
  std::array<uint16_t, SizeClasses::kClassesMax> ever_held_{};
  std::bitset<SizeClasses::kClassesMax> was_held_;
  std::atomic<uint32_t> ever_held_count_{0};
};

}  // namespace torc::slab

#endif  // TORC_SRC_SLAB_ARENA_H_
