// Operations that copy a large value, and those on the same key that come meanwhile: they are
// answered turns later, so that a turn copies no more than a slice (copy_queue.h).
//
// An operation that was put off is begun anew each turn, as one that waits for memory: it finds its
// item again, compares CAS uniques again. So whatever became of the item meanwhile (it expired, was
// flushed or evicted) is answered as if the operation had come only now. What it has copied holds
// as long as it finds the same item; nothing is seen of it before it is complete and published.

#include <algorithm>
#include <cstring>

#include "src/base/assert.h"
#include "src/slab/slab_engine.h"

namespace torc::slab {

using engine::Op;
using engine::Result;
using engine::Verb;

[[gnu::noinline]] bool SlabEngine::PutOff(Partition& p, Op& op) {
  const Verb verb = engine::VerbOf(op);
  Item* kept = static_cast<Item*>(op.item);
  bool refused = false;
  // A value must be kept where it does not come in a reservation. One that is too large will not be
  // looked at.
  const bool stores = verb >= Verb::kSet && verb <= Verb::kCas;
  if (stores && kept == nullptr && op.value_size <= ValueSizeMax(op.key_size, op.client_flags)) {
    Room room;
    kept = p.Make(NewItemOf(op), &room);
    if (kept == nullptr && room == Room::kLater) return false;
    refused = kept == nullptr;
    if (kept != nullptr) {
      std::memcpy(kept->key_data(), op.key, op.key_size);
      p.values().CopyIn(kept, 0, {op.value, op.value_size});
    }
  }
  CopyQueue::Waiting* const waiting = p.copies().Add(op);
  if (waiting == nullptr) {
    if (kept != op.item) p.Discard(kept);
    return false;
  }
  waiting->refused = refused;
  if (refused) waiting->shortage = p.WhyNever(NewItemOf(op));
  waiting->op.item = stores ? kept : nullptr;
  waiting->op.value = nullptr;
  op.item = static_cast<engine::Pending*>(waiting);
  op.result = Result::kPending;
  return true;
}

size_t SlabEngine::Collect(ShardId self, std::span<engine::Pending*> answered) {
  CopyQueue& copies = own(self).copies();
  size_t count = 0;
  while (count < answered.size() && !copies.empty()) {
    CopyQueue::Waiting& first = *copies.first();
    if (ExecuteLate(self, first)) {
      copies.TakeFirst();
      answered[count++] = &first;
    } else if (!copies.Rotate()) {
      break;
    }
  }
  return count;
}

bool SlabEngine::ExecuteLate(ShardId self, CopyQueue::Waiting& waiting) {
  Partition& p = own(self);
  if (waiting.refused) {
    Refuse(p, waiting.op, Result::kNoMemory);
    End(p, waiting.op, Result::kNoMemory, waiting.shortage);
    return true;
  }
  p.copies().set_executing(true);
  const bool done = ExecuteOne(self, waiting.op, {});
  p.copies().set_executing(false);
  if (done) p.DropCopy();  // of one that came to nothing
  return done;
}

Item* SlabEngine::CopyOn(Partition& p, const Op& op, const Found& found,
                         const Partition::NewItem& wanted, const Item* before, const Item* after,
                         Room* room) {
  CopyQueue& copies = p.copies();
  CopyQueue::Copy& copy = copies.copy;
  CHECK(copies.executes(op));
  *room = Room::kLater;
  if (copy.item != nullptr && copy.source_cas_count != found.item->cas_count()) p.DropCopy();
  if (copy.item == nullptr) {
    if (!copies.may_begin()) return nullptr;
    copy.item = p.Make(wanted, room);
    if (copy.item == nullptr) return nullptr;
    copy.source_cas_count = found.item->cas_count();
    copy.bytes_done = 0;
    if (p.Pin(found.item)) copy.pinned = found.item;
  }
  *room = Room::kLater;
  // The two parts, each as far as this turn's share goes.
  const uint64_t before_size = before->value_size();
  while (copy.bytes_done < wanted.value_size) {
    const bool in_before = copy.bytes_done < before_size;
    const uint64_t offset = in_before ? copy.bytes_done : copy.bytes_done - before_size;
    const Item* const from = in_before ? before : after;
    const uint64_t size = copies.TakeSlice(from->value_size() - offset);
    if (size == 0) return nullptr;
    p.values().CopyPart(copy.item, copy.bytes_done, from, offset, size);
    copy.bytes_done += size;
  }
  Item* const item = copy.item;
  if (copy.pinned != nullptr) p.Unpin(copy.pinned);
  copy = {};
  copies.NoteCopied();
  *room = Room::kNow;
  return item;
}

}  // namespace torc::slab
