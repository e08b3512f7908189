#include <map>
#include <random>
#include <string>

#include "src/slab/slab_engine.h"
#include "src/slab/testing.h"
#include "third_party/doctest/doctest.h"

namespace torc::slab {
namespace {

using engine::ItemInfo;
using engine::PinInfo;
using engine::Verb;
using engine::WalkCursor;

class Fixture {
 protected:
  explicit Fixture(uint64_t memory_bytes = uint64_t{64} << 20) : engine_(Options(memory_bytes)) {}

  static engine::EngineOptions Options(uint64_t memory_bytes) {
    engine::EngineOptions options;
    options.shards = 1;
    options.memory_limit_bytes = memory_bytes;
    return options;
  }
  static std::string Key(uint64_t i) { return "key" + std::to_string(i); }

  // What walks have met, by key.
  struct Met final : engine::ItemVisitor, engine::PinVisitor {
    std::map<std::string, int> times;
    std::map<std::string, PinInfo> pins;
    int stop_after = 0;  // 0: never

    bool Visit(const ItemInfo& item) override {
      ++times[std::string(item.key)];
      return stop_after == 0 || --stop_after > 0;
    }
    bool Visit(const PinInfo& pin) override {
      PinInfo& copy = pins[std::string(pin.item.key)];
      Require(copy.pins == 0, "a pin is listed once");
      copy = pin;
      copy.item.key = {};
      return true;
    }
  };

  void WalkOn(WalkCursor* cursor, Met& met, uint32_t items_max) {
    shard_.Begin();
    engine_.Walk(0, cursor, items_max, met);
    shard_.End();
  }

  SlabEngine engine_;
  TestShard shard_{engine_, 0};
};

TEST_CASE_FIXTURE(Fixture, "a walk meets every item once and then is done") {
  for (int i = 0; i < 20'000; ++i) shard_.Set(Key(i), "value");
  Met met;
  WalkCursor cursor;
  uint32_t slices = 0;
  for (; !cursor.done; ++slices) WalkOn(&cursor, met, 100);
  CHECK(met.times.size() == 20'000);
  for (const auto& [key, times] : met.times) CHECK(times == 1);
  CHECK(slices > 20'000 / (100 + engine::kWalkOvershootMax));
}

TEST_CASE_FIXTURE(Fixture, "an empty partition is walked in bounded slices, too") {
  for (int i = 0; i < 20'000; ++i) shard_.Set(Key(i), "value");
  for (int i = 0; i < 20'000; ++i) shard_.Do(Verb::kDelete, Key(i));
  Met met;
  WalkCursor cursor;
  WalkOn(&cursor, met, 100);
  CHECK(!cursor.done);
  while (!cursor.done) WalkOn(&cursor, met, 100);
  CHECK(met.times.empty());
}

TEST_CASE_FIXTURE(Fixture, "a visitor that has enough is shown little more, and the rest later") {
  for (int i = 0; i < 5'000; ++i) shard_.Set(Key(i), "value");
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

TEST_CASE_FIXTURE(Fixture,
                  "keys that stay are met exactly once while the index grows and changes") {
  std::mt19937_64 random(7);
  // Some stay as they are, some are replaced all the time, the others come and go. Ten times as
  // many at the end as in the beginning: the index grows several times.
  constexpr uint64_t kStay = 4'000;
  for (uint64_t i = 0; i < kStay; ++i) shard_.Set(Key(i), "stays");
  for (int walk = 0; walk < 5; ++walk) {
    Met met;
    WalkCursor cursor;
    uint64_t next = kStay + static_cast<uint64_t>(walk) * 8'000;
    while (!cursor.done) {
      WalkOn(&cursor, met, 50);
      for (int i = 0; i < 60; ++i) shard_.Set(Key(next++), "comes");
      for (int i = 0; i < 20; ++i) shard_.Do(Verb::kDelete, Key(kStay + random() % (next - kStay)));
      for (int i = 0; i < 20; ++i) {
        shard_.Set(Key(random() % kStay), std::string(random() % 3'000, 'x'));
      }
    }
    for (uint64_t i = 0; i < kStay; ++i) CHECK(met.times[Key(i)] == 1);
    for (const auto& [key, times] : met.times) CHECK(times == 1);
    engine_.CheckInvariants(0);
  }
}

TEST_CASE_FIXTURE(Fixture, "the dead are not met") {
  shard_.Set("lives", "v");
  shard_.Set("expires", "v", shard_.now + 5);
  shard_.now += 5;
  Met met;
  WalkCursor cursor;
  while (!cursor.done) WalkOn(&cursor, met, 100);
  CHECK(met.times.size() == 1);
  CHECK(met.times.count("lives") == 1);
  engine_.Flush(0, kNeverExpires);
  Met none;
  cursor = {};
  while (!cursor.done) WalkOn(&cursor, none, 100);
  CHECK(none.times.empty());
}

TEST_CASE_FIXTURE(Fixture, "an item is described as it is") {
  shard_.now = 100;
  shard_.Do(TestShard::Make(Verb::kSet, "k", "value", 7, 200));
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
  look.classes = engine_.size_classes();
  WalkCursor cursor;
  while (!cursor.done) engine_.Walk(0, &cursor, 100, look);
  CHECK(shard_.Get("k") == "value");
  look.fetched = true;
  cursor = {};
  while (!cursor.done) engine_.Walk(0, &cursor, 100, look);
  CHECK(look.seen == 2);
}

TEST_CASE_FIXTURE(Fixture, "pins are listed with their counts, ages and fates") {
  constexpr int kItems = 300;
  std::map<std::string, const void*> items;
  for (int i = 0; i < kItems; ++i) {
    shard_.Set(Key(i), "value");
    shard_.Begin();
    const engine::Op op = shard_.Run(TestShard::Make(Verb::kGet, Key(i)));
    REQUIRE(engine_.Pin(0, op.item));
    if (i % 3 == 0) REQUIRE(engine_.Pin(0, op.item));
    items[Key(i)] = op.item;
    shard_.End();
  }
  const RelativeSeconds pinned_at = shard_.now;
  shard_.now += 10;
  shard_.Do(Verb::kDelete, Key(1));
  shard_.Turns(3);
  Met met;
  WalkCursor cursor;
  while (!cursor.done) {
    engine_.ListPins(0, &cursor, 17, met);
    // Others may go meanwhile.
    if (items.contains(Key(299))) {
      engine_.Unpin(0, items[Key(299)]);
      engine_.Unpin(0, items[Key(298)]);
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
    engine_.Unpin(0, item);
    if (met.pins[key].pins == 2) engine_.Unpin(0, item);
  }
  Met none;
  cursor = {};
  while (!cursor.done) engine_.ListPins(0, &cursor, 17, none);
  CHECK(none.pins.empty());
  engine_.CheckInvariants(0);
}

}  // namespace
}  // namespace torc::slab
