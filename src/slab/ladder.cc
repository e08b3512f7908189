#include "src/slab/ladder.h"

#include <algorithm>

#include "src/base/assert.h"

namespace torc::slab {
namespace {

constexpr uint64_t kWindowsPerPartition = 64;
// A class is opened when it gains this much, in pages, and closed when it loses as much: between
// the two lies what is not worth the move, and noise.
constexpr double kGainMin = 0.1;

// What a class costs that has a share of so many pages: what its last page lacks to be full, if it
// has no other, and what is lost by sharing out whole pages and by keeping some chunks free.
double Cost(double pages) {
  constexpr double kEach = 0.1;
  return pages == 0 ? 0 : std::max(0.0, 1 - pages) + kEach;
}

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

double Ladder::Gain(uint32_t lower, uint64_t lower_chunks, uint32_t upper,
                    uint64_t upper_chunks) const {
  const double lower_size = classes_.chunk_size(lower) * pages_per_byte_;
  const double upper_size = classes_.chunk_size(upper) * pages_per_byte_;
  const double below = static_cast<double>(lower_chunks);
  const double above = static_cast<double>(upper_chunks);
  const double apart = Cost(below * lower_size) + Cost(above * upper_size);
  const double together = Cost((below + above) * upper_size);
  return below * (upper_size - lower_size) + together - apart;
}

uint64_t Ladder::ChunksOf(uint32_t c) const {
  uint64_t chunks = stored_[c];
  while (--c > 0 && !open_[c]) chunks += stored_[c];
  return chunks;
}

void Ladder::Adapt(Moved moved, void* context) {
  uint64_t bytes = 0;
  for (uint32_t c = 1; c <= classes_.largest(); ++c) {
    bytes += uint64_t{stored_[c]} * classes_.chunk_size(next_open_[c]);
  }
  pages_per_byte_ = static_cast<double>(pages_) / static_cast<double>(bytes);
  Close(moved, context);
  Open(moved, context);
  for (uint32_t& stored : stored_) stored -= (stored + 7) / 8;
  window_bytes_ = 0;
  window_chunks_ = 0;
}

void Ladder::Close(Moved moved, void* context) {
  for (uint32_t c = 1; c < classes_.largest(); ++c) {
    if (!open_[c] || classes_.is_coarse(c)) continue;
    const uint32_t next = next_open_[c + 1];
    const uint64_t chunks = ChunksOf(c);
    open_.reset(c);
    const uint64_t together = ChunksOf(next);
    if (Gain(c, chunks, next, together - chunks) < -kGainMin) {
      moved(context, c, next, 1);
    } else {
      open_.set(c);
    }
  }
  Rebuild();
}

void Ladder::Open(Moved moved, void* context) {
  uint64_t below = 0;
  double best_gain = kGainMin;
  uint64_t best_below = 0;
  uint32_t best = 0;
  uint64_t all = 0;  // of the gap that is being looked at
  for (uint32_t c = 1; c <= classes_.largest(); ++c) {
    if (below == 0 && stored_[c] != 0) all = ChunksOf(next_open_[c]);
    below += stored_[c];
    if (!open_[c]) {
      if (stored_[c] == 0) continue;  // the class before would be better
      const double gain = Gain(c, below, next_open_[c], all - below);
      if (gain > best_gain) {
        best_gain = gain;
        best_below = below;
        best = c;
      }
      continue;
    }
    if (best != 0) {
      open_.set(best);
      moved(context, c, best, static_cast<double>(best_below) / static_cast<double>(below));
    }
    below = best = 0;
    best_gain = kGainMin;
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
