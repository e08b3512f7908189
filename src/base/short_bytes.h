// Copying and comparing a few bytes in place: keys, and the words of replies. Half of what a call
// of memcpy or memcmp costs for these is the call.
//
// Owner: none, functions. Affinity: any. Lifetime: static. Invariant: no byte beyond `size` is
// read or written.
#ifndef TORC_SRC_BASE_SHORT_BYTES_H_
#define TORC_SRC_BASE_SHORT_BYTES_H_

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace torc {

// Up to this many bytes are done here, more by the library.
inline constexpr size_t kShortBytesMax = 32;

namespace internal {

template <typename Word>
inline void CopyEnds(char* to, const char* from, size_t size) {
  Word first, last;
  std::memcpy(&first, from, sizeof(Word));
  std::memcpy(&last, from + size - sizeof(Word), sizeof(Word));
  std::memcpy(to, &first, sizeof(Word));
  std::memcpy(to + size - sizeof(Word), &last, sizeof(Word));
}

template <typename Word>
inline Word Difference(const char* a, const char* b) {
  Word x, y;
  std::memcpy(&x, a, sizeof(Word));
  std::memcpy(&y, b, sizeof(Word));
  return x ^ y;
}

template <typename Word>
inline bool SameEnds(const char* a, const char* b, size_t size) {
  const size_t last = size - sizeof(Word);
  return (Difference<Word>(a, b) | Difference<Word>(a + last, b + last)) == 0;
}

struct Word16 {
  uint64_t low, high;
};

}  // namespace internal

// As memcpy: two words of the largest size that fits, from both ends, which may overlap.
inline void CopyShort(char* to, const char* from, size_t size) {
  if (size > kShortBytesMax) {
    std::memcpy(to, from, size);
  } else if (size >= 16) {
    internal::CopyEnds<internal::Word16>(to, from, size);
  } else if (size >= 8) {
    internal::CopyEnds<uint64_t>(to, from, size);
  } else if (size >= 4) {
    internal::CopyEnds<uint32_t>(to, from, size);
  } else if (size != 0) {
    const char first = from[0], middle = from[size / 2], last = from[size - 1];
    to[0] = first;
    to[size / 2] = middle;
    to[size - 1] = last;
  }
}

// Whether memcmp gives 0.
inline bool SameShort(const char* a, const char* b, size_t size) {
  if (size > kShortBytesMax) return std::memcmp(a, b, size) == 0;
  if (size > 16) {
    return internal::SameEnds<uint64_t>(a, b, 16) &&
           internal::SameEnds<uint64_t>(a + size - 16, b + size - 16, 16);
  }
  if (size >= 8) return internal::SameEnds<uint64_t>(a, b, size);
  if (size >= 4) return internal::SameEnds<uint32_t>(a, b, size);
  for (size_t i = 0; i < size; ++i) {
    if (a[i] != b[i]) return false;
  }
  return true;
}

}  // namespace torc

#endif  // TORC_SRC_BASE_SHORT_BYTES_H_
