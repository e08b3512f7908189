#include "src/slab/size_classes.h"

#include <algorithm>
#include <bit>

#include "src/base/assert.h"
#include "src/slab/item.h"

namespace torc::slab {
namespace {

constexpr uint64_t kPagesPerPartition = 256;
constexpr uint64_t kPageSizeMin = uint64_t{16} << 10;
constexpr uint64_t kPageSizeMax = uint64_t{1} << 20;
constexpr uint32_t kStepDivisor = 14;

uint32_t PageShift(uint64_t partition_bytes) {
  const uint64_t wanted =
      std::clamp(partition_bytes / kPagesPerPartition, kPageSizeMin, kPageSizeMax);
  // Rounded to the nearest power of two.
  return static_cast<uint32_t>(std::bit_width(wanted + wanted / 2) - 1);
}

uint32_t GranuleShift(uint64_t partition_bytes, uint32_t page_shift) {
  uint32_t shift = 3;
  // One page more, which is never used: see Arena.
  while (((partition_bytes + (uint64_t{1} << page_shift)) >> shift) >= (uint64_t{1} << 32)) ++shift;
  return shift;
}

}  // namespace

SizeClasses::SizeClasses(uint64_t partition_bytes)
    : page_shift_(PageShift(partition_bytes)),
      granule_shift_(GranuleShift(partition_bytes, page_shift_)) {
  const uint32_t unit = 1u << granule_shift_;
  const uint32_t largest = page_size() / kLargestPerPage;
  uint32_t size = std::max(kChunkSizeMin, unit);
  for (;;) {
    CHECK_LT(count_, kClassesMax - 1);
    sizes_[count_] = size;
    per_page_[count_] = page_size() / size;
    ++count_;
    if (size == largest) break;
    // As many chunks a page as make the step at most the wanted one, or else one chunk less: the
    // smallest step that leaves no unused end.
    const uint32_t wanted = std::max(size + unit, size + size / kStepDivisor);
    const uint32_t per_page = std::min((page_size() + wanted - 1) / wanted, page_size() / size - 1);
    size = std::clamp(page_size() / per_page / unit * unit, size + unit, largest);
  }
  sizes_[count_] = largest;
  per_page_[count_] = kLargestPerPage;

  const size_t entries = (largest >> granule_shift_) + 1;
  by_granule_ = std::make_unique<uint8_t[]>(entries);
  uint8_t size_class = 0;
  for (size_t i = 0; i < entries; ++i) {
    if ((i << granule_shift_) > sizes_[size_class]) ++size_class;
    by_granule_[i] = size_class;
  }
}

uint32_t SizeClasses::piece_bytes() const { return chunk_size_max() - uint32_t{sizeof(Item)}; }

ChainShape SizeClasses::Chain(size_t prefix, uint32_t value_size) const {
  const size_t offset = ChainValueOffset(prefix, value_size);
  CHECK_LT(offset, size_t{chunk_size_max()});
  const uint32_t head_bytes =
      std::min(value_size, static_cast<uint32_t>(chunk_size_max() - offset));
  const uint32_t rest = value_size - head_bytes;
  const uint32_t pages = rest >> page_shift_;
  const uint32_t beyond = rest & (page_size() - 1);
  const uint32_t last_bytes = beyond % piece_bytes();
  const uint32_t pieces = pages + beyond / piece_bytes() + (last_bytes != 0 ? 1 : 0);
  return {pages, pieces, head_bytes, last_bytes};
}

}  // namespace torc::slab
