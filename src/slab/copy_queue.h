// Operations that wait for a copy of a large value. An append, a prepend, or a delete that only
// marks makes a new item of the old value; where that is much, it is copied over several turns, and
// what is asked of the same key meanwhile waits behind it, so that operations on one key take
// effect in order.
//
//   lanes, one a key        [key a] --> [key b] --> [key c]            in order of their coming
//   waiting, first to last   append      prepend     append
//                            get                     delete
//                            append
//
// The first operation of the first lane copies: only it has a second item, so that what waits takes
// little memory. Once it is done, what waits behind it is executed up to the next that has to copy;
// then the lane goes to the end, and the next one has its turn.
//
// It keeps the operations and the bounds of the copying; what is copied and published, SlabEngine
// knows (late.cc). Bytes to be stored wait in reserved items, as those of uploads.
//
// Owner: Partition. Affinity: shard. Lifetime: the partition's; what waits then is never answered.
// Invariant: a lane has operations, all on its key, and is found by it; no other has its key.
#ifndef TORC_SRC_SLAB_COPY_QUEUE_H_
#define TORC_SRC_SLAB_COPY_QUEUE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "src/base/intrusive_list.h"
#include "src/base/pool.h"
#include "src/engine/engine.h"
#include "src/slab/item.h"

namespace torc::slab {

// Bytes of values that one turn copies for operations that wait, and as many again for those that
// are answered at once: a larger value, or one for which nothing is left, waits. 256 KiB are 0.05
// to 0.1 ms of copying, what a turn spends on uploads too (server/limits.h).
inline constexpr uint64_t kCopySliceBytes = uint64_t{256} << 10;
// Values up to this part of it are copied without being counted: any store may be as large.
inline constexpr uint64_t kUncountedParts = 16;
// Operations that wait in one partition, at most: 8 MiB. The server reads no more at half of it.
inline constexpr size_t kLateMax = 16 << 10;

class CopyQueue {
 public:
  struct Waiting : engine::Pending {
    Waiting* next = nullptr;  // on the same key; or answered before
    // There was no memory to keep its value in, and why: it fails when its turn comes.
    bool refused = false;
    engine::Shortage shortage = engine::Shortage::kNone;
    char key[engine::kKeySizeMax];
  };
  // What the first operation of the first lane has copied. The source is known by its CAS count: an
  // item that has another one by now is another item. Pinned, so that nobody evicts it meanwhile,
  // unless there are too many pins: then it may go, and the operation finds it gone.
  struct Copy {
    Item* item = nullptr;  // reserved; null: none yet
    Item* pinned = nullptr;
    uint64_t source_cas_count = 0;
    uint64_t bytes_done = 0;
  };

  explicit CopyQueue(uint64_t slice_bytes)
      : slice_bytes_(slice_bytes), waiting_(kLateMax), lanes_(kLateMax) {}
  CopyQueue(const CopyQueue&) = delete;
  CopyQueue& operator=(const CopyQueue&) = delete;

  Copy copy;

  bool empty() const { return order_.empty(); }

  void BeginTurn() { at_once_left_ = slice_left_ = slice_bytes_; }
  // What was answered is over.
  void EndTurn() {
    if (answered_ != nullptr) [[unlikely]]
      FreeAnswered();
  }

  // Takes so many bytes of what the turn may copy for operations that are answered at once. False:
  // there are not as many left.
  [[nodiscard]] bool TakeAtOnce(uint64_t bytes);
  // Likewise for those that wait: as many as there are left.
  uint64_t TakeSlice(uint64_t bytes);

  // Whether operations wait on the key of `op`.
  bool HasLane(const engine::Op& op) const { return Find(op.hash, op.key_view()) != nullptr; }
  // Puts an operation last in its key's lane, or into a new one; with copies of its key and its
  // Extended. Null: too many wait.
  [[nodiscard]] Waiting* Add(const engine::Op& op);
  // The operation to be executed next; null: none.
  Waiting* first() { return empty() ? nullptr : order_.Front()->first; }
  // It is answered: stays valid until EndTurn.
  void TakeFirst();
  // The first lane goes to the end, if a copy of its was finished since it came first.
  bool Rotate();

  // Set while the first operation is executed.
  void set_executing(bool executing) { executing_ = executing; }
  // Whether `op` is the first operation, being executed.
  bool executes(const engine::Op& op) { return executing_ && &op == &first()->op; }
  // A copy was finished: the lane begins no other one before it has been last.
  void NoteCopied() { has_copied_ = true; }
  bool may_begin() const { return !has_copied_; }

  // Calls visit(item) for each reserved item that operations wait with.
  template <typename Visit>
  void ForEachReserved(Visit visit) const {
    if (copy.item != nullptr) visit(copy.item);
    ForEachWaiting([&](const Waiting& waiting) {
      if (waiting.op.item != nullptr) visit(static_cast<const Item*>(waiting.op.item));
    });
  }
  void CheckInvariants() const;

 private:
  struct Order;
  struct Lane : ListLink<Order> {
    Waiting* first = nullptr;
    Waiting* last = nullptr;
    Lane* next = nullptr;  // in the bucket

    uint64_t hash() const { return first->op.hash; }
  };
  // Lanes are as many as keys with large values that are appended to at once: a chain of some, at
  // worst, if all that may wait are on keys of their own.
  static constexpr size_t kBuckets = 256;

  template <typename Visit>
  void ForEachWaiting(Visit visit) const {
    for (const Lane* lane : buckets_) {
      for (; lane != nullptr; lane = lane->next) {
        for (const Waiting* w = lane->first; w != nullptr; w = w->next) visit(*w);
      }
    }
  }
  Lane* Find(uint64_t hash, std::string_view key) const;
  void FreeAnswered();

  const uint64_t slice_bytes_;
  uint64_t at_once_left_ = 0;
  uint64_t slice_left_ = 0;
  bool executing_ = false;
  bool has_copied_ = false;
  IntrusiveList<Lane, Order> order_;
  std::array<Lane*, kBuckets> buckets_{};
  Waiting* answered_ = nullptr;
  Pool<Waiting> waiting_;
  Pool<Lane> lanes_;
};

}  // namespace torc::slab

#endif  // TORC_SRC_SLAB_COPY_QUEUE_H_
