#include "src/slab/value.h"

#include <algorithm>
#include <cstring>

#include "src/base/assert.h"

namespace torc::slab {

std::span<char> ValueSpace::ChainedPiece(Item* item, size_t offset) const {
  const size_t value_size = item->value_size();
  if (offset >= value_size) return {};
  const ChainRecord& chain = Chain(item);
  const size_t value_offset = classes_->ChainValueOffset(item->prefix_size(), item->value_size());
  const size_t head_bytes = std::min(value_size, classes_->chunk_size_max() - value_offset);
  if (offset < head_bytes) return {item->bytes() + value_offset + offset, head_bytes - offset};

  const size_t rest = value_size - head_bytes;
  size_t at = offset - head_bytes;
  const std::span<const Ref> refs = Refs(item);
  if (const size_t page = at >> classes_->page_shift(); page < chain.pages) {
    const size_t within = at & (classes_->page_size() - 1);
    return {items_.BytesAt(refs[page]) + within, classes_->page_size() - within};
  }
  const size_t in_pages = size_t{chain.pages} << classes_->page_shift();
  at -= in_pages;
  const size_t piece_bytes = classes_->piece_bytes();
  const size_t piece = at / piece_bytes;
  const size_t within = at % piece_bytes;
  const size_t size = std::min(piece_bytes, rest - in_pages - piece * piece_bytes);
  CHECK_LT(chain.pages + piece, refs.size());
  return {items_.At(refs[chain.pages + piece])->bytes() + sizeof(Item) + within, size - within};
}

void ValueSpace::CopyIn(Item* to, size_t offset, std::span<const char> bytes) const {
  CHECK_LE(offset + bytes.size(), to->value_size());
  while (!bytes.empty()) {
    const std::span<char> window = Piece(to, offset);
    const size_t n = std::min(window.size(), bytes.size());
    std::memcpy(window.data(), bytes.data(), n);
    bytes = bytes.subspan(n);
    offset += n;
  }
}

void ValueSpace::CopyPart(Item* to, size_t offset, const Item* from, size_t from_offset,
                          size_t size) const {
  CHECK_LE(from_offset + size, from->value_size());
  for (size_t done = 0; done < size;) {
    const std::span<const char> piece = Piece(from, from_offset + done);
    const size_t n = std::min(piece.size(), size - done);
    CopyIn(to, offset + done, piece.first(n));
    done += n;
  }
}

}  // namespace torc::slab
