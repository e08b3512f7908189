// An item: one key with its value, in one chunk of the arena, or in several when it is large.
//
//   header    | cas count 6 | key size 1 | owner bits 1 | sizes 4 | access 4 |
//   item      | header 16 | exptime 4, if any | client flags 4, if not zero | key |
//             | CAS unique 8, if a client chose it | value |
//
//   sizes     in one chunk:  0 | W | value size 20 | size class 10       W: there is a CAS unique
//             chained:       1 | W | value size 30
//             of a piece: its head's ref; of a free chunk: the next free one's
//   access    last access 24, seconds modulo 2^24 | reader bits 8
//
//   chained   | header | exptime | client flags | key | CAS unique | pad to 4 | pages 4 | pieces 4
//   |
//             | refs | value ... |
//       ref -> a whole page, raw bytes                        the first `pages` of the refs
//       ref -> a chunk in state kPiece: header, then bytes    the rest; head() leads back
//
// Every chunk of a page that was ever handed out begins with a header whose state says what the
// chunk is, so that a page can be walked without any other record of its contents.
//
// What few items need is not in the header: a field for the expiry exists only in items that were
// stored with one, in chained ones, and in all where nothing may be evicted (-M). A touch that
// gives an expiry to an item without the field makes a new item; see SlabEngine::Touch. A client
// that chooses the CAS unique of what it stores has 64 bits for it, which say nothing of the order
// of stores; the item is counted besides, as every other.
//
// Owner: the arena, for one partition. Affinity: the bytes that follow the header, and its plain
// fields, do not change between publication in the index and the reuse of the memory, so any shard
// reads them; owner bits and exptime are written by the owning shard; the access word by whoever
// reads, as a hint: a lost update costs nothing. Lifetime: until all shards are quiescent after it
// was unlinked. Invariant: Partition::CheckInvariants.
#ifndef TORC_SRC_SLAB_ITEM_H_
#define TORC_SRC_SLAB_ITEM_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "src/base/clock.h"
#include "src/base/short_bytes.h"

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

// The class of the chunks that begin chained items; no other chunk is of this class, and no chained
// item of another.
inline constexpr uint32_t kHeadsClass = 0;

// What makes an item dead although it is still in the index.
struct Deadline {
  RelativeSeconds now;
  uint64_t flush_cas;  // items up to this CAS count are flushed
};

// What an item's bytes are.
struct ItemLayout {
  size_t key_size = 0;
  uint32_t value_size = 0;
  bool has_exptime = false;
  bool has_client_flags = false;
  bool has_own_cas = false;

  // Bytes before the value, or before the chain record's padding.
  inline size_t prefix() const;
};

class Item {
 public:
  // The most reads that are remembered for eviction.
  static constexpr uint8_t kAccessMax = 3;
  // A partition's count of CAS uniques ends here and begins anew, after four years at 2,000,000
  // stores a second. An item from before would then escape a flush, and could be taken for another
  // one by a client that held its unique for as long.
  static constexpr uint64_t kCasCountMax = (uint64_t{1} << 48) - 1;
  static constexpr uint32_t kUnchainedValueSizeMax = (uint32_t{1} << 20) - 1;
  static constexpr uint32_t kSizeClassMax = (uint32_t{1} << 10) - 1;
  static constexpr uint32_t kValueSizeMax = (uint32_t{1} << 30) - 1;  // -I is at most 1 GiB

  // Makes a chunk a reserved item, unread, without CAS unique or expiry, and with no mark set.
  // Chained in the heads' class.
  void Init(uint32_t size_class, const ItemLayout& layout) {
    set_cas_count(0);
    key_size_ = static_cast<uint8_t>(layout.key_size);
    sizes_ = (size_class == kHeadsClass ? kChained | layout.value_size
                                        : (layout.value_size << kSizeClassBits) | size_class) |
             (layout.has_own_cas ? kHasOwnCas : 0);
    access_.store(0, std::memory_order_relaxed);
    owner_bits_.store(static_cast<uint8_t>(static_cast<uint8_t>(ChunkState::kReserved) |
                                           (layout.has_client_flags ? kHasClientFlags : 0) |
                                           (layout.has_exptime ? kHasExptime : 0)),
                      std::memory_order_relaxed);
    if (layout.has_exptime) ExptimeField().store(kNeverExpires, std::memory_order_relaxed);
  }
  // Makes a chunk of a class, any that holds it, a reserved copy of an item that is not chained.
  void InitCopyOf(uint32_t size_class, const Item& other);
  // Makes a chunk a piece of the item at `head`.
  void InitPiece(Ref head) {
    sizes_ = head;
    owner_bits_.store(static_cast<uint8_t>(ChunkState::kPiece), std::memory_order_relaxed);
  }
  // Makes a chunk free, followed by `next` in its page's free list.
  void InitFree(Ref next) {
    sizes_ = next;
    owner_bits_.store(static_cast<uint8_t>(ChunkState::kFree), std::memory_order_relaxed);
  }

  // The CAS unique as its partition counts; Partition::CasOf makes a client's of it.
  uint64_t cas_count() const { return (uint64_t{cas_high_} << 32) | cas_low_; }
  void set_cas_count(uint64_t count) {
    cas_low_ = static_cast<uint32_t>(count);
    cas_high_ = static_cast<uint16_t>(count >> 32);
  }
  // Not of pieces and free chunks, whose `sizes_` says something else.
  bool chained() const { return (sizes_ & kChained) != 0; }
  uint32_t value_size() const {
    const uint32_t sizes = sizes_ & (kHasOwnCas - 1);
    return chained() ? sizes : sizes >> kSizeClassBits;
  }
  uint32_t size_class() const { return chained() ? kHeadsClass : sizes_ & kSizeClassMax; }
  Ref head() const { return sizes_; }       // of kPiece
  Ref next_free() const { return sizes_; }  // of kFree

  bool has_exptime() const { return HasOwnerBit(kHasExptime); }
  RelativeSeconds exptime() const {
    return has_exptime() ? ExptimeField().load(std::memory_order_relaxed) : kNeverExpires;
  }
  void set_exptime(RelativeSeconds t);  // requires has_exptime, or kNeverExpires

  // A CAS unique that a client chose.
  bool has_own_cas() const { return (sizes_ & kHasOwnCas) != 0; }
  uint64_t own_cas() const;        // requires has_own_cas, as the next
  void set_own_cas(uint64_t cas);  // of a reserved item
  bool ExpiredAt(RelativeSeconds now) const {
    const RelativeSeconds t = exptime();
    return t != kNeverExpires && t <= now;
  }
  bool DeadAt(const Deadline& deadline) const {
    return cas_count() <= deadline.flush_cas || ExpiredAt(deadline.now);
  }

  // Seconds since the last access, modulo 2^24: after 194 days an untouched item looks fresh, in
  // statistics. Another shard's clock may be ahead of `now`: no time has passed then.
  uint32_t IdleSeconds(RelativeSeconds now) const {
    return SecondsSince(access_.load(std::memory_order_relaxed), now);
  }
  void set_last_access(RelativeSeconds t) {
    const uint32_t access = access_.load(std::memory_order_relaxed);
    access_.store((t << kReaderBits) | (access & kReaderMask), std::memory_order_relaxed);
  }

  ChunkState state() const {
    const uint8_t state = owner_bits_.load(std::memory_order_relaxed) & kStateMask;
    return state == kLiveOnProbation ? ChunkState::kLive : static_cast<ChunkState>(state);
  }
  void set_state(ChunkState state) {
    const uint8_t bits = owner_bits_.load(std::memory_order_relaxed);
    owner_bits_.store(static_cast<uint8_t>((bits & ~kStateMask) | static_cast<uint8_t>(state)),
                      std::memory_order_relaxed);
  }
  // Of a live item: it is new, and has a place in its class's queue of new items (eviction.h).
  // set_state ends it.
  bool on_probation() const {
    return (owner_bits_.load(std::memory_order_relaxed) & kStateMask) == kLiveOnProbation;
  }
  void PutOnProbation() { set_state(static_cast<ChunkState>(kLiveOnProbation)); }
  bool has_client_flags() const { return HasOwnerBit(kHasClientFlags); }
  bool pinned() const { return HasOwnerBit(kPinned); }
  void set_pinned(bool pinned) {
    const uint8_t bits = owner_bits_.load(std::memory_order_relaxed);
    owner_bits_.store(static_cast<uint8_t>(pinned ? bits | kPinned : bits & ~kPinned),
                      std::memory_order_relaxed);
  }

  uint8_t access_count() const {
    return access_.load(std::memory_order_relaxed) & kAccessCountMask;
  }
  bool fetched() const { return (access_.load(std::memory_order_relaxed) & kFetched) != 0; }
  // Forgets all reads, but not that there were any; a read at the same time may be lost.
  void ForgetAccesses() {
    const uint32_t access = access_.load(std::memory_order_relaxed);
    if ((access & kAccessCountMask) != 0) {
      access_.store(access & ~kAccessCountMask, std::memory_order_relaxed);
    }
  }
  // Takes one from the access count, unless a reader's late hint has made it zero.
  void ForgetAccess() {
    const uint32_t access = access_.load(std::memory_order_relaxed);
    if ((access & kAccessCountMask) != 0) access_.store(access - 1, std::memory_order_relaxed);
  }
  // Notes a read. Writes only what changes, so that a hot item stays shared in every core's cache:
  // the count stops at kAccessMax, and the time moves in steps (memcached's ITEM_UPDATE_INTERVAL is
  // 60 seconds too).
  void NoteAccess(RelativeSeconds now) { NoteUse(now, kFetched); }
  // Notes a use that shows the value to nobody: of an add that finds the item.
  void NoteUseUnfetched(RelativeSeconds now) { NoteUse(now, 0); }
  // Takes over what eviction knows of the item that this one replaces: the key is as hot as it was.
  // Whether it was fetched is of the value, and stays behind unless `same_value`: a number counted
  // on.
  void InheritAccess(const Item& other, bool same_value) {
    const uint32_t mask = kAccessCountMask | (same_value ? kFetched : 0);
    const uint32_t own = access_.load(std::memory_order_relaxed);
    const uint32_t theirs = other.access_.load(std::memory_order_relaxed);
    access_.store((own & ~(kAccessCountMask | kFetched)) | (theirs & mask),
                  std::memory_order_relaxed);
  }

  // As engine::Marks. The owner sets the first two, of an item in the index too: any shard sees
  // them, sooner or later.
  bool stale() const { return HasOwnerBit(kStale); }
  bool token_sent() const { return HasOwnerBit(kTokenSent); }
  void set_stale() { AddOwnerBit(kStale); }
  void set_token_sent() { AddOwnerBit(kTokenSent); }
  bool key_is_binary() const {
    return (access_.load(std::memory_order_relaxed) & kKeyIsBinary) != 0;
  }
  // Of a reserved item: from then on the bit stays, as whoever writes the word keeps it.
  void set_key_is_binary() {
    access_.store(access_.load(std::memory_order_relaxed) | kKeyIsBinary,
                  std::memory_order_relaxed);
  }
  // For a reserved item, from the one that it will replace.
  void InheritMarks(const Item& other) {
    if (other.stale()) set_stale();
    if (other.token_sent()) set_token_sent();
    if (other.key_is_binary()) set_key_is_binary();
  }

  uint32_t client_flags() const {
    if (!has_client_flags()) return 0;
    uint32_t flags;
    std::memcpy(&flags, bytes() + client_flags_offset(), sizeof(flags));
    return flags;
  }
  void set_client_flags(uint32_t flags);  // requires has_client_flags

  size_t key_size() const { return key_size_; }
  const char* key_data() const { return bytes() + key_offset(); }
  char* key_data() { return bytes() + key_offset(); }
  std::string_view key() const { return {key_data(), key_size_}; }
  bool HasKey(std::string_view key) const {
    return key.size() == key_size_ && SameShort(key_data(), key.data(), key_size_);
  }

  // Where what precedes the value ends: the value of an item in one chunk, the chain record
  // (aligned to 4) of a chained one.
  size_t prefix_size() const {
    return key_offset() + key_size_ + (sizes_ & kHasOwnCas) / (kHasOwnCas / sizeof(uint64_t));
  }
  const char* bytes() const { return reinterpret_cast<const char*>(this); }
  char* bytes() { return reinterpret_cast<char*>(this); }

 private:
  static constexpr uint32_t kSizeClassBits = 10;
  static constexpr uint32_t kChained = uint32_t{1} << 31;
  static constexpr uint32_t kHasOwnCas = uint32_t{1} << 30;
  // Owner bits.
  static constexpr uint8_t kStateMask = 7;
  static constexpr uint8_t kLiveOnProbation = 6;  // beside the ChunkStates
  static constexpr uint8_t kHasClientFlags = 8;
  static constexpr uint8_t kHasExptime = 16;
  static constexpr uint8_t kPinned = 32;
  static constexpr uint8_t kStale = 64;
  static constexpr uint8_t kTokenSent = 128;
  // Reader bits. kKeyIsBinary is none, but nobody changes it once there are readers.
  static constexpr uint32_t kReaderBits = 8;
  static constexpr uint32_t kReaderMask = (uint32_t{1} << kReaderBits) - 1;
  static constexpr uint32_t kAccessCountMask = 3;
  static constexpr uint32_t kFetched = 4;
  static constexpr uint32_t kKeyIsBinary = 8;

  static uint32_t SecondsSince(uint32_t access, RelativeSeconds now) {
    constexpr uint32_t kSecondsMask = (uint32_t{1} << (32 - kReaderBits)) - 1;
    constexpr uint32_t kAheadMax = uint32_t{1} << 16;  // far more than clocks of shards differ
    const uint32_t seconds = (now - (access >> kReaderBits)) & kSecondsMask;
    return seconds > kSecondsMask - kAheadMax ? 0 : seconds;
  }
  bool HasOwnerBit(uint8_t bit) const {
    return (owner_bits_.load(std::memory_order_relaxed) & bit) != 0;
  }
  void NoteUse(RelativeSeconds now, uint32_t fetched) {
    static constexpr uint32_t kAccessStepSeconds = 60;
    const uint32_t before = access_.load(std::memory_order_relaxed);
    uint32_t access = before | fetched;
    if ((access & kAccessCountMask) < kAccessMax) ++access;
    if (SecondsSince(access, now) >= kAccessStepSeconds) {
      access = (now << kReaderBits) | (access & kReaderMask);
    }
    if (access != before) access_.store(access, std::memory_order_relaxed);
  }
  void AddOwnerBit(uint8_t bit) {
    const uint8_t bits = owner_bits_.load(std::memory_order_relaxed);
    owner_bits_.store(bits | bit, std::memory_order_relaxed);
  }
  std::atomic_ref<uint32_t> ExptimeField() const {
    return std::atomic_ref<uint32_t>(
        *reinterpret_cast<uint32_t*>(const_cast<char*>(bytes()) + sizeof(Item)));
  }
  size_t client_flags_offset() const;
  size_t key_offset() const;

  uint32_t cas_low_;
  uint16_t cas_high_;
  uint8_t key_size_;
  std::atomic<uint8_t> owner_bits_;  // state, kHasClientFlags, kHasExptime, kPinned, marks
  uint32_t sizes_;                   // value size, size class, kHasOwnCas; or a ref
  std::atomic<uint32_t> access_;     // last access, access count, kFetched, kKeyIsBinary
};
static_assert(sizeof(Item) == 16, "as drawn above");
static_assert(alignof(Item) == 4, "chunks are aligned to 4");

inline size_t ItemLayout::prefix() const {
  return sizeof(Item) + (has_exptime ? sizeof(uint32_t) : 0) +
         (has_client_flags ? sizeof(uint32_t) : 0) + key_size +
         (has_own_cas ? sizeof(uint64_t) : 0);
}
inline size_t Item::client_flags_offset() const {
  return sizeof(Item) + (has_exptime() ? sizeof(uint32_t) : 0);
}
inline size_t Item::key_offset() const {
  // Both fields at once: this is on the way of every lookup.
  static_assert(kHasExptime == 2 * kHasClientFlags);
  const uint32_t fields = owner_bits_.load(std::memory_order_relaxed) / kHasClientFlags & 3u;
  return sizeof(Item) + sizeof(uint32_t) * ((fields & 1) + (fields >> 1));
}

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
