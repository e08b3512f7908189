#include "src/slab/expiry.h"

#include <algorithm>

namespace torc::slab {

void ExpiryCrawler::Pace(const Arena& arena, RelativeSeconds now) {
  if (now == paced_until_) return;
  uint64_t chunks = 0;
  for (const uint32_t c : arena.holding()) {
    chunks += arena.page_class(c).pages.Get() * arena.classes().chunks_per_page(c);
  }
  const uint64_t elapsed =
      paced_until_ == 0 ? 1 : std::min<uint64_t>(now - paced_until_, kRoundSeconds);
  // What a second earned and did not use is not carried on: the pace holds even after a long stall.
  earned_ = std::min(chunks / kRoundSeconds + 1, kChunksPerSecondMax) * elapsed;
  paced_until_ = now;
}

Item* ExpiryCrawler::Next(Arena& arena) {
  while (slice_left_ > 0 && earned_ > 0) {
    --slice_left_;
    --earned_;
    const Page& page = arena.page(page_);
    if (page.use != PageUse::kClass || chunk_ >= page.cut) {
      if (page_++ == arena.pages_total()) {
        page_ = 1;
        ++rounds_;
      }
      chunk_ = 0;
      continue;
    }
    Item* const item = arena.ChunkAt(page_, chunk_++);
    if (item->state() == ChunkState::kLive) return item;
  }
  return nullptr;
}

}  // namespace torc::slab
