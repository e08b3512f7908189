// Walks over a partition: all of its items, all of its pins. Each call is a slice; what holds
// between two of them is said in engine.h.
//
// Items are met in the order of the index, not of the pages: an item that is replaced gets another
// chunk, before or behind a walk over pages, but its key keeps its place among the tags. The price
// is a cache miss for each item, most of which overlap: a few buckets' items are called at a time.

#include <algorithm>
#include <bit>

#include "src/slab/index.h"
#include "src/slab/partition.h"

namespace torc::slab {
namespace {

// Home buckets whose items are called into the cache together: about two dozen items.
constexpr uint32_t kBucketsAhead = 4;
constexpr size_t kPinsAhead = 128;

static_assert(Index::kOccupantsMax <= engine::kWalkOvershootMax);

}  // namespace

uint64_t Index::Collect(uint64_t position, Ref* refs, uint32_t* count) const {
  // The first position whose home is bucket `home` of a table.
  const auto first_position = [](const Table& table, uint32_t home) {
    const auto scaled = static_cast<unsigned __int128>(home) << kPositionBits;
    return static_cast<uint64_t>((scaled + table.count - 1) / table.count);
  };
  const uint64_t state = state_.load(std::memory_order_relaxed);
  const Table& current = tables_[Generation(state) & 1];
  const Table& table = TableAt(state, position);
  const uint32_t index = table.HomeIndex(position);
  uint64_t end = first_position(table, index + 1);
  // A bucket of the new table may still lack entries, which the old one has.
  if (&table != &current) end = std::min(end, first_position(current, Progress(state)));
  const Bucket* const home = &table.buckets[index];
  const uint32_t probe_max = home->Load().probe_max();
  *count = 0;
  for (uint32_t probe = 0; probe <= probe_max; ++probe) {
    const Bucket& bucket = home[table.jump[probe]];
    for (uint32_t slots = bucket.Load().ProbesEqual(probe); slots != 0; slots &= slots - 1) {
      const Ref ref = bucket.refs[std::countr_zero(slots)].load(std::memory_order_relaxed);
      if (ref != 0) refs[(*count)++] = ref;
    }
  }
  return end;
}

engine::ItemInfo Partition::Describe(const Item* item) const {
  engine::ItemInfo info;
  info.key = item->key();
  info.cas = CasOf(item);
  info.item_bytes = BytesOf(item);
  info.value_size = item->value_size();
  info.client_flags = item->client_flags();
  info.size_class = classes_.NumberOf(item->size_class());
  info.exptime = item->exptime();
  info.last_access = now_ - std::min(now_, item->IdleSeconds(now_));
  info.fetched = item->fetched();
  return info;
}

void Partition::Walk(engine::WalkCursor* cursor, uint32_t items_max,
                     engine::ItemVisitor& visitor) const {
  Ref refs[kBucketsAhead][Index::kOccupantsMax];
  uint32_t counts[kBucketsAhead];
  uint64_t ends[kBucketsAhead];
  uint64_t position = cursor->position;
  uint32_t visited = 0;
  bool go_on = true;
  // Buckets are bounded too: they may all be empty.
  for (uint32_t looked = 0; go_on && visited < items_max && looked < items_max;) {
    uint32_t buckets = 0;
    for (uint64_t from = position; buckets < kBucketsAhead && from != Index::kPositionEnd;
         ++buckets) {
      from = ends[buckets] = index_.Collect(from, refs[buckets], &counts[buckets]);
      for (uint32_t i = 0; i < counts[buckets]; ++i) {
        __builtin_prefetch(arena_.items().At(refs[buckets][i]));
      }
    }
    for (uint32_t b = 0; b < buckets && go_on; ++b) {
      for (uint32_t i = 0; i < counts[b]; ++i) {
        const Item* const item = arena_.items().At(refs[b][i]);
        // Where the table has changed since the last slice, a bucket may begin or end elsewhere.
        const uint64_t at = Index::PositionOf(HashOf(item));
        if (at < position || at >= ends[b] || item->DeadAt(deadline())) continue;
        ++visited;
        go_on &= visitor.Visit(Describe(item));
      }
      position = ends[b];
    }
    looked += buckets;
    if (position == Index::kPositionEnd) {
      cursor->done = true;
      break;
    }
  }
  cursor->position = position;
}

void Partition::ListPins(engine::WalkCursor* cursor, uint32_t pins_max,
                         engine::PinVisitor& visitor) const {
  Pins::Pinned pinned[kPinsAhead];
  const size_t wanted = std::min<size_t>(pins_max, kPinsAhead);
  const size_t found = pins_.List(static_cast<Ref>(cursor->position), {pinned, wanted});
  cursor->done = found < wanted;
  for (size_t i = 0; i < found; ++i) {
    const Item* const item = arena_.items().At(pinned[i].ref);
    cursor->position = uint64_t{pinned[i].ref} + 1;
    if (!visitor.Visit({Describe(item), pinned[i].count, pinned[i].since,
                        item->state() == ChunkState::kLive})) {
      cursor->done = false;
      return;
    }
  }
}

}  // namespace torc::slab
