// Which size classes a partition uses: the coarse ones always, finer ones where what is stored
// makes them worth their pages.
//
//   classes   |  .  .  C  .  .  .  f  .  .  .  C  .  .  .  .  C     C, f: open
//   sizes        ----> C  ----------> f  -----> C ...                an item takes the next one
//
// A coarse ladder alone wastes much by rounding. A fine one for everybody leaves pages half empty
// wherever a class's share of the memory is less than a page, and keeps the few items there far too
// long: seen with 80 classes in the 200 pages of 100 MB and sizes as in Twitter's clusters, 10 % of
// memory, more than the rounding. So the partition counts the sizes that it stores, and after each
// window of 1/64 of its memory asks for each gap between open classes at which size one more class
// would save the most. It is opened if that is more than it costs, and closed when it costs more
// than it saves; then it gets no more items, evicts nothing, and its pages go as those of any class
// that turns over slowly (partition.h). Old counts fade by an eighth with each window.
//
// So all items of one size, or of a few, sit in chunks that fit to the granule; mixed sizes get as
// many classes as pay in their memory, and sizes that are rare share one with others.
//
// What is reckoned in: a class's share of the pages is its share of the bytes stored, as all
// classes tend to turn over at the same pace.
//
// Owner: Partition. Affinity: shard. Lifetime: the partition's. Invariant: the coarse classes are
// open; for each size, the class it takes is the smallest open one that holds it.
#ifndef TORC_SRC_SLAB_LADDER_H_
#define TORC_SRC_SLAB_LADDER_H_

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>

#include "src/slab/size_classes.h"

namespace torc::slab {

class Ladder {
 public:
  // For a partition of `pages` pages. Keeps a reference to `classes`.
  Ladder(const SizeClasses& classes, uint32_t pages);

  // The smallest open class whose chunks hold `bytes`, 1 to chunk_size_max(). O(1).
  uint32_t ClassFor(size_t bytes) const { return next_open_[classes_.ClassOf(bytes)]; }
  // The next open class above this one, which is not the largest.
  uint32_t ClassAfter(uint32_t size_class) const { return next_open_[size_class + 1]; }
  bool is_open(uint32_t size_class) const { return next_open_[size_class] == size_class; }

  // Counts a chunk taken for `bytes`. True: a window is full, call Adapt.
  [[nodiscard]] bool Note(size_t bytes) {
    const uint32_t wanted = classes_.ClassOf(bytes);
    ++stored_[wanted];
    ++window_chunks_;
    window_bytes_ += classes_.chunk_size(wanted);
    return window_bytes_ >= window_bytes_max_ && window_chunks_ >= kWindowChunksMin;
  }
  // Opens and closes classes. Calls moved(context, from, to, share) where this share of what class
  // `from` would have taken goes to class `to` from now on. O(classes): some microseconds.
  using Moved = void (*)(void* context, uint32_t from, uint32_t to, double share);
  void Adapt(Moved moved, void* context);

  void CheckInvariants() const;

 private:
  // Fewer say nothing.
  static constexpr uint32_t kWindowChunksMin = 256;

  // Pages gained by an open class `lower` beside the next one `upper`, which else would take its
  // chunks too: `lower_chunks` and `upper_chunks` of those counted. Negative: lost.
  double Gain(uint32_t lower, uint64_t lower_chunks, uint32_t upper, uint64_t upper_chunks) const;
  // How many were counted for class `c` and those below it that are not open.
  uint64_t ChunksOf(uint32_t c) const;
  void Close(Moved moved, void* context);
  void Open(Moved moved, void* context);
  void Rebuild();

  const SizeClasses& classes_;
  const uint64_t pages_;
  const uint64_t window_bytes_max_;
  uint64_t window_bytes_ = 0;
  uint32_t window_chunks_ = 0;
  double pages_per_byte_ = 0;  // of those counted, in Adapt
  std::bitset<SizeClasses::kClassesMax> open_;
  std::array<uint16_t, SizeClasses::kClassesMax> next_open_{};  // the class itself, if open
  std::array<uint32_t, SizeClasses::kClassesMax> stored_{};     // by the class that fits
};

}  // namespace torc::slab

#endif  // TORC_SRC_SLAB_LADDER_H_
