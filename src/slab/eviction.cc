#include "src/slab/eviction.h"

#include <algorithm>
#include <vector>

#include "src/base/assert.h"

namespace torc::slab {
namespace {

// The most live items to pass over before the least read of them goes. Bounds the time of one
// eviction to some 10 microseconds. Passing costs each item a count that a read paid for, so on
// average an eviction passes few.
constexpr uint32_t kPassedMax = 1024;
// The most chunks to look at for a victim among those that are none: pieces of chained items, free
// and reserved chunks. In the class of the largest pieces there may be hardly anything else, and a
// lap of all its pages would hold up a turn for as long as memory is large: 0.7 ms for each GiB.
constexpr uint32_t kLooksMax = 2048;

// How many chunks ahead of the hand to call into the cache.
constexpr uint32_t kPrefetchChunks = 4;

// What part of a class's chunks probation holds: at first, and within what bounds it adapts. But no
// more than one reference for each 1,024 bytes of them. A reference has 4 bytes: 1/256, and twice
// that where queues are at their limit.
constexpr double kShareAtStart = 0.2;
constexpr double kShareMin = 0.05;
constexpr double kShareMax = 0.35;
constexpr uint32_t kBytesPerProbation = 1024;
// By how many items the share moves when a key comes back that was evicted from there. More for
// main favours loops and what is hot for long, less favours what is new.
constexpr double kProbationStep = 1;
constexpr double kMainStep = 2;
// A queue may be this many times its quota, as memory is filled and evictions lag behind. Beyond,
// the oldest join the main population unjudged.
constexpr uint32_t kQueueMaxQuotas = 2;
// The young are this share of a queue.
constexpr uint32_t kYoungShare = 8;
// Chunks looked at for a dead item before a live one is evicted: more while some are found.
constexpr uint32_t kScoutChunksMin = 2;
constexpr uint32_t kScoutChunksMax = 32;
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

// Blocks for all queues at their limits, two that each may have in part, and one to take. As much
// as the memory limit may ever be raised to: it is address space only.
uint32_t BlocksFor(const Arena& arena) {
  const uint64_t bytes = uint64_t{arena.pages_reserved()} << arena.classes().page_shift();
  const uint64_t refs = kQueueMaxQuotas * (bytes / kBytesPerProbation);
  return static_cast<uint32_t>(refs / RefQueue::kBlockRefs) +
         3 * arena.classes().count_with_heads();
}

}  // namespace

Eviction::Eviction(Arena& arena)
    : arena_(arena),
      queue_blocks_(BlocksFor(arena)),
      classes_(arena.classes().count_with_heads()),
      ghost_(BytesOf(arena) / kGhostShare),
      probation_share_(kShareAtStart) {}

// -------------------------------------------------------------------------------------- probation

uint32_t Eviction::QuotaOf(uint32_t size_class) const {
  const SizeClasses& classes = arena_.classes();
  const uint64_t pages = arena_.page_class(size_class).pages.Get();
  if (pages == 0) return 0;
  const auto chunks = static_cast<double>(pages * classes.chunks_per_page(size_class));
  const auto share = static_cast<uint64_t>(chunks * probation_share_);
  const uint64_t most = (pages << classes.page_shift()) / kBytesPerProbation;
  return static_cast<uint32_t>(std::clamp<uint64_t>(share, 1, most));
}

void Eviction::MoveShare(double items, uint64_t resident) {
  const double moved = probation_share_ + items / static_cast<double>(resident + 1);
  probation_share_ = std::clamp(moved, kShareMin, kShareMax);
}

uint32_t Eviction::LimitOf(uint32_t size_class) const {
  return kQueueMaxQuotas * QuotaOf(size_class);
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
  item->set_state(ChunkState::kLive);
  item->ForgetAccesses();
}

void Eviction::NoteEvicted(const Item& item, uint64_t hash, uint64_t resident) {
  ghost_.Add(hash, item.on_probation() ? Ghost::Origin::kProbation : Ghost::Origin::kMain,
             resident);
}

bool Eviction::Admit(Item* item, uint64_t hash, uint64_t resident) {
  switch (ghost_.Take(hash)) {
    case Ghost::Origin::kProbation:
      MoveShare(+kProbationStep, resident);
      return true;
    case Ghost::Origin::kMain:
      MoveShare(-kMainStep, resident);
      break;
    case Ghost::Origin::kUnknown:
      break;
  }
  Enqueue(item);
  return false;
}

void Eviction::Enqueue(Item* item) {
  const uint32_t size_class = item->size_class();
  PerClass& p = classes_[size_class];
  const uint32_t quota = QuotaOf(size_class);
  if (quota == 0) return;
  Shorten(size_class, LimitOf(size_class) - 1);
  if (!queue_blocks_.has_free()) {
    // Classes that have lost pages keep references to what was there.
    for (uint32_t c = 0; c < arena_.classes().count_with_heads(); ++c) Shorten(c, LimitOf(c));
  }
  item->PutOnProbation();
  p.queue.Push(queue_blocks_, arena_.items().Of(item));
  if (p.young_count == 0) p.young = p.queue.tail(), --p.young.index;
  ++p.young_count;
  while (p.young_count > quota / kYoungShare) Ripen(size_class);
}

void Eviction::Shorten(uint32_t size_class, uint32_t limit) {
  while (classes_[size_class].queue.size() > limit) {
    if (Item* const oldest = Dequeue(size_class)) JoinMain(oldest);
  }
}

void Eviction::Ripen(uint32_t size_class) {
  PerClass& p = classes_[size_class];
  const Ref ref = RefQueue::Peek(queue_blocks_, &p.young);
  --p.young_count;
  Item* const item = OnProbation(ref, size_class);
  if (item != nullptr) item->ForgetAccesses();
}

Item* Eviction::Dequeue(uint32_t size_class) {
  PerClass& p = classes_[size_class];
  if (p.young_count == p.queue.size()) Ripen(size_class);
  return OnProbation(p.queue.Pop(queue_blocks_), size_class);
}

Item* Eviction::NextOnProbation(uint32_t size_class, const Deadline& deadline) {
  PerClass& p = classes_[size_class];
  for (uint32_t passed = 0; passed < kPassedMax && p.queue.size() > 0; ++passed) {
    Item* const item = Dequeue(size_class);
    if (item == nullptr) continue;
    if (!item->pinned() && (item->access_count() == 0 || item->DeadAt(deadline))) return item;
    JoinMain(item);
    ++p.joined;
  }
  return nullptr;
}

// ------------------------------------------------------------------------------------------- main

Item* Eviction::NextInMain(uint32_t size_class, const Deadline& deadline) {
  PageClass& c = arena_.page_class(size_class);
  const uint64_t lap = c.pages.Get() * arena_.classes().chunks_per_page(size_class);
  Item* least_read = nullptr;
  uint8_t least = Item::kAccessMax + 1;
  uint32_t passed = 0, looks = 0;
  // A little more than a lap, as the first page may be entered in its middle.
  for (uint64_t i = 0; i < lap + arena_.classes().chunks_per_page(size_class); ++i) {
    Item* const item = Advance(arena_, c);
    if (item->state() != ChunkState::kLive || item->pinned() || item->on_probation()) {
      if (++looks == kLooksMax) break;
      continue;
    }
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

Item* Eviction::NextDead(uint32_t size_class, const Deadline& deadline) {
  PerClass& p = classes_[size_class];
  const uint32_t looks = p.scout_found ? kScoutChunksMax : kScoutChunksMin;
  for (uint32_t i = 0; i < looks; ++i) {
    const Page& page = arena_.page(p.scout_page);
    if (page.use != PageUse::kClass || page.size_class != size_class) {
      p.scout_page = arena_.page_class(size_class).hand_page;  // its page has left the class
      p.scout_chunk = 0;
    } else if (p.scout_chunk >= page.cut) {
      p.scout_page = page.next;
      p.scout_chunk = 0;
    }
    Item* const item = arena_.ChunkAt(p.scout_page, p.scout_chunk++);
    if (item->state() == ChunkState::kLive && !item->pinned() && item->DeadAt(deadline)) {
      p.scout_found = true;
      return item;
    }
  }
  p.scout_found = false;
  return nullptr;
}

Item* Eviction::NextVictim(uint32_t size_class, const Deadline& deadline, bool seek_dead) {
  if (arena_.page_class(size_class).hand_page == 0) return nullptr;
  if (seek_dead) {
    if (Item* const item = NextDead(size_class, deadline)) return item;
  }
  if (classes_[size_class].queue.size() > QuotaOf(size_class)) {
    if (Item* const item = NextOnProbation(size_class, deadline)) return item;
  }
  if (Item* const item = NextInMain(size_class, deadline)) return item;
  return NextOnProbation(size_class, deadline);
}

void Eviction::CheckInvariants() const {
  CHECK(probation_share_ >= kShareMin && probation_share_ <= kShareMax);
  std::vector<uint64_t> queued(arena_.classes().count_with_heads());
  for (uint32_t c = 0; c < arena_.classes().count_with_heads(); ++c) {
    const PerClass& p = classes_[c];
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
