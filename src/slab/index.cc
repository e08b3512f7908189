#include "src/slab/index.h"

#include <sys/mman.h>

#include <algorithm>

#include "src/base/assert.h"

namespace torc::slab {
namespace {

// Growth begins at this load, in percent of the slots. Measured with random hashes (index_test.cc):
// to 0.95 no insert has failed for want of a place, so growth has time to take its small steps.
constexpr uint64_t kLoadMaxPercent = 85;

// Each growth multiplies the buckets by 3/2: after it the load is 0.57, on average over a filling
// 0.7, where a factor of 2 would leave 0.64. Each entry is moved twice in its life instead of once:
// cheap, as no item is touched.
uint32_t GrownCount(uint32_t count) { return count + count / 2; }

// Buckets that an insert moves while the table grows. An insert adds one entry, a bucket holds
// about 7: the old table is empty long before the entries that still go to it could fill it.
constexpr uint32_t kBucketsPerInsert = 2;

// Buckets moved at a time when an insert has found no place.
constexpr uint32_t kBucketsWhenFull = 64;

// How far from an entry's home to look for an empty slot to bring nearer. At a load of 0.85 runs of
// full buckets rarely exceed 60.
constexpr uint32_t kDisplaceBuckets = 256;

// Drained buckets are given back to the kernel in units of this many bytes.
constexpr size_t kGiveBackBytes = size_t{1} << 20;

}  // namespace

Index::Index(ItemSpace items, uint32_t buckets, bool huge_pages)
    : items_(items), huge_pages_(huge_pages) {
  CHECK(Map(std::max(buckets, 8u), &tables_[0]));
  slots_.Set(uint64_t{tables_[0].count} * kSlotsPerBucket);
}

Index::~Index() {
  if (has_retired()) FreeRetired();
  for (Table& table : tables_) {
    if (table.buckets != nullptr) Unmap(&table);
  }
}

bool Index::Map(uint32_t count, Table* table) {
  Table made{nullptr, count};
  void* memory = mmap(nullptr, BytesOf(made), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return false;
  // Advice only: without huge pages it works as well, only slower.
  if (huge_pages_) (void)madvise(memory, BytesOf(made), MADV_HUGEPAGE);
  made.buckets = static_cast<Bucket*>(memory);
  *table = made;
  bytes_.Add(BytesOf(made));
  return true;
}

void Index::Unmap(Table* table) {
  bytes_.Subtract(BytesOf(*table));
  CHECK_EQ(munmap(table->buckets, BytesOf(*table)), 0);
  *table = Table{};
}

const Index::Table& Index::TableAt(uint64_t state, uint64_t hash) const {
  const Table& current = tables_[Generation(state) & 1];
  if (__builtin_expect(!IsGrowing(state), 1)) return current;
  const bool moved = current.HomeIndex(static_cast<uint32_t>(hash)) < Progress(state);
  return moved ? tables_[(Generation(state) + 1) & 1] : current;
}

// The slots of `bucket` that hold `tag`, as bits; empty ones match tag 0 too. No branch: which slot
// it is is random, and a mispredicted branch costs more than eight compares.
static inline uint32_t MatchingSlots(const std::atomic<uint64_t>* slots, uint32_t tag,
                                     uint64_t* entries) {
  uint32_t matching = 0;
  for (uint32_t i = 0; i < Index::kSlotsPerBucket; ++i) {
    entries[i] = slots[i].load(std::memory_order_acquire);
    matching |= static_cast<uint32_t>((static_cast<uint32_t>(entries[i]) ^ tag) < 8) << i;
  }
  return matching;
}

Index::Guess Index::Locate(uint64_t hash) const {
  const uint32_t tag = static_cast<uint32_t>(hash) & ~7u;
  const Bucket* bucket = HomeOf(hash);
  uint64_t entries[kSlotsPerBucket];
  uint32_t distance = 0;
  for (uint32_t i = 0; i <= distance; ++i, ++bucket) {
    uint32_t matching = MatchingSlots(bucket->slots, tag, entries);
    if (i == 0) distance = static_cast<uint32_t>(entries[0]) & 7;
    for (; matching != 0; matching &= matching - 1) {
      const int at = __builtin_ctz(matching);
      if (RefIn(entries[at]) != 0) return {&bucket->slots[at], entries[at]};
    }
  }
  return {};
}

Item* Index::Find(uint64_t hash, std::string_view key) const {
  const uint32_t tag = static_cast<uint32_t>(hash) & ~7u;
  uint64_t state = state_.load(std::memory_order_acquire);
  for (;;) {
    const Table& table = TableAt(state, hash);
    const Bucket* const home = &table.buckets[table.HomeIndex(static_cast<uint32_t>(hash))];
    uint64_t entries[kSlotsPerBucket];
    uint32_t distance = 0;
    for (uint32_t i = 0; i <= distance; ++i) {
      uint32_t matching = MatchingSlots(home[i].slots, tag, entries);
      if (i == 0) distance = static_cast<uint32_t>(entries[0]) & 7;
      for (; matching != 0; matching &= matching - 1) {
        const Ref ref = RefIn(entries[__builtin_ctz(matching)]);
        if (ref == 0) continue;
        Item* const item = items_.At(ref);
        if (item->key() == key) return item;
      }
    }
    // A miss counts only if nothing moved meanwhile (see the header). Each new round needs a step
    // of the owner's.
    const uint32_t distance_now = Distance(*home);
    const uint64_t state_now = state_.load(std::memory_order_acquire);
    if (state_now == state && distance_now == distance) return nullptr;
    state = state_now;
  }
}

template <typename Matches>
Index::Slot* Index::Scan(uint64_t hash, Matches matches, uint32_t* home, uint32_t* distance) {
  const uint32_t tag = static_cast<uint32_t>(hash) & ~7u;
  const Table& table = TableAt(state_.load(std::memory_order_relaxed), hash);
  *home = table.HomeIndex(static_cast<uint32_t>(hash));
  Bucket* const bucket = &table.buckets[*home];
  const uint32_t distance_max = Distance(*bucket);
  uint64_t entries[kSlotsPerBucket];
  for (uint32_t i = 0; i <= distance_max; ++i) {
    uint32_t matching = MatchingSlots(bucket[i].slots, tag, entries);
    for (; matching != 0; matching &= matching - 1) {
      const int at = __builtin_ctz(matching);
      const Ref ref = RefIn(entries[at]);
      if (ref == 0 || !matches(ref)) continue;
      *distance = i;
      return &bucket[i].slots[at];
    }
  }
  return nullptr;
}

Index::Slot* Index::FindSlot(uint64_t hash, std::string_view key) {
  uint32_t home, distance;
  return Scan(hash, [&](Ref ref) { return items_.At(ref)->key() == key; }, &home, &distance);
}

void Index::Write(Slot* slot, uint64_t entry) {
  const uint64_t spare = slot->load(std::memory_order_relaxed) & 7;
  slot->store(entry | spare, std::memory_order_release);
}

void Index::SetDistance(Bucket* bucket, uint32_t distance) {
  const uint64_t word = bucket->slots[0].load(std::memory_order_relaxed);
  bucket->slots[0].store((word & ~uint64_t{7}) | distance, std::memory_order_release);
}

void Index::RaiseDistance(Bucket* bucket, uint32_t distance) {
  if (Distance(*bucket) < distance) SetDistance(bucket, distance);
}

void Index::Replace(Slot* slot, Ref ref) {
  const uint64_t word = slot->load(std::memory_order_relaxed);
  CHECK(RefIn(word) != 0);
  slot->store((uint64_t{ref} << 32) | static_cast<uint32_t>(word), std::memory_order_release);
}

bool Index::Place(const Table& table, uint64_t entry) {
  const uint32_t home = table.HomeIndex(TagIn(entry));
  for (uint32_t i = 0; i <= kDistanceMax; ++i) {
    for (Slot& slot : table.buckets[home + i].slots) {
      if (RefIn(slot.load(std::memory_order_relaxed)) != 0) continue;
      Write(&slot, entry);
      RaiseDistance(&table.buckets[home], i);
      return true;
    }
  }
  return Displace(table, entry);
}

// Brings an empty slot from beyond the reach of `entry` within it, by moving entries into it that
// stay within their own reach (hopscotch hashing: Herlihy, Shavit, Tzafrir 2008).
bool Index::Displace(const Table& table, uint64_t entry) {
  const uint32_t home = table.HomeIndex(TagIn(entry));
  const uint32_t end = std::min(home + kDisplaceBuckets, table.count + kDistanceMax);
  uint32_t at = home + kDistanceMax + 1;
  Slot* empty = nullptr;
  for (; at < end && empty == nullptr; ++at) {
    for (Slot& slot : table.buckets[at].slots) {
      if (RefIn(slot.load(std::memory_order_relaxed)) == 0) empty = &slot;
    }
  }
  if (empty == nullptr) return false;
  --at;
  while (at > home + kDistanceMax) {
    // From as far ahead as possible.
    Slot* moved = nullptr;
    for (uint32_t from = at - kDistanceMax; from < at && moved == nullptr; ++from) {
      for (Slot& slot : table.buckets[from].slots) {
        const uint64_t moving = slot.load(std::memory_order_relaxed) & ~uint64_t{7};
        const uint32_t moving_home = table.HomeIndex(TagIn(moving));
        if (at - moving_home > kDistanceMax) continue;
        Write(empty, moving);
        RaiseDistance(&table.buckets[moving_home], at - moving_home);
        moved = &slot;
        break;
      }
      if (moved != nullptr) at = from;
    }
    if (moved == nullptr) {
      Write(empty, 0);  // what was here has moved on, and nothing takes its place
      return false;
    }
    empty = moved;
  }
  Write(empty, entry);
  RaiseDistance(&table.buckets[home], at - home);
  return true;
}

Index::InsertResult Index::Insert(uint64_t hash, Ref ref) {
  CHECK(ref != 0);
  if (growing()) {
    Step(kBucketsPerInsert);
  } else if ((entries_.Get() + 1) * 100 > slots_.Get() * kLoadMaxPercent && !has_retired()) {
    StartGrowth();  // if it fails, the table serves on for as long as there are places
  }
  const uint64_t entry = Entry(hash, ref);
  for (;;) {
    if (Place(TableAt(state_.load(std::memory_order_relaxed), hash), entry)) {
      entries_.Add(1);
      return InsertResult::kInserted;
    }
    // As good as never: 64 full slots in a row and none that could move. Growth makes room, at once
    // rather than in steps. But not if the table is half empty: then keys of one tag crowd here,
    // and would in any other table.
    if (growing()) {
      const uint64_t state = state_.load(std::memory_order_relaxed);
      if (&TableAt(state, hash) != &tables_[Generation(state) & 1]) return InsertResult::kCrowded;
      if (dropped_count_ != 0) return InsertResult::kLater;
      Step(kBucketsWhenFull);
    } else if (entries_.Get() * 2 < slots_.Get()) {
      return InsertResult::kCrowded;
    } else if (has_retired()) {
      return InsertResult::kLater;
    } else if (!StartGrowth()) {
      return InsertResult::kCrowded;
    }
  }
}

void Index::LowerDistance(const Table& table, uint32_t home) {
  Bucket* const bucket = &table.buckets[home];
  uint32_t distance = Distance(*bucket);
  for (; distance > 0; --distance) {
    for (const Slot& slot : bucket[distance].slots) {
      const uint64_t entry = slot.load(std::memory_order_relaxed);
      if (RefIn(entry) == 0 || table.HomeIndex(TagIn(entry)) != home) continue;
      SetDistance(bucket, distance);
      return;
    }
  }
  SetDistance(bucket, 0);
}

void Index::Erase(uint64_t hash, Ref ref) {
  uint32_t home, distance;
  Slot* const slot = Scan(hash, [&](Ref found) { return found == ref; }, &home, &distance);
  CHECK(slot != nullptr);
  Write(slot, 0);
  entries_.Subtract(1);
  const Table& table = TableAt(state_.load(std::memory_order_relaxed), hash);
  if (distance > 0 && distance == Distance(table.buckets[home])) LowerDistance(table, home);
}

bool Index::StartGrowth() {
  CHECK(!growing() && !has_retired());
  const uint32_t generation = Generation(state_.load(std::memory_order_relaxed));
  // The other table's fields are free to change: no reader has looked at them since FreeRetired.
  if (!Map(GrownCount(tables_[generation & 1].count), &tables_[(generation + 1) & 1])) return false;
  slots_.Set(uint64_t{tables_[(generation + 1) & 1].count} * kSlotsPerBucket);
  given_back_ = 0;
  state_.store(State(true, generation, 0), std::memory_order_release);
  return true;
}

void Index::MoveBucket(const Table& from, const Table& to, uint32_t home) {
  Bucket* const bucket = &from.buckets[home];
  const uint32_t distance = Distance(*bucket);
  const auto belongs = [&](uint64_t entry) {
    return RefIn(entry) != 0 && from.HomeIndex(TagIn(entry)) == home;
  };
  for (uint32_t i = 0; i <= distance; ++i) {
    for (const Slot& slot : bucket[i].slots) {
      const uint64_t entry = slot.load(std::memory_order_relaxed) & ~uint64_t{7};
      if (!belongs(entry) || Place(to, entry)) continue;
      CHECK_LT(dropped_count_, kOccupantsMax);
      dropped_[dropped_count_++] = RefIn(entry);
      entries_.Subtract(1);
    }
  }
  state_.store(State(true, Generation(state_.load(std::memory_order_relaxed)), home + 1),
               std::memory_order_release);
  for (uint32_t i = 0; i <= distance; ++i) {
    for (Slot& slot : bucket[i].slots) {
      if (belongs(slot.load(std::memory_order_relaxed))) Write(&slot, 0);
    }
  }
}

void Index::GiveBackDrained(const Table& from, uint32_t home) {
  // A reader with an old state finds zeros there, and then sees that the state has changed.
  constexpr uint32_t kUnit = kGiveBackBytes / sizeof(Bucket);
  if (home - given_back_ < kUnit) return;
  (void)madvise(from.buckets + given_back_, kGiveBackBytes, MADV_DONTNEED);
  given_back_ += kUnit;
}

bool Index::Step(uint32_t buckets) {
  if (!growing()) return false;
  const uint64_t state = state_.load(std::memory_order_relaxed);
  const Table& from = tables_[Generation(state) & 1];
  const Table& to = tables_[(Generation(state) + 1) & 1];
  uint32_t home = Progress(state);
  const uint32_t end =
      static_cast<uint32_t>(std::min<uint64_t>(uint64_t{home} + buckets, from.count));
  // What was dropped must be taken before more can be.
  while (home < end && dropped_count_ == 0) MoveBucket(from, to, home++);
  GiveBackDrained(from, home);
  if (home == from.count) FinishGrowth();
  return growing();
}

void Index::FinishGrowth() {
  const uint32_t generation = Generation(state_.load(std::memory_order_relaxed));
  state_.store(State(false, generation + 1, 0), std::memory_order_release);
  const Table& drained = tables_[generation & 1];
  retired_ = drained.buckets;
  retired_bytes_ = BytesOf(drained);
}

void Index::FreeRetired() {
  CHECK(has_retired());
  const uint32_t generation = Generation(state_.load(std::memory_order_relaxed));
  Table* const drained = &tables_[(generation + 1) & 1];
  CHECK(drained->buckets == retired_);
  Unmap(drained);
  retired_ = nullptr;
}

Ref Index::Occupant(uint64_t hash, uint32_t i) const {
  CHECK_LT(i, kOccupantsMax);
  const Bucket* const home = HomeOf(hash);
  return RefIn(
      home[i / kSlotsPerBucket].slots[i % kSlotsPerBucket].load(std::memory_order_relaxed));
}

Ref Index::TakeDropped() { return dropped_count_ == 0 ? 0 : dropped_[--dropped_count_]; }

void Index::CheckInvariants(void (*visit)(void* context, Ref ref), void* context) const {
  const uint64_t state = state_.load(std::memory_order_relaxed);
  uint64_t entries = 0;
  for (uint32_t generation = 0; generation < 2; ++generation) {
    const bool is_new = generation == 1;
    if (is_new && !IsGrowing(state)) break;
    const Table& table = tables_[(Generation(state) + generation) & 1];
    const Table& old = tables_[Generation(state) & 1];
    for (uint32_t b = 0; b < table.count + kDistanceMax; ++b) {
      for (uint32_t i = 0; i < kSlotsPerBucket; ++i) {
        const uint64_t entry = table.buckets[b].slots[i].load(std::memory_order_relaxed);
        if (i != 0) CHECK_EQ(entry & 7, 0u);
        if (RefIn(entry) == 0) {
          CHECK_EQ(TagIn(entry), 0u);
          continue;
        }
        const uint32_t home = table.HomeIndex(TagIn(entry));
        CHECK_LE(home, b);
        CHECK_LE(b - home, Distance(table.buckets[home]));
        if (IsGrowing(state)) CHECK_EQ(old.HomeIndex(TagIn(entry)) < Progress(state), is_new);
        ++entries;
        visit(context, RefIn(entry));
      }
    }
  }
  CHECK_EQ(entries, entries_.Get());
}

}  // namespace torc::slab
