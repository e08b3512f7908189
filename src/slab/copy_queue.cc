#include "src/slab/copy_queue.h"

#include <algorithm>
#include <cstring>

#include "src/base/assert.h"

namespace torc::slab {

using engine::Op;

bool CopyQueue::TakeAtOnce(uint64_t bytes) {
  if (bytes <= slice_bytes_ / kUncountedParts) return true;
  if (bytes > at_once_left_) return false;
  at_once_left_ -= bytes;
  return true;
}

uint64_t CopyQueue::TakeSlice(uint64_t bytes) {
  const uint64_t taken = std::min(bytes, slice_left_);
  slice_left_ -= taken;
  return taken;
}

CopyQueue::Lane* CopyQueue::Find(uint64_t hash, std::string_view key) const {
  Lane* lane = buckets_[hash % kBuckets];
  while (lane != nullptr && (lane->hash() != hash || lane->first->op.key_view() != key)) {
    lane = lane->next;
  }
  return lane;
}

CopyQueue::Waiting* CopyQueue::Add(const Op& op) {
  Waiting* const waiting = waiting_.New();
  if (waiting == nullptr) return nullptr;
  Lane* lane = Find(op.hash, op.key_view());
  if (lane == nullptr) {
    lane = lanes_.New();
    if (lane == nullptr) {
      waiting_.Delete(waiting);
      return nullptr;
    }
    Lane*& bucket = buckets_[op.hash % kBuckets];
    lane->next = bucket;
    bucket = lane;
    order_.PushBack(*lane);
  }
  (lane->last != nullptr ? lane->last->next : lane->first) = waiting;
  lane->last = waiting;

  waiting->op = op;
  std::memcpy(waiting->key, op.key, op.key_size);
  waiting->op.key = waiting->key;
  if (op.verb == engine::Verb::kExtended) {
    waiting->extended = *op.extended;
    waiting->op.extended = &waiting->extended;
  }
  return waiting;
}

void CopyQueue::TakeFirst() {
  Lane* const lane = order_.Front();
  Waiting* const waiting = lane->first;
  if (waiting->next == nullptr) {
    Lane** link = &buckets_[lane->hash() % kBuckets];
    while (*link != lane) link = &(*link)->next;
    *link = lane->next;
    order_.Remove(*lane);
    lanes_.Delete(lane);
    has_copied_ = false;
  } else {
    lane->first = waiting->next;
  }
  waiting->next = answered_;
  answered_ = waiting;
}

bool CopyQueue::Rotate() {
  if (!has_copied_) return false;
  has_copied_ = false;
  order_.PushBack(*order_.PopFront());
  return true;
}

void CopyQueue::FreeAnswered() {
  while (answered_ != nullptr) {
    Waiting* const waiting = answered_;
    answered_ = waiting->next;
    waiting_.Delete(waiting);
  }
}

void CopyQueue::CheckInvariants() const {
  size_t waiting = 0, lanes = 0;
  for (const Lane* lane : buckets_) {
    for (; lane != nullptr; lane = lane->next) {
      ++lanes;
      CHECK(lane->linked() && lane->first != nullptr);
      CHECK(Find(lane->hash(), lane->first->op.key_view()) == lane);
    }
  }
  ForEachWaiting([&](const Waiting& w) {
    ++waiting;
    const Lane* const lane = Find(w.op.hash, w.op.key_view());
    CHECK(lane != nullptr);
    if (w.next == nullptr) CHECK(lane->last == &w);
  });
  for (const Waiting* w = answered_; w != nullptr; w = w->next) ++waiting;
  CHECK_EQ(waiting, waiting_.used());
  CHECK_EQ(lanes, lanes_.used());
  CHECK_EQ(empty(), lanes == 0);
  if (empty()) CHECK(copy.item == nullptr);
  if (copy.item == nullptr) {
    CHECK(copy.pinned == nullptr);
  } else {
    CHECK_LE(copy.bytes_done, copy.item->value_size());
    if (copy.pinned != nullptr) CHECK(copy.pinned->pinned());
  }
}

}  // namespace torc::slab
