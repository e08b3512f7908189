// An array in zero memory straight from the kernel: what is never written costs nothing. For
// records of which few are ever used, such as those of a thousand size classes.
//
// Owner: who declares it. Affinity: as its elements. Lifetime: its own; elements are not destroyed.
// Invariant: an element that was never written is all zero bytes, which must be what its default
// constructor makes.
#ifndef TORC_SRC_SLAB_ZEROED_ARRAY_H_
#define TORC_SRC_SLAB_ZEROED_ARRAY_H_

#include <cstddef>
#include <type_traits>

namespace torc::slab {

// `bytes` of zero memory, aligned to a page. Dies if address space is short: at start only.
void* MapZeroed(size_t bytes);
void UnmapZeroed(void* memory, size_t bytes);

template <typename T>
class ZeroedArray {
  static_assert(std::is_trivially_destructible_v<T>);

 public:
  explicit ZeroedArray(size_t size)
      : elements_(static_cast<T*>(MapZeroed(size * sizeof(T)))), size_(size) {}
  ~ZeroedArray() { UnmapZeroed(elements_, size_ * sizeof(T)); }
  ZeroedArray(const ZeroedArray&) = delete;
  ZeroedArray& operator=(const ZeroedArray&) = delete;

  size_t size() const { return size_; }
  T& operator[](size_t i) { return elements_[i]; }
  const T& operator[](size_t i) const { return elements_[i]; }
  T* begin() { return elements_; }
  T* end() { return elements_ + size_; }
  const T* begin() const { return elements_; }
  const T* end() const { return elements_ + size_; }

 private:
  T* elements_;
  size_t size_;
};

}  // namespace torc::slab

#endif  // TORC_SRC_SLAB_ZEROED_ARRAY_H_
