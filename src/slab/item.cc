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

void Item::set_client_flags(uint32_t flags) {
  CHECK(has_client_flags());
  std::memcpy(bytes() + client_flags_offset(), &flags, sizeof(flags));
}

uint64_t Item::own_cas() const {
  CHECK(has_own_cas());
  uint64_t cas;
  std::memcpy(&cas, bytes() + prefix_size() - sizeof(cas), sizeof(cas));
  return cas;
}

void Item::set_own_cas(uint64_t cas) {
  CHECK(has_own_cas());
  std::memcpy(bytes() + prefix_size() - sizeof(cas), &cas, sizeof(cas));
}

void Item::InitCopyOf(uint32_t size_class, const Item& other) {
  Init(size_class, {.key_size = other.key_size_,
                    .value_size = other.value_size(),
                    .has_exptime = other.has_exptime(),
                    .has_client_flags = other.has_client_flags(),
                    .has_own_cas = other.has_own_cas()});
  set_cas_count(other.cas_count());
  access_.store(other.access_.load(std::memory_order_relaxed), std::memory_order_relaxed);
  InheritMarks(other);
  set_exptime(other.exptime());
  const size_t from = client_flags_offset();
  std::memcpy(bytes() + from, other.bytes() + from, prefix_size() + value_size() - from);
}

}  // namespace torc::slab
