#include "src/slab/item.h"

#include <cstring>

#include "src/base/assert.h"

namespace torc::slab {

void Item::set_exptime(RelativeSeconds t) {
  if (has_exptime()) {
    ExptimeField().store(t, std::memory_order_relaxed);
  } else {
    CHECK(t == kNeverExpires);
  }
}

uint32_t Item::client_flags() const {
  if (!has_client_flags()) return 0;
  uint32_t flags;
  std::memcpy(&flags, bytes() + client_flags_offset(), sizeof(flags));
  return flags;
}

void Item::set_client_flags(uint32_t flags) {
  CHECK(has_client_flags());
  std::memcpy(bytes() + client_flags_offset(), &flags, sizeof(flags));
}

}  // namespace torc::slab
