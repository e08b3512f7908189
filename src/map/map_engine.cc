#include "src/map/map_engine.h"

#include <algorithm>

#include "src/base/assert.h"

namespace torc::map {
namespace {

using engine::Extended;
using engine::Marks;
using engine::Miss;
using engine::Op;
using engine::Result;
using engine::Shortage;
using engine::Verb;

// Dead items that nobody asks for go after this long: until then a get can tell why it misses.
constexpr RelativeSeconds kGraceSeconds = 10;
// Items that one slice of housekeeping removes.
constexpr size_t kSliceItems = 16;

Item* AsItem(const void* item) { return const_cast<Item*>(static_cast<const Item*>(item)); }

// Null for a plain operation.
Extended* ExtendedOf(const Op& op) { return op.verb == Verb::kExtended ? op.extended : nullptr; }

Marks MarksOf(const Item& item) {
  return {.stale = item.stale,
          .token_sent = item.token_sent,
          .key_is_binary = item.key_is_binary,
          .fetched = item.fetched};
}

// A client may choose the CAS unique of what it stores.
void GiveCas(const Extended* e, Item& item) {
  item.cas_is_given = e != nullptr && e->sets_cas;
  if (item.cas_is_given) item.cas = e->cas_new;
}

void FillHit(Item& item, Op& op) {
  op.value = item.value.data();
  op.item = &item;
  op.cas = item.cas;
  op.client_flags = item.client_flags;
  op.value_size = static_cast<uint32_t>(item.value.size());
  op.result = Result::kHit;
}

}  // namespace

const engine::Plugin kPlugin = {
    .name = "map",
    .description = "a plain map with exact LRU, to check others against; not made for speed",
    .create = [](const engine::EngineOptions& options, std::string* error) -> engine::Engine* {
      if (!options.config.empty()) {
        *error = "it takes no --engine-config";
        return nullptr;
      }
      return new MapEngine(options);
    },
};

MapEngine::MapEngine(const engine::EngineOptions& options)
    : options_(options), memory_limit_bytes_(options.memory_limit_bytes) {
  for (ShardId shard = 0; shard < options.shards; ++shard) {
    Partition& p = *partitions_.emplace_back(std::make_unique<Partition>());
    p.limit_bytes = LimitOf(options.memory_limit_bytes);
    // So that they differ over all partitions: each counts in steps of the number of shards.
    p.count = shard;
  }
}

uint64_t MapEngine::ValueSizeMax(size_t key_size, uint32_t client_flags) const {
  return engine::ValueSizeMaxOf(options_.item_size_max_bytes, key_size, client_flags);
}

uint64_t MapEngine::LimitOf(uint64_t memory_limit_bytes) const {
  return std::max(memory_limit_bytes / options_.shards, 2 * options_.item_size_max_bytes);
}

// -------------------------------------------------------------------------------------- the turn

void MapEngine::BeginTurn(ShardId self, RelativeSeconds now) {
  Partition& p = own(self);
  p.now = now;
  if (p.flush_at != kNeverExpires && p.flush_at <= now) Flush(self, kNeverExpires);
}

void MapEngine::EndTurn(ShardId self) {
  std::erase_if(own(self).unlinked, [](const auto& item) { return item->pins == 0; });
}

bool MapEngine::Background(ShardId self) {
  Partition& p = own(self);
  bool more = false;
  if (p.lowered) {
    if (options_.evict) EvictFor(p, 0, kSliceItems);
    p.lowered = p.used_bytes + p.reserved_bytes > p.limit_bytes;
    more = p.lowered && options_.evict && !p.by_use.empty();
  }
  if (p.crawl_once) {
    p.crawl_once =
        RemoveDead(p, p.now, /*flushed=*/true, kSliceItems, &p.crawler_reclaimed) == kSliceItems;
    more |= p.crawl_once;
  }
  if (p.crawler_on && p.now >= kClockStart + kGraceSeconds) {
    const RelativeSeconds deadline = p.now - kGraceSeconds;
    const bool flushed = p.flushed_at != kNeverExpires && p.flushed_at <= deadline;
    more |= RemoveDead(p, deadline, flushed, kSliceItems, &p.crawler_reclaimed) == kSliceItems;
  }
  std::erase_if(p.unlinked, [](const auto& item) { return item->pins == 0; });
  return more;
}

void MapEngine::Flush(ShardId self, RelativeSeconds when) {
  Partition& p = own(self);
  if (when != kNeverExpires && when > p.now) {
    p.flush_at = when;
    return;
  }
  p.flush_at = kNeverExpires;
  p.flush_count = p.count += options_.shards;
  p.flushed_at = p.now;
}

size_t MapEngine::Execute(ShardId self, std::span<Op> ops) {
  for (Op& op : ops) {
    CHECK_EQ(engine::OwnerOf(op.hash, options_.shards), self);
    ExecuteOne(own(self), op);
  }
  return ops.size();
}

void MapEngine::ExecuteOne(Partition& p, Op& op) {
  switch (engine::VerbOf(op)) {
    case Verb::kGet:
      return op.verb == Verb::kExtended ? GetExtended(p, op) : Get(p, op);
    case Verb::kGetAndTouch:
    case Verb::kTouch:
      return Get(p, op);
    case Verb::kSet:
    case Verb::kAdd:
    case Verb::kReplace:
    case Verb::kAppend:
    case Verb::kPrepend:
    case Verb::kCas:
      return Store(p, op);
    case Verb::kIncrement:
    case Verb::kDecrement:
      return Count(p, op);
    case Verb::kDelete:
      return Delete(p, op);
    case Verb::kExtended:
      break;
  }
  CHECK(false);
}

// --------------------------------------------------------------------------------- who is there

Item* MapEngine::Find(Partition& p, Op* op) const {
  op->miss = Miss::kAbsent;
  const auto found = p.by_key.find(op->key_view());
  if (found == p.by_key.end()) return nullptr;
  Item* const item = found->second.get();
  if (!IsDead(p, *item)) return item;
  op->miss = item->count <= p.flush_count ? Miss::kFlushed : Miss::kExpired;
  Unlink(p, item);
  return nullptr;
}

bool MapEngine::IsDead(const Partition& p, const Item& item) const {
  return item.count <= p.flush_count || (item.exptime != kNeverExpires && item.exptime <= p.now);
}

void MapEngine::Use(Partition& p, Item& item) const {
  item.last_access = p.now;
  p.by_use.splice(p.by_use.begin(), p.by_use, item.use);
}

void MapEngine::Link(Partition& p, std::unique_ptr<Item> owned) {
  Item& item = *owned;
  item.count = p.count += options_.shards;
  if (!item.cas_is_given) item.cas = item.count;
  item.last_access = p.now;
  p.by_use.push_front(&item);
  item.use = p.by_use.begin();
  SetExptime(p, item, item.exptime);
  p.by_count.emplace(item.count, &item);
  p.by_hash.emplace(item.hash, &item);
  item.live = true;
  p.used_bytes += item.bytes();
  CHECK(p.by_key.emplace(item.key, std::move(owned)).second);
  p.items.Set(p.by_key.size());
  p.item_bytes.Set(p.used_bytes);
}

void MapEngine::Unlink(Partition& p, Item* item) const {
  const auto found = p.by_key.find(item->key);
  CHECK(found != p.by_key.end() && found->second.get() == item);
  p.unlinked.push_back(std::move(found->second));
  p.by_key.erase(found);
  p.by_use.erase(item->use);
  p.by_expiry.erase({item->dead_from, item});
  p.by_count.erase(item->count);
  p.by_hash.erase({item->hash, item});
  item->live = false;
  p.used_bytes -= item->bytes();
  p.items.Set(p.by_key.size());
  p.item_bytes.Set(p.used_bytes);
}

void MapEngine::SetExptime(Partition& p, Item& item, RelativeSeconds exptime) const {
  p.by_expiry.erase({item.dead_from, &item});
  item.exptime = exptime;
  item.dead_from = exptime == kNeverExpires ? kNeverExpires : std::max(exptime, p.now);
  if (exptime != kNeverExpires) p.by_expiry.emplace(item.dead_from, &item);
}

size_t MapEngine::RemoveDead(Partition& p, RelativeSeconds deadline, bool flushed, size_t items,
                             Counter* counter) const {
  size_t removed = 0;
  const auto remove = [&](Item* item) {
    if (!item->fetched) p.expired_unfetched.Add(1);
    counter->Add(1);
    Unlink(p, item);
    ++removed;
  };
  while (removed < items && !p.by_expiry.empty() && p.by_expiry.begin()->first <= deadline) {
    remove(p.by_expiry.begin()->second);
  }
  while (removed < items && flushed && !p.by_count.empty() &&
         p.by_count.begin()->first <= p.flush_count) {
    remove(p.by_count.begin()->second);
  }
  return removed;
}

bool MapEngine::FindRoom(Partition& p, uint64_t bytes) const {
  const auto fits = [&] { return p.used_bytes + p.reserved_bytes + bytes <= p.limit_bytes; };
  if (!fits()) RemoveDead(p, p.now, /*flushed=*/true, p.by_key.size(), &p.reclaimed);
  return fits() || (options_.evict && p.reserved_bytes + bytes <= p.limit_bytes);
}

void MapEngine::EvictFor(Partition& p, uint64_t bytes, size_t items) const {
  for (; items != 0 && p.used_bytes + p.reserved_bytes + bytes > p.limit_bytes; --items) {
    if (p.by_use.empty()) return;  // reserved before the limit was lowered
    Item* const victim = p.by_use.back();
    p.evictions.Add(1);
    if (!victim->fetched) p.evicted_unfetched.Add(1);
    Unlink(p, victim);
  }
}

bool MapEngine::Replace(Partition& p, Op& op, std::unique_ptr<Item> item, Item* old) {
  const uint64_t bytes = item->bytes();
  if (!FindRoom(p, bytes)) return false;
  if (old != nullptr) Unlink(p, old);
  EvictFor(p, bytes);
  const Item& stored = *item;
  Link(p, std::move(item));
  op.cas = stored.cas;
  return true;
}

// ------------------------------------------------------------------------------------- the verbs

void MapEngine::Get(Partition& p, Op& op) {
  Item* const item = Find(p, &op);
  if (item == nullptr) {
    op.result = op.verb == Verb::kTouch ? Result::kNotFound : Result::kMiss;
    return;
  }
  const Marks marks = MarksOf(*item);
  Use(p, *item);
  item->fetched = true;
  if (op.verb != Verb::kGet) SetExptime(p, *item, op.exptime);
  if (op.verb == Verb::kTouch) {
    op.cas = item->cas;
    op.client_flags = item->client_flags;
    op.result = Result::kTouched;
    return;
  }
  op.marks = marks;
  FillHit(*item, op);
}

void MapEngine::GetExtended(Partition& p, Op& op) {
  Extended& e = *op.extended;
  Item* item = Find(p, &op);
  if (item == nullptr) {
    op.result = Result::kMiss;
    if (!e.makes) return;
    auto made = std::make_unique<Item>();
    made->key = op.key_view();
    made->hash = op.hash;
    made->exptime = e.make_exptime;
    GiveCas(&e, *made);
    item = made.get();
    if (!Replace(p, op, std::move(made), nullptr)) {
      op.result = Result::kNoMemory;
      e.shortage = shortage();
      p.no_memory.Add(1);
      return;
    }
    p.items_stored.Add(1);
    e.made = true;
  }
  e.marks = MarksOf(*item);
  e.exptime_before = e.made ? kNeverExpires : item->exptime;
  e.last_access = item->last_access;
  e.size_class = 1;
  e.item_bytes = item->bytes();
  if (e.touches && !e.made) SetExptime(p, *item, op.exptime);
  e.exptime_after = item->exptime;
  const RelativeSeconds looked_at = e.touches_first ? e.exptime_after : e.exptime_before;
  const bool due =
      e.recaches && looked_at != kNeverExpires && looked_at < e.recache_exptime && !e.made;
  e.won = e.made || (!e.never_wins && !item->token_sent && (item->stale || due));
  item->token_sent |= e.won;
  if (!e.leaves_no_trace) {
    Use(p, *item);
    item->fetched = true;
  }
  FillHit(*item, op);
}

void MapEngine::Store(Partition& p, Op& op) {
  Extended* const e = ExtendedOf(op);
  const Verb verb = engine::VerbOf(op);
  // What came in a reservation ceases to be one, whatever becomes of the operation.
  std::unique_ptr<Item> item;
  if (op.item != nullptr) {
    const auto found = p.reserved.find(AsItem(op.item));
    CHECK(found != p.reserved.end());
    item = std::move(found->second);
    p.reserved.erase(found);
    p.reserved_bytes -= item->bytes();
    op.item = nullptr;
  } else if (op.value_size > ValueSizeMax(op.key_size, op.client_flags)) {
    Refuse(p, op, op.result = Result::kTooLarge);
    return;
  } else {
    item = std::make_unique<Item>();
    item->key = op.key_view();
    item->hash = op.hash;
    item->value.assign(op.value, op.value_size);
  }
  item->client_flags = op.client_flags;
  item->exptime = op.exptime;
  item->key_is_binary = e != nullptr && e->key_is_binary;
  GiveCas(e, *item);

  Item* const old = Find(p, &op);
  const bool joins = verb == Verb::kAppend || verb == Verb::kPrepend;
  const bool compares =
      verb == Verb::kCas || (e != nullptr && e->compares_cas && verb != Verb::kAdd);
  const uint64_t compared = e != nullptr ? e->cas_compare : op.cas;
  if (verb == Verb::kAdd && old != nullptr) {
    Use(p, *old);
    op.result = Result::kNotStored;
    return;
  }
  if (old == nullptr) {
    if (compares && !joins) {
      op.result = Result::kNotFound;
      return;
    }
    const bool made = joins && e != nullptr && e->makes;
    if (verb == Verb::kReplace || (joins && !made)) {
      op.result = Result::kNotStored;
      return;
    }
    if (made) item->exptime = e->make_exptime;
  } else if (compares && old->cas != compared) {
    if (joins || e == nullptr || !e->invalidates || compared > old->cas) {
      op.result = Result::kExists;
      return;
    }
    item->stale = true;
    item->token_sent = old->token_sent;
    item->exptime = old->exptime;
  }
  if (joins && old != nullptr) {
    if (old->value.size() + item->value.size() > ValueSizeMax(op.key_size, old->client_flags)) {
      op.result = Result::kNotStored;
      ShortageOf(op) = Shortage::kItemLimit;
      return;
    }
    item->value.insert(verb == Verb::kAppend ? 0 : item->value.size(), old->value);
    item->client_flags = old->client_flags;
    item->exptime = old->exptime;
    item->key_is_binary = false;
  }
  const uint32_t value_size = static_cast<uint32_t>(item->value.size());
  if (Replace(p, op, std::move(item), old)) {
    p.items_stored.Add(1);
    if (e != nullptr) {
      e->made = joins && old == nullptr;
      op.value_size = value_size;
    }
    op.result = Result::kStored;
    return;
  }
  const bool sum_failed = joins && old != nullptr;
  op.result = sum_failed ? Result::kNotStored : Result::kNoMemory;
  ShortageOf(op) = shortage();
  if (!sum_failed) Refuse(p, op, Result::kNoMemory);
}

void MapEngine::Refuse(Partition& p, const Op& op, Result why) {
  (why == Result::kTooLarge ? p.too_large : p.no_memory).Add(1);
  const Extended* const e = ExtendedOf(op);
  if (e != nullptr ? !e->removes_if_refused : op.verb != Verb::kSet) return;
  Op look = op;
  if (Item* const old = Find(p, &look); old != nullptr) Unlink(p, old);
}

void MapEngine::Count(Partition& p, Op& op) {
  Extended* const e = ExtendedOf(op);
  Item* const old = Find(p, &op);
  if (old == nullptr) {
    if (e != nullptr && e->makes) return MakeNumber(p, op);
    op.result = Result::kNotFound;
    return;
  }
  // Before the CAS, as in memcached.
  if (old->value.empty() || !engine::IsCountable(op.key_size, old->value.size())) {
    op.result = Result::kNotANumber;
    return;
  }
  if (e != nullptr && e->compares_cas && old->cas != e->cas_compare) {
    op.result = Result::kExists;
    return;
  }
  auto item = std::make_unique<Item>(*old);
  item->pins = 0;
  uint64_t number = 0;
  if (!engine::CountOn(op, old->value, &number, &item->value)) {
    op.result = Result::kNotANumber;
    return;
  }
  // memcached makes a new item then, else it writes into the one that is there.
  const bool longer = item->value.size() > old->value.size();
  if (longer) item->fetched = item->stale = item->token_sent = item->key_is_binary = false;
  GiveCas(e, *item);
  if (e != nullptr) {
    e->exptime_before = item->exptime;
    if (e->touches) item->exptime = op.exptime;
    e->exptime_after = item->exptime;
  }
  if (!Replace(p, op, std::move(item), old)) {
    op.result = Result::kNoMemory;
    ShortageOf(op) = shortage();
    return;
  }
  if (longer) p.items_stored.Add(1);
  (e != nullptr ? e->number : op.number) = number;
  op.result = Result::kNumber;
}

void MapEngine::MakeNumber(Partition& p, Op& op) {
  Extended& e = *op.extended;
  auto item = std::make_unique<Item>();
  item->key = op.key_view();
  item->hash = op.hash;
  item->value = std::to_string(e.initial);
  item->exptime = e.touches ? op.exptime : e.make_exptime;
  GiveCas(&e, *item);
  if (!Replace(p, op, std::move(item), nullptr)) {
    op.result = Result::kNoMemory;
    e.shortage = shortage();
    p.no_memory.Add(1);
    return;
  }
  p.items_stored.Add(1);
  e.made = true;
  e.number = e.initial;
  e.exptime_before = e.make_exptime;
  e.exptime_after = e.touches ? op.exptime : e.make_exptime;
  op.result = Result::kNumber;
}

void MapEngine::Delete(Partition& p, Op& op) {
  const Extended* const e = ExtendedOf(op);
  Item* const old = Find(p, &op);
  if (old == nullptr) {
    op.result = Result::kNotFound;
    return;
  }
  if (e != nullptr && e->compares_cas && old->cas != e->cas_compare) {
    op.result = Result::kExists;
    return;
  }
  op.result = Result::kDeleted;
  if (e == nullptr || (!e->invalidates && !e->removes_value)) return Unlink(p, old);
  auto item = std::make_unique<Item>(*old);
  item->pins = 0;
  if (e->removes_value) {
    item->value.clear();
    item->client_flags = op.client_flags;
    item->exptime = kNeverExpires;
    item->fetched = item->key_is_binary = false;
  }
  if (e->touches) item->exptime = op.exptime;
  item->stale = e->invalidates;
  item->token_sent = false;
  if (e->invalidates || e->sets_cas) {
    GiveCas(e, *item);
  } else {
    item->cas_is_given = true;  // a value that goes takes no CAS unique with it
  }
  const RelativeSeconds last_access = old->last_access;
  Item* const marked = item.get();
  if (!Replace(p, op, std::move(item), old)) return Unlink(p, old);
  if (!e->removes_value) marked->last_access = last_access;  // this was none
}

// ---------------------------------------------------------------------- reservations, views, pins

engine::Engine::ReserveResult MapEngine::Reserve(ShardId self, const Op& op,
                                                 engine::Reservation* out) {
  CHECK_EQ(engine::OwnerOf(op.hash, options_.shards), self);
  Partition& p = own(self);
  if (op.value_size > ValueSizeMax(op.key_size, op.client_flags)) {
    Refuse(p, op, Result::kTooLarge);
    return ReserveResult::kTooLarge;
  }
  auto item = std::make_unique<Item>();
  item->key = op.key_view();
  item->hash = op.hash;
  item->value.resize(op.value_size);
  const uint64_t bytes = item->bytes();
  if (!FindRoom(p, bytes)) {
    Refuse(p, op, Result::kNoMemory);
    out->shortage = shortage();
    return ReserveResult::kNoMemory;
  }
  EvictFor(p, bytes);
  p.reserved_bytes += bytes;
  out->item = item.get();
  p.reserved.emplace(item.get(), std::move(item));
  return ReserveResult::kReserved;
}

std::span<char> MapEngine::Window(const engine::Reservation& reservation, size_t offset) const {
  return std::span(AsItem(reservation.item)->value).subspan(offset);
}

void MapEngine::Abandon(ShardId self, engine::Reservation reservation) {
  Partition& p = own(self);
  const auto found = p.reserved.find(AsItem(reservation.item));
  CHECK(found != p.reserved.end());
  p.reserved_bytes -= found->second->bytes();
  p.reserved.erase(found);
}

std::span<const char> MapEngine::Piece(const void* item, size_t offset) const {
  return std::span<const char>(AsItem(item)->value).subspan(offset);
}

bool MapEngine::Pin(ShardId self, const void* pinned) {
  Partition& p = own(self);
  Item* const item = AsItem(pinned);
  if (item->pins++ == 0) {
    item->pinned_since = p.now;
    p.pinned.insert(item);
  }
  return true;
}

void MapEngine::Unpin(ShardId self, const void* pinned) {
  Item* const item = AsItem(pinned);
  CHECK_LT(0u, item->pins);
  if (--item->pins == 0) own(self).pinned.erase(item);
  // What is unlinked goes at the end of the turn.
}

// ------------------------------------------------------------------------- what operators ask for

engine::ItemInfo MapEngine::Describe(const Item& item) const {
  return {.key = item.key,
          .cas = item.cas,
          .item_bytes = item.bytes(),
          .value_size = static_cast<uint32_t>(item.value.size()),
          .client_flags = item.client_flags,
          .size_class = 1,
          .exptime = item.exptime,
          .last_access = item.last_access,
          .fetched = item.fetched};
}

void MapEngine::Walk(ShardId self, engine::WalkCursor* cursor, uint32_t items_max,
                     engine::ItemVisitor& visitor) {
  const Partition& p = own(self);
  bool go_on = true;
  auto next = p.by_hash.lower_bound({cursor->position, nullptr});
  // Dead ones count, too, for the sake of those who wait.
  for (uint32_t looked = 0; go_on && looked < items_max && next != p.by_hash.end();) {
    // Keys with the same hash are shown together: the cursor does not tell them apart.
    const uint64_t hash = next->first;
    for (; next != p.by_hash.end() && next->first == hash; ++next, ++looked) {
      if (!IsDead(p, *next->second)) go_on &= visitor.Visit(Describe(*next->second));
    }
    cursor->position = hash + 1;
  }
  cursor->done = next == p.by_hash.end();
}

void MapEngine::ListPins(ShardId self, engine::WalkCursor* cursor, uint32_t pins_max,
                         engine::PinVisitor& visitor) {
  const Partition& p = own(self);
  bool go_on = true;
  auto next = p.pinned.lower_bound(reinterpret_cast<Item*>(cursor->position));
  for (; go_on && pins_max != 0 && next != p.pinned.end(); ++next, --pins_max) {
    const Item& item = **next;
    go_on = visitor.Visit({Describe(item), item.pins, item.pinned_since, item.live});
    cursor->position = reinterpret_cast<uintptr_t>(*next) + 1;
  }
  cursor->done = next == p.pinned.end();
}

uint64_t MapEngine::MemoryLimitMax() const {
  return std::max(options_.memory_limit_bytes, options_.memory_limit_max_bytes);
}

void MapEngine::SetMemoryLimit(ShardId self, uint64_t bytes) {
  Partition& p = own(self);
  p.limit_bytes = LimitOf(bytes);
  p.lowered = p.used_bytes + p.reserved_bytes > p.limit_bytes;
  memory_limit_bytes_.store(bytes, std::memory_order_relaxed);
}

// ------------------------------------------------------------------------------------- statistics

engine::EngineTotals MapEngine::Totals() const {
  engine::EngineTotals totals;
  for (const auto& p : partitions_) {
    totals.items += p->items.Get();
    totals.item_bytes += p->item_bytes.Get();
    totals.items_stored += p->items_stored.Get();
    totals.evictions += p->evictions.Get();
    totals.evicted_unfetched += p->evicted_unfetched.Get();
    totals.reclaimed += p->reclaimed.Get();
    totals.expired_unfetched += p->expired_unfetched.Get();
    totals.store_too_large += p->too_large.Get();
    totals.store_no_memory += p->no_memory.Get();
  }
  totals.memory_limit_bytes = memory_limit_bytes_.load(std::memory_order_relaxed);
  return totals;
}

// All items are in one class, which has no chunks and no pages.
void MapEngine::Statistics(engine::StatGroup group, engine::StatSink& sink) const {
  const engine::EngineTotals totals = Totals();
  uint64_t crawler_reclaimed = 0;
  for (const auto& p : partitions_) crawler_reclaimed += p->crawler_reclaimed.Get();
  switch (group) {
    case engine::StatGroup::kItems:
      if (totals.items == 0) return;
      sink.Put("items:1:number", totals.items);
      sink.Put("items:1:mem_requested", totals.item_bytes);
      sink.Put("items:1:evicted", totals.evictions);
      sink.Put("items:1:evicted_unfetched", totals.evicted_unfetched);
      sink.Put("items:1:reclaimed", totals.reclaimed);
      sink.Put("items:1:expired_unfetched", totals.expired_unfetched);
      sink.Put("items:1:crawler_reclaimed", crawler_reclaimed);
      return;
    case engine::StatGroup::kSlabs:
      sink.Put("active_slabs", uint64_t{0});
      sink.Put("total_malloced", totals.item_bytes);
      return;
  }
}

void MapEngine::ResetCounters(ShardId self) {
  Partition& p = own(self);
  for (Counter* counter :
       {&p.items_stored, &p.evictions, &p.evicted_unfetched, &p.reclaimed, &p.expired_unfetched,
        &p.crawler_reclaimed, &p.too_large, &p.no_memory}) {
    counter->Set(0);
  }
}

void MapEngine::CheckInvariants(ShardId self) const {
  const Partition& p = *partitions_[self];
  uint64_t used_bytes = 0;
  size_t expiring = 0;
  for (const auto& [key, item] : p.by_key) {
    CHECK(key.data() == item->key.data());
    CHECK_EQ(engine::OwnerOf(engine::HashKey(item->key, options_.hash_seed), options_.shards),
             self);
    CHECK(*item->use == item.get());
    CHECK_LE(item->count, p.count);
    CHECK(item->cas_is_given || item->cas == item->count);
    CHECK(p.by_count.at(item->count) == item.get());
    CHECK(p.by_hash.contains({item->hash, item.get()}));
    CHECK(item->live);
    CHECK_EQ(item->pins != 0, p.pinned.contains(item.get()));
    if (item->exptime != kNeverExpires) {
      ++expiring;
      CHECK(p.by_expiry.contains({item->dead_from, item.get()}));
    }
    used_bytes += item->bytes();
  }
  CHECK_EQ(used_bytes, p.used_bytes);
  CHECK_EQ(expiring, p.by_expiry.size());
  CHECK_EQ(p.by_key.size(), p.by_use.size());
  CHECK_EQ(p.by_key.size(), p.by_count.size());
  CHECK_EQ(p.by_key.size(), p.by_hash.size());
  for (const Item* const item : p.pinned) CHECK_LT(0u, item->pins);
  uint64_t reserved_bytes = 0;
  for (const auto& [item, owned] : p.reserved) reserved_bytes += owned->bytes();
  CHECK_EQ(reserved_bytes, p.reserved_bytes);
  CHECK(p.lowered || p.used_bytes + p.reserved_bytes <= p.limit_bytes);
}

}  // namespace torc::map
