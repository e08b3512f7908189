#include "src/slab/partition.h"

#include <algorithm>
#include <bitset>
#include <cstring>

#include "src/base/assert.h"

namespace torc::slab {
namespace {

// Home buckets of a new partition: 4,080 slots, 21 KiB.
constexpr uint32_t kIndexBucketsAtStart = 340;

// A page moves only if this much is gained by it: else noise would move pages.
constexpr double kMoveGain = 1.5;
// Memory serves most requests if the classes turn over at a pace that is proportional to their
// items' size: of two items that are as likely to be asked for, the smaller one is worth more per
// byte. But sizes tell only so much of popularity: the pace is bounded to this factor either way of
// that of items of the mean size.
constexpr double kSizeWeightMax = 8;
// What is stored counts for this part of its bytes as a class's demand for memory; all of them
// count once it has proved worth keeping: read on probation, or evicted too early.
constexpr uint32_t kUnprovenShare = 8;
// A page granted to a class that has not taken it by then may go to another.
constexpr uint64_t kGrantTurns = 4096;
// Likewise if nothing was stored in that class while so many pages' worth was stored elsewhere.
constexpr uint32_t kGrantIdlePages = 2;
// Pages on their way to a class at a time: each waits some turns for its readers, and a turn may
// store a page's worth.
constexpr uint32_t kGrantedPagesMax = 4;
// What was stored in the recent past is halved each time as much as this part of the memory was
// stored.
constexpr uint32_t kFadeParts = 1;
// A class that nothing was stored in while this part of the memory was stored elsewhere, and while
// at an even pace it would have got so many stores, has no demand: what will be stored there is not
// known, and what is read there moves (DrainStep). The first alone takes the pages of classes with
// few chunks, which get a store now and then: with shards of 8 MB it cost 4 to 13 % more misses.
constexpr uint32_t kIdleParts = 16;
constexpr uint64_t kIdleStores = 256;

// Evictions in one turn for the sake of pages: a bound on how long a large item holds up a turn,
// about 0.2 ms.
constexpr uint32_t kPageEvictionsPerTurn = 2048;
// Chunks walked in one step of a drain.
constexpr uint32_t kDrainChunks = 512;
// Chunks that are asked what their page is worth; pages asked in one go; and for how long, in parts
// of the memory stored, the answer holds that one is worth keeping.
constexpr uint32_t kChunksAsked = 64;
constexpr uint32_t kPagesAsked = 4;
constexpr uint32_t kSpareParts = 4;
// Steps in which a drain waits for one item's new place.
constexpr uint32_t kDrainWaitsMax = 256;
// Items evicted at once for those of a drained page, at most: about 0.1 ms. A drain waits for their
// readers each time, while the sizes that are stored wait for the page.
constexpr uint32_t kRefugeBatch = 512;
// Items evicted from a class in one go.
constexpr uint32_t kEvictBatch = 16;
// Dead items unlinked in one go.
constexpr uint32_t kReclaimBatch = 32;
// Dead items that may wait for their readers at a time: they are freed in one turn.
constexpr uint32_t kReclaimsPerGrace = 1024;
// An earmark that nobody asked for again is void after this many turns: its connection is gone.
constexpr uint64_t kEarmarkTurns = 64;
// The reserve of free chunks, in demands of a grace period: the time from the limbo's mark until
// all readers are gone, a turn with one shard, a few with more, and many where shards share cores.
// What is freed now waits up to two of them.
constexpr uint32_t kReserveGraces = 3;
// What to keep free for a class that took so many in one. A single chunk is no stream: where many
// classes take one now and then, three kept in each would be 2 % of 8 MB.
constexpr uint32_t ReserveFor(uint32_t taken) {
  return taken == 0 ? 0 : kReserveGraces * (taken - 1) + 1;
}
// Index buckets moved in one background slice.
constexpr uint32_t kIndexBucketsPerSlice = 32;

}  // namespace

void ClassCounters::Reset() {
  for (Counter* counter :
       {&evicted, &evicted_nonzero, &evicted_time, &evicted_unfetched, &evicted_active,
        &out_of_memory, &reclaimed, &expired_unfetched, &crawler_reclaimed, &crawler_checked, &sets,
        &delete_hits, &increment_hits, &decrement_hits, &cas_hits, &cas_badval, &touch_hits,
        &pages_moved}) {
    if (counter->Get() != 0) counter->Set(0);  // most classes are never used: see ZeroedArray
  }
}

void PartitionCounters::Reset() {
  for (Counter* counter : {&items_stored, &store_too_large, &store_no_memory, &pages_moved}) {
    counter->Set(0);
  }
}

Partition::Partition(const Config& config, const SizeClasses& classes)
    : classes_(classes),
      evict_(config.evict),
      arena_(config.memory, config.pages, std::max(config.pages, config.pages_reserved), classes),
      values_(classes, arena_.items()),
      index_({.items = arena_.items(),
              .buckets = kIndexBucketsAtStart,
              .huge_pages = config.huge_pages,
              .hash_seed = config.hash_seed}),
      limbo_((size_t{arena_.pages_reserved()} << classes.page_shift()) / SizeClasses::kChunkSizeMin,
             config.quiescence, config.self),
      eviction_(arena_),
      copies_(config.copy_slice_bytes),
      hash_seed_(config.hash_seed),
      shards_(config.shards),
      self_(config.self),
      ladder_(classes, config.pages),
      supply_(classes.count_with_heads()),
      class_counters_(classes.count_with_heads()) {
  CountOverhead();
}

// ------------------------------------------------------------------------------------------ turns

void Partition::BeginTurn(RelativeSeconds now) {
  ++turn_;
  now_ = now;
  evictions_left_ = kPageEvictionsPerTurn;
  copies_.BeginTurn();
  if (flush_at_ != kNeverExpires && flush_at_ <= now) Flush(kNeverExpires);
  if (earmarked_ != 0 && turn_ - earmarked_turn_ > kEarmarkTurns) earmarked_ = 0;

  bool elapsed;
  const std::span<const Ref> freed = limbo_.BeginTurn(&elapsed);
  if (!limbo_.waiting()) SettleDemand();
  if (!elapsed) return;
  reclaims_ = 0;
  for (size_t i = 0; i < freed.size(); ++i) {
    constexpr size_t kAhead = 8;
    if (i + kAhead < freed.size()) __builtin_prefetch(arena_.items().At(freed[i + kAhead]), 1);
    Item* const item = arena_.items().At(freed[i]);
    CHECK(item->state() == ChunkState::kUnlinked);
    --supply_[item->size_class()].limbo;
    limbo_pages_ -= WholePages(item);
    if (item->pinned()) {
      item->set_state(ChunkState::kOrphan);
    } else {
      FreeItem(item);
    }
  }
  // What a drain made others leave is for what it has to move, before this turn's stores ask.
  if (drain_page_ != 0) DrainStep();
  if (retired_ == Retired::kMarked) {
    index_.FreeRetired();
    retired_ = Retired::kNone;
  }
}

// The demand of a grace period is known. The reserve falls slowly, as demand comes in bursts.
void Partition::SettleDemand() {
  for (uint32_t i = 0; i < active_count_; ++i) {
    Supply& supply = supply_[active_[i]];
    supply.target = std::max(ReserveFor(supply.taken), supply.target - supply.target / 8);
    supply.taken = 0;
  }
  active_count_ = 0;
}

void Partition::CountOverhead() {
  eviction_bytes_.Set(eviction_.overhead_bytes());
  page_table_bytes_.Set(arena_.overhead_bytes());
}

void Partition::EndTurn() {
  copies_.EndTurn();
  if (active_count_ != 0) CountOverhead();
  for (uint32_t i = 0; i < active_count_; ++i) TopUp(active_[i]);
  if (retired_ == Retired::kNone && index_.has_retired()) retired_ = Retired::kNew;
  if (limbo_.EndTurn(retired_ == Retired::kNew) && retired_ == Retired::kNew) {
    retired_ = Retired::kMarked;
  }
}

bool Partition::Background() {
  bool more = index_.Step(kIndexBucketsPerSlice);
  UnlinkDropped();
  if (drain_page_ != 0) {
    DrainStep();
    more |= drain_page_ != 0;
  }
  more |= Shrink();
  if (crawler_on_ || crawler_.asked()) more |= ReclaimDead();
  return more || !copies_.empty();
}

bool Partition::ReclaimDead() {
  if (!crawler_.BeginSlice(now_, flush_cas())) return false;
  while (reclaims_ < kReclaimsPerGrace) {
    std::array<Item*, kReclaimBatch> dead;
    const ExpiryCrawler::Found found = crawler_.Find(arena_, dead);
    if (found.looked_at == 0) break;
    ClassCounters& counters = class_counters_[found.size_class];
    counters.crawler_checked.Add(found.looked_at);
    counters.crawler_reclaimed.Add(found.dead);
    // Hashed first and unlinked after, so that the misses on their buckets overlap.
    std::array<uint64_t, kReclaimBatch> hashes;
    for (uint32_t i = 0; i < found.dead; ++i) {
      hashes[i] = HashOf(dead[i]);
      index_.Prefetch(hashes[i]);
    }
    for (uint32_t i = 0; i < found.dead; ++i) Reclaim(dead[i], hashes[i]);
    reclaims_ += found.dead;
  }
  return crawler_.has_work();
}

void Partition::Flush(RelativeSeconds when) {
  if (when != kNeverExpires && when > now_) {
    flush_at_ = when;
    return;
  }
  flush_at_ = kNeverExpires;
  // Takes a number of its own, as memcached does.
  flush_cas_.store(++cas_count_, std::memory_order_release);
  crawler_.NoteFlush(now_);
}

// ----------------------------------------------------------------------------------------- chunks

void Partition::Hold(Item* item, int change) {
  const auto hold = [&](PageId id) {
    Page& page = arena_.page(id);
    page.held = static_cast<uint32_t>(static_cast<int>(page.held) + change);
  };
  hold(arena_.PageOf(item));
  if (!item->chained()) return;
  for (const Ref ref : ValueSpace::Refs(item)) hold(arena_.PageOf(ref));
}

void Partition::NoteDemand(uint32_t size_class) {
  Supply& supply = supply_[size_class];
  if (supply.taken++ == 0) active_[active_count_++] = static_cast<uint16_t>(size_class);
}

void Partition::NoteSize(size_t bytes) {
  if (!ladder_.Note(bytes)) return;
  // The stores of the recent past go with their sizes, so that a class that opens
  // gets its pages, and one that closes loses them, at once.
  ladder_.Adapt(
      [](void* context, uint32_t from, uint32_t to, double share) {
        Partition& p = *static_cast<Partition*>(context);
        const uint64_t bytes_moved =
            static_cast<uint64_t>(share * static_cast<double>(p.supply_[from].taken_bytes));
        p.supply_[from].taken_bytes -= bytes_moved;
        p.supply_[to].taken_bytes += bytes_moved;
      },
      this);
}

uint32_t Partition::EvictableIn(uint32_t size_class) const {
  return static_cast<uint32_t>(class_counters_[size_class].items.Get()) -
         supply_[size_class].pinned;
}

template <typename TryClass>
bool Partition::AnyClassNear(uint32_t size_class, TryClass try_class) const {
  for (uint32_t c = size_class;; ++c) {
    if (try_class(c)) return true;
    if (classes_.is_coarse(c)) return false;
  }
}

Item* Partition::TakeChunk(uint32_t size_class, bool from_pool) {
  Item* const chunk = arena_.Allocate(size_class, from_pool);
  if (chunk != nullptr) NoteStored(size_class, classes_.chunk_size(size_class));
  return chunk;
}

void Partition::NoteStored(uint32_t size_class, uint64_t bytes) {
  stored_bytes_ += bytes;
  supply_[size_class].taken_bytes += bytes / kUnprovenShare;
  supply_[size_class].taken_at = clock();
  if (clock() - faded_at_ < std::max(1u, arena_.pages_total() / kFadeParts)) return;
  faded_at_ = clock();
  for (Supply& supply : supply_) {
    if (supply.taken_bytes != 0) supply.taken_bytes /= 2;
  }
}

uint32_t Partition::PagesClaimedBefore(uint32_t size_class) const {
  const bool others = granted_ != kNoClass && granted_ != size_class && !GrantIsVoid();
  return earmarked_ + (others ? granted_pages_ : 0);
}

Item* Partition::AllocateChunk(uint32_t* size_class) {
  NoteDemand(*size_class);
  const bool from_pool =
      arena_.pool_pages() > PagesClaimedBefore(*size_class) || EvictableIn(*size_class) == 0;
  const uint32_t pool_pages = arena_.pool_pages();
  Item* chunk = TakeChunk(*size_class, from_pool);
  if (*size_class == granted_ && arena_.pool_pages() != pool_pages && --granted_pages_ == 0) {
    granted_ = kNoClass;
  }
  if (chunk != nullptr || evict_) return chunk;
  AnyClassNear(*size_class, [&](uint32_t c) {
    chunk = TakeChunk(c, false);
    if (chunk != nullptr) *size_class = c;
    return chunk != nullptr;
  });
  return chunk;
}

Item* Partition::Make(const NewItem& wanted, Room* room) {
  const ItemLayout layout{
      .key_size = wanted.key_size,
      .value_size = wanted.value_size,
      // Without eviction there may never be room for a copy that has one.
      .has_exptime = wanted.exptime != kNeverExpires || wanted.is_touchable || !evict_,
      .has_client_flags = wanted.client_flags != 0,
      .has_own_cas = wanted.has_own_cas};
  const size_t size = layout.prefix() + layout.value_size;
  Item* item;
  if (size <= classes_.chunk_size_max()) {
    uint32_t size_class = ladder_.ClassFor(size);
    item = AllocateChunk(&size_class);
    if (item == nullptr) {
      *room = MakeRoomForChunk(size_class);
      if (*room == Room::kNever) class_counters_[size_class].out_of_memory.Add(1);
      return nullptr;
    }
    NoteSize(size);
    item->Init(size_class, layout);
  } else {
    item = MakeChained(layout, room);
    if (item == nullptr) return nullptr;
  }
  if (layout.has_exptime) item->set_exptime(wanted.exptime);
  if (layout.has_client_flags) item->set_client_flags(wanted.client_flags);
  item->set_last_access(now_);
  Hold(item, +1);
  *room = Room::kNow;
  return item;
}

engine::Shortage Partition::WhyNever(const NewItem& wanted) const {
  if (wanted.value_size >> classes_.page_shift() >= arena_.pages_total()) {
    return engine::Shortage::kExceedsShard;
  }
  return evict_ ? engine::Shortage::kNothingToEvict : engine::Shortage::kNoEviction;
}

Item* Partition::MakeChained(ItemLayout layout, Room* room) {
  if (layout.value_size >> classes_.page_shift() > arena_.pages_total()) {
    *room = Room::kNever;
    return nullptr;
  }
  layout.has_exptime = true;  // 4 bytes are nothing, and a touch never has to copy it
  const ChainShape shape = classes_.Chain(layout.prefix(), layout.value_size);
  const uint32_t chunks = shape.pieces - shape.pages;
  // The head, the full chunks and the last one may each need a page of their own.
  const uint32_t pages_wanted = shape.pages + 3;
  if (shape.pages > arena_.pages_total()) {
    *room = Room::kNever;
    return nullptr;
  }
  const auto fail = [&]() -> Item* {
    *room = MakeRoomForPages(std::min(pages_wanted, arena_.pages_total()));
    if (*room == Room::kNever) class_counters_[classes_.heads()].out_of_memory.Add(1);
    return nullptr;
  };
  if (arena_.pool_pages() < shape.pages) return fail();

  NoteDemand(classes_.heads());
  Item* const head = TakeChunk(classes_.heads(), true);
  if (head == nullptr) return fail();
  head->Init(classes_.heads(), layout);
  const Ref head_ref = arena_.items().Of(head);
  ChainRecord& chain = ValueSpace::Chain(head);
  chain = {0, 0};
  Ref* const refs = reinterpret_cast<Ref*>(&chain + 1);
  while (chain.pages < shape.pages) {
    const PageId page = arena_.TakePage(head_ref);
    if (page == 0) break;
    ++item_pages_;
    refs[chain.pages] = arena_.RefOf(page);
    chain.pages++;
    chain.pieces++;
  }
  for (uint32_t i = 0; i < chunks && chain.pieces == shape.pages + i; ++i) {
    const bool is_last = i + 1 == chunks && shape.last_bytes != 0;
    const uint32_t size_class =
        is_last ? ladder_.ClassFor(sizeof(Item) + shape.last_bytes) : classes_.largest();
    NoteDemand(size_class);
    Item* const piece = TakeChunk(size_class, true);
    if (piece == nullptr) break;
    piece->InitPiece(head_ref);
    refs[chain.pieces++] = arena_.items().Of(piece);
  }
  if (chain.pieces != shape.pieces) {
    FreeItem(head);
    return fail();
  }
  NoteStored(classes_.heads(), uint64_t{shape.pages} << classes_.page_shift());
  if (shape.last_bytes != 0) NoteSize(sizeof(Item) + shape.last_bytes);
  earmarked_ = 0;
  return head;
}

void Partition::FreeItem(Item* item) {
  if (item->chained()) {
    const ChainRecord& chain = ValueSpace::Chain(item);
    const std::span<const Ref> refs = ValueSpace::Refs(item);
    for (uint32_t i = 0; i < chain.pages; ++i) arena_.FreePage(arena_.PageOf(refs[i]));
    item_pages_ -= chain.pages;
    for (const Ref ref : refs.subspan(chain.pages)) arena_.Free(arena_.items().At(ref));
  }
  arena_.Free(item);
}

void Partition::Discard(Item* item) {
  CHECK(item->state() == ChunkState::kReserved);
  Hold(item, -1);
  FreeItem(item);
}

// ------------------------------------------------------------------------------------------ items

uint64_t Partition::BytesOf(const Item* item) const {
  if (!item->chained()) return item->prefix_size() + item->value_size();
  const ChainRecord& chain = ValueSpace::Chain(item);
  return classes_.ChainValueOffset(item->prefix_size(), item->value_size()) + item->value_size() +
         sizeof(Item) * (chain.pieces - chain.pages);
}

void Partition::CountLive(const Item* item, int change) {
  const uint64_t bytes = BytesOf(item);
  ClassCounters& counters = class_counters_[item->size_class()];
  if (change > 0) {
    if (counters.items.Get() == 0) counters.oldest_access.Set(now_);
    counters.items.Add(1);
    counters.bytes.Add(bytes);
    counters_.items.Add(1);
    counters_.item_bytes.Add(bytes);
  } else {
    counters.items.Subtract(1);
    counters.bytes.Subtract(bytes);
    counters_.items.Subtract(1);
    counters_.item_bytes.Subtract(bytes);
  }
}

Room Partition::Publish(Item* item, uint64_t hash, Index::Slot* slot) {
  CHECK(item->state() == ChunkState::kReserved);
  item->set_cas_count(cas_count_ + 1);
  if (slot != nullptr) {
    ++cas_count_;
    Replace(item, slot);
    return Room::kNow;
  }
  for (bool inserted = false; !inserted;) {
    const Index::InsertResult result = index_.Insert(hash, arena_.items().Of(item));
    const bool dropped = UnlinkDropped();
    switch (result) {
      case Index::InsertResult::kInserted:
        inserted = true;
        break;
      case Index::InsertResult::kLater:
        if (!dropped) return Room::kLater;
        break;
      case Index::InsertResult::kCrowded:
        if (!evict_ || !EvictOccupant(hash)) return Room::kNever;
        break;
    }
  }
  ++cas_count_;
  BecomeLive(item);
  if (eviction_.Admit(item, hash, counters_.items.Get())) {
    supply_[item->size_class()].taken_bytes += classes_.chunk_size(item->size_class());
  }
  return Room::kNow;
}

void Partition::PublishCopy(Item* item, Index::Slot* slot) {
  CHECK(item->state() == ChunkState::kReserved);
  const Item* const old = index_.ItemIn(*slot);
  item->set_cas_count(old->cas_count());
  if (old->has_own_cas()) item->set_own_cas(old->own_cas());
  item->InheritAccess(*old, /*same_value=*/true);
  item->InheritMarks(*old);
  Replace(item, slot);
}

void Partition::Replace(Item* item, Index::Slot* slot) {
  Item* const old = index_.ItemIn(*slot);
  const bool proven = Eviction::Proven(*old);
  CountLive(old, -1);
  index_.Replace(slot, arena_.items().Of(item));
  ToLimbo(old);
  BecomeLive(item);
  if (!proven) eviction_.AdmitAnew(item);
}

void Partition::BecomeLive(Item* item) {
  Hold(item, -1);
  item->set_state(ChunkState::kLive);
  crawler_.NoteExpiry(arena_, arena_.PageOf(item), item->exptime(), now_);
  CountLive(item, +1);
}

bool Partition::UnlinkDropped() {
  bool any = false;
  while (const Ref ref = index_.TakeDropped()) {
    Item* const item = arena_.items().At(ref);
    class_counters_[item->size_class()].evicted.Add(1);
    CountLive(item, -1);
    ToLimbo(item);
    any = true;
  }
  return any;
}

bool Partition::EvictOccupant(uint64_t hash) {
  Item* victim = nullptr;
  for (uint32_t i = 0; i < Index::kOccupantsMax; ++i) {
    const Ref ref = index_.Occupant(hash, i);
    if (ref == 0) continue;
    Item* const item = arena_.items().At(ref);
    if (item->pinned()) continue;
    if (victim == nullptr || item->access_count() < victim->access_count()) victim = item;
  }
  if (victim == nullptr) return false;
  Evict(victim, HashOf(victim));
  return true;
}

void Partition::ToLimbo(Item* item) {
  CHECK(item->state() == ChunkState::kLive);
  if (item->pinned()) --supply_[item->size_class()].pinned;
  item->set_state(ChunkState::kUnlinked);
  ++supply_[item->size_class()].limbo;
  limbo_pages_ += WholePages(item);
  limbo_.Add(arena_.items().Of(item));
}

void Partition::Unlink(Item* item, uint64_t hash) {
  CountLive(item, -1);
  index_.Erase(hash, arena_.items().Of(item));
  ToLimbo(item);
}

void Partition::Reclaim(Item* item, uint64_t hash) {
  ClassCounters& counters = class_counters_[item->size_class()];
  counters.reclaimed.Add(1);
  if (!item->fetched()) counters.expired_unfetched.Add(1);
  Unlink(item, hash);
}

bool Partition::Touch(Item* item, RelativeSeconds exptime) {
  if (item->exptime() == exptime) return true;
  if (!item->has_exptime()) return false;
  item->set_exptime(exptime);
  crawler_.NoteExpiry(arena_, arena_.PageOf(item), exptime, now_);
  return true;
}

bool Partition::Pin(Item* item) {
  CHECK(item->state() == ChunkState::kLive || item->state() == ChunkState::kUnlinked);
  switch (pins_.Add(arena_.items().Of(item), now_)) {
    case Pins::Added::kFull:
      return false;
    case Pins::Added::kAgain:
      return true;
    case Pins::Added::kFirst:
      break;
  }
  item->set_pinned(true);
  Hold(item, +1);
  if (item->state() == ChunkState::kLive) ++supply_[item->size_class()].pinned;
  return true;
}

void Partition::Unpin(Item* item) {
  CHECK(item->pinned());
  if (!pins_.Remove(arena_.items().Of(item))) return;
  item->set_pinned(false);
  Hold(item, -1);
  if (item->state() == ChunkState::kLive) --supply_[item->size_class()].pinned;
  if (item->state() == ChunkState::kOrphan) FreeItem(item);
}

void Partition::DropCopy() {
  CopyQueue::Copy& copy = copies_.copy;
  if (copy.item == nullptr) return;
  Discard(copy.item);
  if (copy.pinned != nullptr) Unpin(copy.pinned);
  copy = {};
}

void Partition::ResetCounters() {
  counters_.Reset();
  for (ClassCounters& counters : class_counters_) counters.Reset();
}

// ------------------------------------------------------------------------------------------- room

void Partition::Evict(Item* item, uint64_t hash) {
  if (item->DeadAt(deadline())) {
    Reclaim(item, hash);
    return;
  }
  ClassCounters& counters = class_counters_[item->size_class()];
  counters.evicted.Add(1);
  if (item->exptime() != kNeverExpires) counters.evicted_nonzero.Add(1);
  const uint32_t idle = item->IdleSeconds(now_);
  counters.evicted_time.Set(idle);
  counters.oldest_access.Set(now_ - std::min(now_, idle));
  if (!item->fetched()) counters.evicted_unfetched.Add(1);
  if (item->access_count() != 0) counters.evicted_active.Add(1);
  eviction_.NoteEvicted(*item, hash, counters_.items.Get());
  Unlink(item, hash);
}

uint32_t Partition::EvictFrom(uint32_t size_class, uint32_t count) {
  uint32_t evicted = 0;
  // In a class of nothing but pieces of chained items, no search.
  while (evicted < count && EvictableIn(size_class) > 0) {
    struct {
      Item* item;
      uint64_t hash;
    } victims[kEvictBatch];
    // Chosen first and unlinked after, so that the misses on their buckets overlap.
    uint32_t chosen = 0;
    for (const uint32_t wanted = std::min(count - evicted, kEvictBatch); chosen < wanted;
         ++chosen) {
      Item* const item = eviction_.NextVictim(size_class, deadline(), may_hold_dead());
      if (item == nullptr) break;
      victims[chosen] = {item, HashOf(item)};
      index_.Prefetch(victims[chosen].hash);
    }
    supply_[size_class].taken_bytes +=
        uint64_t{eviction_.TakeJoined(size_class)} * classes_.chunk_size(size_class);
    const uint32_t before = evicted;
    for (uint32_t i = 0; i < chosen; ++i) {
      // In a class of few items the hand may have come around.
      Item* const item = victims[i].item;
      if (item->state() != ChunkState::kLive) continue;
      Evict(item, victims[i].hash);
      ++evicted;
    }
    if (evicted == before) break;
  }
  return evicted;
}

uint64_t Partition::BytesHeld(uint32_t size_class) const {
  const uint64_t pages = arena_.page_class(size_class).pages.Get() +
                         (size_class == classes_.heads() ? item_pages_ : 0);
  return pages << classes_.page_shift();
}

double Partition::SizeWeight(uint32_t size_class) const {
  const double mean = static_cast<double>(counters_.item_bytes.Get() + 1) /
                      static_cast<double>(counters_.items.Get() + 1);
  return std::clamp(mean / classes_.chunk_size(size_class), 1 / kSizeWeightMax, kSizeWeightMax);
}

double Partition::TurnoverWithPageMore(uint32_t size_class) const {
  return SizeWeight(size_class) * static_cast<double>(supply_[size_class].taken_bytes) /
         static_cast<double>(BytesHeld(size_class) + classes_.page_size());
}

bool Partition::IsIdle(uint32_t size_class) const {
  const uint64_t pages = arena_.pages_total();
  const uint64_t chunks =
      arena_.page_class(size_class).pages.Get() * classes_.chunks_per_page(size_class);
  const uint64_t stored = clock() - supply_[size_class].taken_at;
  return stored > pages / kIdleParts && stored * chunks > kIdleStores * pages;
}

double Partition::TurnoverWithPageLess(uint32_t size_class) const {
  if (size_class != classes_.heads() && !ladder_.is_open(size_class)) return 0;
  if (IsIdle(size_class)) return 0;
  // The last page of an open class is given up only when hardly anything is stored there any more.
  constexpr uint64_t kLastPageParts = 32;
  const uint64_t rest = std::max<uint64_t>(BytesHeld(size_class) - classes_.page_size(),
                                           classes_.page_size() / kLastPageParts);
  return SizeWeight(size_class) * static_cast<double>(supply_[size_class].taken_bytes) /
         static_cast<double>(rest);
}

bool Partition::DeservesPage(uint32_t size_class) {
  if (!automove_) return false;
  Supply& supply = supply_[size_class];
  if (supply.decided_at == clock()) return supply.deserves_page;
  supply.decided_at = clock();
  const double own = TurnoverWithPageMore(size_class);
  const auto holding = arena_.holding();
  supply.deserves_page = std::any_of(holding.begin(), holding.end(), [&](uint32_t c) {
    return c != size_class && kMoveGain * TurnoverWithPageLess(c) < own;
  });
  return supply.deserves_page;
}

// Sizes may have shifted again before the class that the page was for could take it.
bool Partition::GrantIsVoid() const {
  return turn_ - granted_turn_ > kGrantTurns ||
         clock() - supply_[granted_].taken_at > kGrantIdlePages;
}

bool Partition::BeginMoveTo(uint32_t size_class) {
  if (drain_page_ != 0) return false;
  const bool under_way = granted_ != kNoClass && !GrantIsVoid();
  const bool again = under_way && granted_ == size_class;
  if (under_way && (!again || granted_pages_ == kGrantedPagesMax)) return false;
  const uint32_t coming = pages_coming();
  if (!DeservesPage(size_class) ||
      !FreeUpPage(size_class, Choice::kWorthless, TurnoverWithPageMore(size_class) / kMoveGain))
    return false;
  // What was evicted may have been a chained item of pieces alone: no page comes of it.
  if (drain_page_ == 0 && pages_coming() == coming) return true;
  granted_ = size_class;
  granted_pages_ = again ? granted_pages_ + 1 : 1;
  granted_turn_ = turn_;
  // The next one is for the next page's worth of stores.
  supply_[size_class].deserves_page = false;
  return true;
}

bool Partition::MostlyRead(PageId id) {
  const Page& page = arena_.page(id);
  const uint32_t stride = page.cut / kChunksAsked + 1;
  uint32_t live = 0, read = 0;
  for (uint32_t i = 0; i < page.cut; i += stride) {
    const Item* const item = arena_.ChunkAt(id, i);
    if (item->state() != ChunkState::kLive) continue;
    ++live;
    read += item->access_count() != 0 && !item->DeadAt(deadline());
  }
  if (4 * read <= 3 * live) return false;
  for (uint32_t i = 0; i < page.cut; i += stride) {
    Item* const item = arena_.ChunkAt(id, i);
    if (item->state() == ChunkState::kLive) item->ForgetAccesses();
  }
  return true;
}

bool Partition::BeginDrainOf(uint32_t size_class, Choice choice) {
  // The page that the hand comes to next: nothing has waited longer for it.
  const PageId hand = arena_.page_class(size_class).hand_page;
  const PageId first = hand == 0 ? 0 : arena_.page(hand).next;
  uint32_t asked = 0;
  for (PageId id = first; id != 0;) {
    Page& page = arena_.page(id);
    const bool spared = choice == Choice::kWorthless && page.spared_at != 0 &&
                        clock() - page.spared_at < arena_.pages_total() / kSpareParts;
    if (page.held == 0 && !spared) {
      if (choice == Choice::kAny || !MostlyRead(id)) {
        drain_page_ = id;
        drain_chunk_ = 0;
        drain_waits_ = 0;
        arena_.BeginDrain(id);
        counters_.pages_moved.Add(1);
        class_counters_[size_class].pages_moved.Add(1);
        return true;
      }
      page.spared_at = std::max(1u, clock());
      if (++asked == kPagesAsked) return false;
    }
    id = page.next == first ? 0 : page.next;
  }
  return false;
}

uint32_t Partition::RefugeOf(const Item* item) const {
  const auto has_pages = [&](uint32_t c) { return arena_.page_class(c).hand_page != 0; };
  uint32_t c = item->size_class();
  if (!ladder_.is_open(c) || !has_pages(c))
    c = ladder_.ClassFor(item->prefix_size() + item->value_size());
  while (!has_pages(c)) {
    if (c == classes_.largest()) return kNoClass;
    c = ladder_.ClassAfter(c);
  }
  return c;
}

bool Partition::Relocate(Item* item, uint64_t hash, uint32_t refuge) {
  // Not counted as a store.
  Item* const copy = arena_.Allocate(refuge, false);
  if (copy == nullptr) return false;
  Index::Slot* const slot = index_.FindSlot(hash, item->key());
  CHECK(slot != nullptr && index_.ItemIn(*slot) == item);
  copy->InitCopyOf(refuge, *item);
  Hold(copy, +1);
  PublishCopy(copy, slot);
  return true;
}

bool Partition::IsKept(const Item& item) const {
  return item.state() == ChunkState::kLive && !item.chained() && !item.pinned() &&
         item.access_count() != 0 && !item.DeadAt(deadline());
}

uint32_t Partition::KeptFrom(uint32_t chunk, uint32_t refuge) const {
  const uint32_t end = std::min(chunk + kRefugeBatch, arena_.page(drain_page_).cut);
  uint32_t kept = 0;
  for (; chunk < end; ++chunk) {
    const Item* const item = arena_.ChunkAt(drain_page_, chunk);
    kept += IsKept(*item) && RefugeOf(item) == refuge;
  }
  return kept;
}

bool Partition::DrainStep() {
  Page& page = arena_.page(drain_page_);
  if (page.use != PageUse::kDraining) {
    drain_page_ = 0;  // its last chunks came free already
    return true;
  }
  const uint32_t end = std::min(drain_chunk_ + kDrainChunks, page.cut);
  for (; drain_chunk_ < end; ++drain_chunk_) {
    Item* item = arena_.ChunkAt(drain_page_, drain_chunk_);
    if (item->state() == ChunkState::kPiece) item = arena_.items().At(item->head());
    // A pinned one too: it must leave the index, or its page would never come free.
    if (item->state() != ChunkState::kLive) continue;
    const uint64_t hash = HashOf(item);
    const uint32_t refuge = IsKept(*item) ? RefugeOf(item) : kNoClass;
    if (refuge != kNoClass) {
      if (Relocate(item, hash, refuge)) {
        drain_waits_ = 0;
        continue;
      }
      // Others make room for it and for those behind it, a few turns from now. It waits while they
      // do, but not for ever: what comes free may be taken by stores.
      if (supply_[refuge].limbo == 0) EvictFrom(refuge, KeptFrom(drain_chunk_, refuge));
      if (supply_[refuge].limbo > 0 && ++drain_waits_ < kDrainWaitsMax) return false;
    }
    drain_waits_ = 0;
    Evict(item, hash);
    if (evictions_left_ > 0) --evictions_left_;
  }
  if (drain_chunk_ == page.cut) drain_page_ = 0;
  return true;
}

bool Partition::FreeUpPage(uint32_t but_not, Choice choice, double turnover_max) {
  if (drain_page_ != 0) {
    DrainStep();
    return true;
  }
  std::bitset<SizeClasses::kClassesMax + 1> tried;
  tried.set(but_not);
  for (;;) {
    uint32_t best = kNoClass;
    double best_turnover = 0;
    for (const uint32_t c : arena_.holding()) {
      if (tried[c]) continue;
      const double turnover = TurnoverWithPageLess(c);
      if (turnover > turnover_max) continue;
      if (best == kNoClass || turnover < best_turnover ||
          (turnover == best_turnover && BytesHeld(c) > BytesHeld(best))) {
        best = c;
        best_turnover = turnover;
      }
    }
    if (best == kNoClass) return false;
    tried.set(best);
    if (best == classes_.heads() && item_pages_ > 0) {
      if (EvictFrom(best, 1) > 0) {
        if (evictions_left_ > 0) --evictions_left_;
        return true;
      }
    } else if (BeginDrainOf(best, choice)) {
      DrainStep();
      return true;
    }
  }
}

bool Partition::PageComingFor(uint32_t size_class) const {
  if (drain_page_ != 0) return false;  // its walk goes on first
  const uint32_t coming = pages_coming();
  return EvictableIn(size_class) == 0
             ? coming > 0
             : arena_.pool_pages() + coming > PagesClaimedBefore(size_class);
}

Room Partition::MakeRoomForChunk(uint32_t size_class) {
  if (!evict_) {
    const bool coming = AnyClassNear(size_class, [&](uint32_t c) { return supply_[c].limbo > 0; });
    return coming || pages_coming() > 0 ? Room::kLater : Room::kNever;
  }
  const bool own_coming = supply_[size_class].limbo > 0;
  if (own_coming) return Room::kLater;  // and TopUp will see to more
  if (PageComingFor(size_class)) return Room::kLater;
  if (BeginMoveTo(size_class)) return Room::kLater;
  if (EvictFrom(size_class, std::max(1u, supply_[size_class].target)) > 0) return Room::kLater;
  if (FreeUpPage(kNoClass, Choice::kAny)) return Room::kLater;
  return pages_coming() > 0 ? Room::kLater : Room::kNever;
}

Room Partition::MakeRoomForPages(uint32_t pages) {
  if (!evict_) return pages_coming() > 0 ? Room::kLater : Room::kNever;
  earmarked_ = pages;
  earmarked_turn_ = turn_;
  bool progress = false;
  while (arena_.pool_pages() + pages_coming() < pages || drain_page_ != 0) {
    if (evictions_left_ == 0) return Room::kLater;
    if (drain_page_ != 0) {
      if (!DrainStep()) return Room::kLater;
    } else if (!FreeUpPage(kNoClass, Choice::kWorthless) && !FreeUpPage(kNoClass, Choice::kAny)) {
      break;
    }
    progress = true;
  }
  if (progress || pages_coming() > 0) return Room::kLater;
  earmarked_ = 0;
  return Room::kNever;
}

void Partition::TopUp(uint32_t size_class) {
  Supply& supply = supply_[size_class];
  const uint32_t chunks = static_cast<uint32_t>(arena_.page_class(size_class).pages.Get()) *
                          classes_.chunks_per_page(size_class);
  supply.target = std::min(std::max(ReserveFor(supply.taken), supply.target), chunks / 16 + 1);
  if (!evict_ || arena_.pool_pages() > PagesClaimedBefore(size_class)) return;
  const uint32_t ready = arena_.free_chunks(size_class) + supply.limbo;
  if (ready >= supply.target) return;
  // Heads are evicted for their pages, when those are wanted.
  if (size_class == classes_.heads()) return;
  if (PageComingFor(size_class)) {
    // It waits for readers: the next one is drained meanwhile.
    if (granted_ == size_class) BeginMoveTo(size_class);
    return;
  }
  // Instead of an eviction among its own: so a class that is new to a full partition fills as it
  // would fill an empty one.
  if (BeginMoveTo(size_class)) return;
  // While a page is on its way the class helps itself to what it needs meanwhile.
  const uint32_t wanted = granted_ == size_class
                              ? (supply.target + kReserveGraces - 1) / kReserveGraces
                              : supply.target;
  if (ready < wanted) EvictFrom(size_class, wanted - ready);
}

// ------------------------------------------------------------------------------------- invariants

void Partition::CheckInvariants() const {
  arena_.CheckInvariants();
  eviction_.CheckInvariants();
  pins_.CheckInvariants();
  ladder_.CheckInvariants();
  copies_.CheckInvariants();
  CHECK_EQ(granted_ == kNoClass, granted_pages_ == 0);
  CHECK_LE(granted_pages_, kGrantedPagesMax);

  struct Walk {
    const Partition* partition;
    uint64_t entries = 0;
  } walk{this};
  index_.CheckInvariants(
      [](void* context, Ref ref) {
        Walk& w = *static_cast<Walk*>(context);
        const Item* item = w.partition->arena_.items().At(ref);
        CHECK(item->state() == ChunkState::kLive);
        CHECK(w.partition->index_.Find(w.partition->HashOf(item), item->key()) == item);
        ++w.entries;
      },
      &walk);
  CHECK_EQ(walk.entries, counters_.items.Get());

  uint64_t live = 0, live_bytes = 0, unlinked = 0, pinned = 0, pieces = 0, pieces_of_items = 0;
  uint64_t item_pages = 0, limbo_pages = 0, pages_of_items = 0, reserved = 0;
  std::array<Supply, SizeClasses::kClassesMax> supply{};
  std::array<uint64_t, SizeClasses::kClassesMax> items{};
  for (PageId id = 1; id <= arena_.pages_touched(); ++id) {
    const Page& page = arena_.page(id);
    if (page.use == PageUse::kItem) {
      ++item_pages;
      CHECK(arena_.items().At(page.item)->chained());
    }
    if (page.use != PageUse::kClass && page.use != PageUse::kDraining) continue;
    for (uint32_t i = 0; i < page.cut; ++i) {
      const Item* const item = arena_.ChunkAt(id, i);
      const ChunkState state = item->state();
      if (state == ChunkState::kFree) continue;
      if (state == ChunkState::kPiece) {
        ++pieces;
        CHECK(arena_.items().At(item->head())->chained());
        continue;
      }
      CHECK_EQ(item->size_class(), page.size_class);
      if (item->chained()) {
        const ChainRecord& chain = ValueSpace::Chain(item);
        pieces_of_items += chain.pieces - chain.pages;
        pages_of_items += chain.pages;
      }
      CHECK_EQ(item->pinned(), pins_.CountOf(arena_.items().Of(item)) != 0);
      pinned += item->pinned();
      if (state == ChunkState::kReserved || item->pinned()) CHECK(page.held > 0);
      reserved += state == ChunkState::kReserved;
      if (state == ChunkState::kUnlinked) {
        ++unlinked;
        ++supply[item->size_class()].limbo;
        limbo_pages += WholePages(item);
      }
      if (state == ChunkState::kOrphan) CHECK(item->pinned());
      if (state != ChunkState::kLive) continue;
      ++live;
      live_bytes += BytesOf(item);
      ++items[item->size_class()];
      supply[item->size_class()].pinned += item->pinned();
      CHECK(item->cas_count() != 0 && item->cas_count() <= cas_count_);
      if (page.use != PageUse::kClass) continue;
      CHECK_LT(crawler_.swept_cas(), item->cas_count());
      if (item->exptime() == kNeverExpires) continue;
      CHECK_EQ(Earlier(page.due, std::max(item->exptime(), now_)), page.due);
      CHECK_EQ(Earlier(crawler_.due(), page.due), crawler_.due());
    }
  }
  CHECK_EQ(live, counters_.items.Get());
  CHECK_EQ(live_bytes, counters_.item_bytes.Get());
  CHECK_EQ(unlinked, limbo_.size());
  CHECK_EQ(pinned, pins_.size());
  uint64_t reserved_here = 0;  // the others are the callers'
  copies_.ForEachReserved([&](const Item* item) {
    ++reserved_here;
    CHECK(item->state() == ChunkState::kReserved);
  });
  CHECK_LE(reserved_here, reserved);
  CHECK_EQ(pieces, pieces_of_items);
  CHECK_EQ(item_pages, item_pages_);
  CHECK_EQ(item_pages, pages_of_items);
  CHECK_EQ(limbo_pages, limbo_pages_);
  for (uint32_t c = 0; c < classes_.count_with_heads(); ++c) {
    CHECK_EQ(items[c], class_counters_[c].items.Get());
    CHECK_EQ(supply[c].limbo, supply_[c].limbo);
    CHECK_EQ(supply[c].pinned, supply_[c].pinned);
  }
}

}  // namespace torc::slab
