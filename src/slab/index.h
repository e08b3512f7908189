// The partition's hash index: from a key's hash to the item that has the key. One writer, the
// partition's owner; any number of readers, which take no lock and never wait.
//
// A table is an array of buckets, each one cache line of 12 slots:
//
//   | ref 4 | ref 4 | ... 12 of them | tag 1 | tag 1 | ... 12 of them | notes 4 |
//
//   ref     the item; 0: the slot is empty, and its tag means nothing
//   tag     8 bits of the hash
//   notes   2 bits a slot: its entry's probe; 2 bits: the farthest probe of the entries whose home
//           this bucket is; 4 bits: how many slots are full
//
// Tags and notes are two atomic words, so a reader compares 12 tags and 12 probes at once and looks
// at few items but the right one. An entry lies in its home bucket, at probe 0, or at probe 1, 2 or
// 3, each a fixed jump farther: the next bucket, and two that are beyond a stretch of crowded ones.
// Where all four are full, an entry of theirs gives way to a farther probe of its own. Where an
// entry goes, one that had given way comes home. So at the load where growth begins, 0.94, and
// with entries coming and going, 4 of 5 are at home and a lookup reads 1.3 buckets; and an entry
// costs 5.7 to 7.1 bytes.
//
// Position and tag. An entry's position is the low 40 bits of its hash; its home is position *
// buckets / 2^40. The tag is the low 8 bits of the position's granule: positions are cut into 2^k
// granules, as many as there can be with at most 255 to a bucket. So a bucket knows its entries'
// granules, not only their tags, and growth finds the new home of an entry without its item for as
// long as k stays the same: but for the one entry in 200 whose granule a new border cuts. Where k
// rises, once each time the table doubles, an entry's key is hashed again, its item having been
// prefetched.
//
//   positions    |. . . . . . . . . . . . . . . . . . . . . . . . . . .|   2^40
//   granules     | | | | | | | | | | | | | | | | | | | | | | | | | | | |   2^k
//   old buckets  |             |             |             |           |   up to 255 granules each
//   new buckets  |           |           |           |           |     |   a few fewer
//
// Growth. Home buckets are monotone in the position whatever the number of buckets, so a progress
// mark p cuts both tables in two:
//
//   old   [ empty ...... p | entries with home >= p ]
//   new   [ entries with home(old) < p | empty ..... ]        state_: | growing | generation | p |
//
// The owner moves the entries whose home is bucket p: copies them to the new table, publishes
// p + 1, clears them in the old table. Any factor will do: a small one keeps the table full. No
// operation waits for more than a few buckets.
//
// Why a reader misses nothing that is there all the time. An entry is written tag and probe first,
// then its ref; a reader reads tags and probes, then the refs of those that match. All writes are
// releases and all reads acquires, so whoever sees a write sees all that came before it.
//  - While an entry stays in its slot, so do its tag, its probe and its ref: whatever else is
//    written to the words that hold them leaves them as they are. A reader that comes by finds it.
//  - An entry replaced in place is one store to its ref.
//  - A slot taken over by another entry may show the one's tag with the other's ref. That leads a
//    reader to an item whose key is not the one it looks for, or to an entry that came or went
//    while it looked. (The item's memory is good: a ref read within a turn is of an item that was
//    in the index within that turn.)
//  - An entry that moves within a table is first written to its new slot, and its home's farthest
//    probe raised if need be; then the moves of its home are counted (moves_); then its old slot is
//    cleared. A reader that misses it found the old slot cleared: then it sees the count changed
//    since it began, and looks again. If it began after the count changed, it sees the new slot.
//  - An entry that moves to the new table: a reader that finds the old slot cleared sees state_
//    changed afterwards and looks again.
//
// Memory: tables come from mmap, pages never touched cost nothing, and what growth has drained is
// given back as it goes, so that two tables cost little more than one and no call to the kernel is
// long. A drained table stays mapped until readers of older turns are gone: its owner calls
// FreeRetired then.
//
// Owner: Partition. Affinity: `any shard` and `shard`, as marked. Lifetime: the engine's.
// Invariant: each entry lies at a probe of its home, no farther than the home says, in the table
// that its home's side of p says, with the tag of its hash; no key twice.
#ifndef TORC_SRC_SLAB_INDEX_H_
#define TORC_SRC_SLAB_INDEX_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "src/base/types.h"
#include "src/engine/engine.h"
#include "src/slab/item.h"

namespace torc::slab {

class Index {
 public:
  static constexpr uint32_t kSlotsPerBucket = 12;
  static constexpr uint32_t kProbeMax = 3;
  using Slot = std::atomic<Ref>;
  using KeyHash = uint64_t(std::string_view key, uint64_t seed);

  struct Config {
    ItemSpace items;
    uint32_t buckets;  // at start; at least 8 are made
    bool huge_pages = false;
    uint64_t hash_seed = 0;
    KeyHash* key_hash = &engine::HashKey;  // makes the hashes that the callers pass
  };
  // Dies if the memory cannot be had: at start only.
  explicit Index(const Config& config);
  ~Index();
  Index(const Index&) = delete;
  Index& operator=(const Index&) = delete;

  // --- any shard ---

  // Brings the bucket of `hash` towards the cache.
  void Prefetch(uint64_t hash) const {
    const Table& table = TableAt(state_.load(std::memory_order_acquire), hash);
    __builtin_prefetch(&table.buckets[table.HomeIndex(hash)]);
  }
  // The entry that most likely belongs to this hash: by its tag, without a look at the item. For
  // prefetching, and as a hint to Find, until the caller's turn ends.
  struct Guess {
    const Slot* slot = nullptr;  // null: none
    Ref ref = 0;
  };
  Guess Locate(uint64_t hash) const;
  const Item* ItemOf(const Guess& guess) const {
    return guess.slot == nullptr ? nullptr : items_.At(guess.ref);
  }
  // The item with this key, or null. The item stays valid until the caller's turn ends.
  Item* Find(uint64_t hash, std::string_view key) const;
  // Likewise; quicker if `guess` is right and still stands.
  Item* Find(uint64_t hash, std::string_view key, const Guess& guess) const {
    if (guess.slot != nullptr && guess.slot->load(std::memory_order_acquire) == guess.ref) {
      Item* const item = items_.At(guess.ref);
      if (__builtin_expect(item->HasKey(key), 1)) return item;
    }
    return Find(hash, key);
  }

  // --- the owner ---

  // As Find, and the slot where it lies, valid until the next Insert, Erase or Step. Null: absent.
  Slot* FindSlot(uint64_t hash, std::string_view key);
  Item* ItemIn(const Slot& slot) const { return items_.At(slot.load(std::memory_order_relaxed)); }
  // Replaces the entry in `slot` by another item with the same key.
  void Replace(Slot* slot, Ref ref);
  enum class InsertResult : uint8_t {
    kInserted,
    kLater,    // no place now: growth must go on first, or FreeRetired or TakeDropped is due
    kCrowded,  // no place, and a larger table would not help, or there is no memory for one: an
               // Occupant must go
  };
  // Adds an entry for a key that is absent; the item has its key. Starts growth and drives it on as
  // needed.
  [[nodiscard]] InsertResult Insert(uint64_t hash, Ref ref);
  // Removes the entry of the item at `ref`, which must be there.
  void Erase(uint64_t hash, Ref ref);
  // Moves up to `buckets` buckets of a growth under way. True: more to move.
  bool Step(uint32_t buckets);
  // An entry that found no place in the new table and was dropped from the index by Step: its item
  // is the caller's to free. 0: none. Takes more than 48 keys of nearly the same position. Ask
  // after each Insert and Step until none is left.
  Ref TakeDropped();
  // One of the entries that stand where an entry of `hash` would have to go, `i` from 0 to
  // kOccupantsMax - 1; 0: none there.
  static constexpr uint32_t kOccupantsMax = (kProbeMax + 1) * kSlotsPerBucket;
  Ref Occupant(uint64_t hash, uint32_t i) const;

  static constexpr uint32_t kPositionBits = 40;
  // For walks over everything: home buckets are monotone in this part of the hash.
  static uint64_t PositionOf(uint64_t hash) { return hash & (kPositionEnd - 1); }
  static constexpr uint64_t kPositionEnd = uint64_t{1} << kPositionBits;
  // Puts the entries of the home bucket to which `position` belongs into `refs`, which has room for
  // kOccupantsMax. Returns where to go on, kPositionEnd at last: all entries from `position` up to
  // there are among them, and perhaps others. A key keeps its position, so it is met once, whatever
  // happens to the table between two calls.
  uint64_t Collect(uint64_t position, Ref* refs, uint32_t* count) const;

  // A drained table is waiting for older readers to go; call FreeRetired once they have.
  bool has_retired() const { return retired_; }
  void FreeRetired();

  bool growing() const { return IsGrowing(state_.load(std::memory_order_relaxed)); }

  // --- any thread, for statistics ---
  uint64_t entries() const { return entries_.Get(); }
  uint64_t slots() const { return slots_.Get(); }
  // Of memory in use: while the table grows, what is left of the old one and begun of the new one.
  uint64_t bytes() const { return bytes_.Get(); }

  // Dies unless the invariant holds. Calls `visit(context, ref)` for each entry.
  void CheckInvariants(void (*visit)(void* context, Ref ref), void* context) const;

 private:
  static constexpr uint32_t kAllSlots = (1u << kSlotsPerBucket) - 1;

  // A bucket's tags and notes, in registers. Sets of slots are bits, slot 0 the lowest.
  //
  //   word 0   tags of slots 0 to 7
  //   word 1   0 tags of slots 8 to 11 | 32 low bits of probes | 44 high bits | 56 farthest | 58
  //   full
  struct Meta {
    uint64_t word[2];

    uint32_t TagsEqual(uint8_t tag) const;
    uint8_t tag(uint32_t slot) const {
      return static_cast<uint8_t>(word[slot / 8] >> (slot % 8 * 8));
    }
    // The slots whose entries are at `probe` of their home; and empty ones, if it is 0.
    uint32_t ProbesEqual(uint32_t probe) const {
      const uint32_t low = static_cast<uint32_t>(word[1] >> 32);
      const uint32_t high = static_cast<uint32_t>(word[1] >> 44);
      return (low ^ ((probe & 1) - 1)) & (high ^ ((probe >> 1) - 1)) & kAllSlots;
    }
    uint32_t probe(uint32_t slot) const {
      return static_cast<uint32_t>((word[1] >> (32 + slot) & 1) | (word[1] >> (44 + slot) & 1)
                                                                      << 1);
    }
    uint32_t probe_max() const { return static_cast<uint32_t>(word[1] >> 56) & 3; }
    uint32_t full_slots() const { return static_cast<uint32_t>(word[1] >> 58) & 15; }
  };

  struct alignas(kCacheLineBytes) Bucket {
    Slot refs[kSlotsPerBucket];
    std::atomic<uint64_t> meta[2];

    Meta Load() const {
      return {{meta[0].load(std::memory_order_acquire), meta[1].load(std::memory_order_acquire)}};
    }
    // The owner's.
    bool full() const { return Load().full_slots() == kSlotsPerBucket; }
    void set_probe_max(uint32_t probe);
    void RaiseProbeMax(uint32_t probe);
    // An empty slot. The bucket must not be full.
    uint32_t EmptySlot() const;
    // Fills an empty slot.
    void Put(uint32_t slot, uint8_t tag, uint32_t probe, Ref ref);
    // Empties the slots in the set, which are full.
    void Clear(uint32_t slots);
  };
  static_assert(sizeof(Bucket) == kCacheLineBytes);

  struct Table {
    Bucket* buckets = nullptr;
    uint32_t count = 0;                 // of home buckets; jump[kProbeMax] more follow
    uint32_t granule_bits = 0;          // k, see above
    uint32_t jump[kProbeMax + 1] = {};  // from a home to each of its buckets; ascending

    // The hash's upper bits fall out at the left.
    uint32_t HomeIndex(uint64_t hash) const {
      return static_cast<uint32_t>(
          (static_cast<unsigned __int128>(hash << (64 - kPositionBits)) * count) >> 64);
    }
    uint8_t Tag(uint64_t hash) const {
      return static_cast<uint8_t>(hash >> (kPositionBits - granule_bits));
    }
    size_t bytes() const { return (size_t{count} + jump[kProbeMax]) * sizeof(Bucket); }
  };
  // Where an entry belongs in a table.
  struct Place {
    uint32_t home;
    uint8_t tag;
  };
  static Place PlaceOf(const Table& table, uint64_t hash) {
    return {table.HomeIndex(hash), table.Tag(hash)};
  }
  // Where the positions of a granule belong; false: not all in one bucket.
  static bool PlaceOfGranule(const Table& table, uint64_t granule, Place* place);

  static bool IsGrowing(uint64_t state) { return (state >> 63) != 0; }
  static uint32_t Progress(uint64_t state) { return static_cast<uint32_t>(state); }
  static uint32_t Generation(uint64_t state) {
    return static_cast<uint32_t>(state >> 32) & 0x7fffffff;
  }
  static uint64_t State(bool growing, uint32_t generation, uint32_t progress) {
    return (uint64_t{growing} << 63) | (uint64_t{generation & 0x7fffffff} << 32) | progress;
  }

  // The table that holds this hash at `state`.
  const Table& TableAt(uint64_t state, uint64_t hash) const {
    const Table& current = tables_[Generation(state) & 1];
    if (__builtin_expect(!IsGrowing(state), 1)) return current;
    const bool moved = current.HomeIndex(hash) < Progress(state);
    return moved ? tables_[(Generation(state) + 1) & 1] : current;
  }

  // Puts an entry into a table; false: no place even by moving others.
  bool Put(const Table& table, Place place, Ref ref);
  // The probe of `home`, all of whose buckets are full, that has an empty slot now; more than
  // kProbeMax: none.
  uint32_t MakeRoom(const Table& table, Bucket* home);
  // Moves the entry in a slot of the bucket at `probe` of its home to the one at `probe_new`.
  void Move(const Table& table, Bucket* home, uint32_t probe, uint32_t slot, uint32_t probe_new);
  // A slot of this bucket is empty: brings back one of the entries that are away from it.
  void BringHome(const Table& table, Bucket* home);
  static void LowerProbeMax(const Table& table, Bucket* home);

  static Guess LocateIn(const Bucket& bucket, const Meta& meta, uint32_t probe, uint8_t tag);
  Item* FindIn(const Bucket& bucket, uint32_t probe, uint8_t tag, std::string_view key) const;
  Item* FindFar(uint64_t hash, std::string_view key) const;

  // Owner: an entry of `hash` that satisfies `matches(ref)`.
  struct Found {
    const Table* table;
    Bucket* home;  // null: there is none
    uint32_t probe;
    uint32_t slot;
  };
  template <typename Matches>
  Found Scan(uint64_t hash, Matches matches) const;
  uint64_t HashOf(Ref ref) const { return key_hash_(items_.At(ref)->key(), hash_seed_); }

  bool Map(uint32_t count, Table* table) const;
  static void Unmap(Table* table);
  bool StartGrowth();
  void FinishGrowth();
  // Moves the entries whose home is bucket `index` of the old table.
  void MoveBucket(const Table& from, const Table& to, uint32_t index);
  // Brings the items of the entries whose home is bucket `index` towards the cache.
  void PrefetchItems(const Table& table, uint32_t index) const;
  void GiveBackDrained(const Table& from, uint32_t home);
  void CountBytes();

  // Read by all shards: written only by growth.
  alignas(kCacheLineBytes) std::atomic<uint64_t> state_{0};
  Table tables_[2];  // [generation & 1] is the current one, the other is the new one while growing
  const ItemSpace items_;

  // Moves of entries, by their home. More counts, and readers elsewhere lose fewer of their copies;
  // these fit the first-level cache.
  static constexpr uint32_t kMoveCounts = 2048;
  alignas(kCacheLineBytes) std::atomic<uint32_t> moves_[kMoveCounts] = {};

  // The owner's.
  alignas(kCacheLineBytes) Counter entries_;
  Counter slots_;
  Counter bytes_;
  const uint64_t hash_seed_;
  KeyHash* const key_hash_;
  const bool huge_pages_;
  bool retired_ = false;         // the table that is not current is drained, and still mapped
  size_t given_back_bytes_ = 0;  // of the table that is drained
  uint32_t dropped_count_ = 0;
  Ref dropped_[kOccupantsMax];  // no more share a home bucket
};

}  // namespace torc::slab

#endif  // TORC_SRC_SLAB_INDEX_H_
