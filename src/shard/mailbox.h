// Mailboxes: how shards talk. For each ordered pair of shards two rings of fixed size, one for
// requests, one for the answers to requests that went the other way. Each has one producer and one
// consumer.
//
//   shard 0 --- requests -->  shard 1        a request is a Message; its answer is the same Message
//   sent back shard 0 <-- answers  ---  shard 1
//
// A sender keeps at most AnswersMax requests that want an answer under way to one shard, so
// neither ring can overflow by them; the rest of the ring is for requests without an answer. No
// room is a result that the sender handles; nothing is queued behind its back.
//
// Owner: main. Affinity: any; a ring's two ends each belong to one shard. Lifetime: outlives all
// shards. Invariant: head <= tail <= head + capacity.
#ifndef TORC_SRC_SHARD_MAILBOX_H_
#define TORC_SRC_SHARD_MAILBOX_H_

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdint>
#include <memory>
#include <vector>

#include "src/base/assert.h"
#include "src/base/types.h"

namespace torc::shard {

// What travels: the meaning belongs to the service that runs on the shards. The payload's bytes
// were written before it was sent and belong to the receiver until it answers.
struct Message {
  uint32_t kind;
  uint32_t argument;
  void* payload;
};
static_assert(sizeof(Message) == 16);

// The size of a ring, by the number of shards: with few, each has much to say to each other one
// (two shards, fifty clients with pipelines of sixteen sets: 400 requests under way at a time, and
// what finds no room costs a turn more), with many little. All rings of 16 shards take 4 MiB, of
// 128 shards 260 MiB of address space, of which only what is used is touched.
constexpr uint32_t RingCapacity(uint32_t shards) {
  return std::clamp(std::bit_floor(4096 / shards), 512U, 2048U);
}
// Requests under way from one shard to another that want an answer.
constexpr uint32_t AnswersMax(uint32_t shards) { return RingCapacity(shards) / 2; }
// Requests that want no answer: they are sent only while the ring holds fewer entries than this.
constexpr uint32_t PostsMax(uint32_t shards) { return RingCapacity(shards) - AnswersMax(shards); }

// A ring with one producer and one consumer. Each end keeps a copy of the other's position and
// reads the shared one only when the copy says full or empty. Positions count up and wrap at 2^32.
class MessageRing {
 public:
  // `capacity`: a power of two.
  explicit MessageRing(uint32_t capacity)
      : entries_(std::make_unique_for_overwrite<Message[]>(capacity)), capacity_(capacity) {
    CHECK(std::has_single_bit(capacity));
  }

  uint32_t capacity() const { return capacity_; }

  // Producer. False: full.
  [[nodiscard]] bool Push(const Message& message) {
    if (tail_local_ - head_seen_ == capacity_) {
      head_seen_ =
          head_.load(std::memory_order_acquire);  // the consumer is done with those entries
      if (tail_local_ - head_seen_ == capacity_) return false;
    }
    entries_[tail_local_ & (capacity_ - 1)] = message;
    ++tail_local_;
    tail_.store(tail_local_,
                std::memory_order_release);  // publishes the entry and what its payload points to
    return true;
  }

  // Producer: entries that the consumer has not taken, at most.
  uint32_t used() const { return tail_local_ - head_.load(std::memory_order_relaxed); }

  // Consumer. False: empty.
  [[nodiscard]] bool Pop(Message* message) {
    if (head_local_ == tail_seen_) {
      tail_seen_ = tail_.load(std::memory_order_acquire);
      if (head_local_ == tail_seen_) return false;
    }
    *message = entries_[head_local_ & (capacity_ - 1)];
    ++head_local_;
    head_.store(head_local_, std::memory_order_release);
    return true;
  }

  // Consumer: whether something waits.
  bool Waiting() const { return head_local_ != tail_.load(std::memory_order_acquire); }

 private:
  // Read by both. The entries are written by the producer, read by the consumer; not initialised.
  alignas(kCacheLineBytes) const std::unique_ptr<Message[]> entries_;
  const uint32_t capacity_;
  // Written by the producer.
  alignas(kCacheLineBytes) std::atomic<uint32_t> tail_{0};
  uint32_t tail_local_ = 0;
  uint32_t head_seen_ = 0;
  // Written by the consumer.
  alignas(kCacheLineBytes) std::atomic<uint32_t> head_{0};
  uint32_t head_local_ = 0;
  uint32_t tail_seen_ = 0;
};

// All rings between all pairs of shards.
class Mailboxes {
 public:
  explicit Mailboxes(uint32_t shards) : shards_(shards), pairs_(size_t{shards} * shards) {
    for (uint32_t i = 0; i < pairs_.size(); ++i) {
      if (i / shards != i % shards) pairs_[i] = std::make_unique<Pair>(RingCapacity(shards));
    }
  }

  uint32_t shards() const { return shards_; }
  MessageRing& requests(ShardId from, ShardId to) { return pairs_[from * shards_ + to]->requests; }
  MessageRing& answers(ShardId from, ShardId to) { return pairs_[from * shards_ + to]->answers; }

  // Whether anything waits for `self`.
  bool Waiting(ShardId self) {
    for (ShardId from = 0; from < shards_; ++from) {
      if (from == self) continue;
      if (requests(from, self).Waiting() || answers(from, self).Waiting()) return true;
    }
    return false;
  }

 private:
  struct Pair {
    explicit Pair(uint32_t capacity) : requests(capacity), answers(capacity) {}
    MessageRing requests;
    MessageRing answers;
  };
  const uint32_t shards_;
  std::vector<std::unique_ptr<Pair>> pairs_;
};

}  // namespace torc::shard

#endif  // TORC_SRC_SHARD_MAILBOX_H_
