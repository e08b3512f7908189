// Zeroed memory in whole pages, away from the heap: the kernel keeps the address of what stands in
// it.
//
// Owner: the ring.
// Affinity: as its owner.
// Lifetime: unmapped by the destructor; the ring must be closed before.
// Invariant: data() is null or page-aligned.
#ifndef TORC_SRC_RING_PAGES_H_
#define TORC_SRC_RING_PAGES_H_

#include <sys/mman.h>

#include <cstddef>

namespace torc::ring {

class Pages {
 public:
  Pages() = default;
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;
  ~Pages() {
    if (data_ != nullptr) munmap(data_, size_bytes_);
  }

  // Once. False with errno set where there is no memory.
  [[nodiscard]] bool Map(size_t size_bytes) {
    void* const p =
        mmap(nullptr, size_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) return false;
    data_ = static_cast<char*>(p);
    size_bytes_ = size_bytes;
    return true;
  }
  char* data() const { return data_; }

 private:
  char* data_ = nullptr;
  size_t size_bytes_ = 0;
};

}  // namespace torc::ring

#endif  // TORC_SRC_RING_PAGES_H_
