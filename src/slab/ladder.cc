#include "src/slab/ladder.h"

#include "src/base/assert.h"

namespace torc::slab {
namespace {

constexpr uint64_t kWindowsPerPartition = 32;
// A class is opened when it saves more than this many quarters of a page, and closed when less.
constexpr uint64_t kOpenQuarters = 4;
constexpr uint64_t kCloseQuarters = 1;

}  // namespace

Ladder::Ladder(const SizeClasses& classes, uint32_t pages)
    : classes_(classes),
      pages_(pages),
      window_bytes_max_((uint64_t{pages} << classes.page_shift()) / kWindowsPerPartition) {
  for (uint32_t c = 1; c <= classes.largest(); ++c) open_[c] = classes.is_coarse(c);
  Rebuild();
}

void Ladder::Rebuild() {
  uint32_t next = 0;
  for (uint32_t c = classes_.largest(); c > 0; --c) {
    if (open_[c]) next = c;
    next_open_[c] = static_cast<uint16_t>(next);
  }
}

void Ladder::Adapt(Moved moved, void* context) {
  uint64_t bytes = 0;
  for (uint32_t c = 1; c <= classes_.largest(); ++c) {
    bytes += uint64_t{stored_[c]} * classes_.chunk_size(next_open_[c]);
  }
  Close(bytes, moved, context);
  Open(bytes, moved, context);
  for (uint32_t& stored : stored_) stored /= 2;
  window_bytes_ = 0;
  window_chunks_ = 0;
}

void Ladder::Close(uint64_t bytes, Moved moved, void* context) {
  uint64_t below = 0;  // chunks since the open class before
  for (uint32_t c = 1; c < classes_.largest(); ++c) {
    below += stored_[c];
    if (!open_[c]) continue;
    if (!classes_.is_coarse(c)) {
      const uint32_t next = next_open_[c + 1];
      const uint64_t saved = below * (classes_.chunk_size(next) - classes_.chunk_size(c));
      if (4 * saved * pages_ < kCloseQuarters * bytes) {
        open_.reset(c);
        moved(context, c, next, 1);
        continue;  // its chunks count for the next one
      }
    }
    below = 0;
  }
  Rebuild();
}

void Ladder::Open(uint64_t bytes, Moved moved, void* context) {
  uint64_t below = 0;
  uint64_t best_saved = 0;
  uint64_t best_below = 0;
  uint32_t best = 0;
  for (uint32_t c = 1; c <= classes_.largest(); ++c) {
    if (next_open_[c] != c) {
      below += stored_[c];
      const uint64_t saved =
          below * (classes_.chunk_size(next_open_[c]) - classes_.chunk_size(c));
      if (saved > best_saved) {
        best_saved = saved;
        best_below = below;
        best = c;
      }
      continue;
    }
    if (4 * best_saved * pages_ > kOpenQuarters * bytes) {
      open_.set(best);
      moved(context, c, best,
            static_cast<double>(best_below) / static_cast<double>(below + stored_[c]));
    }
    below = best_saved = 0;
  }
  Rebuild();
}

void Ladder::CheckInvariants() const {
  for (uint32_t c = 1; c <= classes_.largest(); ++c) {
    if (classes_.is_coarse(c)) CHECK(is_open(c));
    CHECK_LE(c, next_open_[c]);
    CHECK(open_[next_open_[c]]);
    for (uint32_t passed = c; passed < next_open_[c]; ++passed) CHECK(!open_[passed]);
  }
}

}  // namespace torc::slab
