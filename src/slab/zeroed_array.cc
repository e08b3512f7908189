#include "src/slab/zeroed_array.h"

#include <sys/mman.h>

#include "src/base/assert.h"

namespace torc::slab {

void* MapZeroed(size_t bytes) {
  void* const memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  CHECK(memory != MAP_FAILED);
  return memory;
}

void UnmapZeroed(void* memory, size_t bytes) { munmap(memory, bytes); }

}  // namespace torc::slab
