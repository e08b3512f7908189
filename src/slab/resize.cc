// What operators ask of a partition's memory: another limit, a page for another class.
//
//   limit raised    more pages come from the address space reserved at start
//   limit lowered   |-- used --|--- pool ---|       the pool's pages go back to the kernel, one a
//                   |-- limit --|                   slice; where those in use are too many,
//                                                   pages are drained as for a move
#include <algorithm>

#include "src/slab/partition.h"

namespace torc::slab {

bool Partition::Shrink() {
  if (arena_.GiveBackSurplus()) return true;
  const uint32_t coming = limbo_pages_ + arena_.DrainingUnheld();
  if (arena_.pages_excess() <= coming) return false;  // the rest is on its way
  // One page at a time, and with -M none: there the limit holds for what is stored from now on.
  return drain_page_ != 0 || (evict_ && FreeUpPage(kNoClass, Choice::kAny));
}

engine::Engine::MoveResult Partition::MovePage(uint32_t number) {
  using Result = engine::Engine::MoveResult;
  if (number == 0) return arena_.pool_pages() > 0 ? Result::kMoved : Result::kNoSpare;
  if (number > classes_.count_with_heads() || !evict_) return Result::kNoSpare;
  const uint32_t c = classes_.ClassOfNumber(number);
  if (drain_page_ != 0) return Result::kBusy;
  // As in memcached, a class keeps its last page.
  if (BytesHeld(c) < 2 * uint64_t{classes_.page_size()}) return Result::kNoSpare;
  const bool large = c == classes_.heads() && item_pages_ > 0;
  return (large ? EvictFrom(c, 1) > 0 : BeginDrainOf(c, Choice::kAny)) ? Result::kMoved
                                                                       : Result::kNoSpare;
}

}  // namespace torc::slab
