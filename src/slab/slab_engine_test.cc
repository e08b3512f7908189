// What is the slab engine's own. What it does as every engine does is in tests/engine, what memory
// does under pressure in partition_test.cc, threads in concurrency_test.cc.
#include "src/slab/slab_engine.h"

#include <map>
#include <string>

#include "src/slab/testing.h"
#include "third_party/doctest/doctest.h"

namespace torc::slab {
namespace {

TEST_CASE("statistics have memcached's names") {
  engine::EngineOptions options;
  options.shards = 1;
  options.memory_limit_bytes = uint64_t{16} << 20;
  SlabEngine engine(options);
  TestShard shard(engine, 0);
  MapSink empty;
  engine.Statistics(engine::StatGroup::kItems, empty);
  CHECK(empty.values.empty());
  engine.Statistics(engine::StatGroup::kSlabs, empty);
  CHECK(empty.values ==
        std::map<std::string, std::string>{{"active_slabs", "0"}, {"total_malloced", "0"}});

  shard.Set("k", "v");
  shard.Get("k");
  MapSink items, slabs;
  engine.Statistics(engine::StatGroup::kItems, items);
  engine.Statistics(engine::StatGroup::kSlabs, slabs);
  CHECK(items.values.at("items:1:number") == "1");
  CHECK(items.values.at("items:1:hits_to_cold") == "1");
  CHECK(items.values.size() == 28);
  CHECK(slabs.values.at("1:chunk_size") == "20");
  CHECK(slabs.values.at("1:used_chunks") == "1");
  CHECK(slabs.values.at("1:get_hits") == "1");
  CHECK(slabs.values.at("1:cmd_set") == "1");
  CHECK(slabs.values.at("active_slabs") == "1");
  CHECK(slabs.values.size() == 18);

  const auto totals = engine.Totals();
  CHECK(totals.items == 1);
  CHECK(totals.items_stored == 1);
  CHECK(totals.item_bytes == 18);
  CHECK(totals.index_power == 12);
  CHECK(totals.pages_total == 1);
  engine.ResetCounters(0);
  CHECK(engine.Totals().items_stored == 0);
  CHECK(engine.Totals().items == 1);
}

}  // namespace
}  // namespace torc::slab
