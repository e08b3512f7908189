#include "src/slab/expiry.h"

namespace torc::slab {
namespace {

// How many chunks ahead to call into the cache.
constexpr uint32_t kPrefetchChunks = 8;

}  // namespace

void ExpiryCrawler::NoteExpiry(Arena& arena, PageId id, RelativeSeconds exptime,
                               RelativeSeconds now) {
  if (exptime == kNeverExpires) return;
  // What was expired when it was stored has its grace, too.
  const RelativeSeconds due = std::max(exptime, now);
  Page& page = arena.page(id);
  page.due = Earlier(page.due, due);
  due_ = Earlier(due_, due);
  lap_due_ = Earlier(lap_due_, due);
  if (id == page_) page_due_ = Earlier(page_due_, due);
}

void ExpiryCrawler::NoteFlush(RelativeSeconds now) {
  // Those that wait already take it along: flushes that keep coming do not put each other off.
  if (flush_waits_) return;
  flush_waits_ = true;
  flushed_at_ = now;
}

void ExpiryCrawler::BeginLap(Lap lap, uint64_t flush_cas) {
  if (lap != Lap::kDue) flush_waits_ = false;
  lap_ = lap;
  lap_began_at_ = now_;
  lap_due_ = kNeverExpires;
  deadline_.flush_cas = lap == Lap::kDue ? 0 : flush_cas;
  page_ = 1;
  chunk_ = 0;
}

void ExpiryCrawler::EndLap() {
  due_ = lap_due_;
  swept_cas_ = std::max(swept_cas_, deadline_.flush_cas);
  lap_ = Lap::kNone;
  page_ = 0;
}

bool ExpiryCrawler::BeginSlice(RelativeSeconds now, uint64_t flush_cas) {
  if (now != now_) {
    now_ = now;
    // What a second left is not carried on: the pace holds even after a long stall.
    second_left_ = kWorkPerSecond;
  }
  const RelativeSeconds past = now > kGraceSeconds ? now - kGraceSeconds : 0;
  if (asked_ && lap_ != Lap::kAsked) {
    asked_ = false;
    BeginLap(Lap::kAsked, flush_cas);
  } else if (lap_ == Lap::kNone && now - lap_began_at_ >= kLapSeconds) {
    if (flush_waits_ && flushed_at_ <= past) {
      BeginLap(Lap::kFlush, flush_cas);
    } else if (due_ != kNeverExpires && due_ <= past) {
      BeginLap(Lap::kDue, flush_cas);
    }
  }
  if (lap_ == Lap::kNone) return false;
  deadline_.now = lap_ == Lap::kAsked ? now : past;
  slice_left_ = lap_ == Lap::kAsked ? kWorkPerSlice : std::min(kWorkPerSlice, second_left_);
  return slice_left_ > 0;
}

void ExpiryCrawler::Spend(uint32_t work) {
  slice_left_ -= std::min(slice_left_, work);
  second_left_ -= std::min(second_left_, work);
}

bool ExpiryCrawler::IsDue(const Item* item) const {
  if (item->cas_count() <= deadline_.flush_cas) return true;
  if (!item->ExpiredAt(deadline_.now)) return false;
  // What was expired when it was stored tells no time of its death.
  return item->IdleSeconds(now_) >= now_ - deadline_.now;
}

ExpiryCrawler::Found ExpiryCrawler::Find(Arena& arena, std::span<Item*> dead) {
  while (slice_left_ > 0 && lap_ != Lap::kNone) {
    if (page_ > arena.pages_touched()) {
      EndLap();
      break;
    }
    Page& page = arena.page(page_);
    const bool walk =
        page.use == PageUse::kClass && (chunk_ > 0 || lap_ != Lap::kDue ||
                                        (page.due != kNeverExpires && page.due <= deadline_.now));
    if (!walk) {
      Spend(1);
      if (page.use == PageUse::kClass) lap_due_ = Earlier(lap_due_, page.due);
      ++page_;
      chunk_ = 0;
      continue;
    }
    if (chunk_ == 0) page_due_ = kNeverExpires;
    Found found{.size_class = page.size_class};
    const uint32_t begin = chunk_;
    uint32_t work = 0;
    const size_t ahead = size_t{kPrefetchChunks} * arena.classes().chunk_size(page.size_class);
    for (; chunk_ < page.cut && work < slice_left_ && found.dead < dead.size(); ++work) {
      Item* const item = arena.ChunkAt(page_, chunk_++);
      __builtin_prefetch(item->bytes() + ahead);
      if (item->state() != ChunkState::kLive) continue;
      if (IsDue(item)) {
        dead[found.dead++] = item;
        work += kReclaimCost;
      } else {
        page_due_ = Earlier(page_due_, item->exptime());
      }
    }
    found.looked_at = chunk_ - begin;
    Spend(work);
    if (chunk_ >= page.cut) {
      page.due = page_due_;
      lap_due_ = Earlier(lap_due_, page.due);
      ++page_;
      chunk_ = 0;
    }
    if (found.looked_at > 0) return found;
  }
  return {};
}

}  // namespace torc::slab
