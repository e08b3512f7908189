// A connection's output: the replies that wait to be sent, in order of their requests.
//
//   head -> [block part] -> [pinned value] -> [block part] -> [gap: task] -> [block part] <- tail
//            ^ offset: sent so far             what stands before the first gap can be sent
//
// Bytes do not move while a send is under way, which may show them while more is appended behind.
//
// Owner: its connection. Affinity: shard. Lifetime: as the connection. Invariant: bytes() is the
// sum of the nodes' sizes, less what is sent of the first.
#ifndef TORC_SRC_SERVER_OUTPUT_H_
#define TORC_SRC_SERVER_OUTPUT_H_

#include <sys/uio.h>

#include <algorithm>
#include <span>
#include <string_view>

#include "src/base/short_bytes.h"
#include "src/engine/engine.h"
#include "src/server/buffers.h"

namespace torc::server {

// Told of pinned values that are no longer needed.
class PinHolder {
 public:
  virtual ~PinHolder() = default;
  virtual void ReleasePin(ShardId owner, const void* item) = 0;
};

class Output {
 public:
  bool empty() const { return head_ == nullptr; }
  uint64_t bytes() const { return bytes_; }
  // The memory that it takes, pinned values aside.
  uint64_t held_bytes() const {
    return uint64_t{blocks_} * sizeof(Block) + nodes_ * sizeof(OutNode);
  }
  // Whether it is so long that its connection's next commands must wait.
  bool full() const { return bytes_ >= kOutputBytesHigh || held_bytes() >= kOutputHeldHigh; }
  bool has_gap() const { return gaps_ != 0; }
  // Whether what stands before a gap should not wait for it any more.
  bool too_long_to_wait() const { return bytes_ > kHeldBytesMax || full(); }
  // Whether a part of the first reply has left.
  bool half_sent() const { return head_sent_ != 0; }
  // Whether something can be sent now.
  bool sendable() const { return head_ != nullptr && head_->kind != OutNode::Kind::kPending; }

  // Room for `size` contiguous bytes (at most a block's); Commit says how many were written. Null:
  // out of memory.
  [[nodiscard]] char* Reserve(Buffers& buffers, uint32_t size) {
    // Nearly always behind the reply before it.
    if (tail_ != nullptr && fill_ != nullptr && fill_->room() >= size) [[likely]] {
      char* const room = fill_->bytes + fill_->used;
      if (tail_->kind == OutNode::Kind::kBlock && tail_->data + tail_->size == room) return room;
    }
    return ReserveAnew(buffers, size);
  }
  void Commit(uint32_t size) {
    tail_->size += size;
    fill_->used += size;
    bytes_ += size;
  }

  // Each returns false where memory is refused; the connection can only be closed then.
  [[nodiscard]] bool Append(Buffers& buffers, std::string_view bytes) {
    // A line, as most replies are that have no value.
    if (bytes.size() > kShortBytesMax || fill_ == nullptr || fill_->room() < bytes.size()) {
      return AppendLong(buffers, bytes);
    }
    if (bytes.empty()) return true;
    char* const to = Reserve(buffers, static_cast<uint32_t>(bytes.size()));
    if (to == nullptr) [[unlikely]]
      return false;
    CopyShort(to, bytes.data(), bytes.size());
    Commit(static_cast<uint32_t>(bytes.size()));
    return true;
  }
  [[nodiscard]] bool AppendConstant(Buffers& buffers, std::string_view bytes);
  [[nodiscard]] bool AppendPinned(Buffers& buffers, const void* item, ShardId owner, uint32_t size);
  // Takes over one reference to `block`, whose used bytes are appended without a copy.
  [[nodiscard]] bool AppendBlock(Buffers& buffers, Block* block);
  // A gap, to be filled by Resolve. Null: out of memory.
  [[nodiscard]] OutNode* AppendPending(Buffers& buffers, Task* task);

  // Fill a gap. The first copies, and returns false where memory is refused (the gap is filled with
  // nothing then); the second takes constant bytes, perhaps none; the third moves the nodes of
  // another output.
  [[nodiscard]] bool FillCopy(Buffers& buffers, OutNode* gap, std::string_view bytes);
  void FillConstant(OutNode* gap, std::string_view bytes);
  void FillFrom(Buffers& buffers, OutNode* gap, Output& reply);

  // Makes one node of many small ones at the front, such as the answers of other shards leave. Not
  // while a send shows them. Without memory they stay as they are.
  void Join(Buffers& buffers);
  // Whether that may do something.
  bool joinable() const { return nodes_ >= kJoinNodesMin; }

  // Gathers what can be sent, at most pieces.size() pieces and `bytes_max` bytes. Returns how many
  // pieces. `*bytes` is their sum, `*more` whether bytes that can be sent are left.
  size_t Gather(const engine::Engine& engine, std::span<iovec> pieces, uint64_t bytes_max,
                uint64_t* bytes, bool* more) const;

  // Shows what can be sent, piece by piece, for as long as `visit(std::string_view)` returns true.
  template <typename Visit>
  void Show(const engine::Engine& engine, Visit visit) const {
    uint32_t from = head_sent_;
    for (const OutNode* node = head_; node != nullptr; node = node->next, from = 0) {
      if (node->kind == OutNode::Kind::kPending) return;
      while (from < node->size) {
        std::string_view piece;
        if (node->kind == OutNode::Kind::kPinned) {
          const std::span<const char> bytes = engine.Piece(node->item, from);
          piece = {bytes.data(), std::min<size_t>(bytes.size(), node->size - from)};
        } else {
          piece = {node->data + from, node->size - from};
        }
        if (!visit(piece)) return;
        from += static_cast<uint32_t>(piece.size());
      }
    }
  }

  // Removes what was sent.
  void Consume(Buffers& buffers, PinHolder& pins, uint64_t bytes);
  // Removes everything; tasks that were to fill a gap have none any more.
  void Clear(Buffers& buffers, PinHolder& pins);

 private:
  // Over as many blocks as it takes.
  [[nodiscard]] bool AppendLong(Buffers& buffers, std::string_view bytes);
  // In a node, or a block, of its own.
  [[nodiscard]] char* ReserveAnew(Buffers& buffers, uint32_t size);
  [[nodiscard]] OutNode* AppendNode(Buffers& buffers, OutNode::Kind kind);
  void Drop(Buffers& buffers, PinHolder& pins, OutNode* node);
  // Makes `fill_` a block with room for `size` bytes.
  [[nodiscard]] bool EnsureFill(Buffers& buffers, uint32_t size);
  void ReleaseBlock(Buffers& buffers, Block* block) {
    if (block->refs == 1) --blocks_;
    buffers.Release(block);
  }

  OutNode* head_ = nullptr;
  OutNode* tail_ = nullptr;
  Block* fill_ = nullptr;  // where replies are appended; holds a reference of its own
  uint64_t bytes_ = 0;
  uint32_t head_sent_ = 0;  // bytes of the first node that are sent
  uint32_t nodes_ = 0;
  uint32_t gaps_ = 0;    // of them, those still to be filled
  uint32_t blocks_ = 0;  // that only this output holds
};

}  // namespace torc::server

#endif  // TORC_SRC_SERVER_OUTPUT_H_
