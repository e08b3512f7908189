// An engine in a shared object of its own, to begin from. It plays one with two tiers: items that
// were used lately are at hand, all others have to be fetched, so a get of them is answered some
// turns later.
//
//   torc --engine=./two_tier.so --engine-config=delay_turns=3,cold_after=1000
//
//   delay_turns  how many turns a fetch takes; 0, the default: no item is ever cold
//   cold_after   operations of its shard after which an item that none of them used is cold
//
// Each shard has its items for itself and is asked for them by its own thread alone
// (reads_are_shared is false), so there is no lock. What several threads look at is: the counters,
// which are atomic, and the bytes of values that are reserved or pinned, which do not move.
#include <algorithm>
#include <charconv>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "src/engine/engine.h"
#include "src/engine/plugin.h"

namespace {

using torc::Counter;
using torc::RelativeSeconds;
using torc::ShardId;
using torc::engine::EngineOptions;
using torc::engine::EngineTotals;
using torc::engine::Extended;
using torc::engine::Marks;
using torc::engine::Miss;
using torc::engine::Op;
using torc::engine::Pending;
using torc::engine::Reservation;
using torc::engine::Result;
using torc::engine::Shortage;
using torc::engine::StatGroup;
using torc::engine::StatSink;
using torc::engine::Verb;

struct Config {
  uint64_t delay_turns = 0;
  uint64_t cold_after = 1000;
};

// An item never changes but for its expiry, its last use and its marks: a store makes a new one. So
// whoever holds a reference has a value that stays as it is.
struct Item {
  std::string key;
  std::string value;
  uint64_t count = 0;         // of stores, up to the one that made it
  uint64_t cas = 0;           // its count, unless
  bool cas_is_given = false;  // a client chose it
  uint32_t client_flags = 0;
  RelativeSeconds exptime = torc::kNeverExpires;
  uint64_t used_at = 0;  // the shard's operations up to its last use
  RelativeSeconds last_access = torc::kClockStart;
  Marks marks = {};

  // What it counts against -m: as much as in memcached.
  uint64_t bytes() const { return 56 + key.size() + value.size(); }
};
using ItemRef = std::shared_ptr<Item>;

// A get that is being fetched. What it finds was decided when it was executed: the item is held.
struct Fetch : Pending {
  ItemRef item;
  uint64_t due = 0;  // the turn in which it is answered
};

struct Shard {
  std::unordered_map<std::string, ItemRef> items;
  std::map<uint64_t, ItemRef> by_count;  // the oldest first: they are evicted first
  std::unordered_map<void*, std::unique_ptr<std::string>> reserved;
  std::unordered_multimap<const void*, ItemRef> pinned;
  std::deque<std::unique_ptr<Fetch>> fetches;  // in the order in which they are due

  // What the caller may look at until its turn ends.
  std::vector<ItemRef> seen;
  std::vector<std::unique_ptr<Fetch>> answered;

  RelativeSeconds now = torc::kClockStart;
  RelativeSeconds flush_at = torc::kNeverExpires;
  RelativeSeconds flushed_at = 0;
  uint64_t flush_count = 0;  // items up to this one are flushed
  uint64_t count = 0;        // of stores
  uint64_t turn = 0;
  uint64_t operations = 0;
  uint64_t bytes = 0;  // of items and reservations

  Counter item_count, item_bytes, stored, evictions, unfetched, too_large, no_memory, fetches_begun;
};

class TwoTierEngine final : public torc::engine::Engine {
 public:
  TwoTierEngine(const EngineOptions& options, const Config& config)
      : options_(options), config_(config) {
    for (ShardId id = 0; id < options.shards; ++id) {
      shards_.push_back(std::make_unique<Shard>());
      shards_.back()->count = id;
    }
  }

  std::string_view name() const override { return "two_tier"; }
  bool reads_are_shared() const override { return false; }
  uint64_t ValueSizeMax(size_t key_size, uint32_t client_flags) const override {
    return torc::engine::ValueSizeMaxOf(options_.item_size_max_bytes, key_size, client_flags);
  }

  // ---- The turn.

  void BeginTurn(ShardId self, RelativeSeconds now) override {
    Shard& s = *shards_[self];
    s.now = now;
    ++s.turn;
    if (s.flush_at != torc::kNeverExpires && s.flush_at <= now) Flush(self, torc::kNeverExpires);
  }

  size_t Execute(ShardId self, std::span<Op> ops) override {
    Shard& s = *shards_[self];
    for (Op& op : ops) {
      ++s.operations;
      ExecuteOne(s, op);
    }
    return ops.size();
  }

  size_t Collect(ShardId self, std::span<Pending*> answered) override {
    Shard& s = *shards_[self];
    size_t count = 0;
    while (count < answered.size() && !s.fetches.empty() && s.fetches.front()->due <= s.turn) {
      Fetch& fetch = *s.fetches.front();
      FillHit(s, fetch.item, fetch.op);
      answered[count++] = &fetch;
      s.answered.push_back(std::move(s.fetches.front()));
      s.fetches.pop_front();
    }
    return count;
  }

  void EndTurn(ShardId self) override {
    shards_[self]->seen.clear();
    shards_[self]->answered.clear();
  }

  bool Background(ShardId self) override {
    // Flushed items give their memory back, a few at a time; not at once, so that a get of one can
    // tell why it misses.
    Shard& s = *shards_[self];
    if (s.now < s.flushed_at + 10) return false;
    for (int i = 0; i < 16; ++i) {
      if (s.by_count.empty() || s.by_count.begin()->first > s.flush_count) return false;
      Remove(s, s.by_count.begin()->second);
    }
    return true;
  }

  void Flush(ShardId self, RelativeSeconds when) override {
    Shard& s = *shards_[self];
    if (when != torc::kNeverExpires && when > s.now) {
      s.flush_at = when;
      return;
    }
    s.flush_at = torc::kNeverExpires;
    s.flushed_at = s.now;
    s.flush_count = s.count += options_.shards;
  }

  // ---- Values that arrive in parts, and values that are sent from where they lie.

  ReserveResult Reserve(ShardId self, const Op& op, Reservation* out) override {
    Shard& s = *shards_[self];
    const bool too_large = op.value_size > ValueSizeMax(op.key_size, op.client_flags);
    if (too_large || !MakeRoom(s, op.value_size)) {
      Op refused = op;
      Refuse(s, refused, too_large ? Result::kTooLarge : Result::kNoMemory);
      out->shortage = too_large ? Shortage::kNone : torc::engine::ShortageOf(refused);
      return too_large ? ReserveResult::kTooLarge : ReserveResult::kNoMemory;
    }
    auto value = std::make_unique<std::string>(op.value_size, '\0');
    s.bytes += op.value_size;
    out->item = value.get();
    s.reserved.emplace(out->item, std::move(value));
    return ReserveResult::kReserved;
  }
  std::span<char> Window(const Reservation& reservation, size_t offset) const override {
    return std::span(*static_cast<std::string*>(reservation.item)).subspan(offset);
  }
  void Abandon(ShardId self, Reservation reservation) override {
    TakeReserved(*shards_[self], reservation.item);
  }

  std::span<const char> Piece(const void* item, size_t offset) const override {
    return std::span<const char>(static_cast<const Item*>(item)->value).subspan(offset);
  }
  bool Pin(ShardId self, const void* item) override {
    Shard& s = *shards_[self];
    for (const ItemRef& seen : s.seen) {
      if (seen.get() != item) continue;
      s.pinned.emplace(item, seen);
      return true;
    }
    return false;
  }
  void Unpin(ShardId self, const void* item) override {
    Shard& s = *shards_[self];
    s.pinned.erase(s.pinned.find(item));
  }

  // ---- Statistics.

  EngineTotals Totals() const override {
    EngineTotals totals;
    for (const auto& s : shards_) {
      totals.items += s->item_count.Get();
      totals.item_bytes += s->item_bytes.Get();
      totals.items_stored += s->stored.Get();
      totals.evictions += s->evictions.Get();
      totals.evicted_unfetched += s->unfetched.Get();
      totals.store_too_large += s->too_large.Get();
      totals.store_no_memory += s->no_memory.Get();
    }
    totals.memory_limit_bytes = options_.memory_limit_bytes;
    return totals;
  }
  void Statistics(StatGroup group, StatSink& sink) const override {
    if (group == StatGroup::kSlabs) {
      sink.Put("active_slabs", uint64_t{0});
      sink.Put("total_malloced", Totals().item_bytes);
    }
    if (group != StatGroup::kItems || Totals().items == 0) return;
    uint64_t fetches = 0;
    for (const auto& s : shards_) fetches += s->fetches_begun.Get();
    sink.Put("items:1:number", Totals().items);
    sink.Put("items:1:fetches", fetches);
  }
  void ResetCounters(ShardId self) override {
    Shard& s = *shards_[self];
    for (Counter* counter :
         {&s.stored, &s.evictions, &s.unfetched, &s.too_large, &s.no_memory, &s.fetches_begun}) {
      counter->Set(0);
    }
  }
  void CheckInvariants(ShardId) const override {}

 private:
  void ExecuteOne(Shard& s, Op& op) {
    switch (torc::engine::VerbOf(op)) {
      case Verb::kGet:
        return op.verb == Verb::kExtended ? GetExtended(s, op) : Get(s, op);
      case Verb::kGetAndTouch:
      case Verb::kTouch:
        return Get(s, op);
      case Verb::kIncrement:
      case Verb::kDecrement:
        return Count(s, op);
      case Verb::kDelete:
        return Delete(s, op);
      default:
        return Store(s, op);
    }
  }

  // The live item of the operation's key; a dead one is removed. Null: op.miss says why.
  ItemRef Find(Shard& s, Op& op) {
    op.miss = Miss::kAbsent;
    const auto found = s.items.find(std::string(op.key_view()));
    if (found == s.items.end()) return nullptr;
    const ItemRef item = found->second;
    const bool flushed = item->count <= s.flush_count;
    const bool expired = item->exptime != torc::kNeverExpires && item->exptime <= s.now;
    if (!flushed && !expired) return item;
    op.miss = flushed ? Miss::kFlushed : Miss::kExpired;
    Remove(s, item);
    return nullptr;
  }

  void Get(Shard& s, Op& op) {
    const ItemRef item = Find(s, op);
    if (item == nullptr) {
      op.result = op.verb == Verb::kTouch ? Result::kNotFound : Result::kMiss;
      return;
    }
    const Marks marks = item->marks;
    item->marks.fetched = true;
    item->last_access = s.now;
    if (op.verb != Verb::kGet) item->exptime = op.exptime;
    if (op.verb == Verb::kTouch) {
      item->used_at = s.operations;
      op.cas = item->cas;
      op.client_flags = item->client_flags;
      op.result = Result::kTouched;
      return;
    }
    op.marks = marks;
    Answer(s, item, op);
  }

  // Meta commands' get. All of it happens now, even if its answer comes later.
  void GetExtended(Shard& s, Op& op) {
    Extended& e = *op.extended;
    ItemRef item = Find(s, op);
    if (item == nullptr) {
      op.result = Result::kMiss;
      if (!e.makes) return;
      item = NewItem(s, op);
      item->client_flags = 0;
      item->exptime = e.make_exptime;
      if (!Put(s, op, item)) return Refuse(s, op, Result::kNoMemory);
      s.stored.Add(1);
      e.made = true;
    }
    e.marks = item->marks;
    e.exptime_before = e.made ? torc::kNeverExpires : item->exptime;
    e.last_access = item->last_access;
    e.size_class = 1;
    e.item_bytes = item->bytes();
    if (e.touches && !e.made) item->exptime = op.exptime;
    e.exptime_after = item->exptime;
    const RelativeSeconds looked_at = e.touches_first ? e.exptime_after : e.exptime_before;
    const bool due =
        e.recaches && looked_at != torc::kNeverExpires && looked_at < e.recache_exptime;
    e.won = e.made || (!e.never_wins && !e.marks.token_sent && (e.marks.stale || due));
    item->marks.token_sent |= e.won;
    if (!e.leaves_no_trace) {
      item->marks.fetched = true;
      item->last_access = s.now;
    }
    Answer(s, item, op);
  }

  // A hit: now, or as soon as a cold item has been fetched.
  void Answer(Shard& s, const ItemRef& item, Op& op) {
    const bool cold = config_.delay_turns != 0 && s.operations - item->used_at > config_.cold_after;
    item->used_at = s.operations;
    if (!cold) return FillHit(s, item, op);
    auto fetch = std::make_unique<Fetch>();
    fetch->op = op;
    if (op.verb == Verb::kExtended) {
      fetch->extended = *op.extended;
      fetch->op.extended = &fetch->extended;
    }
    fetch->item = item;
    fetch->due = s.turn + config_.delay_turns;
    op.item = static_cast<Pending*>(fetch.get());
    op.result = Result::kPending;
    s.fetches.push_back(std::move(fetch));
    s.fetches_begun.Add(1);
  }

  static void FillHit(Shard& s, const ItemRef& item, Op& op) {
    s.seen.push_back(item);
    op.item = item.get();
    op.value = item->value.data();
    op.value_size = static_cast<uint32_t>(item->value.size());
    op.cas = item->cas;
    op.client_flags = item->client_flags;
    op.result = Result::kHit;
  }

  // Null for a plain operation.
  static Extended* ExtendedOf(const Op& op) {
    return op.verb == Verb::kExtended ? op.extended : nullptr;
  }

  // An item with all but the value.
  static ItemRef NewItem(const Shard& s, const Op& op) {
    auto item = std::make_shared<Item>();
    item->key = op.key_view();
    item->client_flags = op.client_flags;
    item->exptime = op.exptime;
    item->last_access = s.now;
    GiveCas(op, *item);
    return item;
  }
  static void GiveCas(const Op& op, Item& item) {
    const Extended* const e = ExtendedOf(op);
    item.cas_is_given = e != nullptr && e->sets_cas;
    if (item.cas_is_given) item.cas = e->cas_new;
  }
  // Whether an extended operation compares with another CAS unique than the item's.
  static bool CasDiffers(const Op& op, const Item& item) {
    const Extended* const e = ExtendedOf(op);
    return e != nullptr && e->compares_cas && e->cas_compare != item.cas;
  }

  void Store(Shard& s, Op& op) {
    Extended* const e = ExtendedOf(op);
    const Verb verb = torc::engine::VerbOf(op);
    const ItemRef item = NewItem(s, op);
    item->marks.key_is_binary = e != nullptr && e->key_is_binary;
    if (op.item != nullptr) {
      item->value = std::move(*TakeReserved(s, op.item));
      op.item = nullptr;
    } else if (op.value_size > ValueSizeMax(op.key_size, op.client_flags)) {
      return Refuse(s, op, Result::kTooLarge);
    } else {
      item->value.assign(op.value, op.value_size);
    }

    const ItemRef old = Find(s, op);
    const bool joins = verb == Verb::kAppend || verb == Verb::kPrepend;
    const bool compares =
        verb == Verb::kCas || (e != nullptr && e->compares_cas && verb != Verb::kAdd);
    const bool makes = joins && old == nullptr && e != nullptr && e->makes;
    op.result = Result::kNotStored;
    if (verb == Verb::kAdd && old != nullptr) return;
    if (old == nullptr) {
      if (compares && !joins) {
        op.result = Result::kNotFound;
        return;
      }
      if (!makes && (joins || verb == Verb::kReplace)) return;
      if (makes) item->exptime = e->make_exptime;
    } else if (compares && old->cas != (e != nullptr ? e->cas_compare : op.cas)) {
      if (joins || e == nullptr || !e->invalidates || e->cas_compare > old->cas) {
        op.result = Result::kExists;
        return;
      }
      // It comes too late, and is stored, but marked.
      item->marks.stale = true;
      item->marks.token_sent = old->marks.token_sent;
      item->exptime = old->exptime;
    }
    if (joins && old != nullptr) {
      if (old->value.size() + item->value.size() > ValueSizeMax(op.key_size, old->client_flags)) {
        torc::engine::ShortageOf(op) = Shortage::kItemLimit;
        return;
      }
      item->value.insert(verb == Verb::kAppend ? 0 : item->value.size(), old->value);
      item->client_flags = old->client_flags;
      item->exptime = old->exptime;
      item->marks.key_is_binary = false;
    }
    if (!Put(s, op, item)) {
      return Refuse(s, op, joins && !makes ? Result::kNotStored : Result::kNoMemory);
    }
    s.stored.Add(1);
    op.result = Result::kStored;
    if (e == nullptr) return;
    e->made = makes;
    op.value_size = static_cast<uint32_t>(item->value.size());
  }

  void Count(Shard& s, Op& op) {
    Extended* const e = ExtendedOf(op);
    const ItemRef old = Find(s, op);
    if (old == nullptr && (e == nullptr || !e->makes)) {
      op.result = Result::kNotFound;
      return;
    }
    // Before the CAS, as in memcached.
    if (old != nullptr &&
        (old->value.empty() || !torc::engine::IsCountable(op.key_size, old->value.size()))) {
      op.result = Result::kNotANumber;
      return;
    }
    if (old != nullptr && CasDiffers(op, *old)) {
      op.result = Result::kExists;
      return;
    }
    ItemRef item;
    uint64_t number = 0;
    if (old == nullptr) {
      item = NewItem(s, op);
      item->client_flags = 0;
      item->exptime = e->make_exptime;
      number = e->initial;
      item->value = std::to_string(number);
    } else {
      item = std::make_shared<Item>(*old);
      if (!torc::engine::CountOn(op, old->value, &number, &item->value)) {
        op.result = Result::kNotANumber;
        return;
      }
      GiveCas(op, *item);
    }
    const bool longer = old == nullptr || item->value.size() > old->value.size();
    if (longer) item->marks = {};
    item->last_access = s.now;
    if (e != nullptr) {
      e->exptime_before = item->exptime;
      if (e->touches) item->exptime = op.exptime;
      e->exptime_after = item->exptime;
    }
    if (!Put(s, op, item)) return Refuse(s, op, Result::kNoMemory);
    if (longer) s.stored.Add(1);
    if (e != nullptr) e->made = old == nullptr;
    (e != nullptr ? e->number : op.number) = number;
    op.result = Result::kNumber;
  }

  void Delete(Shard& s, Op& op) {
    const Extended* const e = ExtendedOf(op);
    const ItemRef old = Find(s, op);
    if (old == nullptr || CasDiffers(op, *old)) {
      op.result = old == nullptr ? Result::kNotFound : Result::kExists;
      return;
    }
    op.result = Result::kDeleted;
    if (e == nullptr || (!e->invalidates && !e->removes_value)) return Remove(s, old);
    ItemRef item;
    if (e->removes_value) {
      item = NewItem(s, op);
      if (!e->touches) item->exptime = torc::kNeverExpires;
      if (!e->invalidates && !e->sets_cas) {
        item->cas_is_given = true;  // a value that goes takes no CAS unique with it
        item->cas = old->cas;
      }
    } else {
      item = std::make_shared<Item>(*old);
      if (e->touches) item->exptime = op.exptime;
      GiveCas(op, *item);
    }
    item->marks.stale = e->invalidates;
    item->marks.token_sent = false;
    // Where there is no memory to mark it, it goes.
    if (!Put(s, op, item)) Remove(s, old);
  }

  // Publishes `item` in place of what is there. False: there is no room; nothing has changed.
  bool Put(Shard& s, Op& op, const ItemRef& item) {
    if (!MakeRoom(s, item->bytes())) return false;
    if (const auto old = s.items.find(item->key); old != s.items.end()) Remove(s, old->second);
    item->count = s.count += options_.shards;
    if (!item->cas_is_given) item->cas = item->count;
    op.cas = item->cas;
    item->used_at = s.operations;
    s.bytes += item->bytes();
    s.by_count.emplace(item->count, item);
    s.items.emplace(item->key, item);
    s.item_count.Set(s.items.size());
    s.item_bytes.Add(item->bytes());
    return true;
  }

  void Remove(Shard& s, ItemRef item) {
    s.items.erase(item->key);
    s.by_count.erase(item->count);
    s.bytes -= item->bytes();
    s.item_count.Set(s.items.size());
    s.item_bytes.Subtract(item->bytes());
  }

  std::unique_ptr<std::string> TakeReserved(Shard& s, void* reservation) {
    auto node = s.reserved.extract(reservation);
    s.bytes -= node.mapped()->size();
    return std::move(node.mapped());
  }

  // A store that cannot be. A set removes what is there, so that no stale value stays.
  void Refuse(Shard& s, Op& op, Result why) {
    if (why == Result::kTooLarge) s.too_large.Add(1);
    if (why == Result::kNoMemory) s.no_memory.Add(1);
    const Extended* const e = ExtendedOf(op);
    if (e != nullptr ? e->removes_if_refused : op.verb == Verb::kSet) {
      if (const ItemRef old = Find(s, op); old != nullptr) Remove(s, old);
    }
    op.result = why;
    if (why != Result::kTooLarge) {
      torc::engine::ShortageOf(op) =
          options_.evict ? Shortage::kNothingToEvict : Shortage::kNoEviction;
    }
  }

  bool MakeRoom(Shard& s, uint64_t bytes) {
    const uint64_t limit =
        std::max(options_.memory_limit_bytes / options_.shards, 2 * options_.item_size_max_bytes);
    while (s.bytes + bytes > limit) {
      if (!options_.evict || s.by_count.empty()) return false;
      s.evictions.Add(1);
      if (!s.by_count.begin()->second->marks.fetched) s.unfetched.Add(1);
      Remove(s, s.by_count.begin()->second);
    }
    return true;
  }

  const EngineOptions options_;
  const Config config_;
  std::vector<std::unique_ptr<Shard>> shards_;
};

// Reads "name=number,name=number". False: `*error` says what is wrong.
bool ReadConfig(std::string_view text, Config* config, std::string* error) {
  while (!text.empty()) {
    const std::string_view part = text.substr(0, text.find(','));
    text.remove_prefix(std::min(part.size() + 1, text.size()));
    const size_t equals = part.find('=');
    const std::string_view name = part.substr(0, equals);
    uint64_t* const field = name == "delay_turns"  ? &config->delay_turns
                            : name == "cold_after" ? &config->cold_after
                                                   : nullptr;
    if (field == nullptr) {
      *error = "no such setting: " + std::string(name) + "; there are delay_turns and cold_after";
      return false;
    }
    const std::string_view number = equals == part.npos ? "" : part.substr(equals + 1);
    const char* const end = number.data() + number.size();
    const auto [read_to, failure] = std::from_chars(number.data(), end, *field);
    if (failure != std::errc() || read_to != end) {
      *error = std::string(name) + " must be a number";
      return false;
    }
  }
  return true;
}

torc::engine::Engine* Create(const EngineOptions& options, std::string* error) {
  Config config;
  if (!ReadConfig(options.config, &config, error)) return nullptr;
  return new TwoTierEngine(options, config);
}

}  // namespace

extern "C" const torc::engine::Plugin torc_engine_plugin = {
    .name = "two_tier",
    .description = "an example: cold items are answered turns later",
    .create = &Create,
};
