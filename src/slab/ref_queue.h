// A queue of references, and the memory of all queues of a partition.
//
//   queue     first [ next | ref ref ref ... ] -> [ next | ref ... ] -> [ next | ref ...  ] last
//                          ^ head                                                  ^ tail
//
// Blocks of 63 references come from one array and go back to it, so that a queue grows and shrinks
// with its class while the sum stays bounded. Memory that was never used is never touched.
//
// Owner: Eviction. Affinity: shard. Lifetime: the partition's. Invariant: each block is in one
// queue or free.
#ifndef TORC_SRC_SLAB_REF_QUEUE_H_
#define TORC_SRC_SLAB_REF_QUEUE_H_

#include <cstddef>
#include <cstdint>

#include "src/base/assert.h"
#include "src/slab/item.h"

namespace torc::slab {

class RefQueue {
 public:
  static constexpr uint32_t kBlockRefs = 63;

  class Blocks {
   public:
    // At most `count` blocks. Dies if address space is short: at start only.
    explicit Blocks(uint32_t count);
    ~Blocks();
    Blocks(const Blocks&) = delete;
    Blocks& operator=(const Blocks&) = delete;
    // Bytes ever touched.
    size_t bytes() const { return size_t{cut_} * sizeof(Block); }
    uint32_t used() const { return used_; }
    bool has_free() const { return used_ < count_; }

   private:
    friend class RefQueue;
    struct Block {
      uint32_t next;
      Ref refs[kBlockRefs];
    };
    static_assert(sizeof(Block) == 256);
    uint32_t Take();
    void Give(uint32_t block);

    Block* blocks_;  // [0] is not used
    const uint32_t count_;
    uint32_t cut_ = 0;  // blocks ever taken
    uint32_t used_ = 0;
    uint32_t free_ = 0;
  };

  // A place in a queue, between its head and its tail.
  struct Cursor {
    uint32_t block = 0;
    uint32_t index = 0;
  };

  uint32_t size() const { return size_; }
  Cursor head() const { return head_; }
  Cursor tail() const { return tail_; }  // where the next one will stand, after `Push`
  void Push(Blocks& blocks, Ref ref) {
    if (tail_.block == 0) {
      head_ = tail_ = {blocks.Take(), 0};
    } else if (tail_.index == kBlockRefs) {
      const uint32_t block = blocks.Take();
      blocks.blocks_[tail_.block].next = block;
      tail_ = {block, 0};
    }
    blocks.blocks_[tail_.block].refs[tail_.index++] = ref;
    ++size_;
  }
  // The oldest; requires size() > 0.
  Ref Pop(Blocks& blocks) {
    CHECK(size_ > 0);
    const Ref ref = Next(blocks, &head_);
    if (--size_ == 0) {
      blocks.Give(head_.block);
      head_ = tail_ = {};
    }
    return ref;
  }
  // The one at a cursor that is not at the end; moves the cursor on. A cursor that stands at a
  // block's end goes on into the next one.
  static Ref Peek(const Blocks& blocks, Cursor* at) {
    if (at->index == kBlockRefs) *at = {blocks.blocks_[at->block].next, 0};
    return blocks.blocks_[at->block].refs[at->index++];
  }

 private:
  static Ref Next(Blocks& blocks, Cursor* at) {
    if (at->index == kBlockRefs) {
      const uint32_t block = at->block;
      *at = {blocks.blocks_[block].next, 0};
      blocks.Give(block);
    }
    return blocks.blocks_[at->block].refs[at->index++];
  }

  Cursor head_, tail_;
  uint32_t size_ = 0;
};

}  // namespace torc::slab

#endif  // TORC_SRC_SLAB_REF_QUEUE_H_
