#include "src/slab/item.h"

#include <cstring>

#include "src/base/assert.h"

namespace torc::slab {

uint32_t Item::client_flags() const {
  if (!has_client_flags()) return 0;
  uint32_t flags;
  std::memcpy(&flags, bytes() + sizeof(Item), sizeof(flags));
  return flags;
}

void Item::set_client_flags(uint32_t flags) {
  CHECK(has_client_flags());
  std::memcpy(bytes() + sizeof(Item), &flags, sizeof(flags));
}

}  // namespace torc::slab
