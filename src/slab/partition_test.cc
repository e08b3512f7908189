// Memory under pressure: eviction, pages that move, large items, pins, reservations, expiry,
// growth; seen through the engine.
#include "src/slab/partition.h"

#include <cmath>
#include <random>
#include <string>
#include <unordered_map>

#include "src/slab/slab_engine.h"
#include "src/slab/testing.h"
#include "third_party/doctest/doctest.h"

namespace torc::slab {
namespace {

using engine::Op;
using engine::Result;
using engine::Verb;
using ReserveResult = engine::Engine::ReserveResult;

engine::EngineOptions Options(uint64_t memory_bytes, bool evict = true) {
  engine::EngineOptions options;
  options.shards = 1;
  options.memory_limit_bytes = memory_bytes;
  options.evict = evict;
  return options;
}

class Cache {
 public:
  explicit Cache(engine::EngineOptions options) : engine(options), shard(engine, 0) {}
  explicit Cache(uint64_t memory_bytes, bool evict = true) : Cache(Options(memory_bytes, evict)) {}
  ~Cache() { engine.CheckInvariants(0); }

  // Sets keys PREFIX0, PREFIX1, ... of `size` bytes.
  void Fill(const std::string& prefix, int count, size_t size) {
    for (int i = 0; i < count; ++i) {
      REQUIRE(shard.Set(prefix + std::to_string(i), Bytes(size, static_cast<uint64_t>(i))) ==
              Result::kStored);
    }
  }
  int CountHits(const std::string& prefix, int count, size_t size) {
    int hits = 0;
    for (int i = 0; i < count; ++i) {
      const auto value = shard.Get(prefix + std::to_string(i));
      if (!value) continue;
      REQUIRE(*value == Bytes(size, static_cast<uint64_t>(i)));
      ++hits;
    }
    return hits;
  }
  // Stores and pins in one turn, so that the item is not the first to be evicted. Null: it was not
  // stored.
  const void* SetAndPin(std::string_view key, std::string_view value) {
    shard.Begin();
    const void* pinned = nullptr;
    if (shard.Run(TestShard::Make(Verb::kSet, key, value)).result == Result::kStored) {
      const Op op = shard.Run(TestShard::Make(Verb::kGet, key));
      REQUIRE(op.result == Result::kHit);
      REQUIRE(engine.Pin(0, op.item));
      pinned = op.item;
    }
    shard.End();
    return pinned;
  }
  // A hit that stays pinned.
  const void* Pin(std::string_view key) {
    shard.Begin();
    const Op op = shard.Run(TestShard::Make(Verb::kGet, key));
    REQUIRE(op.result == Result::kHit);
    REQUIRE(engine.Pin(0, op.item));
    shard.End();
    return op.item;
  }
  std::string ValueOf(const void* item, size_t size) {
    std::string value;
    while (value.size() < size) {
      const auto piece = engine.Piece(item, value.size());
      value.append(piece.data(), piece.size());
    }
    return value;
  }

  SlabEngine engine;
  TestShard shard;
};

constexpr uint64_t kMb = 1 << 20;

TEST_CASE("a full cache goes on storing, and what was read lately stays") {
  Cache cache(4 * kMb);
  cache.Fill("hot", 200, 100);
  for (int round = 0; round < 30; ++round) {
    CHECK(cache.CountHits("hot", 200, 100) == 200);
    cache.Fill("scan" + std::to_string(round) + "-", 5000, 100);
    cache.engine.CheckInvariants(0);
  }
  const auto totals = cache.engine.Totals();
  CHECK(totals.evictions > 100'000);
  CHECK(totals.evicted_unfetched == totals.evictions);
  // No more than a stall now and then.
  CHECK(cache.shard.turns_waited < 100);
}

TEST_CASE("a scan of items of other sizes leaves what is read often in another class") {
  for (const size_t scan_size : {20, 300, 3000}) {
    CAPTURE(scan_size);
    Cache cache(4 * kMb);
    cache.Fill("hot", 1000, 100);
    uint64_t scanned = 0;
    for (int round = 0; scanned < 10 * 4 * kMb; ++round) {
      CHECK(cache.CountHits("hot", 1000, 100) == 1000);
      const int count = static_cast<int>(kMb / 4 / (scan_size + 50));
      cache.Fill("scan" + std::to_string(round) + "-", count, scan_size);
      scanned += static_cast<uint64_t>(count) * (scan_size + 50);
    }
    cache.engine.CheckInvariants(0);
    CHECK(cache.engine.Totals().evictions > 0);
  }
}

TEST_CASE("after a shift of sizes as much is found as in a cache begun empty") {
  constexpr uint64_t kMemory = 4 * kMb;
  // Keys asked for as often as their number is small, and stored when they are missed.
  const auto hits_in = [](Cache& cache, const std::string& prefix, size_t size,
                          uint64_t turnovers) {
    const auto keys = static_cast<double>(2 * kMemory / (size + 50));
    std::mt19937_64 random(7);
    const std::string value = Bytes(size, 1);
    uint64_t stored = 0, asked = 0, found = 0;
    while (stored < turnovers * kMemory) {
      const double u = static_cast<double>(random() >> 11) * 0x1p-53;
      const std::string key = prefix + std::to_string(static_cast<int>(std::pow(keys, u)));
      const bool counts = stored > kMemory;  // the first turnover is for the shift
      const bool hit = cache.shard.Do(Verb::kGet, key) == Result::kHit;
      asked += counts;
      found += counts && hit;
      if (hit) continue;
      REQUIRE(cache.shard.Set(key, value) == Result::kStored);
      stored += size + 50;
    }
    return static_cast<double>(found) / static_cast<double>(asked);
  };
  Cache shifted(kMemory);
  int phase = 0;
  for (const size_t size : {100, 1500, 10'000, 100}) {
    CAPTURE(size);
    const std::string prefix = "p" + std::to_string(phase++) + ":";
    Cache fresh(kMemory);
    const double ratio = hits_in(shifted, prefix, size, 2);
    const double best = hits_in(fresh, prefix, size, 2);
    CHECK(ratio > best - 0.03);
    shifted.engine.CheckInvariants(0);
  }
}

TEST_CASE("the memory limit is used: 100 bytes of value cost less than 138") {
  Cache cache(16 * kMb);
  cache.Fill("k", 300'000, 100);
  CHECK(cache.engine.Totals().items > 16 * kMb / 138);
  CHECK(cache.engine.Totals().pages_free == 0);
}

TEST_CASE("a shift in item sizes never ends in a failed store") {
  Cache cache(4 * kMb);
  size_t size = 10;
  for (int phase = 0; phase < 14; ++phase) {
    CAPTURE(size);
    const int count = static_cast<int>(3 * 4 * kMb / (size + 60));
    for (int i = 0; i < std::min(count, 20'000); ++i) {
      REQUIRE(cache.shard.Set("k" + std::to_string(i), Bytes(size, 1)) == Result::kStored);
    }
    cache.engine.CheckInvariants(0);
    size = size * 7 / 3;
    if (size > 1'000'000) size = 33;
  }
}

TEST_CASE("after a shift of sizes the new size gets the memory") {
  Cache cache(4 * kMb);
  cache.Fill("small", 50'000, 50);
  cache.Fill("big", 20'000, 1000);
  CHECK(cache.CountHits("big", 20'000, 1000) > 100);
  CHECK(cache.engine.Totals().pages_moved > 0);
}

// A page that is on its way to a class when nothing is stored there any more must not keep others
// from theirs.
TEST_CASE("after two shifts of sizes in a row the last one gets its pages") {
  constexpr uint64_t kMemory = 16 * kMb;
  Cache cache(kMemory);
  cache.Fill("small", 300'000, 50);
  uint64_t moved = cache.engine.Totals().pages_moved;
  // In one turn after the other, several stores in each, as a shard has them under load.
  const auto store = [&](const std::string& prefix, uint64_t bytes, size_t size) {
    const std::string value = Bytes(size, 1);
    constexpr size_t kBytesPerTurn = 16 << 10;
    uint64_t stored = 0;
    for (int i = 0; stored < bytes;) {
      cache.shard.Begin();
      for (const uint64_t end = stored + kBytesPerTurn; stored < end; stored += size) {
        const std::string key = prefix + std::to_string(i++);
        REQUIRE(cache.shard.Run(TestShard::Make(Verb::kSet, key, value)).result == Result::kStored);
      }
      cache.shard.End();
    }
    const uint64_t moved_now = cache.engine.Totals().pages_moved - moved;
    moved += moved_now;
    return moved_now;
  };
  cache.CountHits("small", 100'000, 50);
  CHECK(store("medium", kMemory / 8, 700) > 0);
  CHECK(store("large", kMemory, 5000) > 150);  // of 256
  cache.engine.CheckInvariants(0);
}

// Evicting a chained item of pieces alone frees no page: counted as one on its way, it kept the
// class that asked from asking again.
TEST_CASE("a size that comes after large values gets its pages") {
  for (const uint64_t seed : {2, 4}) {
    Cache cache(4 * kMb);
    std::mt19937_64 random(seed);
    uint32_t stored = 0;
    // Some items a turn; now and then a value of many chunks.
    const auto store = [&](const std::string& prefix, uint64_t bytes, auto size_of, int large_in) {
      uint32_t n = 0;
      for (uint64_t sum = 0; sum < bytes;) {
        cache.shard.Begin();
        for (uint64_t in_turn = 0; in_turn < 4096;) {
          const size_t size = size_of();
          const std::string key = prefix + std::to_string(n++);
          stored += cache.shard.Run(TestShard::Make(Verb::kSet, key, Bytes(size, 1))).result ==
                    Result::kStored;
          in_turn += size;
          sum += size;
        }
        cache.shard.End();
        if (large_in != 0 && random() % large_in == 0) {
          (void)cache.shard.Set("large" + std::to_string(random() % 20),
                                Bytes(20'000 + random() % 200'000, 2));
        }
      }
      return n;
    };
    store("small", 6 * kMb, [] { return size_t{50}; }, 0);
    store("mixed", 2 * kMb, [&] { return 100 + random() % 4000; }, 30);
    store("both", kMb, [] { return size_t{700}; }, 10);
    const uint32_t last = store("last", 48 * kMb, [] { return size_t{700}; }, 0);
    uint32_t held = 0;
    for (uint32_t i = 0; i < last; ++i) {
      held += cache.shard.Get("last" + std::to_string(i)).has_value();
    }
    CHECK(held * 736 > 2 * kMb);  // 0.7 of the memory; it was 0.2
    CHECK(stored > last);
    cache.engine.CheckInvariants(0);
  }
}

TEST_CASE("a value of 1 MB fits into the 4 MB of one shard among 16, whatever is there") {
  Cache cache(4 * kMb);
  const std::string large = Bytes(1'000'000, 9);
  cache.Fill("k", 40'000, 100);
  CHECK(cache.shard.Set("large", large) == Result::kStored);
  CHECK(cache.shard.Get("large") == large);
  cache.engine.CheckInvariants(0);
  for (int i = 0; i < 20; ++i) {
    REQUIRE(cache.shard.Set("large" + std::to_string(i), large) == Result::kStored);
    REQUIRE(cache.shard.Get("large" + std::to_string(i)) == large);
  }
  cache.engine.CheckInvariants(0);
  cache.Fill("k", 40'000, 100);
  CHECK(cache.CountHits("k", 40'000, 100) > 500);
}

TEST_CASE("sizes mixed at random in a tiny memory: all stores succeed, all hits are right") {
  for (const uint64_t memory : {512 * 1024ul, 4 * kMb, 16 * kMb}) {
    CAPTURE(memory);
    Cache cache(memory);
    std::mt19937_64 random(memory);
    std::unordered_map<int, std::pair<size_t, uint64_t>> last;  // key -> size and seed
    const size_t size_max = memory == 512 * 1024 ? 100'000 : 1'000'000;
    for (int step = 0; step < 20'000; ++step) {
      const int n = static_cast<int>(random() % 3000);
      const std::string key = "key" + std::to_string(n);
      if (random() % 2 == 0) {
        const double power = static_cast<double>(random() % 1000) / 1000;
        const size_t size =
            random() % 20 == 0 ? static_cast<size_t>(std::pow(static_cast<double>(size_max), power))
                               : random() % 500;
        const uint64_t seed = random();
        REQUIRE(cache.shard.Set(key, Bytes(size, seed)) == Result::kStored);
        last[n] = {size, seed};
      } else if (const auto value = cache.shard.Get(key)) {
        REQUIRE(last.contains(n));
        REQUIRE(*value == Bytes(last[n].first, last[n].second));
      }
      if (step % 500 == 0) cache.engine.CheckInvariants(0);
    }
    CHECK(cache.engine.Totals().store_no_memory == 0);
  }
}

TEST_CASE("a large item is larger than everything that is free at once, again and again") {
  Cache cache(4 * kMb);
  for (int i = 0; i < 50; ++i) {
    cache.Fill("s" + std::to_string(i % 7) + "-", 2000, 30 + static_cast<size_t>(i) * 13);
    REQUIRE(cache.shard.Set("large", Bytes(700'000 + static_cast<size_t>(i) * 1000, 1)) ==
            Result::kStored);
    cache.engine.CheckInvariants(0);
  }
}

TEST_CASE("without eviction a full cache refuses, and a set that fails removes the old value") {
  Cache cache(kMb, false);
  // Keys of one length, so that all items have one size.
  const auto key = [](int i) { return "k" + std::to_string(1000 + i); };
  int stored = 0;
  while (cache.shard.Set(key(stored), Bytes(1000, 1)) == Result::kStored) ++stored;
  CHECK(stored > 900);
  CHECK(cache.shard.Set(key(1), Bytes(1000, 2)) == Result::kNoMemory);
  CHECK(!cache.shard.Get(key(1)));
  CHECK(cache.shard.Do(Verb::kAdd, "other", Bytes(1000, 2)) == Result::kStored);  // its place
  CHECK(cache.shard.Do(Verb::kReplace, key(2), Bytes(1000, 2)) == Result::kNoMemory);
  CHECK(cache.shard.Get(key(2)));
  CHECK(cache.shard.Do(Verb::kAppend, key(2), "x") ==
        Result::kNotStored);  // memcached's answer to this
  CHECK(cache.shard.Get(key(2)) == Bytes(1000, 1));
  CHECK(cache.shard.Set("large", Bytes(500'000, 1)) == Result::kNoMemory);
  CHECK(cache.engine.Totals().evictions == 0);
  CHECK(cache.engine.Totals().store_no_memory > 0);
  // Deleting makes room, for other sizes too.
  for (int i = 0; i < stored; ++i) cache.shard.Do(Verb::kDelete, key(i));
  CHECK(cache.shard.Set("large", Bytes(500'000, 1)) == Result::kStored);
}

TEST_CASE("a pinned item keeps its bytes, through eviction, replacement and deletion") {
  Cache cache(kMb);
  cache.Fill("k", 100, 200);
  cache.shard.Set("big", Bytes(50'000, 5));
  const void* small = cache.Pin("k7");
  const void* again = cache.Pin("k7");
  const void* deleted = cache.Pin("k8");
  const void* big = cache.Pin("big");
  CHECK(small == again);
  CHECK(cache.shard.Do(Verb::kDelete, "k8") == Result::kDeleted);
  for (int round = 0; round < 5; ++round) {
    cache.Fill("other" + std::to_string(round), 3000, 200);
    cache.Fill("huge" + std::to_string(round), 10, 100'000);
    CHECK(cache.ValueOf(small, 200) == Bytes(200, 7));
    CHECK(cache.ValueOf(deleted, 200) == Bytes(200, 8));
    CHECK(cache.ValueOf(big, 50'000) == Bytes(50'000, 5));
    cache.engine.CheckInvariants(0);
  }
  cache.engine.Unpin(0, small);
  CHECK(cache.ValueOf(small, 200) == Bytes(200, 7));
  cache.engine.Unpin(0, again);
  cache.engine.Unpin(0, deleted);
  cache.engine.Unpin(0, big);
  cache.Fill("last", 3000, 200);
}

TEST_CASE("pins everywhere: stores find the room that is left, and fail only when there is none") {
  Cache cache(512 * 1024);
  std::vector<const void*> pinned;
  for (;;) {
    const void* item = cache.SetAndPin("k" + std::to_string(pinned.size()), Bytes(1500, 1));
    if (item == nullptr) break;
    pinned.push_back(item);
  }
  CHECK(pinned.size() > 250);
  CHECK(cache.shard.Set("large", Bytes(100'000, 1)) == Result::kNoMemory);
  cache.engine.CheckInvariants(0);
  for (const void* item : pinned) cache.engine.Unpin(0, item);
  CHECK(cache.shard.Set("large", Bytes(100'000, 1)) == Result::kStored);
  CHECK(cache.shard.Set("k0", Bytes(1500, 1)) == Result::kStored);
}

TEST_CASE(
    "one pin in each page does not stop a store of that class or another, and stops a large one "
    "honestly") {
  Cache cache(512 * 1024);
  cache.Fill("k", 3000, 300);
  std::vector<const void*> pinned;
  for (int i = 0; i < 3000; i += 7) {
    if (cache.shard.Get("k" + std::to_string(i)))
      pinned.push_back(cache.Pin("k" + std::to_string(i)));
  }
  CHECK(pinned.size() > 100);
  cache.Fill("more", 3000, 300);
  CHECK(cache.shard.Set("large", Bytes(200'000, 1)) == Result::kNoMemory);
  for (const void* item : pinned) cache.engine.Unpin(0, item);
  CHECK(cache.shard.Set("large", Bytes(200'000, 1)) == Result::kStored);
}

TEST_CASE("the table of pins is bounded") {
  Cache cache(16 * kMb);
  std::vector<const void*> pinned;
  cache.shard.Begin();
  for (uint32_t i = 0; i <= Pins::kPinsMax; ++i) {
    const std::string key = std::to_string(i);
    cache.shard.Run(TestShard::Make(Verb::kSet, key, "v"));
    const Op op = cache.shard.Run(TestShard::Make(Verb::kGet, key));
    REQUIRE(op.result == Result::kHit);
    if (!cache.engine.Pin(0, op.item)) break;
    pinned.push_back(op.item);
  }
  cache.shard.End();
  CHECK(pinned.size() == Pins::kPinsMax);
  for (const void* item : pinned) cache.engine.Unpin(0, item);
}

TEST_CASE("reservations hold their memory against everything, and give it back") {
  Cache cache(4 * kMb);
  std::vector<engine::Reservation> reservations;
  const std::string value(900'000, 'v');
  const Op op = TestShard::Make(Verb::kSet, "large", value);
  for (;;) {
    engine::Reservation reservation;
    cache.shard.Begin();
    const auto result = cache.engine.Reserve(0, op, &reservation);
    cache.shard.End();
    if (result == ReserveResult::kLater) continue;
    if (result != ReserveResult::kReserved) break;
    reservations.push_back(reservation);
    cache.Fill("k", 2000, 200);
  }
  CHECK(reservations.size() == 4);
  cache.engine.CheckInvariants(0);
  cache.Fill("k", 2000, 200);
  for (const auto& reservation : reservations) cache.engine.Abandon(0, reservation);
  CHECK(cache.shard.Set("large", value) == Result::kStored);
}

TEST_CASE("a waiting large store is not starved by small ones") {
  Cache cache(4 * kMb);
  cache.Fill("k", 50'000, 60);
  const std::string value(1'000'000, 'v');
  const Op large = TestShard::Make(Verb::kSet, "large", value);
  engine::Reservation reservation;
  int turns = 0;
  for (;; ++turns) {
    REQUIRE(turns < 1000);
    cache.shard.Begin();
    const auto result = cache.engine.Reserve(0, large, &reservation);
    if (result == ReserveResult::kReserved) break;
    REQUIRE(result == ReserveResult::kLater);
    for (int i = 0; i < 100; ++i) {
      const std::string key = "new" + std::to_string(turns) + "-" + std::to_string(i);
      Op op = TestShard::Make(Verb::kSet, key,
                              "0123456789012345678901234567890123456789012345678901234567890");
      if (cache.engine.Execute(0, {&op, 1}) == 0) break;
      REQUIRE(op.result == Result::kStored);
    }
    cache.shard.End();
  }
  cache.engine.Abandon(0, reservation);
  cache.shard.End();
  CHECK(turns < 100);
}

TEST_CASE("the crawler brings back the memory of the expired") {
  Cache cache(4 * kMb);
  for (int i = 0; i < 5000; ++i) {
    cache.shard.Set("k" + std::to_string(i), "value", i % 2 == 0 ? cache.shard.now + 5 : 0);
  }
  CHECK(cache.shard.Get("k0"));
  CHECK(cache.engine.Totals().items == 5000);
  cache.shard.now += 5;
  cache.shard.Turns(100);
  // Still there for a while, to be counted as expired by who asks.
  CHECK(cache.engine.Totals().items == 5000);
  for (int second = 0; second < 60; ++second) {
    ++cache.shard.now;
    cache.shard.Turns(20);
  }
  const auto totals = cache.engine.Totals();
  CHECK(totals.items == 2500);
  CHECK(totals.reclaimed == 2500);
  CHECK(totals.expired_unfetched == 2499);
  CHECK(totals.evictions == 0);
}

TEST_CASE("the crawler brings back the memory of the flushed, and then rests") {
  Cache cache(4 * kMb);
  cache.Fill("k", 5000, 100);
  cache.Fill("large", 3, 200'000);
  cache.engine.Flush(0, kNeverExpires);
  cache.Fill("new", 100, 100);
  for (int second = 0; second < 120; ++second) {
    ++cache.shard.now;
    cache.shard.Turns(20);
  }
  CHECK(cache.engine.Totals().items == 100);
  ++cache.shard.now;
  CHECK(!cache.engine.Background(0));
}

TEST_CASE("dead items are evicted, live ones that were read are not") {
  Cache cache(kMb);
  const int count = 6000;
  for (int i = 0; i < count; ++i) {
    cache.shard.Set("k" + std::to_string(i), Bytes(100, 1), i % 2 == 0 ? 101 : 0);
  }
  for (int i = 1; i < count; i += 2) cache.shard.Get("k" + std::to_string(i));
  CHECK(cache.engine.Totals().evictions == 0);
  cache.shard.now = 101;
  cache.Fill("new", 4000, 100);
  const auto totals = cache.engine.Totals();
  CHECK(totals.reclaimed > 1000);
  CHECK(totals.evictions == 0);
}

TEST_CASE("the last partition gets what the division leaves over") {
  engine::EngineOptions options = Options(16 * kMb + 64 * 1024 * 3);
  TestQuiescence quiescence(4);
  options.shards = 4;
  options.quiescence = &quiescence;
  const SlabEngine engine(options);
  const auto totals = engine.Totals();
  CHECK(totals.pages_free * totals.page_size_bytes <= options.memory_limit_bytes);
  CHECK(totals.pages_free * totals.page_size_bytes >
        options.memory_limit_bytes - 4 * totals.page_size_bytes);
}

TEST_CASE("preallocated memory works like other memory") {
  engine::EngineOptions options = Options(kMb);
  options.preallocate = true;
  options.huge_pages = true;
  Cache cache(options);
  cache.Fill("k", 20'000, 100);
  CHECK(cache.CountHits("k", 20'000, 100) > 5000);
}

}  // namespace
}  // namespace torc::slab
