#include "src/slab/pins.h"

#include <algorithm>

#include "src/base/assert.h"

namespace torc::slab {

Pins::Pins() : entries_(kSlots) {}

uint32_t Pins::SlotOf(Ref ref) const {
  uint32_t slot = HomeOf(ref);
  while (entries_[slot].ref != 0 && entries_[slot].ref != ref) slot = (slot + 1) & (kSlots - 1);
  return slot;
}

Pins::Added Pins::Add(Ref ref, RelativeSeconds now) {
  CHECK(ref != 0);
  Entry& entry = entries_[SlotOf(ref)];
  if (entry.ref == ref) {
    ++entry.count;
    return Added::kAgain;
  }
  if (size_ == kPinsMax) return Added::kFull;
  entry = {ref, 1, now};
  ++size_;
  return Added::kFirst;
}

bool Pins::Remove(Ref ref) {
  uint32_t hole = SlotOf(ref);
  CHECK(entries_[hole].ref == ref);
  if (--entries_[hole].count != 0) return false;
  --size_;
  for (uint32_t slot = (hole + 1) & (kSlots - 1); entries_[slot].ref != 0;
       slot = (slot + 1) & (kSlots - 1)) {
    // An entry may fill the hole unless its home lies after it.
    const uint32_t home = HomeOf(entries_[slot].ref);
    if (((slot - home) & (kSlots - 1)) < ((slot - hole) & (kSlots - 1))) continue;
    entries_[hole] = entries_[slot];
    hole = slot;
  }
  entries_[hole] = Entry{};
  return true;
}

uint32_t Pins::CountOf(Ref ref) const { return entries_[SlotOf(ref)].count; }

RelativeSeconds Pins::OldestSince(RelativeSeconds now) const {
  RelativeSeconds oldest = now;
  for (uint32_t i = 0; i < kSlots; ++i) {
    if (entries_[i].ref != 0) oldest = std::min(oldest, entries_[i].since);
  }
  return oldest;
}

void Pins::CheckInvariants() const {
  uint32_t size = 0;
  for (uint32_t i = 0; i < kSlots; ++i) {
    if (entries_[i].ref == 0) continue;
    ++size;
    CHECK(entries_[i].count > 0);
    CHECK_EQ(SlotOf(entries_[i].ref), i);
  }
  CHECK_EQ(size, size_);
  CHECK_LE(size_, kPinsMax);
}

}  // namespace torc::slab
