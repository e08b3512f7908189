#include "src/slab/eviction.h"

namespace torc::slab {
namespace {

// The most live items to pass over before the least read of them goes. Bounds the time of one
// eviction to some 10 microseconds. Passing costs each item a count that a read paid for, so on
// average an eviction passes few.
constexpr uint32_t kPassedMax = 1024;

// How many chunks ahead of the hand to call into the cache.
constexpr uint32_t kPrefetchChunks = 4;

// The chunk under the hand; moves the hand on. Requires the class to have pages.
Item* Advance(Arena& arena, PageClass& c) {
  const Page& page = arena.page(c.hand_page);
  if (c.hand_chunk >= page.cut) {
    c.hand_page = page.next;
    c.hand_chunk = 0;
  }
  __builtin_prefetch(arena.ChunkAt(c.hand_page, c.hand_chunk + kPrefetchChunks));
  return arena.ChunkAt(c.hand_page, c.hand_chunk++);
}

}  // namespace

Item* NextVictim(Arena& arena, uint32_t size_class, const Deadline& deadline) {
  PageClass& c = arena.page_class(size_class);
  if (c.hand_page == 0) return nullptr;
  const uint64_t lap = c.pages.Get() * arena.classes().chunks_per_page(size_class);
  Item* least_read = nullptr;
  uint8_t least = Item::kAccessMax + 1;
  uint32_t passed = 0;
  // A little more than a lap, as the first page may be entered in its middle.
  for (uint64_t i = 0; i < lap + arena.classes().chunks_per_page(size_class); ++i) {
    Item* const item = Advance(arena, c);
    if (item->state() != ChunkState::kLive || item->pinned()) continue;
    if (item->access_count() == 0 || item->DeadAt(deadline)) return item;
    item->ForgetAccess();
    if (item->access_count() < least) {
      least = item->access_count();
      least_read = item;
    }
    if (++passed == kPassedMax) break;
  }
  return least_read;
}

}  // namespace torc::slab
