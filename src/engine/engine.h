// The storage engine's interface: a batch of operations in, their results out. The front end knows
// storage as nothing else, and pays one virtual call per batch.
//
//   front end, one turn of shard s              engine
//     BeginTurn(s, now)                       -> memory whose readers are gone becomes free
//     Execute(s, ops) ... encode the replies  -> results; what they point to stays until EndTurn
//     EndTurn(s)                              -> views of this turn are over
//     Background(s)                           -> a bounded slice of housekeeping
//
// An engine may answer an operation in a later turn (a flash tier answers after a read): Execute
// leaves kPending and a Pending of the engine's in it, to which the caller ties its `waiter`; once
// the operation is done, Collect hands the Pending back with the result in it.
//
//     Execute(s, ops) -> ops[2]: kPending, Pending P      the caller: P.waiter = what waits
//     ... turns ...
//     Collect(s) -> P: kHit                               the caller: answers P.waiter
//     EndTurn(s)                              -> the views in P, and P itself, are over
//
// docs/engines.md says how to write an engine, with a complete one.
//
// Keys belong to shards by hash (OwnerOf). A shard executes any operation on keys that it owns; on
// the keys of others only kGet (an extended one if is_pure()), and only if reads_are_shared();
// everything else reaches the owner
// by message (src/shard/mailbox.h).
//
// A value that has not arrived whole is received into a Reservation: memory of the owner's
// partition that no reader sees until an Execute with that reservation publishes it. The shard of
// the connection fills it (Window), even if it is not the owner: reservation and publication travel
// through mailboxes, which order the bytes.
//
// Owner: main. Affinity: each call's `self` is the calling thread's shard; different shards call at
// the same time. Lifetime: outlives all shards; may be destroyed with operations pending, which are
// never answered then. Invariant: see the engine.
#ifndef TORC_SRC_ENGINE_ENGINE_H_
#define TORC_SRC_ENGINE_ENGINE_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "src/base/clock.h"
#include "src/base/types.h"

namespace torc::engine {

// The longest key, protocol.txt "Keys".
inline constexpr size_t kKeySizeMax = 250;

enum class Verb : uint8_t {
  kGet,          // the value
  kGetAndTouch,  // the value, and a new expiry
  kTouch,        // a new expiry
  kSet,          // store
  kAdd,          // store if absent
  kReplace,      // store if present
  kAppend,       // present value + bytes; expiry and client flags stay as they are
  kPrepend,      // bytes + present value; likewise
  kCas,          // store if present with CAS unique `cas`
  kIncrement,    // decimal value + `number`, wraps at 2^64
  kDecrement,    // decimal value - `number`, stops at 0
  kDelete,       // remove
  kExtended,     // one of those above, with more asked of it: see Extended
};

enum class Result : uint8_t {
  kNone,        // not executed
  kHit,         // kGet, kGetAndTouch: the view fields are set
  kMiss,        // kGet, kGetAndTouch, kTouch, kReplace.. no such item: see `miss`
  kStored,      // the store verbs
  kNotStored,   // kAdd on a present key; kReplace, kAppend, kPrepend on an absent one
  kExists,      // kCas: present with another CAS unique
  kNotFound,    // kCas, kIncrement, kDecrement, kDelete, kTouch: absent
  kDeleted,     // kDelete
  kTouched,     // kTouch
  kNumber,      // kIncrement, kDecrement: `number` is the new value
  kNotANumber,  // kIncrement, kDecrement: the value is not a decimal of at most 64 bits
  kTooLarge,    // the item would exceed the limit on items (memcached's -I)
  kNoMemory,    // nothing could be freed (with -M: nothing may be)
  kPending,     // answered later, by Collect: `item` is its Pending
};

// Why a lookup found nothing.
enum class Miss : uint8_t { kAbsent, kExpired, kFlushed };

// Why a store or a count found no memory: for statistics, which tell the causes apart.
enum class Shortage : uint8_t {
  kNone,
  kItemLimit,       // kAppend, kPrepend: together it would exceed the limit on items
  kNoEviction,      // memory is full, and -M forbids eviction
  kNothingToEvict,  // what is there is pinned or reserved
  kExceedsShard,    // larger than all the memory of its owner
  kIndexFull,       // the index has no place for the key
};

// What meta commands keep with an item besides its value. Whatever stores a value begins anew, but
// for kIncrement and kDecrement of a number that gets no longer, which leave them as they are.
struct Marks {
  bool stale;          // invalidated (I): a hit says so
  bool token_sent;     // a hit has told its client to recache; the next ones are told that
  bool key_is_binary;  // its key is shown in base64
  bool fetched;        // was hit since it was stored, before this operation
};

// An operation that asks for more than its verb says, and is told more: for meta commands, and
// binary ones with a CAS or an initial value. All of it is one step of the key's owner; no other
// operation on the key comes between.
//
// One that `is_pure()` is executed by any shard, if reads are shared; but only the owner gives the
// token away. Where another shard finds an item that is stale and whose token is to be had, it
// answers a hit that says so (marks), not won, and without a trace: the owner is to be asked then.
//
// With Op::verb kExtended, whose own `cas` is output only and `exptime` as below. Verbs here: kGet,
// kSet, kAdd, kReplace, kAppend, kPrepend, kIncrement, kDecrement, kDelete. Results are theirs;
// kExists for whichever verb found another CAS unique; kNotFound for kSet and kReplace that compare
// with an absent item. kGet that makes, and kDelete that does not remove, may find no memory: the
// former answers kNoMemory, the latter removes the item after all, and answers kDeleted.
//
// A value that comes in a Reservation: Reserve is shown the same Extended as Execute.
//
// Sources: protocol.txt, "Meta Commands"; memcached 1.6.45 where that is silent.
struct Extended {
  // In.
  Verb verb = Verb::kGet;
  // kGet: no trace of an access is left. The token is given away all the same.
  bool leaves_no_trace = false;
  // kGet: the token is not given away, whatever is found.
  bool never_wins = false;
  // kGet, kIncrement, kDecrement, kDelete that marks: a present item expires at Op::exptime. Of
  // kIncrement and kDecrement so does one that they make.
  bool touches = false;
  // kGet, kIncrement, kDecrement, kAppend, kPrepend: an absent item is made, whatever compares_cas
  // says, to expire at make_exptime: empty and with the token sent (and `won` to this hit); of
  // value `initial`, without a step; of the bytes given. Of kAppend and kPrepend the client flags
  // then are Op::client_flags.
  bool makes = false;
  // kGet: a hit that expires before recache_exptime wins the token if nobody has, unless it was
  // just made. The expiry looked at is what `touches` set only if touches_first. A stale one wins
  // it without this.
  bool recaches = false;
  bool touches_first = false;
  // Not kGet; kAdd does not look at it: kExists unless the item's CAS unique is cas_compare.
  bool compares_cas = false;
  // Stores, kIncrement, kDecrement, kDelete that marks, kGet that made: the CAS unique becomes
  // cas_new, any 64 bits.
  bool sets_cas = false;
  // kDelete: the item is marked stale, its token is to be had again, it gets a new CAS unique.
  // kSet and kReplace with compares_cas: a cas_compare below the item's stores all the same, marks
  // the item stale, and leaves its expiry and whether the token was sent as they were.
  bool invalidates = false;
  // kDelete: an empty item takes its place, with Op::client_flags, that expires at Op::exptime if
  // `touches`, else never. It keeps the CAS unique, unless `sets_cas` or `invalidates`; with the
  // latter it is stale.
  bool removes_value = false;
  // Stores, but for kAppend and kPrepend to a present item: its key is shown in base64 (Marks).
  bool key_is_binary = false;
  // Stores: one that fails with kTooLarge or kNoMemory removes the present item (as plain kSet).
  bool removes_if_refused = false;
  uint64_t cas_compare = 0;
  uint64_t cas_new = 0;
  uint64_t delta = 0;    // kIncrement, kDecrement
  uint64_t initial = 0;  // likewise, with `makes`
  RelativeSeconds make_exptime = kNeverExpires;
  RelativeSeconds recache_exptime = kNeverExpires;

  // Out. The fields of Op come besides, as for the plain verb; of kStored value_size, too.
  uint64_t number = 0;                  // of kNumber
  Shortage shortage = Shortage::kNone;  // as Op::shortage
  bool made = false;                    // by `makes`
  bool won = false;                     // kHit: this client is to recache
  Marks marks = {};                     // kHit: as before this operation; stale, as found
  // kHit, kNumber: before and after `touches`. Of kHit that made, kNeverExpires before.
  RelativeSeconds exptime_before = kNeverExpires;
  RelativeSeconds exptime_after = kNeverExpires;
  RelativeSeconds last_access = 0;  // kHit: before this operation
  uint32_t size_class = 0;          // kHit: as ItemInfo
  uint64_t item_bytes = 0;          // kHit: likewise

  bool is_pure() const { return verb == Verb::kGet && !touches && !makes && !recaches; }
};

struct Reservation {
  void* item = nullptr;                 // the engine's; null: none
  Shortage shortage = Shortage::kNone;  // with kNoMemory: why
};

// One operation. 64 bytes: a batch of 64 fits the second-level cache many times over. Input and
// output fields overlap where no verb needs both.
struct alignas(64) Op {
  uint64_t hash = 0;            // in: HashKey(key)
  const char* key = nullptr;    // in: 1 to kKeySizeMax bytes, until Execute returns
  const char* value = nullptr;  // in: the bytes to store (null with a reservation); out of kHit:
                                // the value, or null if it is not in one piece
  void* item = nullptr;  // in: the reservation's item, if the value came in one; out of kHit:
                         // handle for Pin, Piece; out of kPending: a Pending
  union {
    uint64_t number = 0;  // in: delta; out of kNumber: the new value
    Shortage shortage;    // out of kNoMemory, and of kNotStored for kAppend, kPrepend
    Marks marks;          // out of kHit
    Extended* extended;   // in of kExtended: the caller's, until Execute returns; out: the same
  };
  uint64_t cas = 0;  // in of kCas: to compare; out of kHit, kStored, kNumber, kTouched: the item's
                     // CAS unique
  uint32_t client_flags = 0;      // in of stores; out of kHit, kTouched
  RelativeSeconds exptime = 0;    // in: as Epoch::FromClient made it
  uint32_t value_size = 0;        // in of stores: bytes of the value; out of kHit, whole value's
  uint8_t key_size = 0;           // in
  Verb verb = Verb::kGet;         // in
  Result result = Result::kNone;  // out
  Miss miss = Miss::kAbsent;      // out, where the lookup found nothing

  std::string_view key_view() const { return {key, key_size}; }
};
static_assert(sizeof(Op) == 64);

// What an operation does in the end: of kExtended, the verb there.
inline Verb VerbOf(const Op& op) {
  return op.verb == Verb::kExtended ? op.extended->verb : op.verb;
}
// Where the shortage of an operation's result is.
inline Shortage& ShortageOf(Op& op) {
  return op.verb == Verb::kExtended ? op.extended->shortage : op.shortage;
}
inline Shortage ShortageOf(const Op& op) { return ShortageOf(const_cast<Op&>(op)); }

// The most operations of one Execute, and the most answers of one Collect.
inline constexpr size_t kBatchMax = 512;

// An operation that is answered later. The engine makes it, as the base of what it keeps of the
// operation itself, and owns it: from Execute to the end of the turn in which Collect returned it.
struct Pending {
  Op op;                   // once collected: the output fields; the key and the inputs are void
  Extended extended;       // of kExtended: a copy, which op.extended names
  void* waiter = nullptr;  // the caller's, set after Execute; null: nobody waits any more
};

// The 64-bit key hash on which partition, bucket and tag rest: XXH3. Pure. A server seeds it at
// random at its start, so that nobody outside can choose keys that collide.
uint64_t HashKey(std::string_view key, uint64_t seed = 0);

// The shard that owns a hash: each owns a range of the hash's upper half, so that the lower half
// and the bits below the range stay evenly spread within a partition.
inline ShardId OwnerOf(uint64_t hash, uint32_t shards) {
  return static_cast<ShardId>(((hash >> 32) * shards) >> 32);
}

// Tells the engine when memory that it unlinked has no readers left. Implemented by the shards'
// epochs.
class Quiescence {
 public:
  virtual ~Quiescence() = default;
  // Remembers this instant for `self`; replaces the mark before it.
  virtual void Mark(ShardId self) = 0;
  // Whether every other shard has, since the mark, passed a point at which it held no reference.
  // With one shard: true.
  virtual bool Elapsed(ShardId self) = 0;
};

// What an engine is told at its start.
struct EngineOptions {
  uint32_t shards = 4;
  uint64_t memory_limit_bytes = uint64_t{64} << 20;  // -m: items and what belongs to them
  uint64_t item_size_max_bytes = uint64_t{1} << 20;  // -I
  uint64_t memory_limit_max_bytes = 0;  // for SetMemoryLimit, if more than memory_limit_bytes
  uint64_t hash_seed = 0;               // of Op::hash, by HashKey
  std::string_view config;              // --engine-config; during creation only
  bool evict = true;                    // false: -M
  bool preallocate = false;             // -k, -L: touch all memory at start
  bool huge_pages = false;              // -L: ask for transparent huge pages
  Quiescence* quiescence = nullptr;     // outlives the engine; null only with one shard
};

// Receives statistics as name and value texts; both valid during the call only.
class StatSink {
 public:
  virtual ~StatSink() = default;
  virtual void Put(std::string_view name, std::string_view value) = 0;
  void Put(std::string_view name, uint64_t value);
};

// Sums over all partitions, for `stats`. Counted since start, or since the last ResetCounters.
struct EngineTotals {
  uint64_t items = 0;         // curr_items
  uint64_t item_bytes = 0;    // bytes: items with headers, keys and values
  uint64_t items_stored = 0;  // total_items
  uint64_t evictions = 0;
  uint64_t evicted_unfetched = 0;  // evicted without ever being read
  uint64_t evicted_active = 0;     // evicted though read recently
  uint64_t reclaimed = 0;          // stores that reused an expired item's memory
  uint64_t expired_unfetched = 0;  // expired without ever being read
  uint64_t store_too_large = 0;
  uint64_t store_no_memory = 0;
  uint64_t index_bytes = 0;    // hash_bytes
  uint64_t index_power = 0;    // hash_power_level: log2 of the slots, rounded up
  bool index_growing = false;  // hash_is_expanding
  // What an engine keeps beside items and index, outside the memory limit.
  uint64_t eviction_bytes = 0;  // to choose who is evicted
  uint64_t page_table_bytes = 0;
  uint64_t pages_total = 0;  // slab pages in use
  uint64_t pages_free = 0;   // slab pages that belong to no class yet
  uint64_t page_size_bytes = 0;
  uint64_t memory_limit_bytes = 0;  // limit_maxbytes
  uint64_t pages_moved = 0;         // slabs_moved
};

// The largest value that memcached stores under a key of `key_size` bytes with -I
// `item_size_max_bytes`, to the byte: what engines take as their limit, so that clients see one.
uint64_t ValueSizeMaxOf(uint64_t item_size_max_bytes, size_t key_size, uint32_t client_flags);

// Whether memcached would count in an item of this size by incr and decr: not in one that it stores
// in pieces.
bool IsCountable(size_t key_size, uint64_t value_size);

// What incr or decr, `op`, makes of a value, as in memcached: `*number`, and `*counted`, which is
// never shorter than the value was. False: it is not a number.
bool CountOn(const Op& op, const std::string& value, uint64_t* number, std::string* counted);

enum class StatGroup : uint8_t { kItems, kSlabs };

// ---- What operators ask for: Walk, ListPins and what follows them in Engine.

// What a walk shows of an item; valid during the visit.
struct ItemInfo {
  std::string_view key;
  uint64_t cas = 0;
  uint64_t item_bytes = 0;  // with header, key and whatever belongs to it, but for rounding
  uint32_t value_size = 0;
  uint32_t client_flags = 0;
  uint32_t size_class = 0;  // as the names of `stats items` have it: 1 to size_classes()
  RelativeSeconds exptime = kNeverExpires;
  RelativeSeconds last_access = 0;
  bool fetched = false;
};
struct PinInfo {
  ItemInfo item;
  uint32_t pins = 0;
  RelativeSeconds since = 0;  // when it was pinned first
  bool live = false;          // false: deleted, replaced or evicted meanwhile
};

// How far a walk has come. Made at the start of one, then the engine's.
struct WalkCursor {
  uint64_t position = 0;
  bool done = false;
};
// Shown items one by one. False: no more for now. The walk then ends as soon as it can be taken up
// again, after kWalkOvershootMax more items at most.
inline constexpr uint32_t kWalkOvershootMax = 64;
class ItemVisitor {
 public:
  virtual ~ItemVisitor() = default;
  [[nodiscard]] virtual bool Visit(const ItemInfo& item) = 0;
};
class PinVisitor {
 public:
  virtual ~PinVisitor() = default;
  [[nodiscard]] virtual bool Visit(const PinInfo& pin) = 0;
};

class Engine {
 public:
  virtual ~Engine() = default;

  virtual std::string_view name() const = 0;
  // Whether a shard may execute kGet on keys that it does not own.
  virtual bool reads_are_shared() const = 0;
  // The largest value_size that a key of `key_size` bytes can have; larger ones are answered with
  // kTooLarge.
  virtual uint64_t ValueSizeMax(size_t key_size, uint32_t client_flags) const = 0;

  // Starts a turn: sets the time of the turn's operations, takes back memory whose readers are
  // gone.
  virtual void BeginTurn(ShardId self, RelativeSeconds now) = 0;
  // Ends a turn: nobody on this shard holds a view from this turn any more.
  virtual void EndTurn(ShardId self) = 0;

  // Executes `ops` in order, at most kBatchMax. Returns how many were executed: fewer only if the
  // next one waits for memory that comes free within turns; the caller presents the rest again next
  // turn. Views in results stay valid until EndTurn. A reservation named by an operation belongs to
  // the engine again once the operation is executed. A set that fails with kTooLarge or kNoMemory
  // removes the key's present item, as memcached does, so that no stale value stays.
  //
  // An operation left as kPending counts as executed: the engine has copied of it what it needs,
  // key and value included. Operations on one key take effect in the order of Execute, whenever
  // they are answered: a set does not change what a pending get before it finds, and a get behind a
  // pending set finds its value. A kGet of another shard's key is answered at once, with what is
  // published, also while its owner has something pending on the key; an engine that cannot does
  // not share reads.
  [[nodiscard]] virtual size_t Execute(ShardId self, std::span<Op> ops) = 0;

  // Answers to operations that `self` was told are pending, in any order, each once: as many as
  // there are, at most answered.size(). Called between BeginTurn and EndTurn, before the turn's
  // first Execute, and only while some are pending; a shard that has some looks every 50 us at
  // least. Views in results stay valid until EndTurn.
  virtual size_t Collect(ShardId self, std::span<Pending*> answered);

  enum class ReserveResult : uint8_t { kReserved, kLater, kTooLarge, kNoMemory };
  // Memory for the value of a store that is to come: `op` is complete but for its value. On kLater:
  // ask again next turn. kTooLarge and kNoMemory count, and remove the present item, as in Execute
  // (for kSet; not for kAdd etc.).
  [[nodiscard]] virtual ReserveResult Reserve(ShardId self, const Op& op, Reservation* out) = 0;
  // The contiguous memory of a reserved value from byte `offset` on, at least one byte for offset <
  // value_size. May be called by the shard that holds the reservation, owner or not. It stays where
  // it is, and may be written at any time, until Execute or Abandon.
  virtual std::span<char> Window(const Reservation& reservation, size_t offset) const = 0;
  // Gives a reservation back unpublished. Owner only.
  virtual void Abandon(ShardId self, Reservation reservation) = 0;

  // The contiguous bytes of a value found by kHit from `offset` on, at least one byte for offset <
  // value_size. Any shard, while the view is valid or the item pinned.
  virtual std::span<const char> Piece(const void* item, size_t offset) const = 0;
  // Keeps an item's bytes past the turn. Owner only, with the item of a kHit of this turn. False:
  // too many pins, try later.
  [[nodiscard]] virtual bool Pin(ShardId self, const void* item) = 0;
  virtual void Unpin(ShardId self, const void* item) = 0;

  // Invalidates every item of the owner's partition that is stored before `when` (kNeverExpires:
  // now). Instant for readers; memory comes back over time. A later call replaces one whose time
  // has not come.
  virtual void Flush(ShardId self, RelativeSeconds when) = 0;

  // A bounded slice of housekeeping, a few microseconds. True: more is waiting, do not sleep on its
  // account for long.
  virtual bool Background(ShardId self) = 0;

  // Statistics; any thread, any time. Values are those of single writers, read relaxed.
  virtual EngineTotals Totals() const = 0;
  virtual void Statistics(StatGroup group, StatSink& sink) const = 0;
  // Zeroes the counters (not the gauges) of the owner's partition, for `stats reset`.
  virtual void ResetCounters(ShardId self) = 0;

  // ---- What operators ask for. All of it is the owner's, takes a bounded slice of time, and has a
  // default for engines to which it means nothing.

  // Shows the live items of the owner's partition from `cursor` on, about `items_max` of them, and
  // moves the cursor. Between two calls everything may change: a key that is there all the time, be
  // it replaced or not, is met exactly once; one that comes or goes meanwhile, at most once for
  // each time that it came.
  virtual void Walk(ShardId, WalkCursor* cursor, uint32_t /*items_max*/, ItemVisitor&) {
    cursor->done = true;
  }
  // Shows what is pinned in the owner's partition, likewise.
  virtual void ListPins(ShardId, WalkCursor* cursor, uint32_t /*pins_max*/, PinVisitor&) {
    cursor->done = true;
  }
  // Size classes have the numbers 1 to this. 0: there are none.
  virtual uint32_t size_classes() const { return 0; }
  // The largest limit that SetMemoryLimit takes. 0: it is fixed.
  virtual uint64_t MemoryLimitMax() const { return 0; }
  // Changes EngineOptions::memory_limit_bytes, of which the owner's partition has its share. More
  // is there at once; less, as Background evicts what is too much and gives it back to the kernel.
  virtual void SetMemoryLimit(ShardId, uint64_t /*bytes*/) {}
  // Takes a page's worth of memory from class `from` (0: none, there is nothing to do), for
  // whichever class needs it next. Its items are evicted.
  enum class MoveResult : uint8_t { kMoved, kNoSpare, kBusy };
  virtual MoveResult MovePage(ShardId, uint32_t /*from*/) { return MoveResult::kNoSpare; }
  // Whether pages move between classes on the engine's own account where no store needs it to.
  virtual void SetAutomove(ShardId, bool /*on*/) {}
  // Whether memory of expired items is looked for in the background. True, to begin with.
  virtual void SetCrawler(ShardId, bool /*on*/) {}
  // Looks for expired items once, everywhere and without delay.
  virtual void Crawl(ShardId) {}

  // Dies with a message if an invariant of the owner's partition is broken. O(partition); tests and
  // simulation.
  virtual void CheckInvariants(ShardId self) const = 0;
};

}  // namespace torc::engine

#endif  // TORC_SRC_ENGINE_ENGINE_H_
