// What the policy is for, as behaviour of a whole engine: scans, keys asked for once, loops, shifts
// of popularity, sizes; and its parts: the ghost, the queues.
#include "src/slab/eviction.h"

#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "doctest/doctest.h"
#include "src/slab/slab_engine.h"
#include "src/slab/testing.h"

namespace torc::slab {
namespace {

constexpr size_t kValueSize = 1000;
// Items of that size that fit into the cache, roughly.
constexpr uint32_t kFit = 4000;

// A look-aside cache of 4 MiB.
struct LookAside {
  explicit LookAside(uint64_t bytes = uint64_t{4} << 20)
      : engine([&] {
          engine::EngineOptions options;
          options.shards = 1;
          options.memory_limit_bytes = bytes;
          return options;
        }()),
        shard(engine, 0) {}

  // True: it was there. If not, it is now.
  bool Ask(const std::string& key, size_t value_size = kValueSize) {
    ++requests;
    if (shard.Get(key)) return true;
    CHECK(shard.Set(key, std::string(value_size, 'v')) == engine::Result::kStored);
    return false;
  }
  // Keys of one length: of all families in the same class.
  static std::string Key(const std::string& family, uint32_t i) {
    std::string key = family + std::to_string(i);
    key.insert(family.size(), 16 - std::min<size_t>(key.size(), 16), '0');
    return key;
  }
  // Asks for `count` keys of a family in order; the share that was there.
  double AskAll(const std::string& family, uint32_t count, size_t value_size = kValueSize) {
    uint32_t hits = 0;
    for (uint32_t i = 0; i < count; ++i) hits += Ask(Key(family, i), value_size);
    return static_cast<double>(hits) / count;
  }

  SlabEngine engine;
  TestShard shard;
  uint64_t requests = 0;
};

TEST_CASE("a scan ten times the memory does not flush what is hot") {
  LookAside cache;
  for (int i = 0; i < 5; ++i) cache.AskAll("hot", kFit / 2);
  cache.AskAll("scan", 10 * kFit);
  CHECK(cache.AskAll("hot", kFit / 2) > 0.9);
  cache.engine.CheckInvariants(0);
}

TEST_CASE("keys that are asked for once leave what is hot alone") {
  LookAside cache;
  uint32_t once = 0;
  for (int round = 0; round < 20; ++round) {
    for (uint32_t i = 0; i < kFit / 4; ++i) {
      cache.Ask(LookAside::Key("hot", i));
      cache.Ask(LookAside::Key("once", once++));
    }
  }
  CHECK(cache.AskAll("hot", kFit / 4) > 0.95);
}

TEST_CASE("a loop that is larger than the memory gets some hits") {
  LookAside cache;
  for (int i = 0; i < 5; ++i) cache.AskAll("loop", kFit + kFit / 2);
  CHECK(cache.AskAll("loop", kFit + kFit / 2) > 0.05);
}

TEST_CASE("probation gives way to a loop, and takes its share back from what comes once more") {
  LookAside cache;
  double hits = 0;
  for (int i = 0; i < 30; ++i) hits = cache.AskAll("loop", kFit * 5 / 4);
  CHECK(hits > 0.43);
  // Each key twice, farther apart than probation is long while it is short.
  uint32_t second = 0;
  constexpr uint32_t kApart = kFit / 4, kKeys = 20 * kFit;
  for (uint32_t i = 0; i < kKeys; ++i) {
    cache.Ask(LookAside::Key("twice", i));
    if (i < kApart) continue;
    const bool hit = cache.Ask(LookAside::Key("twice", i - kApart));
    if (i > kKeys / 2) second += hit;
  }
  CHECK(second > kKeys / 4);
}

TEST_CASE("a new set of hot keys takes the place of the old one") {
  LookAside cache;
  for (int i = 0; i < 20; ++i) cache.AskAll("old", kFit * 3 / 4);
  double hits = 0;
  // Each round stores at most three quarters of the memory anew.
  for (int i = 0; i < 8; ++i) hits = cache.AskAll("new", kFit * 3 / 4);
  CHECK(hits > 0.95);
}

TEST_CASE("a store that is read again at once, and then never, does not stay") {
  LookAside cache;
  for (int i = 0; i < 3; ++i) cache.AskAll("hot", kFit / 2);
  for (uint32_t i = 0; i < 10 * kFit; ++i) {
    for (int read = 0; read < 4; ++read) cache.Ask(LookAside::Key("burst", i));
  }
  CHECK(cache.AskAll("hot", kFit / 2) > 0.9);
}

TEST_CASE("a key that comes back soon after its eviction is kept") {
  LookAside cache;
  for (int i = 0; i < 3; ++i) cache.AskAll("fill", kFit);
  // Asked for once in a while: too seldom to be read while on probation.
  uint32_t once = 0, hits = 0;
  for (int round = 0; round < 40; ++round) {
    for (uint32_t i = 0; i < kFit / 4; ++i) cache.Ask(LookAside::Key("once", once++));
    for (uint32_t i = 0; i < 50; ++i) {
      const bool hit = cache.Ask(LookAside::Key("seldom", i));
      if (round >= 20) hits += hit;
    }
  }
  CHECK(hits > 800);  // of 1,000
}

TEST_CASE("small items that are as popular as large ones stay longer") {
  LookAside cache;
  std::mt19937 random(1);
  uint32_t small = 0, large = 0;
  for (int i = 0; i < 60'000; ++i) {
    const std::string number = std::to_string(random() % 4000);
    const bool small_hit = cache.Ask("small" + number, 500);
    const bool large_hit = cache.Ask("large" + number, 2000);
    if (i >= 30'000) small += small_hit, large += large_hit;
  }
  CHECK(small > large + large / 4);
  CHECK(large > 3000);  // not shut out
}

TEST_CASE("popular large items are not starved by unpopular small ones") {
  LookAside cache;
  std::mt19937 random(1);
  uint32_t hits = 0;
  for (int i = 0; i < 60'000; ++i) {
    cache.Ask("small" + std::to_string(random() % 1'000'000), 100);
    const bool hit = cache.Ask("large" + std::to_string(random() % 200), 4000);
    if (i >= 30'000) hits += hit;
  }
  CHECK(hits > 24'000);  // of 30,000
}

TEST_CASE("the policy's records stay true under all that can happen to an item") {
  LookAside cache(uint64_t{2} << 20);
  std::mt19937 random(7);
  for (int step = 0; step < 20'000; ++step) {
    const std::string key = "k" + std::to_string(random() % 6000);
    const size_t size = random() % 3 == 0 ? 100 + random() % 2000 : 300;
    switch (random() % 8) {
      case 0:
        cache.shard.Do(engine::Verb::kDelete, key);
        break;
      case 1:
        cache.shard.Set(key, std::string(size, 'v'), cache.shard.now + 1 + random() % 3);
        break;
      case 2:
        cache.shard.Set(key, std::string(size, 'v'));
        break;
      default:
        cache.Ask(key, size);
    }
    if (random() % 500 == 0) ++cache.shard.now;
    if (random() % 4000 == 0) cache.engine.Flush(0, kNeverExpires);
    if (step % 97 == 0) cache.engine.CheckInvariants(0);
  }
  CHECK(cache.engine.Totals().evictions > 100);
  CHECK(cache.engine.Totals().reclaimed > 100);
}

// Pieces of chained items may fill a class, and a lap of its pages takes as long as memory is
// large.
TEST_CASE("a search among pieces is bounded, and goes on where it ended") {
  const SizeClasses classes(uint64_t{64} << 20);
  const uint32_t pages = 256;
  void* const memory = std::aligned_alloc(classes.page_size(), (pages + 1) << classes.page_shift());
  {
    Arena arena(static_cast<char*>(memory), pages, pages, classes);
    Eviction eviction(arena);
    const uint32_t size_class = classes.ClassOf(1000);
    const uint32_t chunks = pages * classes.chunks_per_page(size_class);
    Item* item = nullptr;
    for (uint32_t i = 0; i < chunks; ++i) {
      item = arena.Allocate(size_class, /*from_pool=*/true);
      item->InitPiece(1);
    }
    item->Init(size_class, {.key_size = 1, .value_size = 1});
    item->set_state(ChunkState::kLive);

    uint32_t searches = 1;
    while (eviction.NextVictim(size_class, {.now = 1, .flush_cas = 0}, false) != item) {
      REQUIRE(++searches < chunks);
    }
    CHECK(searches > 5);  // not in one go
    CHECK(eviction.NextVictim(size_class, {.now = 1, .flush_cas = 0}, false) == nullptr);
    CHECK(chunks / searches > 1000);  // but in few
  }
  std::free(memory);
}

TEST_CASE("a ghost knows what it was told lately, once") {
  Ghost ghost(64 * 1024);
  std::mt19937_64 random(3);
  std::vector<uint64_t> hashes(10'000);
  for (uint64_t& hash : hashes) hash = random();
  for (const uint64_t hash : hashes) ghost.Add(hash, Ghost::Origin::kProbation, hashes.size());
  uint32_t known = 0;
  for (const uint64_t hash : hashes) known += ghost.Take(hash) != Ghost::Origin::kUnknown;
  CHECK(known > 5000);  // buckets differ in how much falls into them
  uint32_t again = 0, strangers = 0;
  for (const uint64_t hash : hashes) again += ghost.Take(hash) != Ghost::Origin::kUnknown;
  for (int i = 0; i < 10'000; ++i) {
    strangers += ghost.Take(random()) != Ghost::Origin::kUnknown;
  }
  CHECK(again < 10);
  CHECK(strangers < 30);
}

TEST_CASE("a ghost forgets the oldest first, and knows where a key was evicted from") {
  using Origin = Ghost::Origin;
  Ghost ghost(1);  // a single bucket
  for (uint64_t i = 1; i <= 100; ++i) {
    ghost.Add(i, i % 3 == 0 ? Origin::kMain : Origin::kProbation, 32);
  }
  CHECK(ghost.Take(50) == Origin::kUnknown);
  CHECK(ghost.Take(100) == Origin::kProbation);
  CHECK(ghost.Take(99) == Origin::kMain);
  CHECK(ghost.Take(70) == Origin::kProbation);
  CHECK(ghost.Take(70) == Origin::kUnknown);
}

TEST_CASE("queues of references share their blocks") {
  RefQueue::Blocks blocks(8);
  RefQueue a, b;
  for (Ref i = 0; i < 200; ++i) a.Push(blocks, i);
  CHECK(blocks.used() == 4);
  RefQueue::Cursor at = a.head();
  for (Ref i = 0; i < 200; ++i) CHECK(RefQueue::Peek(blocks, &at) == i);
  for (Ref i = 0; i < 150; ++i) CHECK(a.Pop(blocks) == i);
  for (Ref i = 0; i < 250; ++i) b.Push(blocks, 1000 + i);
  for (Ref i = 150; i < 200; ++i) CHECK(a.Pop(blocks) == i);
  for (Ref i = 0; i < 250; ++i) CHECK(b.Pop(blocks) == 1000 + i);
  CHECK(a.size() == 0);
  CHECK(b.size() == 0);
  CHECK(blocks.used() == 0);
}

}  // namespace
}  // namespace torc::slab
