#include "src/shard/epochs.h"

namespace torc::shard {

Epochs::Epochs(uint32_t shards) : slots_(shards) {
  for (Slot& slot : slots_) slot.mark.assign(shards, 0);
}

void Epochs::Enter(ShardId self) {
  std::atomic<uint64_t>& state = slots_[self].state;
  state.store((state.load(std::memory_order_relaxed) & ~kAsleep) + 2, std::memory_order_release);
  if (slots_.size() > 1) std::atomic_thread_fence(std::memory_order_seq_cst);
}

void Epochs::Sleep(ShardId self) {
  std::atomic<uint64_t>& state = slots_[self].state;
  state.store(state.load(std::memory_order_relaxed) | kAsleep, std::memory_order_release);
  if (slots_.size() > 1) std::atomic_thread_fence(std::memory_order_seq_cst);
}

void Epochs::Mark(ShardId self) {
  std::atomic_thread_fence(std::memory_order_seq_cst);
  for (size_t i = 0; i < slots_.size(); ++i) {
    slots_[self].mark[i] = slots_[i].state.load(std::memory_order_acquire);
  }
}

bool Epochs::Elapsed(ShardId self) {
  const std::vector<uint64_t>& mark = slots_[self].mark;
  for (size_t i = 0; i < slots_.size(); ++i) {
    if (i == self) continue;
    const uint64_t state = slots_[i].state.load(std::memory_order_acquire);
    if (state == mark[i] && (state & kAsleep) == 0) return false;
  }
  return true;
}

}  // namespace torc::shard
