#include "src/slab/index.h"

#include <sys/mman.h>

#include <atomic>
#include <charconv>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <random>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "third_party/doctest/doctest.h"

namespace torc::slab {
namespace {

// The hash of a key "HASH TEXT" is HASH: the tests choose where keys go.
uint64_t HashIn(std::string_view key, uint64_t seed) {
  uint64_t hash = 0;
  REQUIRE(std::from_chars(key.data(), key.data() + key.size(), hash, 16).ec == std::errc());
  return hash ^ seed;
}

std::string KeyWith(uint64_t hash, uint64_t number) {
  char text[40];
  std::snprintf(text, sizeof(text), "%" PRIx64 " %" PRIu64, hash, number);
  return text;
}

// Items of 64 bytes, numbered, each with a key.
class Items {
 public:
  explicit Items(uint32_t count) : bytes_((size_t{count} + 1) * kSize) {
    memory_ = static_cast<char*>(mmap(nullptr, bytes_, PROT_READ | PROT_WRITE,
                                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    REQUIRE(memory_ != MAP_FAILED);
  }
  ~Items() { munmap(memory_, bytes_); }
  ItemSpace space() const { return ItemSpace(memory_, 6); }
  Index::Config IndexOf(uint32_t buckets) const {
    return {.items = space(), .buckets = buckets, .key_hash = &HashIn};
  }
  Ref Make(uint32_t at, const std::string& key) {
    REQUIRE(sizeof(Item) + key.size() <= kSize);
    Item* const item = space().At(at + 1);
    item->Init(1, {.key_size = key.size()});
    std::memcpy(item->key_data(), key.data(), key.size());
    return at + 1;
  }

 private:
  static constexpr size_t kSize = 64;
  size_t bytes_;
  char* memory_;
};

uint64_t Mix(uint64_t x) {
  x ^= x >> 33, x *= 0xff51afd7ed558ccd, x ^= x >> 33, x *= 0xc4ceb9fe1a85ec53;
  return x ^ (x >> 33);
}

void Check(const Index& index) {
  index.CheckInvariants([](void*, Ref) {}, nullptr);
}

// Keys that are all in the index, with their hashes.
class Population {
 public:
  Population(Items& items, Index& index) : items_(items), index_(index) {}

  bool Add(uint32_t n, uint64_t hash) {
    const std::string key = KeyWith(hash, n);
    if (index_.Insert(hash, items_.Make(n, key)) != Index::InsertResult::kInserted) return false;
    hashes_[n] = hash;
    return true;
  }
  void Remove(uint32_t n) {
    index_.Erase(hashes_.at(n), n + 1);
    hashes_.erase(n);
  }
  void Forget(uint32_t n) { hashes_.erase(n); }
  bool Has(uint32_t n) const { return hashes_.contains(n); }
  size_t size() const { return hashes_.size(); }
  // All are found, and nothing else is in the index.
  void Check() const {
    for (const auto& [n, hash] : hashes_) {
      const Item* const item = items_.space().At(n + 1);
      REQUIRE(index_.Find(hash, KeyWith(hash, n)) == item);
      REQUIRE(index_.Find(hash, KeyWith(hash, n), index_.Locate(hash)) == item);
    }
    CHECK(index_.entries() == hashes_.size());
    slab::Check(index_);
  }

 private:
  Items& items_;
  Index& index_;
  std::unordered_map<uint32_t, uint64_t> hashes_;  // item number -> hash
};

double LoadOf(const Index& index) {
  return static_cast<double>(index.entries()) / static_cast<double>(index.slots());
}

TEST_CASE("an entry is found, replaced and erased") {
  Items items(10);
  Index index(items.IndexOf(8));
  const Ref a = items.Make(0, "1 a"), again = items.Make(1, "1 a");
  CHECK(index.Find(1, "1 a") == nullptr);
  CHECK(index.Insert(1, a) == Index::InsertResult::kInserted);
  CHECK(index.Find(1, "1 a") == items.space().At(a));
  CHECK(index.ItemOf(index.Locate(1)) == items.space().At(a));
  const Index::Guess guess = index.Locate(1);
  CHECK(index.Find(1, "1 b") == nullptr);
  index.Replace(index.FindSlot(1, "1 a"), again);
  CHECK(index.Find(1, "1 a") == items.space().At(again));
  CHECK(index.Find(1, "1 a", guess) == items.space().At(again));  // the guess is of the past
  CHECK(index.Find(1, "1 a", index.Locate(1)) == items.space().At(again));
  CHECK(index.Find(1, "1 b", index.Locate(1)) == nullptr);
  index.Erase(1, again);
  CHECK(index.Find(1, "1 a", guess) == nullptr);
  CHECK(index.Find(1, "1 a") == nullptr);
  CHECK(index.entries() == 0);
  Check(index);
}

TEST_CASE("a random walk with growth agrees with a map") {
  for (const uint64_t seed : {1u, 2u, 3u}) {
    CAPTURE(seed);
    constexpr uint32_t kCount = 60'000;
    Items items(kCount);
    Index index(items.IndexOf(8));
    Population population(items, index);
    std::mt19937_64 random(seed);
    uint64_t growths = 0;
    for (uint32_t step = 0; step < 200'000; ++step) {
      const uint32_t n =
          static_cast<uint32_t>(random() % std::min<uint64_t>(kCount, 100 + step / 2));
      const uint64_t hash = Mix(n * 3 + seed);
      REQUIRE((index.Find(hash, KeyWith(hash, n)) != nullptr) == population.Has(n));
      if (!population.Has(n)) {
        REQUIRE(population.Add(n, hash));
      } else if (random() % 4 == 0) {
        population.Remove(n);
      }
      if (random() % 8 == 0) index.Step(1);
      REQUIRE(index.TakeDropped() == 0);
      if (index.has_retired()) {
        index.FreeRetired();
        ++growths;
      }
      if (step % 20'000 == 0) population.Check();
    }
    CHECK(growths > 15);
    population.Check();
  }
}

TEST_CASE("a table whose growth must wait takes a load of 0.96 before an insert finds no place") {
  // Growth begins at 0.94 and cannot while a retired table waits: what is left must carry the
  // inserts until then.
  constexpr uint32_t kBuckets = 4096;
  Items items(kBuckets * 2 * Index::kSlotsPerBucket);
  Index index(items.IndexOf(kBuckets));
  Population population(items, index);
  uint32_t n = 0;
  for (; !index.has_retired(); ++n) REQUIRE(population.Add(n, Mix(n)));
  SUBCASE("only filled") {}
  SUBCASE("entries having come and gone") {
    const uint32_t count = n;
    for (uint32_t i = 0; i < 200'000; ++i) {
      const uint32_t replaced = static_cast<uint32_t>(Mix(i) % count);
      population.Remove(replaced);
      REQUIRE(population.Add(replaced, Mix(count + i)));
    }
  }
  // The drained table is never freed: no further growth.
  while (population.Add(n, Mix(n))) ++n;
  MESSAGE("full at a load of " << LoadOf(index));
  CHECK(LoadOf(index) > 0.96);
  population.Check();
}

TEST_CASE("an entry of a table that fills takes at most 7.2 bytes, and 6.6 on average") {
  constexpr uint32_t kCount = 100'000;
  Items items(kCount);
  Index index(items.IndexOf(340));
  double bytes_max = 0, bytes_sum = 0;
  uint32_t counted = 0;
  for (uint32_t n = 0; n < kCount; ++n) {
    REQUIRE(index.Insert(Mix(n), items.Make(n, KeyWith(Mix(n), n))) ==
            Index::InsertResult::kInserted);
    if (index.has_retired()) index.FreeRetired();
    if (n < 20'000) continue;  // of little tables a page or two more is much
    const double bytes = static_cast<double>(index.bytes()) / (n + 1);
    bytes_sum += bytes;
    ++counted;
    if (!index.growing()) bytes_max = std::max(bytes_max, bytes);
  }
  MESSAGE(bytes_max << " bytes an entry at most, on average " << bytes_sum / counted);
  CHECK(bytes_max <= 7.2);
  CHECK(bytes_sum / counted <= 6.6);
}

TEST_CASE("entries that gave way come back when there is room again") {
  constexpr uint32_t kSlots = Index::kSlotsPerBucket;
  Items items(100);
  Index index(items.IndexOf(64));
  Population population(items, index);
  // One home: its bucket is full, the rest goes farther.
  for (uint32_t n = 0; n < 3 * kSlots; ++n) REQUIRE(population.Add(n, 0));
  for (uint32_t n = 0; n < 2 * kSlots; ++n) {
    population.Remove(n);
    population.Check();
  }
  // Those that are left would all fit their home bucket, and are there: none of the others' slots
  // is taken.
  for (uint32_t i = 0; i < Index::kOccupantsMax; ++i) {
    CHECK((index.Occupant(0, i) != 0) == (i < kSlots));
  }
}

TEST_CASE("keys of one position crowd each other, but do not make the table grow without end") {
  constexpr uint64_t kHash = 0x12345678;
  Items items(1000);
  Index index(items.IndexOf(512));
  uint32_t inserted = 0;
  for (uint32_t n = 0; n < 200; ++n) {
    const Ref ref = items.Make(n, KeyWith(kHash, n));
    const auto result = index.Insert(kHash, ref);
    if (result == Index::InsertResult::kInserted) {
      ++inserted;
      continue;
    }
    CHECK(result == Index::InsertResult::kCrowded);
    Ref occupant = 0;
    for (uint32_t i = 0; i < Index::kOccupantsMax; ++i) {
      if ((occupant = index.Occupant(kHash, i)) != 0) break;
    }
    REQUIRE(occupant != 0);
    index.Erase(kHash, occupant);
    REQUIRE(index.Insert(kHash, ref) == Index::InsertResult::kInserted);
    Check(index);
  }
  CHECK(inserted == Index::kOccupantsMax);
  CHECK(index.slots() == 512 * Index::kSlotsPerBucket);
  Check(index);
}

TEST_CASE("entries that a growing table cannot place are handed to the owner") {
  // Two crowds, before and behind a border between buckets that the larger table does not have:
  // there they share a home, which cannot hold both.
  constexpr uint64_t kBorder = (uint64_t{100} << 40) / 512;
  constexpr uint32_t kCrowd = 40;
  Items items(10'000);
  Index index(items.IndexOf(512));
  Population population(items, index);
  uint32_t n = 0;
  for (; n < 2 * kCrowd; ++n) REQUIRE(population.Add(n, n < kCrowd ? kBorder - 1 : kBorder));
  uint32_t dropped_count = 0;
  for (; !index.has_retired(); ++n) {
    (void)population.Add(n, Mix(n));
    while (const Ref dropped = index.TakeDropped()) {
      population.Forget(dropped - 1);
      ++dropped_count;
    }
    if (n % 256 == 0) population.Check();
  }
  CHECK(dropped_count >= 2 * kCrowd - Index::kOccupantsMax);
  population.Check();
}

// Two threads that look one key up all the time, and count how often they missed it.
class Readers {
 public:
  Readers(const Index& index, uint64_t hash, const std::string& key) {
    for (std::atomic<uint64_t>& lookups : lookups_) {
      threads_.emplace_back([this, &index, &lookups, hash, key] {
        while (!done_.load()) {
          if (index.Find(hash, key) == nullptr) misses_.fetch_add(1);
          lookups.fetch_add(1);
        }
      });
    }
    AwaitLookup();
  }
  ~Readers() { Stop(); }
  void Stop() {
    done_.store(true);
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }
  // Until each has ended the lookup in which it was.
  void AwaitLookup() {
    for (std::atomic<uint64_t>& lookups : lookups_) {
      const uint64_t before = lookups.load();
      while (lookups.load() == before) std::this_thread::yield();
    }
  }
  uint64_t misses() const { return misses_.load(); }

 private:
  std::atomic<uint64_t> lookups_[2] = {};
  std::atomic<uint64_t> misses_{0};
  std::atomic<bool> done_{false};
  std::vector<std::thread> threads_;
};

TEST_CASE("readers find an entry that gives way and comes home again and again") {
  constexpr uint32_t kBuckets = 64, kHome = 20, kSlots = Index::kSlotsPerBucket;
  const auto hash_at = [](uint64_t bucket) { return (bucket << Index::kPositionBits) / kBuckets; };
  Items items(200);
  Index index(items.IndexOf(kBuckets));
  uint32_t n = 0;
  const auto add = [&](uint64_t hash) {
    const Ref ref = items.Make(n, KeyWith(hash, n));
    ++n;
    REQUIRE(index.Insert(hash, ref) == Index::InsertResult::kInserted);
    return ref;
  };
  // The first entry of kHome is the one that gives way. All buckets of the home before it are full
  // (jumps 0, 1, 3, 10), but the next bucket of kHome is not.
  const Ref moving = add(hash_at(kHome));
  for (uint32_t i = 1; i < kSlots; ++i) add(hash_at(kHome));
  for (const uint32_t bucket : {kHome - 1, kHome + 2, kHome + 9}) {
    for (uint32_t i = 0; i < kSlots; ++i) add(hash_at(bucket));
  }
  const uint64_t hash = hash_at(kHome), other_hash = hash_at(kHome - 1);
  const std::string key = KeyWith(hash, 0);
  const Ref other = add(other_hash);
  REQUIRE(index.Occupant(hash, 0) == other);
  REQUIRE(index.Occupant(hash, kSlots) == moving);
  index.Erase(other_hash, other);
  REQUIRE(index.Occupant(hash, 0) == moving);
  Readers readers(index, hash, key);
  for (uint32_t i = 0; i < 1'000'000; ++i) {
    REQUIRE(index.Insert(other_hash, other) == Index::InsertResult::kInserted);
    index.Erase(other_hash, other);
  }
  readers.Stop();
  CHECK(readers.misses() == 0);
  Check(index);
}

TEST_CASE("readers find an entry that growth moves") {
  constexpr uint32_t kCount = 150'000;
  Items items(kCount);
  Index index(items.IndexOf(8));
  // More of one position than a bucket holds: the last one is never at home, where a lookup would
  // look twice.
  constexpr uint32_t kCrowd = Index::kSlotsPerBucket + 4;
  constexpr uint64_t kHash = 0x5555555555;
  for (uint32_t n = 0; n < kCrowd; ++n) {
    REQUIRE(index.Insert(kHash, items.Make(n, KeyWith(kHash, n))) ==
            Index::InsertResult::kInserted);
  }
  Readers readers(index, kHash, KeyWith(kHash, kCrowd - 1));
  uint32_t growths = 0;
  for (uint32_t n = kCrowd; n < kCount; ++n) {
    REQUIRE(index.Insert(Mix(n), items.Make(n, KeyWith(Mix(n), n))) ==
            Index::InsertResult::kInserted);
    if (!index.has_retired()) continue;
    readers.AwaitLookup();
    index.FreeRetired();
    ++growths;
  }
  readers.Stop();
  CHECK(readers.misses() == 0);
  CHECK(growths > 15);
  Check(index);
}

}  // namespace
}  // namespace torc::slab
