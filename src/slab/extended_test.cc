// Where extended operations meet what is the slab engine's own: items that move.
#include <string>
#include <unordered_map>

#include "src/slab/slab_engine.h"
#include "src/slab/testing.h"
#include "third_party/doctest/doctest.h"

namespace torc::slab {
namespace {

using engine::Extended;
using engine::Op;
using engine::Result;
using engine::Verb;

TEST_CASE("an item whose page is given up keeps its CAS unique and its marks where it goes") {
  engine::EngineOptions options;
  options.shards = 1;
  options.memory_limit_bytes = uint64_t{16} << 20;
  SlabEngine engine(options);
  TestShard shard(engine, 0);
  const auto ask = [&](const std::string& key, Extended& e, std::string_view value = {}) {
    Op op = TestShard::Make(Verb::kExtended, key, value, /*client_flags=*/9);
    op.extended = &e;
    return shard.Do(op);
  };
  const auto look = [&](const std::string& key, Extended& e) {
    e.never_wins = true;
    return ask(key, e);
  };
  const auto key_of = [](int i) { return "key" + std::to_string(i); };
  const auto cas_of = [](int i) { return UINT64_MAX - static_cast<uint64_t>(i); };
  constexpr int kItems = 30'000;
  for (int i = 0; i < kItems; ++i) {
    Extended set;
    set.verb = Verb::kSet;
    set.sets_cas = true;
    set.cas_new = 1;
    set.key_is_binary = i % 2 == 0;
    REQUIRE(ask(key_of(i), set, Bytes(100, static_cast<uint64_t>(i))).result == Result::kStored);
    Extended mark;
    mark.verb = Verb::kDelete;
    mark.invalidates = mark.sets_cas = true;
    mark.cas_new = cas_of(i);
    if (i % 3 == 0) REQUIRE(ask(key_of(i), mark).result == Result::kDeleted);
    Extended win;
    if (i % 6 == 0) ask(key_of(i), win);
  }
  // Room for those that move.
  for (int i = 0; i < kItems; i += 5) shard.Do(Verb::kDelete, key_of(i));
  std::unordered_map<int, const void*> places;
  uint32_t size_class = 0;
  for (int i = 0; i < kItems; ++i) {
    Extended e;
    const Op hit = look(key_of(i), e);  // and is used
    if (hit.result == Result::kHit) places[i] = hit.item;
    if (hit.result == Result::kHit) size_class = e.size_class;
  }
  for (int pages = 0; pages < 8; ++pages) {
    shard.Begin();
    (void)engine.MovePage(0, size_class);
    shard.End();
    shard.Turns(100);
  }
  engine.CheckInvariants(0);
  int moved = 0;
  for (const auto& entry : places) {
    const auto i = entry.first;
    const auto place = entry.second;
    CAPTURE(i);
    Extended e;
    const Op hit = look(key_of(i), e);
    if (hit.result != Result::kHit) continue;  // evicted instead
    moved += hit.item != place;
    REQUIRE(hit.cas == (i % 3 == 0 ? cas_of(i) : 1));
    REQUIRE(hit.client_flags == 9);
    REQUIRE(e.marks.key_is_binary == (i % 2 == 0));
    REQUIRE(e.marks.stale == (i % 3 == 0));
    REQUIRE(e.marks.token_sent == (i % 6 == 0));
    REQUIRE(e.marks.fetched);
    REQUIRE(shard.ValueOf(hit) == Bytes(100, static_cast<uint64_t>(i)));
  }
  CHECK(moved > 1000);
}

}  // namespace
}  // namespace torc::slab
