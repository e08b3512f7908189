#include "src/slab/index.h"

#include <emmintrin.h>
#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <bitset>

#include "src/base/assert.h"

namespace torc::slab {
namespace {

// Growth begins at this load, in percent of the slots. With random hashes inserts find places up to
// 0.99, in a table that was only filled and in one whose entries came and went (index_test.cc): so
// growth has time to take its small steps.
constexpr uint64_t kLoadMaxPercent = 94;

// Each growth adds 24 percent: after it the load is 0.77, and while a table fills, an entry costs
// 5.7 to 7.1 bytes. An entry is moved 4 times in its life, mostly from cache to cache and without a
// look at its item. Small tables grow by as much as a batch of inserts may fill before the drained
// table is freed; where that was not enough and a growth begins late, it makes up for it.
uint32_t GrownCount(uint32_t count, uint64_t entries) {
  constexpr uint32_t kGrowthMin = 64;
  constexpr uint64_t kLoadAfterPercent = 80;
  const uint64_t late = entries * 100 / (Index::kSlotsPerBucket * kLoadAfterPercent);
  return std::max(count + std::max(kGrowthMin, static_cast<uint32_t>(uint64_t{count} * 24 / 100)),
                  static_cast<uint32_t>(late));
}

// Buckets that an insert moves while the table grows: 45 entries for one, so the old table's load
// rises by 1/45 until it is empty, to 0.96.
constexpr uint32_t kBucketsPerInsert = 4;

// Buckets moved at a time when an insert has found no place, and how many times.
constexpr uint32_t kBucketsWhenFull = 64;
constexpr uint32_t kTriesWhenFull = 4;

// How many full buckets to look at for an entry that could give way, and how far from the home: a
// bound on the time of an insert.
constexpr uint32_t kSearchBuckets = 768;
constexpr uint32_t kSearchReach = 2048;

// Buckets ahead of the one being moved whose items are prefetched, if their keys will be hashed.
constexpr uint32_t kItemsAheadBuckets = 6;

// Where the keys of most items have ended.
constexpr size_t kKeyMostlyWithin = 48;

// Drained buckets are given back to the kernel in units of this many bytes: so few pages at a time
// that the call is no longer than the moves of a step.
constexpr size_t kGiveBackBytes = size_t{64} << 10;

// So that every granule number times a number of buckets fits 64 bits.
constexpr uint32_t kBucketsMax = 1u << 28;
constexpr uint32_t kGranulesPerBucketMax = 255;

// The smallest page of every machine we run on.
constexpr size_t kPageBytes = 4096;

constexpr uint32_t kFullShift = 58;
constexpr uint32_t kProbeMaxShift = 56;
constexpr uint32_t kLowProbeShift = 32;
constexpr uint32_t kHighProbeShift = 44;

}  // namespace

// ---------------------------------------------------------------------------------------- buckets

inline uint32_t Index::Meta::TagsEqual(uint8_t tag) const {
  const __m128i tags = _mm_set_epi64x(static_cast<int64_t>(word[1]), static_cast<int64_t>(word[0]));
  const __m128i equal = _mm_cmpeq_epi8(tags, _mm_set1_epi8(static_cast<char>(tag)));
  return static_cast<uint32_t>(_mm_movemask_epi8(equal)) & kAllSlots;
}

inline void Index::Bucket::set_probe_max(uint32_t probe) {
  const uint64_t word = meta[1].load(std::memory_order_relaxed);
  meta[1].store((word & ~(uint64_t{3} << kProbeMaxShift)) | (uint64_t{probe} << kProbeMaxShift),
                std::memory_order_release);
}

inline void Index::Bucket::RaiseProbeMax(uint32_t probe) {
  if (Load().probe_max() < probe) set_probe_max(probe);
}

inline uint32_t Index::Bucket::EmptySlot() const {
  // Slots fill from the first on: only where entries have gone is it another one.
  uint32_t slot = Load().full_slots();
  while (refs[slot].load(std::memory_order_relaxed) != 0) slot = (slot + 1) % kSlotsPerBucket;
  return slot;
}

inline void Index::Bucket::Put(uint32_t slot, uint8_t tag, uint32_t probe, Ref ref) {
  uint64_t word[2] = {meta[0].load(std::memory_order_relaxed),
                      meta[1].load(std::memory_order_relaxed)};
  const uint32_t shift = slot % 8 * 8;
  word[slot / 8] = (word[slot / 8] & ~(uint64_t{0xff} << shift)) | (uint64_t{tag} << shift);
  // An empty slot's probe is 0.
  word[1] |= uint64_t{probe & 1} << (kLowProbeShift + slot);
  word[1] |= uint64_t{probe >> 1} << (kHighProbeShift + slot);
  word[1] += uint64_t{1} << kFullShift;
  if (slot < 8) meta[0].store(word[0], std::memory_order_release);
  meta[1].store(word[1], std::memory_order_release);
  refs[slot].store(ref, std::memory_order_release);
}

inline void Index::Bucket::Clear(uint32_t slots) {
  for (uint32_t rest = slots; rest != 0; rest &= rest - 1) {
    refs[std::countr_zero(rest)].store(0, std::memory_order_release);
  }
  uint64_t word = meta[1].load(std::memory_order_relaxed);
  word &= ~(uint64_t{slots} << kLowProbeShift | uint64_t{slots} << kHighProbeShift);
  word -= static_cast<uint64_t>(std::popcount(slots)) << kFullShift;
  meta[1].store(word, std::memory_order_release);
}

// ----------------------------------------------------------------------------------------- tables

Index::Index(const Config& config)
    : items_(config.items),
      hash_seed_(config.hash_seed),
      key_hash_(config.key_hash),
      huge_pages_(config.huge_pages) {
  CHECK(Map(std::max(config.buckets, 8u), &tables_[0]));
  slots_.Set(uint64_t{tables_[0].count} * kSlotsPerBucket);
  CountBytes();
}

Index::~Index() {
  for (Table& table : tables_) {
    if (table.buckets != nullptr) Unmap(&table);
  }
}

bool Index::Map(uint32_t count, Table* table) const {
  if (count >= kBucketsMax) return false;
  // The farther an entry may go, the larger the crowded stretches that can be relieved; but the far
  // end lies behind the last home, and small tables have few such stretches.
  const uint32_t far = std::clamp(count / 32, 10u, 128u);
  Table made{.count = count,
             .granule_bits =
                 static_cast<uint32_t>(std::bit_width(uint64_t{count} * kGranulesPerBucketMax)) - 1,
             .jump = {0, 1, far / 8 + 2, far}};
  void* memory = mmap(nullptr, made.bytes(), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return false;
  // Advice only: without huge pages it works as well, only slower.
  if (huge_pages_) (void)madvise(memory, made.bytes(), MADV_HUGEPAGE);
  made.buckets = static_cast<Bucket*>(memory);
  *table = made;
  return true;
}

void Index::Unmap(Table* table) {
  CHECK_EQ(munmap(table->buckets, table->bytes()), 0);
  *table = Table{};
}

void Index::CountBytes() {
  const uint64_t state = state_.load(std::memory_order_relaxed);
  const Table& current = tables_[Generation(state) & 1];
  const Table& other = tables_[(Generation(state) + 1) & 1];
  uint64_t bytes = current.bytes();
  if (IsGrowing(state)) {
    const uint64_t begun =
        uint64_t{Progress(state)} * other.count / current.count * sizeof(Bucket) + kPageBytes;
    bytes += std::min<uint64_t>(begun, other.bytes()) - given_back_bytes_;
  } else if (retired_) {
    bytes += other.bytes() - given_back_bytes_;
  }
  bytes_.Set(bytes);
}

// ---------------------------------------------------------------------------------------- lookups

inline Index::Guess Index::LocateIn(const Bucket& bucket, const Meta& meta, uint32_t probe,
                                    uint8_t tag) {
  uint32_t matching = meta.TagsEqual(tag) & meta.ProbesEqual(probe);
  for (; matching != 0; matching &= matching - 1) {
    const Slot* const slot = &bucket.refs[std::countr_zero(matching)];
    const Ref ref = slot->load(std::memory_order_acquire);
    if (ref != 0) return {slot, ref};
  }
  return {};
}

Index::Guess Index::Locate(uint64_t hash) const {
  const Table& table = TableAt(state_.load(std::memory_order_acquire), hash);
  const Place place = PlaceOf(table, hash);
  const Bucket* const home = &table.buckets[place.home];
  const Meta meta = home->Load();
  const Guess guess = LocateIn(*home, meta, 0, place.tag);
  if (guess.slot != nullptr) return guess;
  for (uint32_t probe = 1; probe <= meta.probe_max(); ++probe) {
    const Bucket& bucket = home[table.jump[probe]];
    const Guess far = LocateIn(bucket, bucket.Load(), probe, place.tag);
    if (far.slot != nullptr) return far;
  }
  return {};
}

Item* Index::Find(uint64_t hash, std::string_view key) const {
  const Table& table = TableAt(state_.load(std::memory_order_acquire), hash);
  const Place place = PlaceOf(table, hash);
  // Nearly always in its home bucket.
  if (Item* const item = FindIn(table.buckets[place.home], 0, place.tag, key)) return item;
  return FindFar(hash, key);
}

inline Item* Index::FindIn(const Bucket& bucket, uint32_t probe, uint8_t tag,
                           std::string_view key) const {
  const Meta meta = bucket.Load();
  uint32_t matching = meta.TagsEqual(tag) & meta.ProbesEqual(probe);
  for (; matching != 0; matching &= matching - 1) {
    const Ref ref = bucket.refs[std::countr_zero(matching)].load(std::memory_order_acquire);
    if (ref == 0) continue;
    Item* const item = items_.At(ref);
    if (item->key() == key) return item;
  }
  return nullptr;
}

Item* Index::FindFar(uint64_t hash, std::string_view key) const {
  for (;;) {
    const uint64_t state = state_.load(std::memory_order_acquire);
    const Table& table = TableAt(state, hash);
    const Place place = PlaceOf(table, hash);
    const std::atomic<uint32_t>& moves = moves_[place.home % kMoveCounts];
    const uint32_t moves_before = moves.load(std::memory_order_acquire);
    const Bucket* const home = &table.buckets[place.home];
    const uint32_t probe_max = home->Load().probe_max();
    for (uint32_t probe = 0; probe <= probe_max; ++probe) {
      Item* const item = FindIn(home[table.jump[probe]], probe, place.tag, key);
      if (item != nullptr) return item;
    }
    // A miss counts only if nothing moved meanwhile (see the header). Each new round needs a move
    // of the owner's.
    if (moves.load(std::memory_order_acquire) == moves_before &&
        state_.load(std::memory_order_acquire) == state) {
      return nullptr;
    }
  }
}

template <typename Matches>
Index::Found Index::Scan(uint64_t hash, Matches matches) const {
  const Table& table = TableAt(state_.load(std::memory_order_relaxed), hash);
  const Place place = PlaceOf(table, hash);
  Bucket* const home = &table.buckets[place.home];
  const uint32_t probe_max = home->Load().probe_max();
  for (uint32_t probe = 0; probe <= probe_max; ++probe) {
    Bucket& bucket = home[table.jump[probe]];
    const Meta meta = bucket.Load();
    uint32_t matching = meta.TagsEqual(place.tag) & meta.ProbesEqual(probe);
    for (; matching != 0; matching &= matching - 1) {
      const uint32_t slot = static_cast<uint32_t>(std::countr_zero(matching));
      const Ref ref = bucket.refs[slot].load(std::memory_order_relaxed);
      if (ref != 0 && matches(ref)) return {&table, home, probe, slot};
    }
  }
  return {&table, nullptr, 0, 0};
}

Index::Slot* Index::FindSlot(uint64_t hash, std::string_view key) {
  const Found found = Scan(hash, [&](Ref ref) { return items_.At(ref)->HasKey(key); });
  if (found.home == nullptr) return nullptr;
  return &found.home[found.table->jump[found.probe]].refs[found.slot];
}

Ref Index::Occupant(uint64_t hash, uint32_t i) const {
  CHECK_LT(i, kOccupantsMax);
  const Table& table = TableAt(state_.load(std::memory_order_relaxed), hash);
  const Bucket& bucket = table.buckets[table.HomeIndex(hash) + table.jump[i / kSlotsPerBucket]];
  return bucket.refs[i % kSlotsPerBucket].load(std::memory_order_relaxed);
}

// ---------------------------------------------------------------------------------------- changes

void Index::Replace(Slot* slot, Ref ref) {
  CHECK(ref != 0 && slot->load(std::memory_order_relaxed) != 0);
  slot->store(ref, std::memory_order_release);
}

bool Index::Put(const Table& table, Place place, Ref ref) {
  Bucket* const home = &table.buckets[place.home];
  uint32_t probe = 0;
  // At the loads of a table in use the home is often full, and then the next bucket too.
  __builtin_prefetch(home + table.jump[1]);
  if (home->full()) {
    for (uint32_t i = 2; i <= kProbeMax; ++i) __builtin_prefetch(home + table.jump[i]);
    do {
      ++probe;
    } while (probe <= kProbeMax && home[table.jump[probe]].full());
  }
  if (probe > kProbeMax) {
    probe = MakeRoom(table, home);
    if (probe > kProbeMax) return false;
  }
  Bucket* const bucket = home + table.jump[probe];
  bucket->Put(bucket->EmptySlot(), place.tag, probe, ref);
  home->RaiseProbeMax(probe);
  return true;
}

// Makes an empty slot in one of the buckets of `home`, which are all full: moves an entry of it
// farther from its own home, to a bucket with an empty slot, or one where another entry can be
// moved to make one (cuckoo hashing: Pagh, Rodler 2001; but entries give way in one direction). The
// shortest such chain, by a search in breadth. Returns the probe, or more than kProbeMax.
uint32_t Index::MakeRoom(const Table& table, Bucket* home) {
  struct Node {
    uint32_t offset;  // of a full bucket, from `home`
    uint32_t parent;  // whose entry at `probe` of its home would move here, to `probe_new`
    uint8_t probe, probe_new;
  };
  Node nodes[kSearchBuckets];
  std::bitset<kSearchReach> seen;
  uint32_t count = 0;
  for (uint32_t probe = 0; probe <= kProbeMax; ++probe) {
    nodes[count++] = {table.jump[probe], 0, 0, static_cast<uint8_t>(probe)};
    seen.set(table.jump[probe]);
  }
  for (uint32_t at = 0; at < count; ++at) {
    const Bucket* const bucket = home + nodes[at].offset;
    for (uint8_t probe = 0; probe < kProbeMax; ++probe) {
      // All of a bucket's entries at this probe have one home: any of them will do.
      if (bucket->Load().ProbesEqual(probe) == 0) continue;
      for (uint8_t probe_new = probe + 1; probe_new <= kProbeMax; ++probe_new) {
        const uint32_t offset = nodes[at].offset - table.jump[probe] + table.jump[probe_new];
        if (offset >= kSearchReach || seen[offset]) continue;
        seen.set(offset);
        const Node next{offset, at, probe, probe_new};
        if (home[offset].full()) {
          if (count < kSearchBuckets) nodes[count++] = next;
          continue;
        }
        // From the far end of the chain to its beginning.
        Node move = next;
        for (;;) {
          Bucket* const from = home + nodes[move.parent].offset;
          const uint32_t slots = from->Load().ProbesEqual(move.probe);
          Move(table, from - table.jump[move.probe], move.probe,
               static_cast<uint32_t>(std::countr_zero(slots)), move.probe_new);
          if (move.parent <= kProbeMax) return nodes[move.parent].probe_new;
          move = nodes[move.parent];
        }
      }
    }
  }
  return kProbeMax + 1;
}

void Index::Move(const Table& table, Bucket* home, uint32_t probe, uint32_t slot,
                 uint32_t probe_new) {
  Bucket* const from = home + table.jump[probe];
  Bucket* const to = home + table.jump[probe_new];
  to->Put(to->EmptySlot(), from->Load().tag(slot), probe_new,
          from->refs[slot].load(std::memory_order_relaxed));
  home->RaiseProbeMax(probe_new);
  std::atomic<uint32_t>& moves = moves_[static_cast<size_t>(home - table.buckets) % kMoveCounts];
  moves.store(moves.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  from->Clear(1u << slot);
}

Index::InsertResult Index::Insert(uint64_t hash, Ref ref) {
  CHECK(ref != 0);
  if (growing()) {
    Prefetch(hash);
    Step(kBucketsPerInsert);
  } else if ((entries_.Get() + 1) * 100 > slots_.Get() * kLoadMaxPercent && !has_retired()) {
    StartGrowth();  // if it fails, the table serves on for as long as there are places
  }
  for (uint32_t tries = 0;; ++tries) {
    const uint64_t state = state_.load(std::memory_order_relaxed);
    const Table& table = TableAt(state, hash);
    if (Put(table, PlaceOf(table, hash), ref)) {
      entries_.Add(1);
      return InsertResult::kInserted;
    }
    // As good as never: 48 full slots and none whose entry could move. Growth makes room, this one
    // when it comes by here, or the next. But not if the table is half empty: then keys of one
    // position crowd here, and would in any other table.
    if (entries_.Get() * 2 < slots_.Get()) return InsertResult::kCrowded;
    if (IsGrowing(state)) {
      const bool moved = &table != &tables_[Generation(state) & 1];
      if (moved || dropped_count_ != 0 || tries == kTriesWhenFull) return InsertResult::kLater;
      Step(kBucketsWhenFull);
    } else if (has_retired()) {
      return InsertResult::kLater;
    } else if (!StartGrowth()) {
      return InsertResult::kCrowded;
    }
  }
}

void Index::Erase(uint64_t hash, Ref ref) {
  const Found found = Scan(hash, [&](Ref at) { return at == ref; });
  CHECK(found.home != nullptr);
  Bucket* const bucket = found.home + found.table->jump[found.probe];
  bucket->Clear(1u << found.slot);
  entries_.Subtract(1);
  if (found.probe > 0 && found.probe == found.home->Load().probe_max()) {
    LowerProbeMax(*found.table, found.home);
  }
  BringHome(*found.table, bucket);
}

// Where entries come and go, those that gave way must come back, or in time most would be away.
void Index::BringHome(const Table& table, Bucket* home) {
  const uint32_t probe = home->Load().probe_max();
  if (probe == 0) return;
  const uint32_t slots = home[table.jump[probe]].Load().ProbesEqual(probe);
  Move(table, home, probe, static_cast<uint32_t>(std::countr_zero(slots)), 0);
  LowerProbeMax(table, home);
}

void Index::LowerProbeMax(const Table& table, Bucket* home) {
  uint32_t probe = home->Load().probe_max();
  while (probe > 0 && home[table.jump[probe]].Load().ProbesEqual(probe) == 0) --probe;
  home->set_probe_max(probe);
}

// ----------------------------------------------------------------------------------------- growth

bool Index::StartGrowth() {
  CHECK(!growing() && !has_retired());
  const uint32_t generation = Generation(state_.load(std::memory_order_relaxed));
  // The other table's fields are free to change: no reader has looked at them since FreeRetired.
  Table* const to = &tables_[(generation + 1) & 1];
  if (!Map(GrownCount(tables_[generation & 1].count, entries_.Get()), to)) return false;
  slots_.Set(uint64_t{to->count} * kSlotsPerBucket);
  given_back_bytes_ = 0;
  state_.store(State(true, generation, 0), std::memory_order_release);
  CountBytes();
  return true;
}

bool Index::PlaceOfGranule(const Table& table, uint64_t granule, Place* place) {
  const uint32_t shift = kPositionBits - table.granule_bits;
  const uint32_t home = table.HomeIndex(granule << shift);
  if (table.HomeIndex(((granule + 1) << shift) - 1) != home) return false;
  *place = {home, static_cast<uint8_t>(granule)};
  return true;
}

void Index::MoveBucket(const Table& from, const Table& to, uint32_t index) {
  Bucket* const home = &from.buckets[index];
  const uint32_t probe_max = home->Load().probe_max();
  const bool granules_stay = from.granule_bits == to.granule_bits;
  // A bucket spans at most 256 granules, from this one on.
  const uint64_t granule_first = (uint64_t{index} << from.granule_bits) / from.count;
  uint32_t moved[kProbeMax + 1] = {};
  for (uint32_t probe = 0; probe <= probe_max; ++probe) {
    const Bucket& bucket = home[from.jump[probe]];
    const Meta meta = bucket.Load();
    for (uint32_t slots = meta.ProbesEqual(probe); slots != 0; slots &= slots - 1) {
      const uint32_t slot = static_cast<uint32_t>(std::countr_zero(slots));
      const Ref ref = bucket.refs[slot].load(std::memory_order_relaxed);
      if (ref == 0) continue;
      moved[probe] |= 1u << slot;
      const uint8_t ahead = static_cast<uint8_t>(meta.tag(slot) - granule_first);
      Place place;
      if (!granules_stay || !PlaceOfGranule(to, granule_first + ahead, &place)) {
        place = PlaceOf(to, HashOf(ref));
      }
      if (Put(to, place, ref)) continue;
      CHECK_LT(dropped_count_, kOccupantsMax);
      dropped_[dropped_count_++] = ref;
      entries_.Subtract(1);
    }
  }
  state_.store(State(true, Generation(state_.load(std::memory_order_relaxed)), index + 1),
               std::memory_order_release);
  for (uint32_t probe = 0; probe <= probe_max; ++probe) {
    if (moved[probe] != 0) home[from.jump[probe]].Clear(moved[probe]);
  }
}

void Index::PrefetchItems(const Table& table, uint32_t index) const {
  const Bucket* const home = &table.buckets[index];
  const uint32_t probe_max = home->Load().probe_max();
  for (uint32_t probe = 0; probe <= probe_max; ++probe) {
    const Bucket& bucket = home[table.jump[probe]];
    for (uint32_t slots = bucket.Load().ProbesEqual(probe); slots != 0; slots &= slots - 1) {
      const Ref ref = bucket.refs[std::countr_zero(slots)].load(std::memory_order_relaxed);
      if (ref == 0) continue;
      // Of an item near the end of its line the key is in the next one.
      const char* const bytes = items_.BytesAt(ref);
      __builtin_prefetch(bytes);
      __builtin_prefetch(bytes + kKeyMostlyWithin);
    }
  }
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
  while (home < end && dropped_count_ == 0) {
    if (from.granule_bits != to.granule_bits) {
      PrefetchItems(from, std::min(home + kItemsAheadBuckets, from.count - 1));
    }
    MoveBucket(from, to, home++);
  }
  GiveBackDrained(from, home);
  if (home == from.count) FinishGrowth();
  CountBytes();
  return growing();
}

void Index::GiveBackDrained(const Table& from, uint32_t home) {
  // A reader with an old state finds zeros there, and then sees that the state has changed.
  if (home * sizeof(Bucket) - given_back_bytes_ < kGiveBackBytes) return;
  (void)madvise(reinterpret_cast<char*>(from.buckets) + given_back_bytes_, kGiveBackBytes,
                MADV_DONTNEED);
  given_back_bytes_ += kGiveBackBytes;
}

void Index::FinishGrowth() {
  const uint32_t generation = Generation(state_.load(std::memory_order_relaxed));
  state_.store(State(false, generation + 1, 0), std::memory_order_release);
  retired_ = true;
}

void Index::FreeRetired() {
  CHECK(has_retired());
  const uint32_t generation = Generation(state_.load(std::memory_order_relaxed));
  Unmap(&tables_[(generation + 1) & 1]);
  retired_ = false;
  CountBytes();
}

Ref Index::TakeDropped() { return dropped_count_ == 0 ? 0 : dropped_[--dropped_count_]; }

// ------------------------------------------------------------------------------------- invariants

void Index::CheckInvariants(void (*visit)(void* context, Ref ref), void* context) const {
  const uint64_t state = state_.load(std::memory_order_relaxed);
  const Table& old = tables_[Generation(state) & 1];
  uint64_t entries = 0;
  for (uint32_t generation = 0; generation < 2; ++generation) {
    const bool is_new = generation == 1;
    if (is_new && !IsGrowing(state)) break;
    const Table& table = tables_[(Generation(state) + generation) & 1];
    for (uint32_t b = 0; b < table.count + table.jump[kProbeMax]; ++b) {
      const Meta meta = table.buckets[b].Load();
      uint32_t full = 0;
      for (uint32_t i = 0; i < kSlotsPerBucket; ++i) {
        const Ref ref = table.buckets[b].refs[i].load(std::memory_order_relaxed);
        const uint32_t probe = meta.probe(i);
        if (ref == 0) {
          CHECK_EQ(probe, 0u);
          continue;
        }
        ++full;
        const uint64_t hash = HashOf(ref);
        const Place place = PlaceOf(table, hash);
        CHECK_EQ(place.home + table.jump[probe], b);
        CHECK_EQ(place.tag, meta.tag(i));
        CHECK_LE(probe, table.buckets[place.home].Load().probe_max());
        if (IsGrowing(state)) CHECK_EQ(old.HomeIndex(hash) < Progress(state), is_new);
        visit(context, ref);
      }
      CHECK_EQ(full, meta.full_slots());
      entries += full;
    }
  }
  CHECK_EQ(entries, entries_.Get());
}

}  // namespace torc::slab
