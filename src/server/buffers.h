// The memory of connections in motion: blocks of bytes, the links that chain them, and the pools
// they come from. An idle connection holds none of it.
//
//   Block      [refs | used | bytes ........]   replies are appended; several OutNodes may show
//   parts of one block OutNode    one stretch of a connection's output: part of a block, constant
//   bytes, a pinned value, or a gap that another
//              shard will fill
//   InSegment  received bytes: in a provided buffer of the ring, or in a block they were moved to
//
// Owner: one worker. Affinity: shard. Lifetime: as the worker. Invariant: a block's refs count the
// nodes, segments and pointers that show it.
#ifndef TORC_SRC_SERVER_BUFFERS_H_
#define TORC_SRC_SERVER_BUFFERS_H_

#include <cstdint>

#include "src/base/pool.h"
#include "src/ring/ring.h"
#include "src/server/limits.h"

namespace torc::server {

struct Task;

struct Block {
  // User-provided, so that making one does not clear its bytes: that cost a fifth of a pipelined
  // get.
  Block() {}  // NOLINT(modernize-use-equals-default)

  uint32_t refs = 1;
  uint32_t used = 0;
  char bytes[kBlockBytes - 8];  // not initialised

  uint32_t room() const { return static_cast<uint32_t>(sizeof(bytes)) - used; }
};
static_assert(sizeof(Block) == kBlockBytes);

struct OutNode {
  enum class Kind : uint8_t {
    kBlock,     // `data` lies in `block`
    kConstant,  // `data` lives as long as the process
    kPinned,    // `size` bytes of the value of `item`, pinned at shard `owner`
    kPending,   // the answer of `task` goes here
  };
  OutNode* next = nullptr;
  const char* data = nullptr;
  union {
    Block* block = nullptr;
    const void* item;
    Task* task;
  };
  uint32_t size = 0;
  ShardId owner = 0;
  Kind kind = Kind::kBlock;
};

struct InSegment {
  InSegment* next = nullptr;
  const char* data = nullptr;  // what is not parsed yet
  uint32_t size = 0;
  uint32_t refs = 1;  // the connection's queue, and whoever uses the bytes
  // Where the bytes lie: in one of these, or nowhere once there are none.
  Block* block = nullptr;
  ring::BufferId buffer = ring::kNoBuffer;

  // The first `bytes` are parsed.
  void Advance(size_t bytes) {
    CHECK_LE(bytes, size);
    data += bytes;
    size -= static_cast<uint32_t>(bytes);
  }
};

class Buffers {
 public:
  explicit Buffers(ring::Ring& ring)
      : ring_(ring), blocks_(kBlocksMax), nodes_(kOutNodesMax), segments_(kInSegmentsMax) {}

  // Whether a turn's worth of blocks and nodes is left.
  bool plenty() const {
    return blocks_.used() + kBlocksReserved <= kBlocksMax &&
           nodes_.used() + kNodesReserved <= kOutNodesMax &&
           segments_.used() + kNodesReserved <= kInSegmentsMax;
  }

  [[nodiscard]] Block* NewBlock() { return blocks_.New(); }
  static void Reference(Block* block) { ++block->refs; }
  void Release(Block* block) {
    if (--block->refs == 0) blocks_.Delete(block);
  }

  [[nodiscard]] OutNode* NewNode() { return nodes_.New(); }
  void DeleteNode(OutNode* node) { nodes_.Delete(node); }

  [[nodiscard]] InSegment* NewSegment() { return segments_.New(); }
  // Drops one reference; with the last one the bytes go back to where they came from.
  void Release(InSegment* segment) {
    if (--segment->refs != 0) return;
    if (segment->block != nullptr) {
      Release(segment->block);
    } else if (segment->buffer != ring::kNoBuffer) {
      BufferMoved(segment->buffer);
    }
    segments_.Delete(segment);
  }
  // A segment has taken over a provided buffer; its bytes have moved elsewhere, or are not needed.
  void BufferHeld() { ++buffers_held_; }
  void BufferMoved(ring::BufferId buffer) {
    ring_.ReturnBuffer(buffer);
    --buffers_held_;
  }
  uint32_t buffers_held() const { return buffers_held_; }

  // Bytes taken from the kernel, for statistics. Any thread.
  size_t size_bytes() const {
    return blocks_.size_bytes() + nodes_.size_bytes() + segments_.size_bytes();
  }
  size_t blocks_used() const { return blocks_.used(); }

 private:
  // What one batch can take at most: its entries' copied values.
  static constexpr uint32_t kBlocksReserved = kBatchEntriesMax + 64;
  static constexpr uint32_t kNodesReserved = 4 * kBatchEntriesMax;

  ring::Ring& ring_;
  Pool<Block> blocks_;
  Pool<OutNode> nodes_;
  Pool<InSegment> segments_;
  uint32_t buffers_held_ = 0;
};

}  // namespace torc::server

#endif  // TORC_SRC_SERVER_BUFFERS_H_
