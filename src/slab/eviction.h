// Who goes when memory is short: CLOCK over each class's chunks.
//
//       ring of the class's pages:   page -> page -> page -> ...      hand = (page, chunk)
//
// The hand sweeps the chunks in order. An item that was read since loses one from its access count
// (at most 3, see Item::NoteAccess) and stays; the first one with count 0 goes, and an expired or
// flushed one at once. A read therefore writes one byte at most and touches no list; items carry no
// links. New items take the chunks that the hand has just emptied, so they are met last.
//
// Owner: Partition. Affinity: shard. Lifetime: a function. Invariant: none.
#ifndef TORC_SRC_SLAB_EVICTION_H_
#define TORC_SRC_SLAB_EVICTION_H_

#include <cstdint>

#include "src/slab/arena.h"
#include "src/slab/item.h"

namespace torc::slab {

// Moves the hand of a class on to the next item that should go, and returns it; null if no item of
// the class can go. Pinned items stay. Looks at a bounded number of live items: if all were read
// lately, the least read of them goes.
Item* NextVictim(Arena& arena, uint32_t size_class, const Deadline& deadline);

}  // namespace torc::slab

#endif  // TORC_SRC_SLAB_EVICTION_H_
