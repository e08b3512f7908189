// The partition's hash index: from a key's hash to the item that has the key. One writer, the
// partition's owner; any number of readers, which take no lock and never wait.
//
// A table is an array of buckets, each one cache line of 8 slots; a slot is one atomic word:
//
//   63            32 31             3 2      0
//   | item's ref 32 | hash's tag 29  | spare 3 |     ref 0: empty
//
// The tag is bits 3 to 31 of the hash, and the home bucket is tag * buckets / 2^29: a slot alone
// tells where its entry belongs, so growth touches no item. An entry that does not fit its home
// bucket goes into one of the next 7; the spare bits of a bucket's slot 0 hold the distance d of
// the farthest entry whose home the bucket is, so a lookup reads d + 1 buckets, one nearly always.
// When all 8 are full, an entry of theirs moves farther from its home to make room (always farther,
// see below). So the table stays quick at a load of 0.85.
//
// Growth. Home buckets are monotone in the tag whatever the number of buckets, so a progress mark p
// cuts both tables in two:
//
//   old   [ empty ...... p | entries with home >= p ]
//   new   [ entries with home(old) < p | empty ..... ]        state_: | growing | generation | p |
//
// The owner moves bucket p's entries (they lie in p .. p + d): copies them to the new table,
// publishes p + 1, clears them in the old table. A factor of 1.5 will do as well as 2. No operation
// waits for more than a few buckets.
//
// Why a reader misses nothing that is there all the time:
//  - an entry replaced in place is one store to one slot;
//  - an entry that moves within a table moves to a later bucket: it is first written there, then d
//    of its home is raised if need be, then its old slot is overwritten. A reader scans upwards; if
//    it comes too late for the old slot it sees the new one (release, acquire), or, if d was too
//    small when it looked, sees d changed afterwards and looks again;
//  - an entry that moves to the new table: a reader that finds the old slot cleared sees state_
//    changed afterwards and looks again.
//
// Memory: tables come from mmap, pages never touched cost nothing, and what growth has drained is
// given back as it goes. A drained table stays mapped until readers of older turns are gone: its
// owner calls FreeRetired then.
//
// Owner: Partition. Affinity: `any shard` and `shard`, as marked. Lifetime: the engine's.
// Invariant: each entry lies within d of its home, d <= 7, in the table that its home's side of p
// says; no key twice.
#ifndef TORC_SRC_SLAB_INDEX_H_
#define TORC_SRC_SLAB_INDEX_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "src/base/types.h"
#include "src/slab/item.h"

namespace torc::slab {

class Index {
 public:
  static constexpr uint32_t kSlotsPerBucket = 8;
  static constexpr uint32_t kDistanceMax = 7;
  using Slot = std::atomic<uint64_t>;

  // A table of at least `buckets` buckets (at least 8). Dies if the memory cannot be had: at start
  // only.
  Index(ItemSpace items, uint32_t buckets, bool huge_pages);
  ~Index();
  Index(const Index&) = delete;
  Index& operator=(const Index&) = delete;

  // --- any shard ---

  // Brings the bucket of `hash` towards the cache.
  void Prefetch(uint64_t hash) const { __builtin_prefetch(HomeOf(hash)); }
  // The entry that most likely belongs to this hash: by its tag, without a look at the item. For
  // prefetching, and as a hint to Find, until the caller's turn ends.
  struct Guess {
    const Slot* slot = nullptr;  // null: none
    uint64_t entry = 0;
  };
  Guess Locate(uint64_t hash) const;
  const Item* ItemOf(const Guess& guess) const {
    return guess.slot == nullptr ? nullptr : items_.At(RefIn(guess.entry));
  }
  // The item with this key, or null. The item stays valid until the caller's turn ends.
  Item* Find(uint64_t hash, std::string_view key) const;
  // Likewise; quicker if `guess` is right and still stands.
  Item* Find(uint64_t hash, std::string_view key, const Guess& guess) const {
    if (guess.slot != nullptr && guess.slot->load(std::memory_order_acquire) == guess.entry) {
      Item* const item = items_.At(RefIn(guess.entry));
      if (__builtin_expect(item->key() == key, 1)) return item;
    }
    return Find(hash, key);
  }

  // --- the owner ---

  // As Find, and the slot where it lies, valid until the next Insert, Erase or Step. Null: absent.
  Slot* FindSlot(uint64_t hash, std::string_view key);
  Item* ItemIn(const Slot& slot) const {
    return items_.At(RefIn(slot.load(std::memory_order_relaxed)));
  }
  // Replaces the entry in `slot` by another item with the same key.
  void Replace(Slot* slot, Ref ref);
  enum class InsertResult : uint8_t {
    kInserted,
    kLater,    // no place, and the table cannot grow before FreeRetired, or TakeDropped is due
    kCrowded,  // no place, and a larger table would not help, or there is no memory for one: an
               // Occupant must go
  };
  // Adds an entry for a key that is absent. Starts growth and drives it on as needed.
  [[nodiscard]] InsertResult Insert(uint64_t hash, Ref ref);
  // Removes the entry of the item at `ref`, which must be there.
  void Erase(uint64_t hash, Ref ref);
  // Moves up to `buckets` buckets of a growth under way. True: more to move.
  bool Step(uint32_t buckets);
  // An entry that found no place in the new table and was dropped from the index by Step: its item
  // is the caller's to free. 0: none. Takes more than 64 keys of nearly the same tag. Ask after
  // each Insert and Step until none is left.
  Ref TakeDropped();
  // One of the entries that stand where an entry of `hash` would have to go, `i` from 0 to
  // kOccupantsMax - 1; 0: none there.
  static constexpr uint32_t kOccupantsMax = (kDistanceMax + 1) * kSlotsPerBucket;
  Ref Occupant(uint64_t hash, uint32_t i) const;

  // For walks over everything: home buckets are monotone in this part of the hash.
  static uint64_t PositionOf(uint64_t hash) { return static_cast<uint32_t>(hash) >> 3; }
  static constexpr uint64_t kPositionEnd = 1u << 29;
  // Puts the entries of the home bucket to which `position` belongs into `refs`, which has room for
  // kOccupantsMax. Returns where to go on, kPositionEnd at last: all entries from `position` up to
  // there are among them, and perhaps others. A key keeps its position, so it is met once, whatever
  // happens to the table between two calls.
  uint64_t Collect(uint64_t position, Ref* refs, uint32_t* count) const;

  // A drained table is waiting for older readers to go; call FreeRetired once they have.
  bool has_retired() const { return retired_ != nullptr; }
  void FreeRetired();

  bool growing() const { return IsGrowing(state_.load(std::memory_order_relaxed)); }

  // --- any thread, for statistics ---
  uint64_t entries() const { return entries_.Get(); }
  uint64_t slots() const { return slots_.Get(); }
  uint64_t bytes() const { return bytes_.Get(); }

  // Dies unless the invariant holds. Calls `visit(context, ref)` for each entry.
  void CheckInvariants(void (*visit)(void* context, Ref ref), void* context) const;

 private:
  struct alignas(kCacheLineBytes) Bucket {
    Slot slots[kSlotsPerBucket];
  };
  static_assert(sizeof(Bucket) == kCacheLineBytes);

  struct Table {
    Bucket* buckets = nullptr;
    uint32_t count = 0;  // of home buckets; kDistanceMax more follow

    uint32_t HomeIndex(uint32_t hash_low) const {
      return static_cast<uint32_t>((uint64_t{hash_low >> 3} * count) >> 29);
    }
  };

  static bool IsGrowing(uint64_t state) { return (state >> 63) != 0; }
  static uint32_t Progress(uint64_t state) { return static_cast<uint32_t>(state); }
  static uint32_t Generation(uint64_t state) {
    return static_cast<uint32_t>(state >> 32) & 0x7fffffff;
  }
  static uint64_t State(bool growing, uint32_t generation, uint32_t progress) {
    return (uint64_t{growing} << 63) | (uint64_t{generation & 0x7fffffff} << 32) | progress;
  }

  static Ref RefIn(uint64_t entry) { return static_cast<Ref>(entry >> 32); }
  static uint32_t TagIn(uint64_t entry) { return static_cast<uint32_t>(entry) & ~7u; }
  static uint64_t Entry(uint64_t hash, Ref ref) {
    return (uint64_t{ref} << 32) | (static_cast<uint32_t>(hash) & ~7u);
  }
  static uint32_t Distance(const Bucket& bucket) {
    return static_cast<uint32_t>(bucket.slots[0].load(std::memory_order_acquire)) & 7;
  }
  static void SetDistance(Bucket* bucket, uint32_t distance);
  static void Write(Slot* slot, uint64_t entry);
  static void RaiseDistance(Bucket* bucket, uint32_t distance);
  // Places an entry in a table; false: no place even by moving another.
  static bool Place(const Table& table, uint64_t entry);
  static bool Displace(const Table& table, uint64_t entry);
  static void LowerDistance(const Table& table, uint32_t home);

  // The table that holds this hash at `state`.
  const Table& TableAt(uint64_t state, uint64_t hash) const;
  const Bucket* HomeOf(uint64_t hash) const {
    const Table& table = TableAt(state_.load(std::memory_order_acquire), hash);
    return &table.buckets[table.HomeIndex(static_cast<uint32_t>(hash))];
  }
  // Owner: the slot that satisfies `matches(ref)` among those with the tag of `hash`; and its
  // place.
  template <typename Matches>
  Slot* Scan(uint64_t hash, Matches matches, uint32_t* home, uint32_t* distance);

  bool Map(uint32_t count, Table* table);
  void Unmap(Table* table);
  bool StartGrowth();
  void FinishGrowth();
  // Moves the entries whose home is bucket `home` of the old table.
  void MoveBucket(const Table& from, const Table& to, uint32_t home);
  void GiveBackDrained(const Table& from, uint32_t home);

  static size_t BytesOf(const Table& table) {
    return (size_t{table.count} + kDistanceMax) * sizeof(Bucket);
  }

  // Read by all shards: written only by growth.
  alignas(kCacheLineBytes) std::atomic<uint64_t> state_{0};
  Table tables_[2];  // [generation & 1] is the current one, the other is the new one while growing
  ItemSpace items_;

  // The owner's.
  alignas(kCacheLineBytes) Counter entries_;
  Counter slots_;
  Counter bytes_;
  Bucket* retired_ = nullptr;
  size_t retired_bytes_ = 0;
  uint32_t given_back_ = 0;  // buckets of the old table whose memory has been given back
  uint32_t dropped_count_ = 0;
  Ref dropped_[kOccupantsMax];  // no more share a home bucket
  bool huge_pages_;
};

}  // namespace torc::slab

#endif  // TORC_SRC_SLAB_INDEX_H_
