#include "src/slab/ref_queue.h"

#include <sys/mman.h>

namespace torc::slab {

RefQueue::Blocks::Blocks(uint32_t count) : count_(count) {
  void* const mapped = mmap(nullptr, (size_t{count} + 1) * sizeof(Block), PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  CHECK(mapped != MAP_FAILED);
  blocks_ = static_cast<Block*>(mapped);
}

RefQueue::Blocks::~Blocks() { munmap(blocks_, (size_t{count_} + 1) * sizeof(Block)); }

uint32_t RefQueue::Blocks::Take() {
  ++used_;
  uint32_t block = free_;
  if (block != 0) {
    free_ = blocks_[block].next;
  } else {
    CHECK_LT(cut_, count_);
    block = ++cut_;
  }
  blocks_[block].next = 0;
  return block;
}

void RefQueue::Blocks::Give(uint32_t block) {
  --used_;
  blocks_[block].next = free_;
  free_ = block;
}

}  // namespace torc::slab
