// A batch: the operations of one turn for the engine, and beside them what to do with each result,
// in order.
//
//   operations   [get a][get b][set c]                                    64 bytes each, handed to
//   the engine as one span entries      [op 0][op 1, END][text "ERROR"][op 2][release segment]   32
//   bytes each extras       [        ][meta, extended]...     one for each operation that has more
//   to it
//
// Entries of a connection stand in the order of its requests, which makes its replies leave in that
// order.
//
// Owner: one worker. Affinity: shard. Lifetime: as the worker. Invariant: operations named by
// entries come in rising order, each once.
#ifndef TORC_SRC_SERVER_BATCH_H_
#define TORC_SRC_SERVER_BATCH_H_

#include <array>
#include <cstring>
#include <span>
#include <string_view>

#include "src/base/assert.h"
#include "src/engine/engine.h"
#include "src/server/connection.h"
#include "src/server/limits.h"

namespace torc::server {

struct Entry {
  enum class Kind : uint8_t {
    kOperation,  // operation `number`; `task`: its upload, or null
    kRequest,    // operation `number`, for shard `from`; `task` is to be answered
    kText,       // reply with `number` constant bytes at `text`
    kPacket,     // reply with a packet of `status` and `number` constant bytes at `text`
    kTask,  // send `task` to the owner of its key; the replies have a gap for its answer, even if
            // that is silent
    kReleaseSegment,  // nobody needs the bytes of `segment` any more
    kReleaseBlock,    // likewise `block`
  };
  Connection* connection = nullptr;
  union {
    Task* task = nullptr;
    const char* text;
    InSegment* segment;
    Block* block;
  };
  uint32_t number = 0;
  Kind kind = Kind::kOperation;
  uint8_t from = 0;
  proto::BinaryStatus status = proto::BinaryStatus::kOk;
  Asked asked;
};
static_assert(sizeof(Entry) == 32);
static_assert(kShardsMax <= 256, "Entry::from has 8 bits");

class Batch {
 public:
  bool empty() const { return entries_size_ == 0; }
  // Whether a command's worth of entries fits: an operation with its companions.
  bool full() const {
    return operations_size_ == engine::kBatchMax || entries_size_ + 4 > kBatchEntriesMax;
  }
  // Distinguishes this batch from those before and after it; never 0.
  uint64_t serial() const { return serial_; }

  std::span<engine::Op> operations() { return {operations_.data(), operations_size_}; }
  std::span<Entry> entries() { return {entries_.data(), entries_size_}; }
  engine::Op& operation(uint32_t number) { return operations_[number]; }
  uint32_t operations_size() const { return operations_size_; }

  // The place of the next operation's extra. An operation that needs one is made from it: what its
  // `extended` points to, and `meta`, is there when AddOperation takes it or a task copies it.
  Extra& next_extra() { return extras_[operations_size_]; }
  // Room for the next operation's key, where that does not stand in what was received.
  char* next_key() { return keys_[operations_size_].data(); }
  const MetaAsked* meta(const Entry& entry) const {
    return entry.task != nullptr ? &entry.task->extra.meta : &extras_[entry.number].meta;
  }

  // Adds an operation and its entry. Requires !full(). What it has of extra is in next_extra(), or
  // in `upload`.
  void AddOperation(Connection* connection, const engine::Op& op, const Asked& asked,
                    Task* upload = nullptr) {
    CHECK_LT(operations_size_, engine::kBatchMax);
    Entry& entry = AddEntry(connection, Entry::Kind::kOperation);
    entry.task = upload;
    entry.number = operations_size_;
    entry.asked = asked;
    operations_[operations_size_++] = op;
  }
  void AddRequest(Task* task, ShardId from) {
    CHECK_LT(operations_size_, engine::kBatchMax);
    Entry& entry = AddEntry(nullptr, Entry::Kind::kRequest);
    entry.task = task;
    entry.from = static_cast<uint8_t>(from);
    entry.number = operations_size_;
    operations_[operations_size_++] = task->op;
  }
  // `text` must live as long as the process.
  void AddText(Connection* connection, std::string_view text) {
    Entry& entry = AddEntry(connection, Entry::Kind::kText);
    entry.text = text.data();
    entry.number = static_cast<uint32_t>(text.size());
  }
  // `text` likewise.
  void AddPacket(Connection* connection, const Asked& asked, proto::BinaryStatus status,
                 std::string_view text) {
    Entry& entry = AddEntry(connection, Entry::Kind::kPacket);
    entry.text = text.data();
    entry.number = static_cast<uint32_t>(text.size());
    entry.asked = asked;
    entry.status = status;
  }
  void AddTask(Connection* connection, Task* task) {
    AddEntry(connection, Entry::Kind::kTask).task = task;
  }
  void AddRelease(Connection* connection, InSegment* segment) {
    AddEntry(connection, Entry::Kind::kReleaseSegment).segment = segment;
  }
  void AddRelease(Connection* connection, Block* block) {
    AddEntry(connection, Entry::Kind::kReleaseBlock).block = block;
  }

  // Removes the first `entries` entries and `operations` operations, which are done; the rest stays
  // as the beginning of the next batch.
  void RemoveDone(uint32_t entries, uint32_t operations) {
    entries_size_ -= entries;
    operations_size_ -= operations;
    if (entries_size_ != 0) {
      std::memmove(entries_.data(), &entries_[entries], entries_size_ * sizeof(Entry));
      for (uint32_t i = 0; i < operations_size_; ++i) MoveOperation(operations + i, i);
      for (Entry& entry : this->entries()) {
        if (entry.kind <= Entry::Kind::kRequest) entry.number -= operations;
      }
    }
    if (entries_size_ == 0) ++serial_;
  }

 private:
  void MoveOperation(uint32_t from, uint32_t to) {
    engine::Op& op = operations_[to];
    op = operations_[from];
    if (op.key == keys_[from].data()) {
      keys_[to] = keys_[from];
      op.key = keys_[to].data();
    }
    // What is not this operation's is moved in vain: it does not happen often.
    if (from != to) std::memcpy(static_cast<void*>(&extras_[to]), &extras_[from], sizeof(Extra));
    if (op.verb == engine::Verb::kExtended && op.extended == &extras_[from].extended) {
      op.extended = &extras_[to].extended;
    }
  }

  Entry& AddEntry(Connection* connection, Entry::Kind kind) {
    CHECK_LT(entries_size_, kBatchEntriesMax);
    if (connection != nullptr) connection->batch = serial_;
    Entry& entry = entries_[entries_size_++];
    entry = Entry{};
    entry.connection = connection;
    entry.kind = kind;
    return entry;
  }

  std::array<engine::Op, engine::kBatchMax> operations_;
  std::array<Entry, kBatchEntriesMax> entries_;
  std::array<Extra, engine::kBatchMax> extras_;
  std::array<std::array<char, engine::kKeySizeMax>, engine::kBatchMax> keys_;
  uint32_t operations_size_ = 0;
  uint32_t entries_size_ = 0;
  uint64_t serial_ = 1;
};

}  // namespace torc::server

#endif  // TORC_SRC_SERVER_BATCH_H_
