// Threads: every shard writes its own keys and reads all of them. Meant for ThreadSanitizer and
// AddressSanitizer as much as for what it asserts.
#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "src/slab/slab_engine.h"
#include "src/slab/testing.h"
#include "third_party/doctest/doctest.h"

namespace torc::slab {
namespace {

using engine::Op;
using engine::Result;
using engine::Verb;

// A key's values: "KEY:VERSION:" and then bytes that follow from both, so that a reader can tell a
// whole value from a mixture.
std::string ValueOf(const std::string& key, uint64_t version, size_t size) {
  return key + ":" + std::to_string(version) + ":" + Bytes(size, version * 31 + key.size());
}

// The version in a value, after a check of the rest. Dies if the value is not whole.
uint64_t VersionIn(const std::string& key, const std::string& value) {
  Require(key.size() < value.size(), "a value begins with its key");
  Require(value.starts_with(key + ":"), "a value is its key's");
  const size_t second = value.find(':', key.size() + 1);
  const uint64_t version = std::stoull(value.substr(key.size() + 1));
  Require(value == ValueOf(key, version, value.size() - second - 1), "a value is whole");
  return version;
}

void Run(uint32_t shards, uint64_t memory_bytes, int steady_keys, int rounds, bool evicts) {
  TestQuiescence quiescence(shards);
  engine::EngineOptions options;
  options.shards = shards;
  options.memory_limit_bytes = memory_bytes;
  options.quiescence = &quiescence;
  SlabEngine engine(options);

  std::vector<std::string> keys;
  for (int i = 0; i < steady_keys; ++i) keys.push_back("steady" + std::to_string(i));
  std::atomic<uint64_t> hits{0};
  std::atomic<uint32_t> ready{0};

  const auto work = [&](ShardId self) {
    TestShard shard(engine, self, shards, &quiescence);
    std::mt19937_64 random(self);
    std::vector<uint64_t> written(keys.size()), seen(keys.size());
    const auto store = [&](size_t k) {
      const size_t size = random() % 200 == 0 ? random() % 30'000 : random() % 200;
      const std::string value = ValueOf(keys[k], ++written[k], size);
      Require(shard.Set(keys[k], value) == Result::kStored, "a set is stored");
    };
    for (size_t k = 0; k < keys.size(); ++k) {
      if (shard.Owns(keys[k])) store(k);
    }
    // Others' keys are there from now on.
    ready.fetch_add(1);
    while (ready.load() < shards) shard.Turns(1);

    uint64_t own_hits = 0;
    for (int round = 0; round < rounds; ++round) {
      shard.Begin();
      std::vector<Op> ops;
      std::vector<size_t> asked;
      for (int i = 0; i < 16; ++i) {
        asked.push_back(random() % keys.size());
        ops.push_back(TestShard::Make(Verb::kGet, keys[asked.back()]));
      }
      Require(engine.Execute(self, ops) == ops.size(), "gets never wait");
      for (size_t i = 0; i < ops.size(); ++i) {
        if (ops[i].result != Result::kHit) {
          Require(evicts, "a key that is there all the time is never missed");
          continue;
        }
        ++own_hits;
        const uint64_t version = VersionIn(keys[asked[i]], shard.ValueOf(ops[i]));
        Require(seen[asked[i]] <= version, "no value goes back in time");
        seen[asked[i]] = version;
      }
      shard.End();
      for (int i = 0; i < 4; ++i) {
        const size_t k = random() % keys.size();
        if (shard.Owns(keys[k])) store(k);
      }
      // An item that gets its first expiry is copied, under its readers.
      if (const size_t k = random() % keys.size(); shard.Owns(keys[k])) {
        const RelativeSeconds exptime = random() % 2 == 0 ? kNeverExpires : shard.now + 1'000'000;
        const Result result = shard.Do(Verb::kTouch, keys[k], {}, 0, exptime);
        Require(result == Result::kTouched || evicts, "a key that is there can be touched");
      }
      // New keys, so that the index grows; some go again.
      const std::string fresh = "fresh" + std::to_string(random() % 1'000'000);
      if (shard.Owns(fresh)) shard.Do(random() % 4 == 0 ? Verb::kDelete : Verb::kSet, fresh, "x");
      for (int i = 0; i < 8; ++i) {
        const std::string growing =
            "g" + std::to_string(self) + "-" + std::to_string(round * 8 + i);
        if (shard.Owns(growing)) shard.Set(growing, "x");
      }
      if (round % 1000 == 999) {
        (void)engine.Totals();
        MapSink sink;
        engine.Statistics(engine::StatGroup::kItems, sink);
        engine.Statistics(engine::StatGroup::kSlabs, sink);
      }
    }
    hits.fetch_add(own_hits);
    quiescence.Leave(self);
  };
  std::vector<std::thread> threads;
  for (ShardId self = 0; self < shards; ++self) threads.emplace_back(work, self);
  for (std::thread& thread : threads) thread.join();
  for (ShardId self = 0; self < shards; ++self) engine.CheckInvariants(self);
  CHECK(hits.load() > 0);
  const auto totals = engine.Totals();
  CHECK((totals.evictions > 0) == evicts);
  CHECK(totals.store_no_memory == 0);
  if (!evicts) CHECK(totals.index_power > 12 + 2);  // it has grown meanwhile
}

TEST_CASE("readers miss nothing and see whole values while owners write and tables grow") {
  Run(3, uint64_t{192} << 20, 2000, 6000, false);
}

TEST_CASE("readers see whole values while memory turns over") {
  Run(3, uint64_t{3} << 20, 4000, 6000, true);
}

// One writer moves entries through a small index, insert by insert, at a load at which entries are
// displaced; two readers look for keys that stay.
TEST_CASE("index: two readers beside a writer whose table grows and displaces") {
  constexpr uint32_t kSteady = 500;
  constexpr uint32_t kItems = 60'000;
  constexpr size_t kItemBytes = 64;
  std::vector<uint64_t> memory((kItems + 1) * kItemBytes / sizeof(uint64_t));
  const ItemSpace space(reinterpret_cast<char*>(memory.data()), 6);
  std::vector<std::string> keys;
  for (uint32_t i = 0; i < kItems; ++i) {
    keys.push_back("key" + std::to_string(i));
    Item* const item = space.At(i + 1);
    item->Init(1, {.key_size = keys[i].size()});
    std::copy(keys[i].begin(), keys[i].end(), item->key_data());
  }
  Index index({.items = space, .buckets = 64});
  for (uint32_t i = 0; i < kSteady; ++i) {
    REQUIRE(index.Insert(engine::HashKey(keys[i]), i + 1) == Index::InsertResult::kInserted);
  }
  TestQuiescence quiescence(3);
  std::atomic<bool> done{false};
  std::vector<std::thread> readers;
  for (ShardId reader = 1; reader <= 2; ++reader) {
    readers.emplace_back([&, reader] {
      while (!done.load()) {
        quiescence.Pass(reader);
        for (uint32_t i = 0; i + 1 < kSteady; ++i) {
          const Item* const item = index.Find(engine::HashKey(keys[i]), keys[i]);
          Require(item == space.At(i + 1), "an entry that stays is found");
          const Index::Guess guess = index.Locate(engine::HashKey(keys[i + 1]));
          const Item* const next = index.Find(engine::HashKey(keys[i + 1]), keys[i + 1], guess);
          Require(next == space.At(i + 2), "with a guess too");
        }
      }
      quiescence.Leave(reader);
    });
  }
  std::mt19937 random(5);
  std::vector<bool> present(kItems);
  bool marked = false;
  for (uint32_t step = 0; step < 250'000; ++step) {
    const uint32_t i = kSteady + random() % std::min(kItems - kSteady, 400 + step / 4);
    const uint64_t hash = engine::HashKey(keys[i]);
    if (!present[i]) {
      const auto result = index.Insert(hash, i + 1);
      // While an old table waits for its readers the new one may fill up.
      present[i] = result == Index::InsertResult::kInserted;
    } else if (random() % 3 == 0) {
      index.Erase(hash, i + 1);
      present[i] = false;
    }
    if (index.has_retired() && !marked) {
      quiescence.Mark(0);
      marked = true;
    }
    if (marked && quiescence.Elapsed(0)) {
      index.FreeRetired();
      marked = false;
    }
  }
  done.store(true);
  for (std::thread& reader : readers) reader.join();
  index.CheckInvariants([](void*, Ref) {}, nullptr);
  CHECK(index.slots() > 64 * Index::kSlotsPerBucket * 20);
}

// What a shard asks of another one in the test below, for want of mailboxes.
struct Asked {
  std::atomic<uint64_t> gets{0};
};

TEST_CASE("of all shards that find an item stale, one client is told to recache it") {
  constexpr uint32_t kShards = 2;
  constexpr int kKeys = 8;
  constexpr int kRounds = 300;  // of each shard
  TestQuiescence quiescence(kShards);
  engine::EngineOptions options;
  options.shards = kShards;
  options.memory_limit_bytes = uint64_t{16} << 20;
  options.quiescence = &quiescence;
  SlabEngine engine(options);
  std::vector<std::string> keys;
  for (int i = 0; i < kKeys; ++i) keys.push_back("key" + std::to_string(i));
  std::vector<Asked> asked(kKeys);
  std::atomic<uint64_t> wins{0}, invalidated{0};
  std::atomic<uint32_t> ready{0}, finished{0};

  const auto extended = [](const std::string& key, engine::Extended* e) {
    Op op = TestShard::Make(Verb::kExtended, key);
    op.extended = e;
    return op;
  };
  const auto work = [&](ShardId self) {
    TestShard shard(engine, self, kShards, &quiescence);
    std::mt19937_64 random(self);
    std::vector<uint64_t> won_at(kKeys);  // the CAS unique of the item that was won last
    const auto win = [&](size_t k) {
      engine::Extended e;
      const Op hit = shard.Do(extended(keys[k], &e));
      Require(hit.result == Result::kHit, "a key is there all the time");
      if (!e.won) return;
      Require(won_at[k] != hit.cas, "a token is won once");
      won_at[k] = hit.cas;
      wins.fetch_add(1);
    };
    for (size_t k = 0; k < keys.size(); ++k) {
      if (shard.Owns(keys[k])) shard.Set(keys[k], "v");
    }
    ready.fetch_add(1);
    while (ready.load() < kShards) shard.Turns(1);

    // A token is given away only after the other shard has asked for it; then this shard's own
    // clients come first as often as not. So both run, whatever processors there are.
    std::vector<bool> open(kKeys);
    for (int rounds = 0; finished.load() < kShards;) {
      const size_t k = random() % keys.size();
      if (!shard.Owns(keys[k])) {
        engine::Extended e;
        const Op hit = shard.Do(extended(keys[k], &e));
        Require(hit.result == Result::kHit, "a key is there all the time");
        Require(!e.won, "another shard's token is not given away");
        if (e.marks.stale && !e.marks.token_sent) asked[k].gets.fetch_add(1);
        continue;
      }
      const uint64_t gets = asked[k].gets.exchange(0);
      for (uint64_t i = 0; i < gets + random() % 2 && gets > 0; ++i) win(k);
      if (gets > 0) open[k] = false;
      if (open[k] || rounds == kRounds) {
        std::this_thread::yield();
        continue;
      }
      engine::Extended e;
      e.verb = Verb::kDelete;
      e.invalidates = true;
      Require(shard.Do(extended(keys[k], &e)).result == Result::kDeleted, "it is marked");
      invalidated.fetch_add(1);
      open[k] = true;
      if (++rounds == kRounds) finished.fetch_add(1);
    }
    // Nobody asks for what is still open.
    for (size_t k = 0; k < keys.size(); ++k) {
      if (shard.Owns(keys[k])) win(k);
    }
    quiescence.Leave(self);
  };
  std::vector<std::thread> threads;
  for (ShardId self = 0; self < kShards; ++self) threads.emplace_back(work, self);
  for (std::thread& thread : threads) thread.join();
  for (ShardId self = 0; self < kShards; ++self) engine.CheckInvariants(self);
  CHECK(wins.load() == invalidated.load());
  CHECK(invalidated.load() == kShards * kRounds);
}

}  // namespace
}  // namespace torc::slab
