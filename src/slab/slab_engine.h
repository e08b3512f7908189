// The default storage engine: all items in memory, in size classes.
//
//   SlabEngine          what a set, an append, an incr mean               slab_engine.cc
//                       what meta commands ask for besides                extended.cc
//                       what copies a large value, over several turns     late.cc
//                       statistics                                        statistics.cc
//     Partition * n     one per shard: room, the life of items
//       Index           hash -> item, read by all shards                  index.h
//       Arena           pages, chunks, free lists                         arena.h, size_classes.h
//       Limbo           unlinked, but perhaps still being read            limbo.h
//       Pins            unlinked or not, still being sent                 pins.h
//       NextVictim      who goes                                          eviction.h
//       ExpiryCrawler   who is dead already                               expiry.h
//       CopyQueue       what waits for a copy of a large value            copy_queue.h
//     Item, ValueSpace  the bytes                                         item.h, value.h
//
// Any shard reads any partition directly; only the owner writes it. The memory of all partitions is
// one mapping, at equal distances, so that an item's address tells its partition.
//
// Owner: main. Affinity, lifetime: as engine::Engine. Invariant: each partition's.
#ifndef TORC_SRC_SLAB_SLAB_ENGINE_H_
#define TORC_SRC_SLAB_SLAB_ENGINE_H_

#include <atomic>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/types.h"
#include "src/engine/engine.h"
#include "src/engine/plugin.h"
#include "src/slab/partition.h"
#include "src/slab/size_classes.h"
#include "src/slab/zeroed_array.h"

namespace torc::slab {

// How --engine=slab makes one.
extern const engine::Plugin kPlugin;

class SlabEngine final : public engine::Engine {
 public:
  // Makes an engine, or returns null where the address space for it cannot be had: `error` says so
  // and what to do.
  static std::unique_ptr<SlabEngine> Create(const engine::EngineOptions& options,
                                            std::string* error);
  // Reserves address space and the first index tables; touches the arena's memory only if told to
  // preallocate. Dies with a message if the address space cannot be had.
  // `copy_slice_bytes`: for tests, less than kCopySliceBytes.
  explicit SlabEngine(const engine::EngineOptions& options,
                      uint64_t copy_slice_bytes = kCopySliceBytes);
  ~SlabEngine() override;

  std::string_view name() const override { return "slab"; }
  bool reads_are_shared() const override { return true; }
  // memcached's limit, to the byte.
  uint64_t ValueSizeMax(size_t key_size, uint32_t client_flags) const override;

  void BeginTurn(ShardId self, RelativeSeconds now) override;
  void EndTurn(ShardId self) override;
  [[nodiscard]] size_t Execute(ShardId self, std::span<engine::Op> ops) override;
  size_t Collect(ShardId self, std::span<engine::Pending*> answered) override;

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
            engine::ItemVisitor& visitor) override {
    own(self).Walk(cursor, items_max, visitor);
  }
  void ListPins(ShardId self, engine::WalkCursor* cursor, uint32_t pins_max,
                engine::PinVisitor& visitor) override {
    own(self).ListPins(cursor, pins_max, visitor);
  }
  uint32_t size_classes() const override { return classes_->count_with_heads(); }
  uint64_t MemoryLimitMax() const override;
  void SetMemoryLimit(ShardId self, uint64_t bytes) override;
  MoveResult MovePage(ShardId self, uint32_t from) override { return own(self).MovePage(from); }
  void SetAutomove(ShardId self, bool on) override { own(self).SetAutomove(on); }
  void SetCrawler(ShardId self, bool on) override { own(self).SetCrawler(on); }
  void Crawl(ShardId self) override { own(self).Crawl(); }

  void CheckInvariants(ShardId self) const override;

 private:
  using Op = engine::Op;

  // What a shard counts of reads, its own and foreign, on lines that no other shard writes.
  struct alignas(kCacheLineBytes) Reader {
    explicit Reader(const SizeClasses& classes) : get_hits(classes.count_with_heads()) {}
    std::atomic<RelativeSeconds> now = kClockStart;  // written by its shard, read for statistics
    ZeroedArray<Counter> get_hits;                   // by class
  };

  // A live item found by its owner, or why there is none.
  struct Found {
    Item* item = nullptr;
    Index::Slot* slot = nullptr;
    engine::Miss miss = engine::Miss::kAbsent;
  };

  RelativeSeconds NowOf(ShardId shard) const {
    return readers_[shard]->now.load(std::memory_order_relaxed);
  }
  ShardId OwnerOf(uint64_t hash) const { return engine::OwnerOf(hash, options_.shards); }
  const Partition& PartitionOf(const void* item) const;
  Partition& own(ShardId self) { return *partitions_[self]; }

  // Prefetching, in two steps: the bucket, then the item.
  void PrefetchBuckets(std::span<const Op> ops) const;
  void PrefetchItems(std::span<const Op> ops, Index::Guess* guesses) const;

  // One operation. False: it waits for memory. `guess`: of an earlier look at the index, or empty.
  bool ExecuteOne(ShardId self, Op& op, const Index::Guess& guess);
  void Get(ShardId self, Op& op, const Index::Guess& guess);
  // The fields by which a hit shows its value.
  void FillView(const Partition& partition, const Item* item, Op& op);
  void FillHit(ShardId self, const Partition& partition, Item* item, Op& op);

  // Operations that wait for a copy (late.cc).

  // Puts an operation off: it will be answered by Collect. False: it waits for memory.
  bool PutOff(Partition& p, Op& op);
  // Executes one that was put off. False: it waits for memory, or goes on copying next turn.
  bool ExecuteLate(ShardId self, CopyQueue::Waiting& waiting);
  // Of such an operation: goes on with the item whose value is that of `before` and then that of
  // `after` (null: nothing), one of which is of `found`. The reserved item, once it is complete.
  // Null: `*room` says whether it waits, for memory or its next slice.
  Item* CopyOn(Partition& p, const Op& op, const Found& found, const Partition::NewItem& wanted,
               const Item* before, const Item* after, Room* room);

  // The owner's verbs.
  Found Find(Partition& p, const Op& op);
  // Gives an item an expiry. One without a field for it is copied into one that has it, which may
  // wait for memory.
  bool Touch(ShardId self, Op& op);
  // Likewise; the item that then has it. Null: `*room` says whether it waits, or was evicted
  // because there is no memory.
  Item* GiveExptime(Partition& p, const Op& op, const Found& found, Room* room);
  bool Store(Partition& p, Op& op);
  bool Concatenate(Partition& p, Op& op);
  // The rest of it, once there is an item to join with; likewise of kExtended.
  bool Join(Partition& p, Op& op, const Found& found);
  bool Count(Partition& p, Op& op);
  // Likewise.
  bool CountIn(Partition& p, Op& op, const Found& found);
  bool Delete(Partition& p, Op& op);
  // What a store asks for, by way of a reservation or not.
  static Partition::NewItem NewItemOf(const Op& op);
  // The item for a store's value: the reservation's, or a new one with key and value in it; of
  // kExtended with what that adds. Null: it waits for memory, or else has ended with kNoMemory.
  Item* ItemOf(Partition& p, Op& op, bool* waits);
  // Publishes `item`, made by ItemOf, in place of what was found. False: it waits for memory.
  bool PublishStore(Partition& p, Op& op, Item* item, const Found& found);
  // Ends an operation that stores nothing: its reservation is given back.
  void End(Partition& p, Op& op, engine::Result result,
           engine::Shortage shortage = engine::Shortage::kNone);
  // A store that cannot be: counts it and, for a set, removes the present item.
  void Refuse(Partition& p, const Op& op, engine::Result why);
  // Whether a store's value is too large for any item; it has ended then.
  bool RefuseTooLarge(Partition& p, Op& op);

  static engine::Marks MarksOf(const Item& item) {
    return {.stale = item.stale(),
            .token_sent = item.token_sent(),
            .key_is_binary = item.key_is_binary(),
            .fetched = item.fetched()};
  }
  // Of a dead item: what a lookup that met it says.
  static engine::Miss MissOf(const Item& item, const Deadline& deadline) {
    return item.cas_count() <= deadline.flush_cas ? engine::Miss::kFlushed : engine::Miss::kExpired;
  }

  // The verbs of kExtended (extended.cc).
  bool ExecuteExtended(ShardId self, Op& op, const Index::Guess& guess);
  bool GetExtended(ShardId self, Op& op, const Index::Guess& guess);
  static void Describe(RelativeSeconds now, const Partition& partition, const Item& item,
                       engine::Extended* e);
  bool StoreExtended(Partition& p, Op& op);
  bool ConcatenateExtended(Partition& p, Op& op);
  bool CountExtended(Partition& p, Op& op);
  bool DeleteExtended(Partition& p, Op& op);
  // Makes and publishes an item of a value that is not the client's. True: it is done, or
  // op.result is kNoMemory. False: it waits for memory.
  bool MakeAbsent(Partition& p, Op& op, std::string_view value, RelativeSeconds exptime,
                  Item** made);
  // False, and kExists: the item has another CAS unique than the one to compare with.
  bool CasMatches(Partition& p, Op& op, const Item* item);

  // Statistics of class `c` over all partitions.
  uint64_t Sum(Counter ClassCounters::* counter, uint32_t c) const;
  uint64_t SumGetHits(uint32_t c) const;
  // Calls visit(class, the id that memcached's tools are shown) for each class that any partition
  // ever had pages of: by size, chained items last.
  template <typename Visit>
  void ForEachClass(Visit visit) const;
  void ItemStatistics(engine::StatSink& sink) const;
  void SlabStatistics(engine::StatSink& sink) const;

  // The pages of a shard's share of a limit: the last shard has what the division leaves.
  uint32_t PagesOf(ShardId shard, uint64_t limit_bytes) const;

  engine::EngineOptions options_;
  std::atomic<uint64_t> memory_limit_bytes_;  // set by all owners, to the same
  char* memory_ = nullptr;
  size_t memory_bytes_ = 0;
  size_t stride_ = 0;  // from one partition's memory to the next
  std::unique_ptr<SizeClasses> classes_;
  std::vector<std::unique_ptr<Partition>> partitions_;
  std::vector<std::unique_ptr<Reader>> readers_;
};

}  // namespace torc::slab

#endif  // TORC_SRC_SLAB_SLAB_ENGINE_H_
