#include "src/slab/slab_engine.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "src/base/assert.h"
#include "src/slab/decimal.h"

namespace torc::slab {
namespace {

using engine::Extended;
using engine::Miss;
using engine::Op;
using engine::Result;
using engine::Shortage;
using engine::Verb;

// Operations whose cache misses overlap. At most 4 lines each: fits the first-level cache with room
// to spare.
constexpr size_t kPrefetchGroup = 32;
// Below this there is nothing to overlap.
#ifndef TORC_NO_PREFETCH
constexpr size_t kPrefetchOpsMin = 4;
#else  // a build of the bench's (--config=no-prefetch), which shows what prefetching is worth
constexpr size_t kPrefetchOpsMin = engine::kBatchMax + 1;
#endif

// A partition smaller than this could not hold a page of each of a few classes.
constexpr uint32_t kPagesMin = 16;

constexpr size_t kHugePageBytes = size_t{2} << 20;

size_t RoundUp(size_t n, size_t unit) { return (n + unit - 1) / unit * unit; }

}  // namespace

const engine::Plugin kPlugin = {
    .name = "slab",
    .description = "all items in memory, in size classes (default)",
    .create = [](const engine::EngineOptions& options, std::string* error) -> engine::Engine* {
      if (!options.config.empty()) {
        *error = "it takes no --engine-config";
        return nullptr;
      }
      return SlabEngine::Create(options, error).release();
    },
};

std::unique_ptr<SlabEngine> SlabEngine::Create(const engine::EngineOptions& options,
                                               std::string* error) {
  // The arena, and as much again for what is reserved beside it: nothing of it is touched here.
  const auto can_map = [&](uint64_t bytes) {
    const uint64_t wanted = 2 * (bytes + options.shards * kHugePageBytes);
    void* const trial = mmap(nullptr, wanted, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (trial != MAP_FAILED) munmap(trial, wanted);
    return trial != MAP_FAILED;
  };
  engine::EngineOptions possible = options;
  // Where address space is short, the limit cannot be raised.
  if (!can_map(options.memory_limit_max_bytes)) possible.memory_limit_max_bytes = 0;
  if (!can_map(options.memory_limit_bytes)) {
    *error =
        "cannot reserve " +
        std::to_string(2 * (options.memory_limit_bytes + options.shards * kHugePageBytes) >> 20) +
        " MiB of address space for items: " + std::strerror(errno) +
        ". Lower -m, raise the limit of address space (ulimit -v), or set "
        "vm.overcommit_memory to 0 or 1";
    return nullptr;
  }
  return std::make_unique<SlabEngine>(possible);
}

SlabEngine::SlabEngine(const engine::EngineOptions& options, uint64_t copy_slice_bytes)
    : options_(options), memory_limit_bytes_(options.memory_limit_bytes) {
  CHECK(options.shards > 0 && options.shards <= kShardsMax);
  CHECK(options.shards == 1 || options.quiescence != nullptr);
  const uint64_t share = options.memory_limit_bytes / options.shards;
  const uint64_t rest = options.memory_limit_bytes % options.shards;
  classes_ = std::make_unique<SizeClasses>(share + rest);
  // Room for a larger limit, as far as references reach, less the page that is never used.
  const uint64_t referable =
      (uint64_t{1} << (32 + classes_->granule_shift() - classes_->page_shift())) - 2;
  const uint32_t pages_reserved = static_cast<uint32_t>(std::max<uint64_t>(
      PagesOf(options.shards - 1, options.memory_limit_bytes),
      std::min<uint64_t>(PagesOf(options.shards - 1, options.memory_limit_max_bytes), referable)));
  // As much more as it takes to begin on a huge page.
  stride_ = RoundUp((size_t{pages_reserved} + 1) << classes_->page_shift(), kHugePageBytes);
  memory_bytes_ = stride_ * options.shards + kHugePageBytes;
  void* const mapped = mmap(nullptr, memory_bytes_, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  CHECK(mapped != MAP_FAILED);
  memory_ = static_cast<char*>(mapped);
  char* const begin =
      memory_ +
      (kHugePageBytes - reinterpret_cast<uintptr_t>(memory_) % kHugePageBytes) % kHugePageBytes;
  if (options.huge_pages) (void)madvise(begin, stride_ * options.shards, MADV_HUGEPAGE);

  for (ShardId shard = 0; shard < options.shards; ++shard) {
    const uint32_t pages = PagesOf(shard, options.memory_limit_bytes);
    char* const memory = begin + shard * stride_;
    if (options.preallocate) {
      // Writing to a page is what makes the kernel provide it.
      char* const first = memory + classes_->page_size();
      std::memset(first, 0, size_t{pages} << classes_->page_shift());
    }
    readers_.push_back(std::make_unique<Reader>(*classes_));
    partitions_.push_back(std::make_unique<Partition>(
        Partition::Config{memory, pages, options.evict, options.huge_pages, options.quiescence,
                          shard, options.shards, options.hash_seed, pages_reserved,
                          copy_slice_bytes},
        *classes_));
  }
}

SlabEngine::~SlabEngine() {
  partitions_.clear();
  munmap(memory_, memory_bytes_);
}

uint32_t SlabEngine::PagesOf(ShardId shard, uint64_t limit_bytes) const {
  const uint64_t rest = shard + 1 == options_.shards ? limit_bytes % options_.shards : 0;
  const uint64_t pages = (limit_bytes / options_.shards + rest) >> classes_->page_shift();
  return static_cast<uint32_t>(std::clamp<uint64_t>(pages, kPagesMin, UINT32_MAX));
}

uint64_t SlabEngine::MemoryLimitMax() const {
  // Memory that was touched, or locked, ahead of need stays as it is.
  if (options_.preallocate) return 0;
  return (uint64_t{partitions_[0]->arena().pages_reserved()} << classes_->page_shift()) *
         options_.shards;
}

void SlabEngine::SetMemoryLimit(ShardId self, uint64_t bytes) {
  Partition& p = own(self);
  p.SetLimit(std::min(PagesOf(self, bytes), p.arena().pages_reserved()));
  memory_limit_bytes_.store(bytes, std::memory_order_relaxed);
}

const Partition& SlabEngine::PartitionOf(const void* item) const {
  const Partition& first = *partitions_[0];
  const uintptr_t offset = reinterpret_cast<uintptr_t>(item) -
                           reinterpret_cast<uintptr_t>(first.arena().items().BytesAt(0));
  CHECK_LT(offset / stride_, partitions_.size());
  return *partitions_[offset / stride_];
}

uint64_t SlabEngine::ValueSizeMax(size_t key_size, uint32_t client_flags) const {
  return std::min<uint64_t>(
      engine::ValueSizeMaxOf(options_.item_size_max_bytes, key_size, client_flags),
      Item::kValueSizeMax);
}

void SlabEngine::BeginTurn(ShardId self, RelativeSeconds now) {
  readers_[self]->now.store(now, std::memory_order_relaxed);
  own(self).BeginTurn(now);
}

void SlabEngine::EndTurn(ShardId self) { own(self).EndTurn(); }

bool SlabEngine::Background(ShardId self) { return own(self).Background(); }

void SlabEngine::Flush(ShardId self, RelativeSeconds when) { own(self).Flush(when); }

// ---------------------------------------------------------------------------------------- batches

void SlabEngine::PrefetchBuckets(std::span<const Op> ops) const {
  for (const Op& op : ops) partitions_[OwnerOf(op.hash)]->index().Prefetch(op.hash);
}

void SlabEngine::PrefetchItems(std::span<const Op> ops, Index::Guess* guesses) const {
  for (const Op& op : ops) {
    const Partition& partition = *partitions_[OwnerOf(op.hash)];
    const Index& index = partition.index();
    *guesses = index.Locate(op.hash);
    const Item* const item = index.ItemOf(*guesses++);
    if (item == nullptr) {
      // A store of a new key asks whether it was evicted lately.
      if (op.verb == Verb::kSet) partition.PrefetchAdmission(op.hash);
      continue;
    }
    __builtin_prefetch(item);
    // A header, a key and a short value go on into the next line more often than not.
    __builtin_prefetch(item->bytes() + kCacheLineBytes);
    if (op.verb == Verb::kGet) __builtin_prefetch(item->bytes() + 2 * kCacheLineBytes);
  }
}

size_t SlabEngine::Execute(ShardId self, std::span<Op> ops) {
  CHECK_LE(ops.size(), engine::kBatchMax);
  Partition& p = own(self);
  // Behind those on its key that wait, an operation waits too.
  const auto execute = [&](Op& op, const Index::Guess& guess) {
    if (!p.copies().empty() && p.copies().HasLane(op)) [[unlikely]]
      return PutOff(p, op);
    return ExecuteOne(self, op, guess);
  };
  if (ops.size() < kPrefetchOpsMin) {
    for (size_t i = 0; i < ops.size(); ++i) {
      if (!execute(ops[i], {})) return i;
    }
    return ops.size();
  }
  bool none_wait = p.copies().empty();
  const auto group_at = [&](size_t from) {
    return from < ops.size() ? ops.subspan(from, std::min(kPrefetchGroup, ops.size() - from))
                             : std::span<Op>{};
  };
  PrefetchBuckets(group_at(0));
  for (size_t from = 0; from < ops.size(); from += kPrefetchGroup) {
    const std::span<Op> group = group_at(from);
    Index::Guess guesses[kPrefetchGroup];
    PrefetchItems(group, guesses);
    PrefetchBuckets(group_at(from + kPrefetchGroup));
    for (size_t i = 0; i < group.size(); ++i) {
      if (none_wait && group[i].verb == Verb::kGet) {
        Get(self, group[i], guesses[i]);
        continue;
      }
      if (!execute(group[i], guesses[i])) return from + i;
      none_wait = p.copies().empty();
    }
  }
  return ops.size();
}

bool SlabEngine::ExecuteOne(ShardId self, Op& op, const Index::Guess& guess) {
  if (op.verb == Verb::kGet) {
    Get(self, op, guess);
    return true;
  }
  if (op.verb == Verb::kExtended) return ExecuteExtended(self, op, guess);
  CHECK_EQ(OwnerOf(op.hash), self);
  Partition& p = own(self);
  switch (op.verb) {
    case Verb::kGetAndTouch:
    case Verb::kTouch:
      return Touch(self, op);
    case Verb::kSet:
    case Verb::kAdd:
    case Verb::kReplace:
    case Verb::kCas:
      return Store(p, op);
    case Verb::kAppend:
    case Verb::kPrepend:
      return Concatenate(p, op);
    case Verb::kIncrement:
    case Verb::kDecrement:
      return Count(p, op);
    case Verb::kDelete:
      return Delete(p, op);
    case Verb::kGet:
    case Verb::kExtended:
      break;
  }
  CHECK(false);
}

// ------------------------------------------------------------------------------------------ reads

void SlabEngine::FillHit(ShardId self, const Partition& partition, Item* item, Op& op) {
  op.marks = MarksOf(*item);
  item->NoteAccess(NowOf(self));
  FillView(partition, item, op);
}

void SlabEngine::FillView(const Partition& partition, const Item* item, Op& op) {
  op.value = item->chained() ? nullptr : partition.values().Piece(item, 0).data();
  op.item = const_cast<Item*>(item);
  op.cas = partition.CasOf(item);
  op.client_flags = item->client_flags();
  op.value_size = item->value_size();
  op.result = Result::kHit;
}

// With all that it calls for a hit: half of its time went into calls.
[[gnu::flatten]] void SlabEngine::Get(ShardId self, Op& op, const Index::Guess& guess) {
  const ShardId owner = OwnerOf(op.hash);
  const Partition& partition = *partitions_[owner];
  Item* const item = partition.index().Find(op.hash, op.key_view(), guess);
  if (item == nullptr) {
    op.miss = Miss::kAbsent;
    op.result = Result::kMiss;
    return;
  }
  const Deadline deadline{NowOf(self), partition.flush_cas()};
  if (__builtin_expect(!item->DeadAt(deadline), 1)) {
    readers_[self]->get_hits[item->size_class()].Add(1);
    FillHit(self, partition, item, op);
    return;
  }
  op.miss = MissOf(*item, deadline);
  op.result = Result::kMiss;
  if (owner == self) own(self).Unlink(item, op.hash);
}

SlabEngine::Found SlabEngine::Find(Partition& p, const Op& op) {
  Index::Slot* const slot = p.index().FindSlot(op.hash, op.key_view());
  if (slot == nullptr) return {};
  Item* const item = p.index().ItemIn(*slot);
  const Deadline deadline = p.deadline();
  if (!item->DeadAt(deadline)) return {item, slot, Miss::kAbsent};
  const Miss miss = MissOf(*item, deadline);
  p.Unlink(item, op.hash);
  return {nullptr, nullptr, miss};
}

bool SlabEngine::Touch(ShardId self, Op& op) {
  Partition& p = own(self);
  const Found found = Find(p, op);
  if (found.item == nullptr) {
    op.miss = found.miss;
    op.result = op.verb == Verb::kTouch ? Result::kNotFound : Result::kMiss;
    return true;
  }
  Room room;
  Item* const item = GiveExptime(p, op, found, &room);
  if (item == nullptr) {
    if (room == Room::kLater) return false;
    op.miss = Miss::kAbsent;
    op.result = op.verb == Verb::kTouch ? Result::kNotFound : Result::kMiss;
    return true;
  }
  p.class_counters(item->size_class()).touch_hits.Add(1);
  if (op.verb == Verb::kGetAndTouch) {
    FillHit(self, p, item, op);
  } else {
    item->NoteAccess(p.now());
    op.cas = p.CasOf(item);
    op.client_flags = item->client_flags();
    op.result = Result::kTouched;
  }
  return true;
}

Item* SlabEngine::GiveExptime(Partition& p, const Op& op, const Found& found, Room* room) {
  if (p.Touch(found.item, op.exptime)) return found.item;
  const Item& old = *found.item;
  Item* const item = p.Make({.key_size = old.key_size(),
                             .client_flags = old.client_flags(),
                             .exptime = op.exptime,
                             .value_size = old.value_size(),
                             .has_own_cas = old.has_own_cas()},
                            room);
  if (item == nullptr) {
    // All memory is in use by sends: the item is evicted, as any may be at any time.
    if (*room == Room::kNever) p.Evict(found.item, op.hash);
    return nullptr;
  }
  std::memcpy(item->key_data(), op.key, op.key_size);
  p.values().CopyValue(item, 0, &old);
  p.PublishCopy(item, found.slot);
  return item;
}

// ----------------------------------------------------------------------------------------- stores

void SlabEngine::End(Partition& p, Op& op, Result result, Shortage shortage) {
  if (op.item != nullptr) p.Discard(static_cast<Item*>(op.item));
  op.item = nullptr;
  op.result = result;
  engine::ShortageOf(op) = shortage;
}

void SlabEngine::Refuse(Partition& p, const Op& op, Result why) {
  (why == Result::kTooLarge ? p.counters().store_too_large : p.counters().store_no_memory).Add(1);
  if (op.verb == Verb::kExtended ? !op.extended->removes_if_refused : op.verb != Verb::kSet) return;
  // So that no stale value stays.
  const Found found = Find(p, op);
  if (found.item != nullptr) p.Unlink(found.item, op.hash);
}

Partition::NewItem SlabEngine::NewItemOf(const Op& op) {
  Partition::NewItem wanted{op.key_size, op.client_flags, op.exptime, op.value_size};
  if (op.verb == Verb::kExtended) {
    const engine::Extended& e = *op.extended;
    wanted.has_own_cas = e.sets_cas;
    // It may get the expiry of the item that it replaces, or the one for what is made.
    wanted.is_touchable = e.makes || (e.compares_cas && e.invalidates);
  }
  return wanted;
}

bool SlabEngine::RefuseTooLarge(Partition& p, Op& op) {
  if (op.item != nullptr || op.value_size <= ValueSizeMax(op.key_size, op.client_flags)) {
    return false;
  }
  Refuse(p, op, Result::kTooLarge);
  End(p, op, Result::kTooLarge);
  return true;
}

Item* SlabEngine::ItemOf(Partition& p, Op& op, bool* waits) {
  Item* item = static_cast<Item*>(op.item);
  *waits = false;
  if (item == nullptr) {
    Room room;
    item = p.Make(NewItemOf(op), &room);
    if (item == nullptr) {
      *waits = room == Room::kLater;
      if (*waits) return nullptr;
      Refuse(p, op, Result::kNoMemory);
      End(p, op, Result::kNoMemory, p.WhyNever(NewItemOf(op)));
      return nullptr;
    }
    CopyShort(item->key_data(), op.key, op.key_size);
    p.values().CopyIn(item, 0, {op.value, op.value_size});
  }
  if (op.verb == Verb::kExtended) {
    const Extended& e = *op.extended;
    CHECK_EQ(item->has_own_cas(), e.sets_cas);  // as Reserve was told
    if (e.sets_cas) item->set_own_cas(e.cas_new);
    if (e.key_is_binary) item->set_key_is_binary();
  }
  return item;
}

bool SlabEngine::PublishStore(Partition& p, Op& op, Item* item, const Found& found) {
  if (found.item != nullptr) item->InheritAccess(*found.item, /*same_value=*/false);
  const Room room = p.Publish(item, op.hash, found.slot);
  if (room != Room::kNow) {
    if (item != op.item) p.Discard(item);
    if (room == Room::kLater) return false;
    p.counters().store_no_memory.Add(1);
    End(p, op, Result::kNoMemory, Shortage::kIndexFull);
    return true;
  }
  p.counters().items_stored.Add(1);
  ClassCounters& counters = p.class_counters(item->size_class());
  counters.sets.Add(1);
  if (op.verb == Verb::kCas) counters.cas_hits.Add(1);
  op.item = nullptr;
  op.cas = p.CasOf(item);
  op.result = Result::kStored;
  return true;
}

[[gnu::flatten]] bool SlabEngine::Store(Partition& p, Op& op) {
  if (RefuseTooLarge(p, op)) return true;
  Found found = Find(p, op);
  op.miss = found.miss;
  if (op.verb == Verb::kAdd && found.item != nullptr) {
    found.item->NoteUseUnfetched(p.now());  // memcached counts it as a use too
    End(p, op, Result::kNotStored);
    return true;
  }
  if (op.verb == Verb::kReplace && found.item == nullptr) {
    End(p, op, Result::kNotStored);
    return true;
  }
  if (op.verb == Verb::kCas) {
    if (found.item == nullptr) {
      End(p, op, Result::kNotFound);
      return true;
    }
    if (p.CasOf(found.item) != op.cas) {
      p.class_counters(found.item->size_class()).cas_badval.Add(1);
      End(p, op, Result::kExists);
      return true;
    }
  }
  bool waits;
  Item* const item = ItemOf(p, op, &waits);
  return item != nullptr ? PublishStore(p, op, item, found) : !waits;
}

bool SlabEngine::Concatenate(Partition& p, Op& op) {
  // memcached first makes an item of the new bytes alone, and says so when that fails; when it is
  // the sum that fails, its answer is NOT_STORED.
  if (RefuseTooLarge(p, op)) return true;
  const Found found = Find(p, op);
  op.miss = found.miss;
  if (found.item == nullptr) {
    End(p, op, Result::kNotStored);
    return true;
  }
  return Join(p, op, found);
}

bool SlabEngine::Join(Partition& p, Op& op, const Found& found) {
  const Extended* const e = op.verb == Verb::kExtended ? op.extended : nullptr;
  const Item& old = *found.item;
  const uint64_t total = uint64_t{old.value_size()} + op.value_size;
  if (total > ValueSizeMax(op.key_size, old.client_flags())) {
    End(p, op, Result::kNotStored, Shortage::kItemLimit);
    return true;
  }
  const Partition::NewItem wanted{.key_size = op.key_size,
                                  .client_flags = old.client_flags(),
                                  .exptime = old.exptime(),
                                  .value_size = static_cast<uint32_t>(total),
                                  .has_own_cas = e != nullptr && e->sets_cas};
  const bool append = engine::VerbOf(op) == Verb::kAppend;
  Item* const reserved = static_cast<Item*>(op.item);
  const bool late = p.copies().executes(op);
  if (!late && !p.copies().TakeAtOnce(total)) return PutOff(p, op);
  Room room;
  Item* const item =
      late ? CopyOn(p, op, found, wanted, append ? &old : reserved, append ? reserved : &old, &room)
           : p.Make(wanted, &room);
  if (item == nullptr) {
    if (room == Room::kLater) return false;
    End(p, op, Result::kNotStored, p.WhyNever(wanted));
    return true;
  }
  std::memcpy(item->key_data(), op.key, op.key_size);
  if (wanted.has_own_cas) item->set_own_cas(e->cas_new);
  if (!late) {
    const size_t added_at = append ? old.value_size() : 0;
    p.values().CopyValue(item, append ? 0 : op.value_size, &old);
    if (reserved != nullptr) {
      p.values().CopyValue(item, added_at, reserved);
    } else {
      p.values().CopyIn(item, added_at, {op.value, op.value_size});
    }
  }
  CHECK(PublishStore(p, op, item, found));  // a replacement finds its place
  if (reserved != nullptr) p.Discard(reserved);
  return true;
}

bool SlabEngine::Count(Partition& p, Op& op) {
  const Found found = Find(p, op);
  if (found.item == nullptr) {
    op.miss = found.miss;
    op.result = Result::kNotFound;
    return true;
  }
  return CountIn(p, op, found);
}

bool SlabEngine::CountIn(Partition& p, Op& op, const Found& found) {
  const Extended* const e = op.verb == Verb::kExtended ? op.extended : nullptr;
  const Item& old = *found.item;
  // What cannot be a number is told before the CAS is looked at, what is not one after, as in
  // memcached.
  if (old.value_size() == 0 || !engine::IsCountable(old.key_size(), old.value_size())) {
    op.result = Result::kNotANumber;
    return true;
  }
  if (e != nullptr && !CasMatches(p, op, &old)) return true;
  uint64_t number;
  DecimalReader reader;
  for (size_t offset = 0; offset < old.value_size();) {
    const std::span<const char> piece = p.values().Piece(&old, offset);
    for (const char byte : piece) reader.Feed(byte);
    offset += piece.size();
  }
  if (!reader.Finish(&number)) {
    op.result = Result::kNotANumber;
    return true;
  }
  const uint64_t delta = e != nullptr ? e->delta : op.number;
  const bool up = engine::VerbOf(op) == Verb::kIncrement;
  const uint64_t counted = up ? number + delta : (delta > number ? 0 : number - delta);

  // As memcached, which writes in place where it can: the value never gets shorter, blanks fill it
  // up. Where it cannot it makes a new item, of which nothing is known.
  char digits[20];
  const size_t digits_size =
      static_cast<size_t>(std::to_chars(digits, digits + sizeof(digits), counted).ptr - digits);
  const uint32_t value_size = std::max(old.value_size(), static_cast<uint32_t>(digits_size));
  const bool longer = digits_size > old.value_size();
  const Partition::NewItem wanted{
      .key_size = op.key_size,
      .client_flags = old.client_flags(),
      .exptime = e != nullptr && e->touches ? op.exptime : old.exptime(),
      .value_size = value_size,
      .has_own_cas = e != nullptr && e->sets_cas};
  Room room;
  Item* const item = p.Make(wanted, &room);
  if (item == nullptr) {
    if (room == Room::kLater) return false;
    op.result = Result::kNoMemory;
    engine::ShortageOf(op) = p.WhyNever(wanted);
    return true;
  }
  std::memcpy(item->key_data(), op.key, op.key_size);
  if (wanted.has_own_cas) item->set_own_cas(e->cas_new);
  item->InheritAccess(old, /*same_value=*/!longer);
  if (!longer) item->InheritMarks(old);
  for (size_t offset = 0; offset < value_size;) {
    const std::span<char> window = p.values().Piece(item, offset);
    const size_t from_digits =
        offset < digits_size ? std::min(window.size(), digits_size - offset) : 0;
    std::memcpy(window.data(), digits + std::min(offset, digits_size), from_digits);
    std::memset(window.data() + from_digits, ' ', window.size() - from_digits);
    offset += window.size();
  }
  ClassCounters& counters = p.class_counters(old.size_class());
  (up ? counters.increment_hits : counters.decrement_hits).Add(1);
  if (longer) p.counters().items_stored.Add(1);
  CHECK(p.Publish(item, op.hash, found.slot) == Room::kNow);
  (e != nullptr ? op.extended->number : op.number) = counted;
  op.cas = p.CasOf(item);
  op.result = Result::kNumber;
  return true;
}

bool SlabEngine::Delete(Partition& p, Op& op) {
  const Found found = Find(p, op);
  op.miss = found.miss;
  if (found.item == nullptr) {
    op.result = Result::kNotFound;
    return true;
  }
  p.class_counters(found.item->size_class()).delete_hits.Add(1);
  p.Unlink(found.item, op.hash);
  op.result = Result::kDeleted;
  return true;
}

// ----------------------------------------------------------------------------------- reservations

engine::Engine::ReserveResult SlabEngine::Reserve(ShardId self, const Op& op,
                                                  engine::Reservation* out) {
  CHECK_EQ(OwnerOf(op.hash), self);
  Partition& p = own(self);
  if (op.value_size > ValueSizeMax(op.key_size, op.client_flags)) {
    Refuse(p, op, Result::kTooLarge);
    return ReserveResult::kTooLarge;
  }
  Room room;
  const Partition::NewItem wanted = NewItemOf(op);
  Item* const item = p.Make(wanted, &room);
  if (item == nullptr) {
    if (room == Room::kLater) return ReserveResult::kLater;
    Refuse(p, op, Result::kNoMemory);
    out->shortage = p.WhyNever(wanted);
    return ReserveResult::kNoMemory;
  }
  std::memcpy(item->key_data(), op.key, op.key_size);
  out->item = item;
  return ReserveResult::kReserved;
}

std::span<char> SlabEngine::Window(const engine::Reservation& reservation, size_t offset) const {
  return PartitionOf(reservation.item).values().Piece(static_cast<Item*>(reservation.item), offset);
}

void SlabEngine::Abandon(ShardId self, engine::Reservation reservation) {
  CHECK(&PartitionOf(reservation.item) == &own(self));
  own(self).Discard(static_cast<Item*>(reservation.item));
}

std::span<const char> SlabEngine::Piece(const void* item, size_t offset) const {
  return PartitionOf(item).values().Piece(static_cast<const Item*>(item), offset);
}

bool SlabEngine::Pin(ShardId self, const void* item) {
  CHECK(&PartitionOf(item) == &own(self));
  return own(self).Pin(const_cast<Item*>(static_cast<const Item*>(item)));
}

void SlabEngine::Unpin(ShardId self, const void* item) {
  CHECK(&PartitionOf(item) == &own(self));
  own(self).Unpin(const_cast<Item*>(static_cast<const Item*>(item)));
}

void SlabEngine::CheckInvariants(ShardId self) const { partitions_[self]->CheckInvariants(); }

}  // namespace torc::slab
