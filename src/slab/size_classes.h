// The ladder of chunk sizes, and the shape of items that exceed it.
//
// Sizes rise by about 1/14 from 32 bytes to an eighth of a page, each as large as its number of
// chunks per page allows, so that a page has no unused end. Expected waste by rounding is half a
// step: 3.5 % of an item, up to 6 % just below an eighth of a page, where the next divisor of the
// page is farther away. Larger items are chained.
//
// Page size follows the partition: about 1/256 of it, so that a hundred classes find room in 4 MB
// as well as in 64 GB.
//
// Owner: the engine; one for all partitions. Affinity: any (immutable). Lifetime: the engine's.
// Invariant: sizes rise strictly, are multiples of the granule, and divide the page with less than
// a chunk left over.
#ifndef TORC_SRC_SLAB_SIZE_CLASSES_H_
#define TORC_SRC_SLAB_SIZE_CLASSES_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

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
  static constexpr uint32_t kClassesMax = 192;
  static constexpr uint32_t kChunkSizeMin = 32;
  // Chunks of the largest class in a page.
  static constexpr uint32_t kLargestPerPage = 8;

  // For partitions of `partition_bytes`.
  explicit SizeClasses(uint64_t partition_bytes);

  uint32_t page_shift() const { return page_shift_; }
  uint32_t page_size() const { return 1u << page_shift_; }
  // log2 of the unit of references: 3, more for partitions beyond 32 GiB.
  uint32_t granule_shift() const { return granule_shift_; }

  // Classes for items and pieces are 0 to count() - 1. Class count() has the largest chunks once
  // more: heads of chained items live there and nowhere else, so that eviction among small items
  // never meets a large one.
  uint32_t count() const { return count_; }
  uint32_t heads() const { return count_; }
  uint32_t count_with_heads() const { return count_ + 1; }
  uint32_t chunk_size(uint32_t size_class) const { return sizes_[size_class]; }
  uint32_t chunks_per_page(uint32_t size_class) const { return per_page_[size_class]; }
  uint32_t chunk_size_max() const { return sizes_[count_ - 1]; }

  // The smallest class whose chunks hold `bytes`, 1 to chunk_size_max().
  uint32_t ClassOf(size_t bytes) const {
    return by_granule_[(bytes + granule() - 1) >> granule_shift_];
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
  uint32_t piece_bytes() const;

 private:
  size_t granule() const { return size_t{1} << granule_shift_; }

  uint32_t page_shift_;
  uint32_t granule_shift_;
  uint32_t count_ = 0;
  std::array<uint32_t, kClassesMax> sizes_{};
  std::array<uint32_t, kClassesMax> per_page_{};
  std::unique_ptr<uint8_t[]> by_granule_;
};

}  // namespace torc::slab

#endif  // TORC_SRC_SLAB_SIZE_CLASSES_H_
