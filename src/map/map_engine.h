// The reference engine: a std::unordered_map and an exact LRU list for each shard. It is there to
// be obviously right, so that other engines can be held against it; it answers only to the owner of
// a key, and spends memory as the standard library does.
//
//   Partition   by_key     key  -> Item             who is there
//               by_use     Item, Item, ...          last used first: the last one is evicted
//               by_expiry  (dead from, Item) ...    who is expired, first
//               by_count   count of stores -> Item  who was there when it was flushed, first
//               by_hash    (hash, Item) ...         the order of walks: a key keeps its place in it
//               reserved   Items whose value is arriving
//               unlinked   Items that are gone, but seen in this turn, or pinned
//               pinned     Items that are pinned, gone or not
//
// Memory is counted as kItemOverheadBytes + key + value for each item that is there or reserved, up
// to an equal part of -m for each partition, and at least twice -I. What is merely seen or pinned
// is not counted. Expired and flushed items make room first, then the least recently used. With -M
// a new value needs room beside the one that it replaces. A limit that is lowered is kept within
// turns: Background evicts a few items at a time, a store all that is too much.
//
// There are no pages and one size class, whose number is 1: MovePage and SetAutomove have nothing
// to do.
//
// Owner: main. Affinity: as engine::Engine; items reserved or pinned are read and written by other
// shards through Window and Piece. Lifetime: as engine::Engine. Invariant: the indexes of a
// partition hold the same items; what they count is within the limit, but for a while after that
// was lowered.
#ifndef TORC_SRC_MAP_MAP_ENGINE_H_
#define TORC_SRC_MAP_MAP_ENGINE_H_

#include <atomic>
#include <list>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "src/base/types.h"
#include "src/engine/engine.h"
#include "src/engine/plugin.h"

namespace torc::map {

// How --engine=map makes one.
extern const engine::Plugin kPlugin;

// What an item counts beside key and value: as much as in memcached, so that both evict at about
// the same time. What the standard library really takes is several times that.
inline constexpr uint64_t kItemOverheadBytes = 56;

struct Item {
  std::string key;
  uint64_t hash = 0;  // of the key
  std::string value;
  uint64_t count = 0;         // of stores in its partition, up to the one that made it
  uint64_t cas = 0;           // its count, unless
  bool cas_is_given = false;  // a client chose it
  uint32_t client_flags = 0;
  RelativeSeconds exptime = kNeverExpires;
  RelativeSeconds dead_from = kNeverExpires;  // exptime, but not before it was given
  RelativeSeconds last_access = kClockStart;
  bool fetched = false;
  bool stale = false;  // this and the following: as engine::Marks
  bool token_sent = false;
  bool key_is_binary = false;
  uint32_t pins = 0;
  RelativeSeconds pinned_since = 0;
  bool live = false;  // in its partition's indexes
  std::list<Item*>::iterator use;

  uint64_t bytes() const { return kItemOverheadBytes + key.size() + value.size(); }
};

class MapEngine final : public engine::Engine {
 public:
  explicit MapEngine(const engine::EngineOptions& options);

  std::string_view name() const override { return "map"; }
  bool reads_are_shared() const override { return false; }
  uint64_t ValueSizeMax(size_t key_size, uint32_t client_flags) const override;

  void BeginTurn(ShardId self, RelativeSeconds now) override;
  void EndTurn(ShardId self) override;
  [[nodiscard]] size_t Execute(ShardId self, std::span<engine::Op> ops) override;

  [[nodiscard]] ReserveResult Reserve(ShardId self, const engine::Op& op,
                                      engine::Reservation* out) override;
  std::span<char> Window(const engine::Reservation& reservation, size_t offset) const override;
  void Abandon(ShardId self, engine::Reservation reservation) override;

  std::span<const char> Piece(const void* item, size_t offset) const override;
  [[nodiscard]] bool Pin(ShardId self, const void* item) override;
  void Unpin(ShardId self, const void* item) override;

  void Flush(ShardId self, RelativeSeconds when) override;
  bool Background(ShardId self) override;

  engine::EngineTotals Totals() const override;
  void Statistics(engine::StatGroup group, engine::StatSink& sink) const override;
  void ResetCounters(ShardId self) override;

  void Walk(ShardId self, engine::WalkCursor* cursor, uint32_t items_max,
            engine::ItemVisitor& visitor) override;
  void ListPins(ShardId self, engine::WalkCursor* cursor, uint32_t pins_max,
                engine::PinVisitor& visitor) override;
  uint32_t size_classes() const override { return 1; }
  uint64_t MemoryLimitMax() const override;
  void SetMemoryLimit(ShardId self, uint64_t bytes) override;
  void SetCrawler(ShardId self, bool on) override { own(self).crawler_on = on; }
  void Crawl(ShardId self) override { own(self).crawl_once = true; }

  void CheckInvariants(ShardId self) const override;

 private:
  using Op = engine::Op;

  struct Partition {
    std::unordered_map<std::string_view, std::unique_ptr<Item>> by_key;
    std::list<Item*> by_use;
    std::set<std::pair<RelativeSeconds, Item*>> by_expiry;
    std::map<uint64_t, Item*> by_count;
    std::set<std::pair<uint64_t, Item*>> by_hash;
    std::unordered_map<const Item*, std::unique_ptr<Item>> reserved;
    std::vector<std::unique_ptr<Item>> unlinked;
    std::set<Item*> pinned;

    uint64_t limit_bytes = 0;
    uint64_t used_bytes = 0;      // of items that are there
    uint64_t reserved_bytes = 0;  // of items that are reserved
    RelativeSeconds now = kClockStart;
    uint64_t count = 0;        // the last one given
    uint64_t flush_count = 0;  // items up to this are flushed
    RelativeSeconds flush_at = kNeverExpires;
    RelativeSeconds flushed_at = kNeverExpires;
    bool lowered = false;     // the limit, and not reached yet
    bool crawler_on = true;   // SetCrawler
    bool crawl_once = false;  // Crawl, not done yet

    // Read by any thread.
    Counter items, item_bytes, items_stored, evictions, evicted_unfetched, reclaimed,
        expired_unfetched, crawler_reclaimed, too_large, no_memory;
  };

  Partition& own(ShardId self) { return *partitions_[self]; }
  // Why a store finds no room, when it finds none.
  engine::Shortage shortage() const {
    return options_.evict ? engine::Shortage::kNothingToEvict : engine::Shortage::kNoEviction;
  }

  uint64_t LimitOf(uint64_t memory_limit_bytes) const;
  bool IsDead(const Partition& p, const Item& item) const;
  engine::ItemInfo Describe(const Item& item) const;
  // The live item of the operation's key; one that is dead is removed. Null: op->miss says why.
  Item* Find(Partition& p, Op* op) const;
  void Use(Partition& p, Item& item) const;
  void Link(Partition& p, std::unique_ptr<Item> item);
  void Unlink(Partition& p, Item* item) const;
  void SetExptime(Partition& p, Item& item, RelativeSeconds exptime) const;
  // Removes what expired up to `deadline`, and what is flushed if `flushed`; at most `items`.
  // Counts them with `counter`. Returns how many.
  size_t RemoveDead(Partition& p, RelativeSeconds deadline, bool flushed, size_t items,
                    Counter* counter) const;
  // Whether there is room for an item of `bytes` once EvictFor has evicted what may be. Removes the
  // dead where it is tight.
  bool FindRoom(Partition& p, uint64_t bytes) const;
  // At most `items`.
  void EvictFor(Partition& p, uint64_t bytes, size_t items = SIZE_MAX) const;

  void ExecuteOne(Partition& p, Op& op);
  void Get(Partition& p, Op& op);
  void GetExtended(Partition& p, Op& op);
  void Store(Partition& p, Op& op);
  void Count(Partition& p, Op& op);
  // An absent number's item.
  void MakeNumber(Partition& p, Op& op);
  void Delete(Partition& p, Op& op);
  void Refuse(Partition& p, const Op& op, engine::Result why);
  // Puts `item` in place of `old`, or of nothing. False: there is no room; nothing has changed.
  bool Replace(Partition& p, Op& op, std::unique_ptr<Item> item, Item* old);

  const engine::EngineOptions options_;
  std::vector<std::unique_ptr<Partition>> partitions_;
  std::atomic<uint64_t> memory_limit_bytes_;  // relaxed: for statistics
};

}  // namespace torc::map

#endif  // TORC_SRC_MAP_MAP_ENGINE_H_
