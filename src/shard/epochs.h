// Epochs: how the owner of memory knows that no other shard still reads it.
//
// Each shard publishes a state word of its own, once a turn; nobody else writes it.
//
//   bit 0: asleep (waits in the kernel, holds no references)        bits 1..63: turns entered
//
//   owner                                  reader
//     unlink the item from the index         Enter: state += 2        (all reads of the last turn
//     are over) Mark: fence, copy all states           fence
//     ...                                    read the index and items
//     Elapsed: each state has changed, or is asleep
//
// Why it is safe: if Mark read the state from before an Enter, then, by the two fences, the reads
// after that Enter see the unlinked index. If it read the state from after it, it waits for the
// next Enter, a release that follows all reads of the turn, and acquires it.
//
// Owner: main. Affinity: any; Enter and Sleep on the shard's own thread, Mark and Elapsed on the
// owner's. Lifetime: outlives all shards. Invariant: a state never goes back.
#ifndef TORC_SRC_SHARD_EPOCHS_H_
#define TORC_SRC_SHARD_EPOCHS_H_

#include <atomic>
#include <cstdint>
#include <vector>

#include "src/base/types.h"
#include "src/engine/engine.h"

namespace torc::shard {

class Epochs final : public engine::Quiescence {
 public:
  explicit Epochs(uint32_t shards);

  // Starts a turn of `self`: it holds no references from earlier turns, and is awake.
  void Enter(ShardId self);
  // `self` is about to wait in the kernel: it holds no references. A full fence: what was written
  // before is visible to whoever sees the flag, and loads after it see what was written before the
  // flag was missed (see Mailboxes).
  void Sleep(ShardId self);
  // Whether the shard has announced that it waits. Call after a full fence.
  bool Asleep(ShardId shard) const {
    return (slots_[shard].state.load(std::memory_order_acquire) & kAsleep) != 0;
  }

  void Mark(ShardId self) override;
  bool Elapsed(ShardId self) override;

 private:
  static constexpr uint64_t kAsleep = 1;

  // One line for each shard: written by it once a turn, read by the others now and then.
  struct alignas(kCacheLineBytes) Slot {
    std::atomic<uint64_t> state{kAsleep};
    std::vector<uint64_t>
        mark;  // the states at this shard's last Mark; only its own thread touches it
  };
  static_assert(sizeof(Slot) == kCacheLineBytes);

  std::vector<Slot> slots_;
};

}  // namespace torc::shard

#endif  // TORC_SRC_SHARD_EPOCHS_H_
