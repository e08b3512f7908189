// Which size classes a partition uses: the coarse ones always, finer ones where what is stored
// makes them worth their pages.
//
//   classes   |  .  .  C  .  .  .  f  .  .  .  C  .  .  .  .  C     C, f: open
//   sizes        ----> C  ----------> f  -----> C ...                an item takes the next open one
//
// A coarse ladder alone wastes 3.5 % of memory by rounding, and up to 7 % when all items have one
// unlucky size; a fine one for everybody would leave hundreds of pages half empty, and items that
// are alike would be evicted apart. So the partition counts the sizes that it stores, and with each
// window of 1/32 of its memory asks, for each gap between open classes: at which size would one
// more class save the most? It is opened if that is more than a page, about twice what a class
// costs (half a page not filled, and its part of the free chunks kept ready). It is closed when it
// saves less than a quarter of a page: then it gets no more items, evicts nothing, and its pages go
// as those of any class that turns over slowly (partition.h). Counts are halved with each window.
//
// So all items of one size, or of a few sizes, sit in chunks that fit to the granule; uniformly
// mixed sizes open nothing in a small memory, and in a large one as many classes as pay. All classes
// together never cost more than they save, nor are there more than the coarse ladder wastes pages.
//
// What a saving of b bytes among B bytes stored saves in pages: b / B of all pages, as all classes
// tend to turn over at the same pace.
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

  void Close(uint64_t bytes, Moved moved, void* context);
  void Open(uint64_t bytes, Moved moved, void* context);
  void Rebuild();

  const SizeClasses& classes_;
  const uint64_t pages_;
  const uint64_t window_bytes_max_;
  uint64_t window_bytes_ = 0;
  uint32_t window_chunks_ = 0;
  std::bitset<SizeClasses::kClassesMax> open_;
  std::array<uint16_t, SizeClasses::kClassesMax> next_open_{};  // the class itself, if open
  std::array<uint32_t, SizeClasses::kClassesMax> stored_{};     // by the class that fits
};

}  // namespace torc::slab

#endif  // TORC_SRC_SLAB_LADDER_H_
