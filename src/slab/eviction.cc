#include "src/slab/eviction.h"

#include <algorithm>

#include "src/base/assert.h"

namespace torc::slab {
namespace {

// The most live items to pass over before the least read of them goes. Bounds the time of one
// eviction to some 10 microseconds. Passing costs each item a count that a read paid for, so on
// average an eviction passes few.
constexpr uint32_t kPassedMax = 1024;

// How many chunks ahead of the hand to call into the cache.
constexpr uint32_t kPrefetchChunks = 4;

// Probation holds a fifth of a class's chunks, or as many references as fit into 1/1024 of their
// bytes (4 bytes each: 1/256).
constexpr uint32_t kProbationShare = 5;
constexpr uint32_t kBytesPerProbation = 1024;
// A queue may be this many times its quota, as memory is filled and evictions lag behind. Beyond,
// the oldest join the main population unjudged.
constexpr uint32_t kQueueMaxQuotas = 2;
// The young are this share of a queue.
constexpr uint32_t kYoungShare = 8;
// The ghost's share of the partition's memory.
constexpr uint32_t kGhostShare = 256;

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

uint64_t BytesOf(const Arena& arena) {
  return uint64_t{arena.pages_total()} << arena.classes().page_shift();
}

// Blocks for all queues at their limits, and two that each may have in part.
uint32_t BlocksFor(const Arena& arena) {
  const uint64_t refs = kQueueMaxQuotas * (BytesOf(arena) / kBytesPerProbation);
  return static_cast<uint32_t>(refs / RefQueue::kBlockRefs) + 3 * SizeClasses::kClassesMax;
}

}  // namespace

Eviction::Eviction(Arena& arena)
    : arena_(arena), queue_blocks_(BlocksFor(arena)), ghost_(BytesOf(arena) / kGhostShare) {}

// -------------------------------------------------------------------------------------- probation

uint32_t Eviction::QuotaOf(uint32_t size_class) const {
  const SizeClasses& classes = arena_.classes();
  const uint64_t pages = arena_.page_class(size_class).pages.Get();
  return static_cast<uint32_t>(
      std::min(pages * classes.chunks_per_page(size_class) / kProbationShare,
               (pages << classes.page_shift()) / kBytesPerProbation));
}

Item* Eviction::OnProbation(Ref ref, uint32_t size_class) const {
  const PageId id = arena_.PageOf(ref);
  const Page& page = arena_.page(id);
  if (page.use != PageUse::kClass || page.size_class != size_class) return nullptr;
  // The page may have been another class's meanwhile, with chunks elsewhere.
  const size_t offset =
      static_cast<size_t>(arena_.items().BytesAt(ref) - arena_.items().BytesAt(arena_.RefOf(id)));
  const uint32_t chunk_size = arena_.classes().chunk_size(size_class);
  if (offset % chunk_size != 0 || offset / chunk_size >= page.cut) return nullptr;
  Item* const item = arena_.items().At(ref);
  return item->state() == ChunkState::kLive && item->on_probation() ? item : nullptr;
}

void Eviction::JoinMain(Item* item) {
  item->set_on_probation(false);
  item->set_access_count(0);
}

void Eviction::NoteEvicted(const Item& item, uint64_t hash, uint64_t resident) {
  // What main had has had its time.
  if (item.on_probation()) ghost_.Add(hash, resident);
}

void Eviction::Admit(Item* item, uint64_t hash) {
  if (ghost_.Take(hash)) {
    JoinMain(item);
  } else {
    Enqueue(item);
  }
}

void Eviction::AdmitInPlaceOf(const Item* old, Item* item) {
  // Who writes a key again after a read has a use for it.
  if (old->on_probation() && old->access_count() == 0) {
    Enqueue(item);
  } else {
    item->set_on_probation(false);
  }
}

void Eviction::Enqueue(Item* item) {
  const uint32_t size_class = item->size_class();
  Probation& p = probation_[size_class];
  const uint32_t quota = QuotaOf(size_class);
  if (quota == 0) return JoinMain(item);
  while (p.queue.size() >= kQueueMaxQuotas * quota) {
    if (Item* const oldest = Dequeue(size_class)) JoinMain(oldest);
  }
  item->set_on_probation(true);
  p.queue.Push(queue_blocks_, arena_.items().Of(item));
  if (p.young_count == 0) p.young = p.queue.tail(), --p.young.index;
  ++p.young_count;
  while (p.young_count > quota / kYoungShare) Ripen(size_class);
}

void Eviction::Ripen(uint32_t size_class) {
  Probation& p = probation_[size_class];
  const Ref ref = RefQueue::Peek(queue_blocks_, &p.young);
  --p.young_count;
  Item* const item = OnProbation(ref, size_class);
  if (item != nullptr && item->access_count() != 0) item->set_access_count(0);
}

Item* Eviction::Dequeue(uint32_t size_class) {
  Probation& p = probation_[size_class];
  if (p.young_count == p.queue.size()) Ripen(size_class);
  return OnProbation(p.queue.Pop(queue_blocks_), size_class);
}

Item* Eviction::NextOnProbation(uint32_t size_class, const Deadline& deadline) {
  const Probation& p = probation_[size_class];
  for (uint32_t passed = 0; passed < kPassedMax && p.queue.size() > 0; ++passed) {
    Item* const item = Dequeue(size_class);
    if (item == nullptr) continue;
    if (!item->pinned() && (item->access_count() == 0 || item->DeadAt(deadline))) return item;
    JoinMain(item);
  }
  return nullptr;
}

// ------------------------------------------------------------------------------------------- main

Item* Eviction::NextInMain(uint32_t size_class, const Deadline& deadline) {
  PageClass& c = arena_.page_class(size_class);
  const uint64_t lap = c.pages.Get() * arena_.classes().chunks_per_page(size_class);
  Item* least_read = nullptr;
  uint8_t least = Item::kAccessMax + 1;
  uint32_t passed = 0;
  // A little more than a lap, as the first page may be entered in its middle.
  for (uint64_t i = 0; i < lap + arena_.classes().chunks_per_page(size_class); ++i) {
    Item* const item = Advance(arena_, c);
    if (item->state() != ChunkState::kLive || item->pinned() || item->on_probation()) continue;
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

Item* Eviction::NextVictim(uint32_t size_class, const Deadline& deadline) {
  if (arena_.page_class(size_class).hand_page == 0) return nullptr;
  if (probation_[size_class].queue.size() > QuotaOf(size_class)) {
    if (Item* const item = NextOnProbation(size_class, deadline)) return item;
  }
  if (Item* const item = NextInMain(size_class, deadline)) return item;
  return NextOnProbation(size_class, deadline);
}

void Eviction::CheckInvariants() const {
  std::array<uint64_t, SizeClasses::kClassesMax> queued{};
  for (uint32_t c = 0; c < arena_.classes().count_with_heads(); ++c) {
    const Probation& p = probation_[c];
    CHECK_LE(p.young_count, p.queue.size());
    RefQueue::Cursor at = p.queue.head();
    for (uint32_t i = 0; i < p.queue.size(); ++i) {
      if (OnProbation(RefQueue::Peek(queue_blocks_, &at), c) != nullptr) ++queued[c];
    }
  }
  for (PageId id = 1; id <= arena_.pages_total(); ++id) {
    const Page& page = arena_.page(id);
    if (page.use != PageUse::kClass) continue;
    for (uint32_t i = 0; i < page.cut; ++i) {
      const Item* const item = arena_.ChunkAt(id, i);
      if (item->state() != ChunkState::kLive || !item->on_probation()) continue;
      // A reference may stand there twice, never not at all.
      CHECK(queued[page.size_class] > 0);
      --queued[page.size_class];
    }
  }
}

}  // namespace torc::slab
