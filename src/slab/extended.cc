// Extended operations: what meta commands, and some binary ones, ask for beyond a plain verb. Each
// is a step of the owner's turn, so nothing comes between; but whatever needs memory gets it before
// anything is changed, as an operation that waits for memory is begun anew.
//
// The marks and a CAS unique of the client's are properties of an item. A new one is made for every
// new CAS unique, since readers of other shards look at it without a lock; only the token is given
// away in place.

#include <algorithm>
#include <charconv>
#include <cstring>

#include "src/base/assert.h"
#include "src/slab/slab_engine.h"

namespace torc::slab {

using engine::Extended;
using engine::Miss;
using engine::Op;
using engine::Result;
using engine::Shortage;
using engine::Verb;

[[gnu::noinline]] bool SlabEngine::ExecuteExtended(ShardId self, Op& op,
                                                   const Index::Guess& guess) {
  const Extended& e = *op.extended;
  if (e.verb == Verb::kGet && e.is_pure()) return GetExtended(self, op, guess);
  CHECK_EQ(OwnerOf(op.hash), self);
  Partition& p = own(self);
  switch (e.verb) {
    case Verb::kGet:
      return GetExtended(self, op, guess);
    case Verb::kSet:
    case Verb::kAdd:
    case Verb::kReplace:
      return StoreExtended(p, op);
    case Verb::kAppend:
    case Verb::kPrepend:
      return ConcatenateExtended(p, op);
    case Verb::kIncrement:
    case Verb::kDecrement:
      return CountExtended(p, op);
    case Verb::kDelete:
      return DeleteExtended(p, op);
    case Verb::kGetAndTouch:
    case Verb::kTouch:
    case Verb::kCas:
    case Verb::kExtended:
      break;
  }
  CHECK(false);
}

// ------------------------------------------------------------------------------------------ reads

// What a hit tells of an item.
void SlabEngine::Describe(RelativeSeconds now, const Partition& partition, const Item& item,
                          Extended* e) {
  e->marks = MarksOf(item);
  e->last_access = now - std::min(now, item.IdleSeconds(now));
  e->item_bytes = partition.BytesOf(&item);
}

bool SlabEngine::GetExtended(ShardId self, Op& op, const Index::Guess& guess) {
  Extended& e = *op.extended;
  const ShardId owner = OwnerOf(op.hash);
  const Partition& partition = *partitions_[owner];
  Miss miss = Miss::kAbsent;
  Item* item = partition.index().Find(op.hash, op.key_view(), guess);
  if (item != nullptr) {
    const Deadline deadline{NowOf(self), partition.flush_cas()};
    if (item->DeadAt(deadline)) {
      miss = MissOf(*item, deadline);
      if (owner == self) own(self).Unlink(item, op.hash);
      item = nullptr;
    }
  }
  op.miss = miss;
  if (item == nullptr) {
    op.result = Result::kMiss;
    if (!e.makes) return true;
    if (!MakeAbsent(own(self), op, {}, e.make_exptime, &item)) return false;
    if (item == nullptr) return true;
    Describe(NowOf(self), partition, *item, &e);
    e.won = true;
    e.exptime_after = e.make_exptime;
    item->set_token_sent();
  } else {
    // What has to be copied is, before anything is said or done.
    const Item& before = *item;
    const RelativeSeconds exptime_before = item->exptime();
    if (e.touches) {
      Partition& p = own(self);
      Index::Slot* const slot = p.index().FindSlot(op.hash, op.key_view());
      Room room;
      item = GiveExptime(p, op, {item, slot, Miss::kAbsent}, &room);
      if (item == nullptr) {
        op.result = Result::kMiss;
        return room != Room::kLater;
      }
      p.class_counters(item->size_class()).touch_hits.Add(1);
    }
    Describe(NowOf(self), partition, before, &e);  // stays until the turn ends
    e.exptime_before = exptime_before;
    e.exptime_after = e.touches ? op.exptime : exptime_before;
    const RelativeSeconds looked_at = e.touches_first ? e.exptime_after : e.exptime_before;
    const bool is_due = e.recaches && looked_at != kNeverExpires && looked_at < e.recache_exptime;
    const bool wins = !e.never_wins && !e.marks.token_sent && (e.marks.stale || is_due);
    if (wins && owner != self) {
      FillView(partition, item, op);  // its owner is asked again
      return true;
    }
    if (wins) item->set_token_sent();
    e.won = wins;
    if (!e.touches) readers_[self]->get_hits[item->size_class()].Add(1);
  }
  if (!e.leaves_no_trace) item->NoteAccess(NowOf(self));
  e.size_class = classes_->NumberOf(item->size_class());
  FillView(partition, item, op);
  return true;
}

bool SlabEngine::MakeAbsent(Partition& p, Op& op, std::string_view value, RelativeSeconds exptime,
                            Item** made) {
  Extended& e = *op.extended;
  *made = nullptr;
  const Partition::NewItem wanted{.key_size = op.key_size,
                                  .client_flags = 0,
                                  .exptime = exptime,
                                  .value_size = static_cast<uint32_t>(value.size()),
                                  .has_own_cas = e.sets_cas};
  Room room;
  Item* const item = p.Make(wanted, &room);
  Shortage shortage = Shortage::kIndexFull;
  if (item != nullptr) {
    std::memcpy(item->key_data(), op.key, op.key_size);
    p.values().CopyIn(item, 0, value);
    if (e.sets_cas) item->set_own_cas(e.cas_new);
    room = p.Publish(item, op.hash, nullptr);
    if (room != Room::kNow) p.Discard(item);
  } else if (room == Room::kNever) {
    shortage = p.WhyNever(wanted);
  }
  if (room == Room::kLater) return false;
  if (room == Room::kNever) {
    p.counters().store_no_memory.Add(1);
    e.shortage = shortage;
    op.result = Result::kNoMemory;
    return true;
  }
  p.counters().items_stored.Add(1);
  op.cas = p.CasOf(item);
  e.made = true;
  *made = item;
  return true;
}

// ----------------------------------------------------------------------------------------- stores

bool SlabEngine::CasMatches(Partition& p, Op& op, const Item* item) {
  const Extended& e = *op.extended;
  if (!e.compares_cas || p.CasOf(item) == e.cas_compare) return true;
  p.class_counters(item->size_class()).cas_badval.Add(1);
  End(p, op, Result::kExists);
  return false;
}

bool SlabEngine::StoreExtended(Partition& p, Op& op) {
  const Extended& e = *op.extended;
  if (RefuseTooLarge(p, op)) return true;
  const Found found = Find(p, op);
  op.miss = found.miss;
  const bool compares = e.compares_cas && e.verb != Verb::kAdd;
  bool is_late = false;
  if (found.item == nullptr) {
    if (compares || e.verb == Verb::kReplace) {
      End(p, op, compares ? Result::kNotFound : Result::kNotStored);
      return true;
    }
  } else if (e.verb == Verb::kAdd) {
    found.item->NoteUseUnfetched(p.now());  // as a plain one
    End(p, op, Result::kNotStored);
    return true;
  } else if (compares) {
    is_late = e.invalidates && e.cas_compare < p.CasOf(found.item);
    if (!is_late && !CasMatches(p, op, found.item)) return true;
  }

  bool waits;
  Item* const item = ItemOf(p, op, &waits);
  if (item == nullptr) return !waits;
  if (is_late) {
    item->set_stale();
    if (found.item->token_sent()) item->set_token_sent();
    item->set_exptime(found.item->exptime());
  }
  if (!PublishStore(p, op, item, found)) return false;
  if (op.result != Result::kStored) return true;
  if (compares) p.class_counters(item->size_class()).cas_hits.Add(1);
  op.value_size = item->value_size();
  return true;
}

bool SlabEngine::ConcatenateExtended(Partition& p, Op& op) {
  Extended& e = *op.extended;
  if (RefuseTooLarge(p, op)) return true;
  const Found found = Find(p, op);
  op.miss = found.miss;
  if (found.item != nullptr) {
    if (!CasMatches(p, op, found.item)) return true;
    const uint32_t value_size = found.item->value_size() + op.value_size;
    if (!Join(p, op, found)) return false;
    if (op.result == Result::kStored) op.value_size = value_size;
    return true;
  }
  if (!e.makes) {
    End(p, op, Result::kNotStored);
    return true;
  }
  bool waits;
  Item* const item = ItemOf(p, op, &waits);
  if (item == nullptr) return !waits;
  item->set_exptime(e.make_exptime);
  if (!PublishStore(p, op, item, found)) return false;
  e.made = op.result == Result::kStored;
  return true;
}

bool SlabEngine::CountExtended(Partition& p, Op& op) {
  Extended& e = *op.extended;
  const Found found = Find(p, op);
  op.miss = found.miss;
  if (found.item != nullptr) {
    e.exptime_before = found.item->exptime();
    e.exptime_after = e.touches ? op.exptime : e.exptime_before;
    return CountIn(p, op, found);
  }
  if (!e.makes) {
    op.result = Result::kNotFound;
    return true;
  }
  char digits[20];
  const char* const end = std::to_chars(digits, digits + sizeof(digits), e.initial).ptr;
  e.exptime_before = e.make_exptime;
  e.exptime_after = e.touches ? op.exptime : e.make_exptime;
  Item* item;
  if (!MakeAbsent(p, op, {digits, static_cast<size_t>(end - digits)}, e.exptime_after, &item)) {
    return false;
  }
  if (item == nullptr) return true;
  e.number = e.initial;
  op.result = Result::kNumber;
  return true;
}

bool SlabEngine::DeleteExtended(Partition& p, Op& op) {
  const Extended& e = *op.extended;
  const Found found = Find(p, op);
  op.miss = found.miss;
  if (found.item == nullptr) {
    op.result = Result::kNotFound;
    return true;
  }
  if (!CasMatches(p, op, found.item)) return true;
  const Item& old = *found.item;
  Item* item = nullptr;
  bool late = false;
  // A value that goes takes no CAS unique with it.
  const bool has_own_cas = e.sets_cas || !e.invalidates;
  if (e.invalidates || e.removes_value) {
    Partition::NewItem wanted{.key_size = op.key_size,
                              .client_flags = old.client_flags(),
                              .exptime = old.exptime(),
                              .value_size = old.value_size(),
                              .has_own_cas = has_own_cas};
    if (e.removes_value) {
      wanted.client_flags = op.client_flags;
      wanted.exptime = kNeverExpires;
      wanted.value_size = 0;
    }
    if (e.touches) wanted.exptime = op.exptime;
    late = p.copies().executes(op) && !e.removes_value;
    if (!late && !p.copies().TakeAtOnce(wanted.value_size)) return PutOff(p, op);
    Room room;
    item = late ? CopyOn(p, op, found, wanted, &old, nullptr, &room) : p.Make(wanted, &room);
    if (item == nullptr && room == Room::kLater) return false;
  }
  p.class_counters(old.size_class()).delete_hits.Add(1);
  op.result = Result::kDeleted;
  if (item == nullptr) {
    // So it is removed where there is no memory to mark it: nobody is to take it for fresh.
    p.Unlink(found.item, op.hash);
    return true;
  }
  std::memcpy(item->key_data(), op.key, op.key_size);
  if (has_own_cas) item->set_own_cas(e.sets_cas ? e.cas_new : p.CasOf(&old));
  item->InheritAccess(old, /*same_value=*/!e.removes_value);
  if (e.invalidates) item->set_stale();
  if (!e.removes_value) {
    if (!late) p.values().CopyValue(item, 0, &old);
    if (old.key_is_binary()) item->set_key_is_binary();
    item->set_last_access(p.now() - std::min(p.now(), old.IdleSeconds(p.now())));
  }
  CHECK(p.Publish(item, op.hash, found.slot) == Room::kNow);  // a replacement finds its place
  op.cas = p.CasOf(item);
  return true;
}

}  // namespace torc::slab
