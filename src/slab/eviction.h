// Who goes when memory is short. Each size class has two populations:
//
//            new key                                   known to the ghost
//               |                                              |
//               v                                              v
//     probation |[young] -----> [ripe] ----- read -----> main: CLOCK over the class's chunks
//       (a queue)  reads forgotten   |                   hand ->  chunk chunk chunk ...
//                                    | not read                     | not read for as many laps
//                                    v                              v as it was read before
//                                  evicted: its key's fingerprint goes to the ghost
//
// A new item is on probation, in a queue of references of a share of the class's items. Who was
// read there joins the main population; who was not is evicted, after that share of the time that
// others get: so a scan, or keys that are asked for once, pass by without touching what is hot. A
// key that was evicted and comes back soon enough for the ghost to know it was judged too early,
// and joins the main population at once.
//
// How large the share should be differs between loads, by more than anything else: loops want
// hardly any probation, databases a third of the memory. So it follows what the ghost sees, between
// a twentieth and a third for the whole partition: a key that comes back after an eviction from
// probation says that probation was too short, one from main that main was too small. The first
// moves the share up by an item, the second down by two: what main has evicted had been worth
// keeping before. It begins on probation again, for it has had its time.
//
// Reads in an item's first moments say little of its future (a client that stores what it has just
// missed often reads it again at once): when an item ceases to be young, what was read is
// forgotten. On database traces this is worth more than anything else here.
//
// Main is a CLOCK without any list: the hand sweeps the chunks in order, passing over those on
// probation. An item that was read since loses one from its access count (at most 3, see
// Item::NoteAccess) and stays; the first one with count 0 goes, and an expired or flushed one at
// once. A read therefore writes one byte at most and touches no list; items carry no links.
//
// How much memory each class gets is the partition's to balance: see partition.h.
//
// References in a queue may be stale: the item was deleted, or its page has another class now. They
// are recognised when met: a chunk of this class that is live and on probation, or nothing. A chunk
// that was taken anew meanwhile may be judged by its predecessor's reference, a little early.
//
// Memory: queues take up to 1/256 of what the items take, twice that while evictions lag behind,
// and the ghost 1/256. With items below 200 bytes these bounds make probation shorter than its
// share may be, and the ghost's memory of keys too.
//
// Owner: Partition. Affinity: shard. Lifetime: the partition's. Invariant: a live item on probation
// is in its class's queue; all queues together have no more references than two for each 1,024
// bytes of memory.
#ifndef TORC_SRC_SLAB_EVICTION_H_
#define TORC_SRC_SLAB_EVICTION_H_

#include <cstddef>
#include <cstdint>
#include <utility>

#include "src/slab/arena.h"
#include "src/slab/ghost.h"
#include "src/slab/item.h"
#include "src/slab/ref_queue.h"
#include "src/slab/zeroed_array.h"

namespace torc::slab {

class Eviction {
 public:
  // For the items of `arena`, which outlives it.
  explicit Eviction(Arena& arena);

  // The item has become live, for a key that was absent. True: it is in the main population at
  // once. `resident`: items in the partition.
  bool Admit(Item* item, uint64_t hash, uint64_t resident);
  // Calls into the cache what Admit looks at.
  void Prefetch(uint64_t hash) const { ghost_.Prefetch(hash); }
  // Whether an item that replaces this live one should be left in the main population; if not, it
  // is to be admitted anew.
  static bool Proven(const Item& item) { return !item.on_probation() || item.access_count() != 0; }
  void AdmitAnew(Item* item) { Enqueue(item); }
  // The item is evicted, not dead: remembers its key. `resident` as above.
  void NoteEvicted(const Item& item, uint64_t hash, uint64_t resident);

  // Moves on to the next item of a class that should go, and returns it: the caller unlinks it
  // before anything else happens to the class. Null if none can go, or none was met in a bounded
  // number of chunks: the next call goes on from there. Pinned items stay. Looks at a bounded
  // number of live items: if all were read lately, the least read of them goes.
  // `seek_dead`: looks for expired and flushed items first, in a few chunks more.
  Item* NextVictim(uint32_t size_class, const Deadline& deadline, bool seek_dead);

  // Items of a class that were found worth keeping since the last call.
  uint32_t TakeJoined(uint32_t size_class) { return std::exchange(classes_[size_class].joined, 0); }

  // Of the items: how many probation should hold, but for the bounds on queues.
  double probation_share() const { return probation_share_; }

  // Bytes of queues and ghost, outside the memory limit.
  size_t overhead_bytes() const { return queue_blocks_.bytes() + ghost_.bytes(); }

  void CheckInvariants() const;

 private:
  struct PerClass {
    RefQueue queue;          // on probation, oldest first
    RefQueue::Cursor young;  // the oldest young one
    uint32_t young_count = 0;
    uint32_t joined = 0;  // main, from probation, since TakeJoined
    // Where to look for dead items: a second hand, that passes over the living without a trace.
    PageId scout_page = 0;
    uint32_t scout_chunk = 0;
    bool scout_found = false;  // the last time
  };

  // Moves the share of probation by so many items of `resident`.
  void MoveShare(double items, uint64_t resident);
  // How many references a class's probation should hold. 0: the class has no pages.
  uint32_t QuotaOf(uint32_t size_class) const;
  // The item on probation that `ref` stands for; null: the reference is stale.
  Item* OnProbation(Ref ref, uint32_t size_class) const;
  void Enqueue(Item* item);
  // As many references as the class's queue may hold now. It may hold more after a loss of pages.
  uint32_t LimitOf(uint32_t size_class) const;
  // Makes a queue no longer than this: the oldest join the main population unjudged.
  void Shorten(uint32_t size_class, uint32_t limit);
  // Takes the oldest reference, and returns its item, still marked as on probation; null if it is
  // stale.
  Item* Dequeue(uint32_t size_class);
  void Ripen(uint32_t size_class);
  Item* NextOnProbation(uint32_t size_class, const Deadline& deadline);
  Item* NextDead(uint32_t size_class, const Deadline& deadline);
  Item* NextInMain(uint32_t size_class, const Deadline& deadline);
  // Requires it to be off the queue.
  static void JoinMain(Item* item);

  Arena& arena_;
  RefQueue::Blocks queue_blocks_;
  ZeroedArray<PerClass> classes_;
  Ghost ghost_;
  double probation_share_;
};

}  // namespace torc::slab

#endif  // TORC_SRC_SLAB_EVICTION_H_
