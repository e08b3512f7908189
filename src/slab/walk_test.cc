// Walks as only a table of buckets needs them; what every engine does is in
// tests/engine/operator_cases.cc.
#include <string>

#include "src/slab/slab_engine.h"
#include "src/slab/testing.h"
#include "third_party/doctest/doctest.h"

namespace torc::slab {
namespace {

TEST_CASE("an empty partition is walked in bounded slices, too") {
  struct Count final : engine::ItemVisitor {
    bool Visit(const engine::ItemInfo&) override {
      ++items;
      return true;
    }
    int items = 0;
  } met;
  engine::EngineOptions options;
  options.shards = 1;
  SlabEngine engine(options);
  TestShard shard(engine, 0);
  for (int i = 0; i < 20'000; ++i) shard.Set("key" + std::to_string(i), "value");
  for (int i = 0; i < 20'000; ++i) {
    shard.Do(engine::Verb::kDelete, "key" + std::to_string(i));
  }
  engine::WalkCursor cursor;
  engine.Walk(0, &cursor, 100, met);
  CHECK(!cursor.done);
  while (!cursor.done) engine.Walk(0, &cursor, 100, met);
  CHECK(met.items == 0);
}

}  // namespace
}  // namespace torc::slab
