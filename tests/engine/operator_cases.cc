// What operators ask of engines: walks, pins, the memory limit, looking for the expired. An engine
// may do without, and says so by having no size classes.
#include <map>
#include <memory>
#include <random>
#include <string>

#include "src/slab/testing.h"
#include "tests/engine/subject.h"
#include "third_party/doctest/doctest.h"

namespace torc::engine {
namespace {

using slab::Bytes;
using slab::TestShard;

constexpr uint64_t kMegabyte = uint64_t{1} << 20;

EngineOptions Options(bool evict) {
  EngineOptions options;
  options.shards = 1;
  options.memory_limit_bytes = 64 * kMegabyte;
  options.memory_limit_max_bytes = 128 * kMegabyte;
  options.evict = evict;
  return options;
}

class OperatorFixture {
 protected:
  explicit OperatorFixture(bool evict = true)
      : owned(MakeSubject(Options(evict))), engine(*owned), shard(engine, 0) {}
  ~OperatorFixture() { engine.CheckInvariants(0); }

  static std::string Key(uint64_t i) { return "key" + std::to_string(i); }
  bool Walks() const { return engine.size_classes() != 0; }

  // What walks have met, by key.
  struct Met final : ItemVisitor, PinVisitor {
    std::map<std::string, int> times;
    std::map<std::string, PinInfo> pins;
    int stop_after = 0;  // 0: never

    bool Visit(const ItemInfo& item) override {
      ++times[std::string(item.key)];
      return stop_after == 0 || --stop_after > 0;
    }
    bool Visit(const PinInfo& pin) override {
      PinInfo& copy = pins[std::string(pin.item.key)];
      slab::Require(copy.pins == 0, "a pin is listed once");
      copy = pin;
      copy.item.key = {};
      return true;
    }
  };
  void WalkOn(WalkCursor* cursor, Met& met, uint32_t items_max) {
    shard.Begin();
    engine.Walk(0, cursor, items_max, met);
    shard.End();
  }
  // Turns until background work has nothing more to do.
  void Settle() {
    for (int i = 0; i < 100'000; ++i) {
      shard.Begin();
      engine.EndTurn(0);
      if (engine.Background(0)) continue;
      shard.Turns(2);  // what was let go last
      return;
    }
    FAIL("background work has no end");
  }
  // Stores `count` new keys of 1,000 bytes each. Returns how many were refused.
  int Fill(int count) {
    const std::string value(1'000, 'v');
    int refused = 0;
    for (int i = 0; i < count; ++i) refused += shard.Set(Key(next++), value) != Result::kStored;
    return refused;
  }

  std::unique_ptr<Engine> owned;
  Engine& engine;
  TestShard shard;
  uint64_t next = 0;
};

class NoEvictionFixture : public OperatorFixture {
 protected:
  NoEvictionFixture() : OperatorFixture(/*evict=*/false) {}
};

TEST_CASE_FIXTURE(OperatorFixture, "a walk meets every item once and then is done") {
  if (!Walks()) return;
  for (int i = 0; i < 20'000; ++i) shard.Set(Key(i), "value");
  Met met;
  WalkCursor cursor;
  uint32_t slices = 0;
  for (; !cursor.done; ++slices) WalkOn(&cursor, met, 100);
  CHECK(met.times.size() == 20'000);
  for (const auto& [key, times] : met.times) CHECK(times == 1);
  CHECK(slices > 20'000 / (100 + engine::kWalkOvershootMax));
}

TEST_CASE_FIXTURE(OperatorFixture,
                  "a visitor that has enough is shown little more, and the rest later") {
  if (!Walks()) return;
  for (int i = 0; i < 5'000; ++i) shard.Set(Key(i), "value");
  Met met;
  WalkCursor cursor;
  while (!cursor.done) {
    int before = 0;
    for (const auto& [key, times] : met.times) before += times;
    met.stop_after = 10;
    WalkOn(&cursor, met, 1000);
    int after = 0;
    for (const auto& [key, times] : met.times) after += times;
    CHECK(after - before <= 10 + static_cast<int>(engine::kWalkOvershootMax));
  }
  CHECK(met.times.size() == 5'000);
  for (const auto& [key, times] : met.times) CHECK(times == 1);
}

TEST_CASE_FIXTURE(OperatorFixture,
                  "keys that stay are met exactly once while the index grows and changes") {
  if (!Walks()) return;
  std::mt19937_64 random(7);
  // Some stay as they are, some are replaced all the time, the others come and go. Ten times as
  // many at the end as in the beginning: the index grows several times.
  constexpr uint64_t kStay = 4'000;
  for (uint64_t i = 0; i < kStay; ++i) shard.Set(Key(i), "stays");
  for (int walk = 0; walk < 5; ++walk) {
    Met met;
    WalkCursor cursor;
    uint64_t following = kStay + static_cast<uint64_t>(walk) * 8'000;
    while (!cursor.done) {
      WalkOn(&cursor, met, 50);
      for (int i = 0; i < 60; ++i) shard.Set(Key(following++), "comes");
      for (int i = 0; i < 20; ++i)
        shard.Do(Verb::kDelete, Key(kStay + random() % (following - kStay)));
      for (int i = 0; i < 20; ++i) {
        shard.Set(Key(random() % kStay), std::string(random() % 3'000, 'x'));
      }
    }
    for (uint64_t i = 0; i < kStay; ++i) CHECK(met.times[Key(i)] == 1);
    for (const auto& [key, times] : met.times) CHECK(times == 1);
    engine.CheckInvariants(0);
  }
}

TEST_CASE_FIXTURE(OperatorFixture, "the dead are not met") {
  if (!Walks()) return;
  shard.Set("lives", "v");
  shard.Set("expires", "v", shard.now + 5);
  shard.now += 5;
  Met met;
  WalkCursor cursor;
  while (!cursor.done) WalkOn(&cursor, met, 100);
  CHECK(met.times.size() == 1);
  CHECK(met.times.count("lives") == 1);
  engine.Flush(0, kNeverExpires);
  Met none;
  cursor = {};
  while (!cursor.done) WalkOn(&cursor, none, 100);
  CHECK(none.times.empty());
}

TEST_CASE_FIXTURE(OperatorFixture, "an item is described as it is") {
  if (!Walks()) return;
  shard.now = 100;
  shard.Do(TestShard::Make(Verb::kSet, "k", "value", 7, 200));
  struct Look final : engine::ItemVisitor {
    bool Visit(const ItemInfo& item) override {
      CHECK(item.key == "k");
      CHECK(item.client_flags == 7);
      CHECK(item.exptime == 200);
      CHECK(item.last_access == 100);
      CHECK(item.value_size == 5);
      CHECK(item.item_bytes > 6);
      CHECK(item.item_bytes < 64);
      CHECK(item.size_class >= 1);
      CHECK(item.size_class <= classes);
      CHECK(item.fetched == fetched);
      ++seen;
      return true;
    }
    uint32_t classes = 0;
    bool fetched = false;
    int seen = 0;
  } look;
  look.classes = engine.size_classes();
  WalkCursor cursor;
  while (!cursor.done) engine.Walk(0, &cursor, 100, look);
  CHECK(shard.Get("k") == "value");
  look.fetched = true;
  cursor = {};
  while (!cursor.done) engine.Walk(0, &cursor, 100, look);
  CHECK(look.seen == 2);
}

TEST_CASE_FIXTURE(OperatorFixture, "pins are listed with their counts, ages and fates") {
  if (!Walks()) return;
  constexpr int kItems = 300;
  std::map<std::string, const void*> items;
  for (int i = 0; i < kItems; ++i) {
    shard.Set(Key(i), "value");
    shard.Begin();
    const engine::Op op = shard.Run(TestShard::Make(Verb::kGet, Key(i)));
    REQUIRE(engine.Pin(0, op.item));
    if (i % 3 == 0) REQUIRE(engine.Pin(0, op.item));
    items[Key(i)] = op.item;
    shard.End();
  }
  const RelativeSeconds pinned_at = shard.now;
  shard.now += 10;
  shard.Do(Verb::kDelete, Key(1));
  shard.Turns(3);
  Met met;
  WalkCursor cursor;
  while (!cursor.done) {
    engine.ListPins(0, &cursor, 17, met);
    // Others may go meanwhile.
    if (items.contains(Key(299))) {
      engine.Unpin(0, items[Key(299)]);
      engine.Unpin(0, items[Key(298)]);
      items.erase(Key(299));
      items.erase(Key(298));
    }
  }
  CHECK(met.pins.size() >= kItems - 2);
  for (int i = 0; i < kItems - 2; ++i) {
    const PinInfo& pin = met.pins[Key(i)];
    CHECK(pin.pins == (i % 3 == 0 ? 2 : 1));
    CHECK(pin.since == pinned_at);
    CHECK(pin.live == (i != 1));
  }
  for (const auto& [key, item] : items) {
    engine.Unpin(0, item);
    if (met.pins[key].pins == 2) engine.Unpin(0, item);
  }
  Met none;
  cursor = {};
  while (!cursor.done) engine.ListPins(0, &cursor, 17, none);
  CHECK(none.pins.empty());
  engine.CheckInvariants(0);
}

TEST_CASE_FIXTURE(OperatorFixture, "a lowered limit is reached, a raised one is there at once") {
  if (engine.MemoryLimitMax() == 0) return;
  CHECK(engine.MemoryLimitMax() >= 128 * kMegabyte);
  CHECK(Fill(50'000) == 0);
  CHECK(engine.Totals().evictions == 0);
  engine.SetMemoryLimit(0, 16 * kMegabyte);
  CHECK(engine.Totals().memory_limit_bytes == 16 * kMegabyte);
  engine.CheckInvariants(0);
  Settle();
  CHECK(engine.Totals().item_bytes <= 16 * kMegabyte);
  CHECK(engine.Totals().items > 8'000);
  CHECK(Fill(20'000) == 0);
  CHECK(engine.Totals().item_bytes <= 16 * kMegabyte);
  engine.CheckInvariants(0);
  engine.SetMemoryLimit(0, 128 * kMegabyte);
  const uint64_t evictions = engine.Totals().evictions;
  CHECK(Fill(90'000) == 0);
  CHECK(engine.Totals().evictions - evictions < 2'000);
  CHECK(engine.Totals().items > 90'000);
}

TEST_CASE_FIXTURE(OperatorFixture, "stores do not fail while a limit is lowered") {
  if (engine.MemoryLimitMax() == 0) return;
  CHECK(Fill(50'000) == 0);
  engine.SetMemoryLimit(0, 16 * kMegabyte);
  CHECK(Fill(20'000) == 0);
  CHECK(shard.Get(Key(next - 1)));
  Settle();
  CHECK(engine.Totals().item_bytes <= 16 * kMegabyte);
}

TEST_CASE_FIXTURE(NoEvictionFixture, "without evictions a lowered limit refuses what comes") {
  if (engine.MemoryLimitMax() == 0) return;
  CHECK(Fill(40'000) == 0);
  engine.SetMemoryLimit(0, 16 * kMegabyte);
  Settle();
  CHECK(engine.Totals().items == 40'000);
  CHECK(engine.Totals().evictions == 0);
  CHECK(Fill(2'000) > 0);  // there may be some room among the items
  for (uint64_t i = 0; i < 35'000; ++i) shard.Do(Verb::kDelete, Key(i));
  Settle();
  CHECK(shard.Set("new", Bytes(1'000, 1)) == Result::kStored);
}

TEST_CASE_FIXTURE(OperatorFixture, "a crawl finds the expired at once, wherever they are") {
  if (!Walks()) return;
  for (int i = 0; i < 5'000; ++i) shard.Set(Key(i), "v", i % 2 == 0 ? shard.now + 5 : 0);
  engine.SetCrawler(0, false);
  shard.now += 1'000;
  Settle();
  CHECK(engine.Totals().items == 5'000);
  engine.Crawl(0);
  Settle();
  CHECK(engine.Totals().items == 2'500);
}

TEST_CASE_FIXTURE(OperatorFixture, "without the crawler the expired stay, and are not found") {
  if (!Walks()) return;
  engine.SetCrawler(0, false);
  for (int i = 0; i < 100; ++i) shard.Set(Key(i), "v", shard.now + 5);
  shard.now += 1'000;
  Settle();
  CHECK(engine.Totals().items == 100);
  CHECK(!shard.Get(Key(0)));
  engine.SetCrawler(0, true);
  for (int i = 0; i < 200 && engine.Totals().items != 0; ++i) {
    Settle();
    ++shard.now;
  }
  CHECK(engine.Totals().items == 0);
}

}  // namespace
}  // namespace torc::engine
