// Mailboxes: how shards talk. For each ordered pair of shards two rings of fixed size, one for
// requests, one for the answers to requests that went the other way. Each has one producer and one
// consumer.
//
//   shard 0 --- requests -->  shard 1        a request is a Message; its answer is the same Message
//   sent back shard 0 <-- answers  ---  shard 1
//
// A sender keeps at most kAnswersMax requests that want an answer under way to one shard, so
// neither ring can overflow by them; the rest of the ring is for requests without an answer. No
// room is a result that the sender handles; nothing is queued behind its back.
//
// Owner: main. Affinity: any; a ring's two ends each belong to one shard. Lifetime: outlives all
// shards. Invariant: head <= tail <= head + capacity.
#ifndef TORC_SRC_SHARD_MAILBOX_H_
#define TORC_SRC_SHARD_MAILBOX_H_

#include <array>
#include <atomic>
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

// Requests under way from one shard to another that want an answer. With 16 shards all
// rings take 4 MiB, with 128 shards 256 MiB of address space, of which only what is used is
// touched.
inline constexpr uint32_t kAnswersMax = 192;
inline constexpr uint32_t kRingCapacity = 512;
// Requests that want no answer: they are sent only while the ring holds fewer entries than this.
inline constexpr uint32_t kPostsMax = kRingCapacity - kAnswersMax;
static_assert(kAnswersMax < kRingCapacity,
              "answers always fit, and so do requests with room reserved");

// A ring with one producer and one consumer. Each end keeps a copy of the other's position and
// reads the shared one only when the copy says full or empty. Positions count up and wrap at 2^32.
class MessageRing {
 public:
  // Producer. False: full.
  [[nodiscard]] bool Push(const Message& message) {
    if (tail_local_ - head_seen_ == kRingCapacity) {
      head_seen_ =
          head_.load(std::memory_order_acquire);  // the consumer is done with those entries
      if (tail_local_ - head_seen_ == kRingCapacity) return false;
    }
    entries_[tail_local_ % kRingCapacity] = message;
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
    *message = entries_[head_local_ % kRingCapacity];
    ++head_local_;
    head_.store(head_local_, std::memory_order_release);
    return true;
  }

  // Consumer: whether something waits.
  bool Waiting() const { return head_local_ != tail_.load(std::memory_order_acquire); }

 private:
  // Written by the producer.
  alignas(kCacheLineBytes) std::atomic<uint32_t> tail_{0};
  uint32_t tail_local_ = 0;
  uint32_t head_seen_ = 0;
  // Written by the consumer.
  alignas(kCacheLineBytes) std::atomic<uint32_t> head_{0};
  uint32_t head_local_ = 0;
  uint32_t tail_seen_ = 0;
  // Written by the producer, read by the consumer.
  alignas(kCacheLineBytes) std::array<Message, kRingCapacity> entries_;  // not initialised
};

// All rings between all pairs of shards.
class Mailboxes {
 public:
  explicit Mailboxes(uint32_t shards) : shards_(shards), pairs_(size_t{shards} * shards) {
    for (uint32_t i = 0; i < pairs_.size(); ++i) {
      if (i / shards != i % shards) pairs_[i] = std::make_unique_for_overwrite<Pair>();
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
    MessageRing requests;
    MessageRing answers;
  };
  const uint32_t shards_;
  std::vector<std::unique_ptr<Pair>> pairs_;
};

}  // namespace torc::shard

#endif  // TORC_SRC_SHARD_MAILBOX_H_
