// The sizes that chunks can have, and the shape of items that exceed them.
//
//   class 0            heads of chained items: chunks as large as the largest class's, and of these
//                      alone, so that eviction among small items never meets a large one
//   classes 1 to ...   multiples of the granule, 20, 24, 28, ... bytes
//   ... to count()     page / n, rounded down to the granule, for n = ..., 10, 9, 8
//
// Between page / (n + 1) and page / n no size is worth having: it would leave as many chunks a page
// as page / n does. So these, up to a thousand, are all the sizes there are; up to the square root
// of page * granule (1,448 bytes in pages of 512 KiB with granules of 4) they lie a granule apart.
// Larger items are chained.
//
// A partition keeps only some classes open (ladder.h): always the coarse ones, which rise by about
// 1/14 each, so that a size that is new finds one near; finer ones as they pay.
//
// Page size follows the partition: about 1/512 of it, twice that below 32 MB, so that a hundred
// classes find room in 4 MB as well as in 64 GB.
//
// Owner: the engine; one for all partitions. Affinity: any (immutable). Lifetime: the engine's.
// Invariant: sizes rise strictly, are multiples of the granule, and divide the page with less than
// a chunk left over.
#ifndef TORC_SRC_SLAB_SIZE_CLASSES_H_
#define TORC_SRC_SLAB_SIZE_CLASSES_H_

#include <algorithm>
#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>

#include "src/slab/item.h"

namespace torc::slab {

// What a chained item is made of; see item.h.
struct ChainShape {
  uint32_t pages;       // whole pages
  uint32_t pieces;      // pages and chunks
  uint32_t head_bytes;  // value bytes in the head chunk
  uint32_t last_bytes;  // value bytes in the last chunk, 0 if it is as large as the others
};

class SizeClasses {
 public:
  // More than any page and granule make, the heads' class included.
  static constexpr uint32_t kClassesMax = 1024;
  static constexpr uint32_t kChunkSizeMin = 20;
  // Chunks of the largest class in a page.
  static constexpr uint32_t kLargestPerPage = 8;

  // For partitions of `partition_bytes`.
  explicit SizeClasses(uint64_t partition_bytes);

  uint32_t page_shift() const { return page_shift_; }
  uint32_t page_size() const { return 1u << page_shift_; }
  // log2 of the unit of references: 2, more for partitions beyond 16 GiB.
  uint32_t granule_shift() const { return granule_shift_; }

  // Classes for items and pieces are 1 to largest(); class 0 is the heads'.
  static constexpr uint32_t heads() { return kHeadsClass; }
  uint32_t largest() const { return count_; }
  uint32_t count_with_heads() const { return count_ + 1; }
  uint32_t chunk_size(uint32_t size_class) const { return sizes_[size_class]; }
  uint32_t chunks_per_page(uint32_t size_class) const { return per_page_[size_class]; }
  uint32_t chunk_size_max() const { return sizes_[count_]; }
  // What statistics and operators call a class: 1 to count_with_heads(), the heads' last.
  uint32_t NumberOf(uint32_t size_class) const {
    return size_class == heads() ? count_ + 1 : size_class;
  }
  uint32_t ClassOfNumber(uint32_t number) const { return number == count_ + 1 ? heads() : number; }
  // Whether the class is one of the ladder that is always there.
  bool is_coarse(uint32_t size_class) const { return coarse_[size_class]; }

  // The smallest class whose chunks hold `bytes`, 1 to chunk_size_max().
  uint32_t ClassOf(size_t bytes) const {
    const uint32_t unit = 1u << granule_shift_;
    const uint32_t size =
        std::max((static_cast<uint32_t>(bytes) + unit - 1) & ~(unit - 1), sizes_[1]);
    if (size <= linear_max_) return ((size - sizes_[1]) >> granule_shift_) + 1;
    return count_ + kLargestPerPage - page_size() / size;
  }

  // How a value of `value_size` follows `prefix` bytes (header to the end of the key) when both
  // exceed chunk_size_max().
  ChainShape Chain(size_t prefix, uint32_t value_size) const;
  // Where in the head chunk a chained item's refs begin, and its value.
  static size_t ChainOffset(size_t prefix) { return (prefix + 3) & ~size_t{3}; }
  // Room is kept for as many refs as a value of this size can need, not as it does: that number
  // would depend on the room.
  size_t ChainValueOffset(size_t prefix, uint32_t value_size) const {
    // A value below a page never has pages; one above may have a page less than it could, and a
    // page's worth of chunks instead.
    const size_t refs_max = value_size < page_size()
                                ? (value_size + piece_bytes() - 1) / piece_bytes()
                                : (value_size >> page_shift_) + kLargestPerPage + 1;
    return ChainOffset(prefix) + 2 * sizeof(uint32_t) + refs_max * sizeof(uint32_t);
  }
  // Value bytes that a piece of the largest class holds.
  uint32_t piece_bytes() const { return chunk_size_max() - uint32_t{sizeof(Item)}; }

 private:
  void Add(uint32_t size);
  void ChooseCoarse();

  uint32_t page_shift_;
  uint32_t granule_shift_;
  uint32_t linear_max_ = 0;  // up to this size classes lie a granule apart
  uint32_t count_ = 0;
  std::array<uint32_t, kClassesMax> sizes_{};
  std::array<uint32_t, kClassesMax> per_page_{};
  std::bitset<kClassesMax> coarse_;
};

}  // namespace torc::slab

#endif  // TORC_SRC_SLAB_SIZE_CLASSES_H_
