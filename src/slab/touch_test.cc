// What the slab engine does where a touch gives an item its first expiry, for which the item has no
// field: it makes a new one. And of the CAS uniques, which such a copy keeps.
#include <string>
#include <string_view>
#include <vector>

#include "src/slab/slab_engine.h"
#include "src/slab/testing.h"
#include "third_party/doctest/doctest.h"

namespace torc::slab {
namespace {

using engine::Op;
using engine::Result;
using engine::Verb;

engine::EngineOptions Options(uint64_t memory_mb = 16) {
  engine::EngineOptions options;
  options.shards = 1;
  options.memory_limit_bytes = memory_mb << 20;
  return options;
}

class EngineFixture {
 public:
  ~EngineFixture() { engine.CheckInvariants(0); }

  Op Cas(std::string_view key, std::string_view value, uint64_t cas) {
    Op op = TestShard::Make(Verb::kCas, key, value);
    op.cas = cas;
    return shard.Do(op);
  }

  SlabEngine engine{Options()};
  TestShard shard{engine, 0};
};

TEST_CASE_FIXTURE(EngineFixture,
                  "a first expiry makes a new item of the same unique, and no other change") {
  for (const Verb verb : {Verb::kTouch, Verb::kGetAndTouch}) {
    for (const uint32_t flags : {0u, 7u}) {
      shard.Do(Verb::kSet, "k", "value", flags);
      Op before, after;
      shard.Get("k", &before);
      const auto totals = engine.Totals();
      const Op touched = shard.Do(TestShard::Make(verb, "k", {}, 0, shard.now + 50));
      CHECK(touched.result == (verb == Verb::kTouch ? Result::kTouched : Result::kHit));
      CHECK(touched.cas == before.cas);
      CHECK(engine.Totals().items == totals.items);
      CHECK(engine.Totals().items_stored == totals.items_stored);
      CHECK(engine.Totals().item_bytes == totals.item_bytes + 4);
      CHECK(shard.Get("k", &after) == "value");
      CHECK(after.cas == before.cas);
      CHECK(after.client_flags == flags);
      CHECK(after.item != before.item);
      if (verb == Verb::kGetAndTouch) {
        CHECK(touched.item == after.item);
        CHECK(touched.client_flags == flags);
        CHECK(touched.value_size == 5);
      }
      CHECK(Cas("k", "other", before.cas).result == Result::kStored);
      // The next ones find the field there.
      shard.Do(Verb::kTouch, "k", {}, 0, shard.now + 40);
      Op first, second;
      shard.Get("k", &first);
      shard.Do(Verb::kTouch, "k", {}, 0, kNeverExpires);
      shard.Do(Verb::kTouch, "k", {}, 0, shard.now + 20);
      CHECK(shard.Get("k", &second) == "other");
      CHECK(first.item == second.item);
      shard.now += 20;
      CHECK(!shard.Get("k"));
    }
  }
}

TEST_CASE_FIXTURE(EngineFixture, "what was read stays fetched when a touch copies it") {
  shard.Set("k", "v");
  shard.Get("k");
  shard.Do(Verb::kTouch, "k", {}, 0, shard.now + 1);
  shard.now += 60;
  for (int second = 0; second < 60; ++second) {
    ++shard.now;
    shard.Turns(20);
  }
  CHECK(engine.Totals().reclaimed == 1);
  CHECK(engine.Totals().expired_unfetched == 0);
}

TEST_CASE_FIXTURE(EngineFixture, "a large item has room for an expiry from the beginning") {
  const std::string value = Bytes(300'000, 1);
  shard.Set("k", value);
  Op before, after;
  shard.Get("k", &before);
  CHECK(shard.Do(Verb::kTouch, "k", {}, 0, 200) == Result::kTouched);
  CHECK(shard.Get("k", &after) == value);
  CHECK(before.item == after.item);
  shard.now = 200;
  CHECK(!shard.Get("k"));
}

TEST_CASE_FIXTURE(EngineFixture, "an item that is being sent can be touched: its bytes stay") {
  const std::string value = Bytes(5000, 1);
  shard.Set("k", value);
  shard.Begin();
  const Op sent = shard.Run(TestShard::Make(Verb::kGet, "k"));
  REQUIRE(engine.Pin(0, sent.item));
  shard.End();
  CHECK(shard.Do(Verb::kTouch, "k", {}, 0, 200) == Result::kTouched);
  shard.Turns(3);
  for (int i = 0; i < 5000; ++i) shard.Set("other" + std::to_string(i), Bytes(5000, 2));
  engine.CheckInvariants(0);
  const auto piece = engine.Piece(sent.item, 0);
  CHECK(std::string_view(piece.data(), piece.size()) == value);
  engine.Unpin(0, sent.item);
}

TEST_CASE("a touch that needs memory waits for it, and is not lost") {
  engine::EngineOptions options = Options(1);
  SlabEngine engine(options);
  TestShard shard(engine, 0);
  for (int i = 0; i < 20'000; ++i) shard.Set("k" + std::to_string(i), Bytes(100, 1));
  // In one turn, so that what is replaced does not come back meanwhile.
  int touched = 0, waited = 0;
  shard.Begin();
  for (int i = 19'999; i > 14'000; --i) {
    const std::string key = "k" + std::to_string(i);
    Op op = TestShard::Make(Verb::kTouch, key, {}, 0, 1000);
    while (engine.Execute(0, {&op, 1}) == 0) {
      ++waited;
      shard.End();
      shard.Begin();
      REQUIRE(waited < 10'000);
    }
    // It may have been evicted before, for others.
    REQUIRE((op.result == Result::kTouched || op.result == Result::kNotFound));
    touched += op.result == Result::kTouched;
  }
  shard.End();
  engine.CheckInvariants(0);
  CHECK(waited > 0);
  CHECK(touched > 1000);
}

TEST_CASE("a touch that can have no memory evicts the item rather than fail") {
  engine::EngineOptions options = Options(1);
  options.memory_limit_bytes = 256 << 10;
  SlabEngine engine(options);
  TestShard shard(engine, 0);
  std::vector<const void*> pinned;
  shard.Begin();
  for (;;) {
    const std::string key = "k" + std::to_string(pinned.size());
    if (shard.Run(TestShard::Make(Verb::kSet, key, Bytes(1500, 1))).result != Result::kStored)
      break;
    const Op op = shard.Run(TestShard::Make(Verb::kGet, key));
    REQUIRE(engine.Pin(0, op.item));
    pinned.push_back(op.item);
  }
  shard.End();
  REQUIRE(pinned.size() > 100);
  CHECK(shard.Do(Verb::kTouch, "k3", {}, 0, 1000) == Result::kNotFound);
  CHECK(!shard.Get("k3"));
  CHECK(shard.Do(TestShard::Make(Verb::kGetAndTouch, "k4", {}, 0, 1000)).result == Result::kMiss);
  engine.CheckInvariants(0);
  const auto piece = engine.Piece(pinned[3], 0);
  CHECK(std::string_view(piece.data(), piece.size()) == Bytes(1500, 1));
  for (const void* item : pinned) engine.Unpin(0, item);
  engine.CheckInvariants(0);
}

TEST_CASE("where nothing is evicted, a touch needs no memory") {
  engine::EngineOptions options = Options(1);
  options.evict = false;
  SlabEngine engine(options);
  TestShard shard(engine, 0);
  const auto key = [](int i) { return std::to_string(10'000 + i); };
  int stored = 0;
  while (shard.Set(key(stored), Bytes(100, 1)) == Result::kStored) ++stored;
  CHECK(stored > 7000);
  for (int i = 0; i < stored; ++i) {
    REQUIRE(shard.Do(Verb::kTouch, key(i), {}, 0, 1000) == Result::kTouched);
  }
  CHECK(shard.turns_waited == 0);
  shard.now = 999;
  CHECK(shard.Get(key(0)));
  shard.now = 1000;
  CHECK(!shard.Get(key(0)));
}

TEST_CASE("another shard that reads an item keeps its bytes while the owner's touch replaces it") {
  engine::EngineOptions options = Options(4);
  options.shards = 2;
  TestQuiescence quiescence(2);
  options.quiescence = &quiescence;
  SlabEngine engine(options);
  TestShard owner(engine, 0, 2, &quiescence), reader(engine, 1, 2, &quiescence);
  std::string key;
  for (int i = 0; key.empty(); ++i) {
    if (owner.Owns("k" + std::to_string(i))) key = "k" + std::to_string(i);
  }
  const std::string value = Bytes(900, 1);
  owner.Set(key, value);
  reader.Begin();
  const Op seen = reader.Run(TestShard::Make(Verb::kGet, key));
  REQUIRE(seen.result == Result::kHit);
  CHECK(owner.Do(Verb::kTouch, key, {}, 0, 1000) == Result::kTouched);
  // What fits into the chunk that came free would be written there.
  for (int i = 0; i < 500; ++i) {
    const std::string other = "other" + std::to_string(i);
    if (owner.Owns(other)) owner.Set(other, Bytes(900, 2));
  }
  CHECK(std::string_view(seen.value, seen.value_size) == value);
  Op after;
  reader.End();
  CHECK(reader.Get(key, &after) == value);
  CHECK(after.cas == seen.cas);
  CHECK(after.item != seen.item);
}

TEST_CASE("CAS uniques of two shards differ, and rise with each store") {
  engine::EngineOptions options = Options(4);
  options.shards = 2;
  TestQuiescence quiescence(2);
  options.quiescence = &quiescence;
  SlabEngine engine(options);
  TestShard shards[] = {TestShard(engine, 0, 2, &quiescence), TestShard(engine, 1, 2, &quiescence)};
  uint64_t last[2] = {0, 0};
  for (int i = 0; i < 200; ++i) {
    const std::string key = "k" + std::to_string(i);
    const ShardId owner = shards[0].Owns(key) ? 0 : 1;
    const Op op = shards[owner].Do(TestShard::Make(Verb::kSet, key, "v"));
    CHECK(op.cas > last[owner]);
    CHECK(op.cas % 2 == owner);
    last[owner] = op.cas;
  }
}

}  // namespace
}  // namespace torc::slab
