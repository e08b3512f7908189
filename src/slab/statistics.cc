// The slab engine's statistics: sums over partitions, in the shapes of memcached's `stats`, `stats
// items`, `stats slabs`. Class ids are ours, which begin at 1 as memcached's; chained items count
// in the one behind the last.

#include <algorithm>
#include <bit>
#include <bitset>
#include <charconv>
#include <utility>

#include "src/slab/slab_engine.h"

namespace torc::slab {
namespace {

// Puts "PREFIX:name" and the like without allocating.
class PrefixedSink {
 public:
  PrefixedSink(engine::StatSink& sink, std::string_view prefix, uint32_t id) : sink_(sink) {
    char* end = name_ + prefix.copy(name_, kPrefixMax - kIdMax - 1);
    end = std::to_chars(end, end + kIdMax, id).ptr;
    *end++ = ':';
    size_ = static_cast<size_t>(end - name_);
  }
  void Put(std::string_view name, uint64_t value) {
    const size_t copied = name.copy(name_ + size_, sizeof(name_) - size_);
    sink_.Put(std::string_view(name_, size_ + copied), value);
  }

 private:
  static constexpr size_t kIdMax = 10;
  static constexpr size_t kPrefixMax = 24;
  engine::StatSink& sink_;
  char name_[kPrefixMax + 40];
  size_t size_;
};

}  // namespace

void SlabEngine::ResetCounters(ShardId self) {
  own(self).ResetCounters();
  for (Counter& hits : readers_[self]->get_hits) {
    if (hits.Get() != 0) hits.Set(0);
  }
}

uint64_t SlabEngine::Sum(Counter ClassCounters::* counter, uint32_t c) const {
  uint64_t sum = 0;
  for (const auto& partition : partitions_) {
    sum += (std::as_const(*partition).class_counters(c).*counter).Get();
  }
  return sum;
}

uint64_t SlabEngine::SumGetHits(uint32_t c) const {
  uint64_t sum = 0;
  for (const auto& reader : readers_) sum += reader->get_hits[c].Get();
  return sum;
}

template <typename Visit>
void SlabEngine::ForEachClass(Visit visit) const {
  std::bitset<SizeClasses::kClassesMax> held;
  for (const auto& partition : partitions_) {
    for (const uint32_t c : std::as_const(*partition).arena().ever_held()) held.set(c);
  }
  for (uint32_t c = 1; c <= classes_->largest(); ++c) {
    if (held[c]) visit(c, classes_->NumberOf(c));
  }
  if (held[SizeClasses::heads()])
    visit(SizeClasses::heads(), classes_->NumberOf(SizeClasses::heads()));
}

engine::EngineTotals SlabEngine::Totals() const {
  engine::EngineTotals totals;
  uint64_t slots = 0;
  for (const auto& owned : partitions_) {
    const Partition& partition = *owned;
    const PartitionCounters& counters = partition.counters();
    totals.items += counters.items.Get();
    totals.item_bytes += counters.item_bytes.Get();
    totals.items_stored += counters.items_stored.Get();
    totals.store_too_large += counters.store_too_large.Get();
    totals.store_no_memory += counters.store_no_memory.Get();
    totals.pages_moved += counters.pages_moved.Get();
    totals.index_bytes += partition.index().bytes();
    slots += partition.index().slots();
    totals.eviction_bytes += partition.eviction_bytes().Get();
    totals.page_table_bytes += partition.page_table_bytes().Get();
    totals.index_growing |= partition.index().growing();
    totals.pages_total += partition.arena().pages_used().Get();
    totals.pages_free += partition.arena().pool_pages();
  }
  ForEachClass([&](uint32_t c, uint32_t) {
    totals.evictions += Sum(&ClassCounters::evicted, c);
    totals.evicted_unfetched += Sum(&ClassCounters::evicted_unfetched, c);
    totals.evicted_active += Sum(&ClassCounters::evicted_active, c);
    totals.reclaimed += Sum(&ClassCounters::reclaimed, c);
    totals.expired_unfetched += Sum(&ClassCounters::expired_unfetched, c);
  });
  totals.index_power = static_cast<uint64_t>(std::bit_width(slots - 1));
  totals.page_size_bytes = classes_->page_size();
  totals.memory_limit_bytes = memory_limit_bytes_.load(std::memory_order_relaxed);
  return totals;
}

void SlabEngine::Statistics(engine::StatGroup group, engine::StatSink& sink) const {
  switch (group) {
    case engine::StatGroup::kItems:
      return ItemStatistics(sink);
    case engine::StatGroup::kSlabs:
      return SlabStatistics(sink);
  }
}

void SlabEngine::ItemStatistics(engine::StatSink& sink) const {
  ForEachClass([&](uint32_t c, uint32_t id) {
    const uint64_t items = Sum(&ClassCounters::items, c);
    if (items == 0) return;
    uint64_t age = 0, evicted_time = 0;
    for (ShardId shard = 0; shard < partitions_.size(); ++shard) {
      const ClassCounters& counters = std::as_const(*partitions_[shard]).class_counters(c);
      evicted_time = std::max(evicted_time, counters.evicted_time.Get());
      if (counters.items.Get() == 0) continue;
      const uint64_t now = NowOf(shard);
      age = std::max(age, now - std::min(now, counters.oldest_access.Get()));
    }
    // There is one queue a class, the clock's: memcached's segments are all in the cold one.
    PrefixedSink out(sink, "items:", id);
    out.Put("number", items);
    out.Put("number_hot", 0);
    out.Put("number_warm", 0);
    out.Put("number_cold", items);
    out.Put("age_hot", 0);
    out.Put("age_warm", 0);
    out.Put("age", age);
    out.Put("mem_requested", Sum(&ClassCounters::bytes, c));
    out.Put("evicted", Sum(&ClassCounters::evicted, c));
    out.Put("evicted_nonzero", Sum(&ClassCounters::evicted_nonzero, c));
    out.Put("evicted_time", evicted_time);
    out.Put("outofmemory", Sum(&ClassCounters::out_of_memory, c));
    out.Put("tailrepairs", 0);
    out.Put("reclaimed", Sum(&ClassCounters::reclaimed, c));
    out.Put("expired_unfetched", Sum(&ClassCounters::expired_unfetched, c));
    out.Put("evicted_unfetched", Sum(&ClassCounters::evicted_unfetched, c));
    out.Put("evicted_active", Sum(&ClassCounters::evicted_active, c));
    out.Put("crawler_reclaimed", Sum(&ClassCounters::crawler_reclaimed, c));
    out.Put("crawler_items_checked", Sum(&ClassCounters::crawler_checked, c));
    out.Put("lrutail_reflocked", 0);
    out.Put("moves_to_cold", 0);
    out.Put("moves_to_warm", 0);
    out.Put("moves_within_lru", 0);
    out.Put("direct_reclaims", 0);
    out.Put("hits_to_hot", 0);
    out.Put("hits_to_warm", 0);
    out.Put("hits_to_cold", SumGetHits(c));
    out.Put("hits_to_temp", 0);
  });
}

void SlabEngine::SlabStatistics(engine::StatSink& sink) const {
  uint64_t active = 0;
  ForEachClass([&](uint32_t c, uint32_t id) {
    uint64_t pages = 0, used = 0;
    for (const auto& partition : partitions_) {
      const PageClass& page_class = std::as_const(*partition).arena().page_class(c);
      pages += page_class.pages.Get();
      used += page_class.chunks_used.Get();
    }
    if (pages == 0) return;
    ++active;
    const uint64_t chunks = pages * classes_->chunks_per_page(c);
    PrefixedSink out(sink, "", id);
    out.Put("chunk_size", classes_->chunk_size(c));
    out.Put("chunks_per_page", classes_->chunks_per_page(c));
    out.Put("total_pages", pages);
    out.Put("total_chunks", chunks);
    out.Put("used_chunks", std::min(used, chunks));
    out.Put("free_chunks", chunks - std::min(used, chunks));
    out.Put("free_chunks_end", 0);
    out.Put("get_hits", SumGetHits(c));
    out.Put("cmd_set", Sum(&ClassCounters::sets, c));
    out.Put("delete_hits", Sum(&ClassCounters::delete_hits, c));
    out.Put("incr_hits", Sum(&ClassCounters::increment_hits, c));
    out.Put("decr_hits", Sum(&ClassCounters::decrement_hits, c));
    out.Put("cas_hits", Sum(&ClassCounters::cas_hits, c));
    out.Put("cas_badval", Sum(&ClassCounters::cas_badval, c));
    out.Put("touch_hits", Sum(&ClassCounters::touch_hits, c));
    out.Put("pages_moved", Sum(&ClassCounters::pages_moved, c));
  });
  sink.Put("active_slabs", active);
  const engine::EngineTotals totals = Totals();
  sink.Put("total_malloced", totals.pages_total * totals.page_size_bytes);
}

}  // namespace torc::slab
