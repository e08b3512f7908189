#include "src/slab/size_classes.h"

#include <algorithm>
#include <bit>

#include "src/base/assert.h"

namespace torc::slab {
namespace {

// Half a page is lost in each class until the memory has turned over: many pages keep that small.
// But small pages have small chunks, and items beyond these are chained, which costs more: below
// 64 KiB (chunks of 8 KiB) there are half as many.
constexpr uint64_t kPagesPerPartition = 512;
constexpr uint64_t kPageSizeWanted = uint64_t{64} << 10;
constexpr uint64_t kPageSizeMin = uint64_t{16} << 10;
constexpr uint64_t kPageSizeMax = uint64_t{1} << 20;
constexpr uint32_t kGranuleShiftMin = 2;  // items are aligned to 4
constexpr uint32_t kCoarseStepDivisor = 14;

// An item's size word has room for the sizes and classes of those in one chunk.
static_assert(kPageSizeMax / SizeClasses::kLargestPerPage <= Item::kUnchainedValueSizeMax);
static_assert(SizeClasses::kClassesMax - 1 <= Item::kSizeClassMax);

uint32_t PageShift(uint64_t partition_bytes) {
  const uint64_t share = partition_bytes / kPagesPerPartition;
  const uint64_t wanted =
      std::clamp(std::max(share, std::min(2 * share, kPageSizeWanted)), kPageSizeMin, kPageSizeMax);
  // Rounded to the nearest power of two.
  return static_cast<uint32_t>(std::bit_width(wanted + wanted / 2) - 1);
}

uint32_t GranuleShift(uint64_t partition_bytes, uint32_t page_shift) {
  uint32_t shift = kGranuleShiftMin;
  // One page more, which is never used: see Arena.
  while (((partition_bytes + (uint64_t{1} << page_shift)) >> shift) >= (uint64_t{1} << 32)) ++shift;
  return shift;
}

}  // namespace

SizeClasses::SizeClasses(uint64_t partition_bytes)
    : page_shift_(PageShift(partition_bytes)),
      granule_shift_(GranuleShift(partition_bytes, page_shift_)) {
  const uint32_t unit = 1u << granule_shift_;
  sizes_[heads()] = page_size() / kLargestPerPage;
  per_page_[heads()] = kLargestPerPage;

  // From this n downwards, page / n and page / (n - 1) are at least a granule apart.
  uint32_t n = kLargestPerPage;
  while (uint64_t{n} * (n + 1) <= page_size() >> granule_shift_) ++n;
  linear_max_ = page_size() / (n + 1) / unit * unit;
  for (uint32_t size = (kChunkSizeMin + unit - 1) / unit * unit; size <= linear_max_; size += unit)
    Add(size);
  for (; n >= kLargestPerPage; --n) Add(page_size() / n / unit * unit);
  ChooseCoarse();
}

void SizeClasses::Add(uint32_t size) {
  CHECK_LT(count_ + 1, kClassesMax);
  ++count_;
  sizes_[count_] = size;
  per_page_[count_] = page_size() / size;
}

void SizeClasses::ChooseCoarse() {
  for (uint32_t c = 1;;) {
    coarse_.set(c);
    if (c == largest()) break;
    // The last class within the wanted step, or, where classes are farther apart than that, the
    // next one.
    const uint32_t wanted = std::min(sizes_[c] + sizes_[c] / kCoarseStepDivisor, chunk_size_max());
    const uint32_t holds = ClassOf(wanted);
    c = std::max(c + 1, sizes_[holds] == wanted ? holds : holds - 1);
  }
}

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
