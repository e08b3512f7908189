#include "src/slab/limbo.h"

#include <sys/mman.h>

#include <utility>

#include "src/base/assert.h"

namespace torc::slab {
namespace {

Ref* Map(size_t capacity) {
  void* memory = mmap(nullptr, capacity * sizeof(Ref), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  CHECK(memory != MAP_FAILED);
  return static_cast<Ref*>(memory);
}

}  // namespace

Limbo::Limbo(size_t capacity, engine::Quiescence* quiescence, ShardId self)
    : capacity_(capacity), quiescence_(quiescence), self_(self) {
  filling_.refs = Map(capacity);
  waiting_.refs = Map(capacity);
}

Limbo::~Limbo() {
  munmap(filling_.refs, capacity_ * sizeof(Ref));
  munmap(waiting_.refs, capacity_ * sizeof(Ref));
}

void Limbo::Add(Ref ref) {
  CHECK_LT(filling_.size, capacity_);
  filling_.refs[filling_.size++] = ref;
}

bool Limbo::EndTurn(bool also) {
  if (marked_ || (filling_.size == 0 && !also)) return false;
  CHECK_EQ(waiting_.size, 0u);
  std::swap(filling_, waiting_);
  marked_ = true;
  if (quiescence_ != nullptr) quiescence_->Mark(self_);
  return true;
}

std::span<const Ref> Limbo::BeginTurn(bool* elapsed) {
  *elapsed = marked_ && (quiescence_ == nullptr || quiescence_->Elapsed(self_));
  if (!*elapsed) return {};
  marked_ = false;
  // The array is not written again before EndTurn swaps the lists.
  return {waiting_.refs, std::exchange(waiting_.size, 0)};
}

}  // namespace torc::slab
