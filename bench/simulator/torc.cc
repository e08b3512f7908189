#include "bench/simulator/torc.h"

#include <algorithm>
#include <string>
#include <vector>

#include "src/base/assert.h"
#include "src/slab/slab_engine.h"

namespace bench::simulator {
namespace {

using torc::ShardId;
using torc::engine::Op;
using torc::engine::Result;
using torc::engine::Verb;

// All shards' turns are taken by one thread, in turn, and hold nothing between them.
class NobodyReads final : public torc::engine::Quiescence {
 public:
  void Mark(ShardId) override {}
  bool Elapsed(ShardId) override { return true; }
};

class Torc final : public Policy {
 public:
  Torc(const Trace& trace, uint64_t capacity_bytes, uint32_t shards)
      : objects_(trace.objects), shards_(shards) {
    torc::engine::EngineOptions options;
    options.shards = shards;
    options.memory_limit_bytes = capacity_bytes;
    options.quiescence = &quiescence_;
    engine_ = std::make_unique<torc::slab::SlabEngine>(options);
    uint32_t largest = 0;
    for (const Object& object : objects_) largest = std::max(largest, object.value_size);
    value_.assign(largest, 'v');
  }

  bool Request(uint32_t object) override {
    const std::string key = KeyOf(objects_[object]);
    Op op;
    op.hash = torc::engine::HashKey(key);
    op.key = key.data();
    op.key_size = static_cast<uint8_t>(key.size());
    const ShardId shard = torc::engine::OwnerOf(op.hash, shards_);
    // A request is a turn, and a store another one: a client's store comes after its miss.
    op.verb = Verb::kGet;
    Turn(shard, &op);
    if (op.result == Result::kHit) return true;
    op = Op{};
    op.hash = torc::engine::HashKey(key);
    op.key = key.data();
    op.key_size = static_cast<uint8_t>(key.size());
    op.verb = Verb::kSet;
    op.value = value_.data();
    op.value_size = objects_[object].value_size;
    Turn(shard, &op);
    CHECK(op.result == Result::kStored);
    return false;
  }

 private:
  void Turn(ShardId shard, Op* op) {
    // The clock stands at a millisecond a request.
    const auto now = static_cast<torc::RelativeSeconds>(torc::kClockStart + turns_++ / 1000);
    for (bool done = false; !done;) {
      engine_->BeginTurn(shard, now);
      done = engine_->Execute(shard, {op, 1}) == 1;
      engine_->EndTurn(shard);
      (void)engine_->Background(shard);
    }
  }

  const std::vector<Object>& objects_;
  const uint32_t shards_;
  NobodyReads quiescence_;
  std::unique_ptr<torc::slab::SlabEngine> engine_;
  std::string value_;
  uint64_t turns_ = 0;
};

}  // namespace

std::unique_ptr<Policy> MakeTorc(const Trace& trace, uint64_t capacity_bytes, uint32_t shards) {
  return std::make_unique<Torc>(trace, capacity_bytes, shards);
}

}  // namespace bench::simulator
