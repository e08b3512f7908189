#include "src/server/output.h"

#include <algorithm>
#include <cstring>

#include "src/server/task.h"

namespace torc::server {

OutNode* Output::AppendNode(Buffers& buffers, OutNode::Kind kind) {
  OutNode* const node = buffers.NewNode();
  if (node == nullptr) [[unlikely]]
    return nullptr;
  node->kind = kind;
  ++nodes_;
  if (tail_ != nullptr) {
    tail_->next = node;
  } else {
    head_ = node;
  }
  tail_ = node;
  return node;
}

bool Output::EnsureFill(Buffers& buffers, uint32_t size) {
  CHECK_LE(size, sizeof(Block::bytes));
  if (fill_ != nullptr && fill_->room() >= size) [[likely]]
    return true;
  Block* const block = buffers.NewBlock();
  if (block == nullptr) [[unlikely]]
    return false;
  if (fill_ != nullptr) ReleaseBlock(buffers, fill_);
  fill_ = block;
  ++blocks_;
  return true;
}

char* Output::ReserveAnew(Buffers& buffers, uint32_t size) {
  if (!EnsureFill(buffers, size)) [[unlikely]]
    return nullptr;
  char* const room = fill_->bytes + fill_->used;
  OutNode* const node = AppendNode(buffers, OutNode::Kind::kBlock);
  if (node == nullptr) [[unlikely]]
    return nullptr;
  node->block = fill_;
  node->data = room;
  Buffers::Reference(fill_);
  return room;
}

bool Output::AppendLong(Buffers& buffers, std::string_view bytes) {
  while (!bytes.empty()) {
    const uint32_t room = fill_ == nullptr ? 0 : fill_->room();
    const size_t size = std::min<size_t>(bytes.size(), room != 0 ? room : sizeof(Block::bytes));
    char* const to = Reserve(buffers, static_cast<uint32_t>(size));
    if (to == nullptr) [[unlikely]]
      return false;
    std::memcpy(to, bytes.data(), size);
    Commit(static_cast<uint32_t>(size));
    bytes.remove_prefix(size);
  }
  return true;
}

bool Output::AppendConstant(Buffers& buffers, std::string_view bytes) {
  OutNode* const node = AppendNode(buffers, OutNode::Kind::kConstant);
  if (node == nullptr) [[unlikely]]
    return false;
  node->data = bytes.data();
  node->size = static_cast<uint32_t>(bytes.size());
  bytes_ += node->size;
  return true;
}

bool Output::AppendPinned(Buffers& buffers, const void* item, ShardId owner, uint32_t size) {
  OutNode* const node = AppendNode(buffers, OutNode::Kind::kPinned);
  if (node == nullptr) [[unlikely]]
    return false;
  node->item = item;
  node->owner = owner;
  node->size = size;
  bytes_ += size;
  return true;
}

bool Output::AppendBlock(Buffers& buffers, Block* block) {
  OutNode* const node = AppendNode(buffers, OutNode::Kind::kBlock);
  if (node == nullptr) [[unlikely]] {
    buffers.Release(block);
    return false;
  }
  node->block = block;
  node->data = block->bytes;
  node->size = block->used;
  bytes_ += block->used;
  ++blocks_;
  return true;
}

OutNode* Output::AppendPending(Buffers& buffers, Task* task) {
  OutNode* const node = AppendNode(buffers, OutNode::Kind::kPending);
  if (node == nullptr) [[unlikely]]
    return nullptr;
  node->task = task;
  ++gaps_;
  return node;
}

void Output::FillConstant(OutNode* gap, std::string_view bytes) {
  CHECK(gap->kind == OutNode::Kind::kPending);
  gap->kind = OutNode::Kind::kConstant;
  gap->task = nullptr;
  --gaps_;
  gap->data = bytes.data();
  gap->size = static_cast<uint32_t>(bytes.size());
  bytes_ += bytes.size();
}

bool Output::FillCopy(Buffers& buffers, OutNode* gap, std::string_view bytes) {
  const uint32_t size = static_cast<uint32_t>(bytes.size());
  if (!EnsureFill(buffers, size)) [[unlikely]] {
    FillConstant(gap, {});
    return false;
  }
  // From the block that replies behind the gap are appended to: its bytes need not be in order, its
  // nodes are.
  char* const to = fill_->bytes + fill_->used;
  std::memcpy(to, bytes.data(), size);
  fill_->used += size;
  Buffers::Reference(fill_);
  FillConstant(gap, {to, size});
  gap->kind = OutNode::Kind::kBlock;
  gap->block = fill_;
  return true;
}

void Output::FillFrom(Buffers& buffers, OutNode* gap, Output& reply) {
  FillConstant(gap, {});  // stays, empty; the reply's nodes go behind it
  if (reply.head_ != nullptr) {
    reply.tail_->next = gap->next;
    gap->next = reply.head_;
    if (tail_ == gap) tail_ = reply.tail_;
  }
  bytes_ += reply.bytes_;
  nodes_ += reply.nodes_;
  if (reply.fill_ != nullptr) reply.ReleaseBlock(buffers, reply.fill_);
  blocks_ += reply.blocks_;
  reply = Output();
}

void Output::Join(Buffers& buffers) {
  if (half_sent()) return;
  uint32_t count = 0;
  uint32_t size = 0;
  OutNode* end = head_;
  for (; end != nullptr &&
         (end->kind == OutNode::Kind::kBlock || end->kind == OutNode::Kind::kConstant) &&
         size + end->size <= kJoinBytesMax;
       end = end->next) {
    size += end->size;
    ++count;
  }
  if (count < kJoinNodesMin || size == 0 || !EnsureFill(buffers, size)) return;
  char* const joined = fill_->bytes + fill_->used;
  char* to = joined;
  OutNode* const first = head_;
  for (OutNode* node = first; node != end;) {
    CopyShort(to, node->data, node->size);
    to += node->size;
    if (node->kind == OutNode::Kind::kBlock) ReleaseBlock(buffers, node->block);
    OutNode* const next = node->next;
    if (node != first) {
      if (tail_ == node) tail_ = first;
      buffers.DeleteNode(node);
      --nodes_;
    }
    node = next;
  }
  fill_->used += size;
  Buffers::Reference(fill_);
  first->kind = OutNode::Kind::kBlock;
  first->block = fill_;
  first->data = joined;
  first->size = size;
  first->next = end;
}

size_t Output::Gather(const engine::Engine& engine, std::span<iovec> pieces, uint64_t bytes_max,
                      uint64_t* bytes, bool* more) const {
  size_t count = 0;
  uint32_t from = head_sent_;
  *bytes = 0;
  *more = false;
  const auto add = [&](const char* data, size_t size) {
    size = std::min(size, bytes_max - *bytes);
    pieces[count++] = {const_cast<char*>(data), size};
    *bytes += size;
    return static_cast<uint32_t>(size);
  };
  const auto full = [&] { return count == pieces.size() || *bytes == bytes_max; };
  for (const OutNode* node = head_; node != nullptr; node = node->next, from = 0) {
    if (node->kind == OutNode::Kind::kPending) break;
    if (node->kind == OutNode::Kind::kPinned) {
      while (from < node->size && !full()) {
        const std::span<const char> piece = engine.Piece(node->item, from);
        from += add(piece.data(), piece.size());
      }
    } else if (from < node->size && !full()) {
      from += add(node->data + from, node->size - from);
    }
    if (from < node->size) {
      *more = true;
      break;
    }
  }
  return count;
}

void Output::Drop(Buffers& buffers, PinHolder& pins, OutNode* node) {
  switch (node->kind) {
    case OutNode::Kind::kBlock:
      ReleaseBlock(buffers, node->block);
      break;
    case OutNode::Kind::kPinned:
      pins.ReleasePin(node->owner, node->item);
      break;
    case OutNode::Kind::kPending:
      node->task->gap = nullptr;
      --gaps_;
      break;
    case OutNode::Kind::kConstant:
      break;
  }
  buffers.DeleteNode(node);
  --nodes_;
}

void Output::Consume(Buffers& buffers, PinHolder& pins, uint64_t bytes) {
  CHECK_LE(bytes, bytes_);
  bytes_ -= bytes;
  while (head_ != nullptr && head_->kind != OutNode::Kind::kPending &&
         head_->size - head_sent_ <= bytes) {
    OutNode* const node = head_;
    bytes -= node->size - head_sent_;
    head_sent_ = 0;
    head_ = node->next;
    if (head_ == nullptr) tail_ = nullptr;
    Drop(buffers, pins, node);
  }
  head_sent_ += static_cast<uint32_t>(bytes);
  if (head_ == nullptr && fill_ != nullptr) {
    ReleaseBlock(buffers, fill_);
    fill_ = nullptr;
  }
}

void Output::Clear(Buffers& buffers, PinHolder& pins) {
  while (head_ != nullptr) {
    OutNode* const node = head_;
    head_ = node->next;
    Drop(buffers, pins, node);
  }
  tail_ = nullptr;
  bytes_ = 0;
  head_sent_ = 0;
  if (fill_ != nullptr) {
    ReleaseBlock(buffers, fill_);
    fill_ = nullptr;
  }
}

}  // namespace torc::server
