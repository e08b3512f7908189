// An item: one key with its value, in one chunk of the arena, or in several when it is large.
//
//   header    | cas 8 | exptime 4 | last_access 4 | value_size 4 | key_size 1 | class 1 | bits 2 |
//   item      | header 24 | client flags 4, only if not zero | key | value |
//
//   chained   | header | client flags | key | pad to 4 | pages 4 | pieces 4 | refs | value ... |
//       ref -> a whole page, raw bytes                        the first `pages` of the refs
//       ref -> a chunk in state kPiece: header, then bytes    the rest; head() leads back
//
// Every chunk of a page that was ever handed out begins with a header whose state says what the
// chunk is, so that a page can be walked without any other record of its contents.
//
// Owner: the arena, for one partition. Affinity: the bytes that follow the header, and its plain
// fields, do not change between publication in the index and the reuse of the memory, so any shard
// reads them; owner bits and exptime are written by the owning shard; last_access and reader bits
// by whoever reads, as hints: a lost update costs nothing. Lifetime: until all shards are
// quiescent after it was unlinked. Invariant: Partition::CheckInvariants.
#ifndef TORC_SRC_SLAB_ITEM_H_
#define TORC_SRC_SLAB_ITEM_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "src/base/clock.h"

namespace torc::slab {

// An item's place: its offset in the partition's arena, in granules. 0: none (the arena's first
// page is never used).
using Ref = uint32_t;

enum class ChunkState : uint8_t {
  kFree,      // in its page's free list; zero, so that fresh memory is free
  kReserved,  // handed out, no reader knows it
  kLive,      // in the index
  kUnlinked,  // taken out of the index; readers of older turns may still hold it
  kOrphan,    // unlinked and past its readers, but pinned: the last Unpin frees it
  kPiece,     // part of a chained item; shares the fate of its head
};

// What makes an item dead although it is still in the index.
struct Deadline {
  RelativeSeconds now;
  uint64_t flush_cas;  // items up to this CAS unique are flushed
};

class Item {
 public:
  // The most reads that are remembered for eviction.
  static constexpr uint8_t kAccessMax = 3;

  // Makes a chunk a reserved item, unread and without CAS.
  void Init(uint8_t size_class, uint8_t key_size, bool has_client_flags, uint32_t value_size,
            bool chained) {
    cas_ = 0;
    value_size_ = value_size;
    key_size_ = key_size;
    size_class_ = size_class;
    exptime_.store(kNeverExpires, std::memory_order_relaxed);
    last_access_.store(0, std::memory_order_relaxed);
    reader_bits_.store(0, std::memory_order_relaxed);
    owner_bits_.store(
        static_cast<uint8_t>(static_cast<uint8_t>(ChunkState::kReserved) |
                             (has_client_flags ? kHasClientFlags : 0) | (chained ? kChained : 0)),
        std::memory_order_relaxed);
  }
  // Makes a chunk a reserved copy of an item in one chunk of the same class.
  void InitCopyOf(const Item& other) {
    Init(other.size_class_, other.key_size_, other.has_client_flags(), other.value_size_, false);
    cas_ = other.cas_;
    set_exptime(other.exptime());
    set_last_access(other.last_access());
    reader_bits_.store(other.reader_bits_.load(std::memory_order_relaxed),
                       std::memory_order_relaxed);
    std::memcpy(bytes() + sizeof(Item), other.bytes() + sizeof(Item),
                other.key_end() - sizeof(Item) + other.value_size_);
  }
  // Makes a chunk a piece of the item at `head`.
  void InitPiece(uint8_t size_class, Ref head) {
    Init(size_class, 0, false, head, false);
    set_state(ChunkState::kPiece);
  }
  // Makes a chunk free, followed by `next` in its page's free list.
  void InitFree(Ref next) {
    value_size_ = next;
    owner_bits_.store(static_cast<uint8_t>(ChunkState::kFree), std::memory_order_relaxed);
  }

  uint64_t cas() const { return cas_; }
  void set_cas(uint64_t cas) { cas_ = cas; }
  uint32_t value_size() const { return value_size_; }
  uint8_t size_class() const { return size_class_; }
  Ref head() const { return value_size_; }       // of kPiece
  Ref next_free() const { return value_size_; }  // of kFree

  RelativeSeconds exptime() const { return exptime_.load(std::memory_order_relaxed); }
  void set_exptime(RelativeSeconds t) { exptime_.store(t, std::memory_order_relaxed); }
  bool ExpiredAt(RelativeSeconds now) const {
    const RelativeSeconds t = exptime();
    return t != kNeverExpires && t <= now;
  }
  bool DeadAt(const Deadline& deadline) const {
    return cas_ <= deadline.flush_cas || ExpiredAt(deadline.now);
  }

  RelativeSeconds last_access() const { return last_access_.load(std::memory_order_relaxed); }
  void set_last_access(RelativeSeconds t) { last_access_.store(t, std::memory_order_relaxed); }

  ChunkState state() const {
    return static_cast<ChunkState>(owner_bits_.load(std::memory_order_relaxed) & kStateMask);
  }
  void set_state(ChunkState state) {
    const uint8_t bits = owner_bits_.load(std::memory_order_relaxed);
    owner_bits_.store(static_cast<uint8_t>((bits & ~kStateMask) | static_cast<uint8_t>(state)),
                      std::memory_order_relaxed);
  }
  bool has_client_flags() const { return HasOwnerBit(kHasClientFlags); }
  bool chained() const { return HasOwnerBit(kChained); }
  bool pinned() const { return HasOwnerBit(kPinned); }
  void set_pinned(bool pinned) {
    const uint8_t bits = owner_bits_.load(std::memory_order_relaxed);
    owner_bits_.store(static_cast<uint8_t>(pinned ? bits | kPinned : bits & ~kPinned),
                      std::memory_order_relaxed);
  }

  // On probation: new, and its place is in its class's queue of new items (eviction.h).
  bool on_probation() const { return HasOwnerBit(kOnProbation); }
  void set_on_probation(bool on) {
    const uint8_t bits = owner_bits_.load(std::memory_order_relaxed);
    owner_bits_.store(static_cast<uint8_t>(on ? bits | kOnProbation : bits & ~kOnProbation),
                      std::memory_order_relaxed);
  }

  uint8_t access_count() const {
    return reader_bits_.load(std::memory_order_relaxed) & kAccessMask;
  }
  bool fetched() const { return (reader_bits_.load(std::memory_order_relaxed) & kFetched) != 0; }
  // Sets the access count, at most kAccessMax; a read at the same time may be lost.
  void set_access_count(uint8_t count) {
    const uint8_t bits = reader_bits_.load(std::memory_order_relaxed);
    reader_bits_.store(static_cast<uint8_t>((bits & ~kAccessMask) | count),
                       std::memory_order_relaxed);
  }
  // Takes one from the access count, which must not be zero.
  void ForgetAccess() {
    const uint8_t bits = reader_bits_.load(std::memory_order_relaxed);
    reader_bits_.store(static_cast<uint8_t>(bits - 1), std::memory_order_relaxed);
  }
  // Notes a read. Writes only what changes, so that a hot item stays shared in every core's cache:
  // the count stops at kAccessMax, and the time moves in steps (memcached's ITEM_UPDATE_INTERVAL is
  // 60 seconds too).
  void NoteAccess(RelativeSeconds now) {
    static constexpr RelativeSeconds kAccessStepSeconds = 60;
    const uint8_t bits = reader_bits_.load(std::memory_order_relaxed);
    if ((bits & kAccessMask) < kAccessMax) {
      reader_bits_.store(static_cast<uint8_t>((bits + 1) | kFetched), std::memory_order_relaxed);
    }
    if (now - last_access() >= kAccessStepSeconds) set_last_access(now);
  }
  // Takes over what eviction knows of the item that this one replaces: the key is as hot as it was.
  // Whether it was fetched is of the value, and stays behind unless `same_value`: a number counted
  // on.
  void InheritAccess(const Item& other, bool same_value) {
    const uint8_t mask = same_value ? kAccessMask | kFetched : kAccessMask;
    reader_bits_.store(
        static_cast<uint8_t>(other.reader_bits_.load(std::memory_order_relaxed) & mask),
        std::memory_order_relaxed);
  }

  uint32_t client_flags() const;
  void set_client_flags(uint32_t flags);  // requires has_client_flags

  size_t key_size() const { return key_size_; }
  const char* key_data() const { return bytes() + key_offset(); }
  char* key_data() { return bytes() + key_offset(); }
  std::string_view key() const { return {key_data(), key_size_}; }

  // Where the key ends: the value of an item in one chunk, the chain record (aligned to 4) of a
  // chained one.
  size_t key_end() const { return key_offset() + key_size_; }
  const char* bytes() const { return reinterpret_cast<const char*>(this); }
  char* bytes() { return reinterpret_cast<char*>(this); }

 private:
  static constexpr uint8_t kStateMask = 7;
  static constexpr uint8_t kHasClientFlags = 8;
  static constexpr uint8_t kChained = 16;
  static constexpr uint8_t kPinned = 32;
  static constexpr uint8_t kOnProbation = 64;
  static constexpr uint8_t kAccessMask = 3;
  static constexpr uint8_t kFetched = 4;

  bool HasOwnerBit(uint8_t bit) const {
    return (owner_bits_.load(std::memory_order_relaxed) & bit) != 0;
  }
  size_t key_offset() const { return sizeof(Item) + (has_client_flags() ? sizeof(uint32_t) : 0); }

  uint64_t cas_;
  std::atomic<uint32_t> exptime_;
  std::atomic<uint32_t> last_access_;
  uint32_t value_size_;
  uint8_t key_size_;
  uint8_t size_class_;
  std::atomic<uint8_t> owner_bits_;   // state, kHasClientFlags, kChained, kPinned, kOnProbation
  std::atomic<uint8_t> reader_bits_;  // access count, kFetched
};
static_assert(sizeof(Item) == 24, "DESIGN: a header of at most 24 bytes");
static_assert(alignof(Item) == 8, "chunks are aligned to 8");

// Turns references into items and back. A value: the partition's base address and the size of a
// granule.
class ItemSpace {
 public:
  ItemSpace(char* base, uint32_t granule_shift) : base_(base), granule_shift_(granule_shift) {}
  Item* At(Ref ref) const {
    return reinterpret_cast<Item*>(base_ + (uint64_t{ref} << granule_shift_));
  }
  char* BytesAt(Ref ref) const { return base_ + (uint64_t{ref} << granule_shift_); }
  Ref Of(const Item* item) const {
    return static_cast<Ref>(static_cast<uint64_t>(item->bytes() - base_) >> granule_shift_);
  }

 private:
  char* base_;
  uint32_t granule_shift_;
};

}  // namespace torc::slab

#endif  // TORC_SRC_SLAB_ITEM_H_
