// A pool of equal objects, for the request path: memory comes from the kernel in slabs and is
// handed out again and again; the general heap is not touched.
//
//   slab (mmap) [object][object][object]...   slab [object]...        free list: object -> object
//   -> null (last in, first out)
//
// Last in, first out keeps the objects in use few and warm. Slabs are never given back: a pool's
// size is the most that was ever in use at once, and `capacity` bounds it. Under AddressSanitizer
// free objects are poisoned.
//
// Owner: one shard. Affinity: shard. Lifetime: outlives its objects. Invariant: used() + free =
// made, made <= capacity.
#ifndef TORC_SRC_BASE_POOL_H_
#define TORC_SRC_BASE_POOL_H_

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <utility>

#include "src/base/assert.h"
#include "src/base/types.h"

#if defined(__SANITIZE_ADDRESS__)
#define TORC_POOL_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TORC_POOL_ASAN 1
#endif
#endif
#ifdef TORC_POOL_ASAN
#include <sanitizer/asan_interface.h>
#endif

namespace torc {

template <typename T>
class Pool {
 public:
  // At most `capacity` objects at once; `slab_bytes` is what one request to the kernel brings.
  explicit Pool(size_t capacity, size_t slab_bytes = size_t{256} << 10)
      : capacity_(capacity), slab_objects_(slab_bytes / kStride > 0 ? slab_bytes / kStride : 1) {}
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  ~Pool() {
    while (slabs_ != nullptr) {
      Slab* const slab = slabs_;
      slabs_ = slab->next;
      void* const memory = slab->memory;
      const size_t size_bytes = slab->size_bytes;
      delete slab;
#ifdef TORC_POOL_ASAN
      __asan_unpoison_memory_region(memory, size_bytes);
#endif
      munmap(memory, size_bytes);
    }
  }

  // A new T(args...), or null where the capacity is reached or the kernel refuses memory.
  template <typename... Args>
  [[nodiscard]] T* New(Args&&... args) {
    void* memory = free_;
    if (memory != nullptr) {
      Unpoison(memory);
      free_ = free_->next;
    } else {
      if (fresh_ == fresh_end_ && !Grow()) [[unlikely]]
        return nullptr;
      memory = fresh_;
      Unpoison(memory);
      fresh_ += kStride;
    }
    used_.Add(1);
    return new (memory) T(std::forward<Args>(args)...);
  }

  void Delete(T* object) {
    CHECK_LT(0u, used_.Get());
    object->~T();
    Free* const memory = new (static_cast<void*>(object)) Free{free_};
    free_ = memory;
    Poison(memory);
    used_.Subtract(1);
  }

  // Objects in use now, and the bytes ever taken from the kernel. Any thread.
  size_t used() const { return used_.Get(); }
  size_t size_bytes() const { return size_bytes_.Get(); }
  size_t capacity() const { return capacity_; }

 private:
  struct Free {
    Free* next;
  };
  struct Slab {
    Slab* next;
    void* memory;
    size_t size_bytes;
  };
  static constexpr size_t kAlign = alignof(T) > alignof(Free) ? alignof(T) : alignof(Free);
  static constexpr size_t kSize = sizeof(T) > sizeof(Free) ? sizeof(T) : sizeof(Free);
  static constexpr size_t kStride = (kSize + kAlign - 1) / kAlign * kAlign;

  bool Grow() {
    const size_t count = made_ + slab_objects_ <= capacity_ ? slab_objects_ : capacity_ - made_;
    if (count == 0) return false;
    const size_t size_bytes = count * kStride;
    void* const memory =
        mmap(nullptr, size_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return false;
    slabs_ = new Slab{slabs_, memory, size_bytes};
    // Handed out in order and linked only when they come back: what was never used is not resident.
    fresh_ = static_cast<char*>(memory);
    fresh_end_ = fresh_ + size_bytes;
    for (char* object = fresh_; object != fresh_end_; object += kStride) Poison(object);
    made_ += count;
    size_bytes_.Add(size_bytes);
    return true;
  }

  void Poison([[maybe_unused]] void* object) {
#ifdef TORC_POOL_ASAN
    __asan_poison_memory_region(object, kStride);
#endif
  }
  void Unpoison([[maybe_unused]] void* object) {
#ifdef TORC_POOL_ASAN
    __asan_unpoison_memory_region(object, kStride);
#endif
  }

  const size_t capacity_;
  const size_t slab_objects_;
  Free* free_ = nullptr;
  char* fresh_ = nullptr;  // of the last slab, never used
  char* fresh_end_ = nullptr;
  Slab* slabs_ = nullptr;
  size_t made_ = 0;
  Counter used_;
  Counter size_bytes_;
};

}  // namespace torc

#endif  // TORC_SRC_BASE_POOL_H_
