// The bytes of values: in one piece behind the prefix, or over the pieces of a chain (item.h draws
// both).
//
// Owner: the engine, one per partition; a value type. Affinity: any, as items. Lifetime: the
// partition's. Invariant: none.
#ifndef TORC_SRC_SLAB_VALUE_H_
#define TORC_SRC_SLAB_VALUE_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "src/slab/item.h"
#include "src/slab/size_classes.h"

namespace torc::slab {

// At the start of a chained item's chain, followed by the refs.
struct ChainRecord {
  uint32_t pages;
  uint32_t pieces;
};

class ValueSpace {
 public:
  ValueSpace(const SizeClasses& classes, ItemSpace items) : classes_(&classes), items_(items) {}

  // The contiguous bytes of the item's value from `offset` on: at least one for offset <
  // value_size, else none.
  std::span<char> Piece(Item* item, size_t offset) const {
    if (__builtin_expect(!item->chained(), 1)) {
      return {item->bytes() + item->prefix_size() + offset, item->value_size() - offset};
    }
    return ChainedPiece(item, offset);
  }
  std::span<const char> Piece(const Item* item, size_t offset) const {
    return Piece(const_cast<Item*>(item), offset);
  }

  // Copies bytes into a value from `offset` on, which must lie within it.
  void CopyIn(Item* to, size_t offset, std::span<const char> bytes) const;
  // Copies `size` bytes of the value of `from`, from `from_offset` on, into `to`, likewise.
  void CopyPart(Item* to, size_t offset, const Item* from, size_t from_offset, size_t size) const;
  // Copies the whole value of `from` into `to`.
  void CopyValue(Item* to, size_t offset, const Item* from) const {
    CopyPart(to, offset, from, 0, from->value_size());
  }

  static const ChainRecord& Chain(const Item* item) {
    return *reinterpret_cast<const ChainRecord*>(item->bytes() +
                                                 SizeClasses::ChainOffset(item->prefix_size()));
  }
  static ChainRecord& Chain(Item* item) {
    return const_cast<ChainRecord&>(Chain(const_cast<const Item*>(item)));
  }
  // The chain's refs: pages first.
  static std::span<Ref> Refs(Item* item) {
    ChainRecord& chain = Chain(item);
    return {reinterpret_cast<Ref*>(&chain + 1), chain.pieces};
  }
  static std::span<const Ref> Refs(const Item* item) { return Refs(const_cast<Item*>(item)); }

 private:
  std::span<char> ChainedPiece(Item* item, size_t offset) const;

  const SizeClasses* classes_;
  ItemSpace items_;
};

}  // namespace torc::slab

#endif  // TORC_SRC_SLAB_VALUE_H_
