#include "src/slab/index.h"

#include <sys/mman.h>

#include <cstring>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

#include "third_party/doctest/doctest.h"

namespace torc::slab {
namespace {

// Items of 64 bytes, each with a number for a key; the hash is the test's to choose.
class Items {
 public:
  explicit Items(uint32_t count) : bytes_((size_t{count} + 1) * kSize) {
    memory_ = static_cast<char*>(mmap(nullptr, bytes_, PROT_READ | PROT_WRITE,
                                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    REQUIRE(memory_ != MAP_FAILED);
  }
  ~Items() { munmap(memory_, bytes_); }
  ItemSpace space() const { return ItemSpace(memory_, 6); }
  Ref Make(uint32_t at, const std::string& key) {
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

TEST_CASE("an entry is found, replaced and erased") {
  Items items(10);
  Index index(items.space(), 8, false);
  const Ref a = items.Make(0, "a"), again = items.Make(1, "a");
  CHECK(index.Find(1, "a") == nullptr);
  CHECK(index.Insert(1, a) == Index::InsertResult::kInserted);
  CHECK(index.Find(1, "a") == items.space().At(a));
  CHECK(index.ItemOf(index.Locate(1)) == items.space().At(a));
  const Index::Guess guess = index.Locate(1);
  CHECK(index.Find(1, "b") == nullptr);
  index.Replace(index.FindSlot(1, "a"), again);
  CHECK(index.Find(1, "a") == items.space().At(again));
  CHECK(index.Find(1, "a", guess) == items.space().At(again));  // the guess is of the past
  CHECK(index.Find(1, "a", index.Locate(1)) == items.space().At(again));
  CHECK(index.Find(1, "b", index.Locate(1)) == nullptr);
  index.Erase(1, again);
  CHECK(index.Find(1, "a", guess) == nullptr);
  CHECK(index.Find(1, "a") == nullptr);
  CHECK(index.entries() == 0);
  Check(index);
}

TEST_CASE("a random walk with growth agrees with a map") {
  for (const uint64_t seed : {1u, 2u, 3u}) {
    CAPTURE(seed);
    constexpr uint32_t kCount = 60'000;
    Items items(kCount);
    Index index(items.space(), 8, false);
    std::unordered_map<uint32_t, uint64_t> present;  // item number -> hash
    std::mt19937_64 random(seed);
    std::vector<std::string> keys(kCount);
    for (uint32_t i = 0; i < kCount; ++i) {
      keys[i] = "key" + std::to_string(i);
      items.Make(i, keys[i]);
    }
    uint64_t growths = 0;
    for (uint32_t step = 0; step < 200'000; ++step) {
      const uint32_t i =
          static_cast<uint32_t>(random() % std::min<uint64_t>(kCount, 100 + step / 2));
      const uint64_t hash = Mix(i * 3 + seed);
      REQUIRE((index.Find(hash, keys[i]) != nullptr) == present.contains(i));
      if (!present.contains(i)) {
        REQUIRE(index.Insert(hash, i + 1) == Index::InsertResult::kInserted);
        present[i] = hash;
      } else if (random() % 4 == 0) {
        index.Erase(hash, i + 1);
        present.erase(i);
      }
      if (random() % 8 == 0) index.Step(1);
      REQUIRE(index.TakeDropped() == 0);
      if (index.has_retired()) {
        index.FreeRetired();
        ++growths;
      }
      if (step % 20'000 == 0) {
        Check(index);
        for (const auto& [n, h] : present)
          REQUIRE(index.Find(h, keys[n]) == items.space().At(n + 1));
      }
    }
    CHECK(growths > 10);
    CHECK(index.entries() == present.size());
    Check(index);
  }
}

TEST_CASE("a table takes a load of 0.93 and more before an insert finds no place without growing") {
  // Growth begins at 0.85 and cannot while a retired table waits: what is left must carry the
  // inserts until then.
  constexpr uint32_t kBuckets = 4096;
  Items items(kBuckets * 3 * 8);
  Index index(items.space(), kBuckets, false);
  uint32_t n = 0;
  while (!index.has_retired()) {
    const std::string key = std::to_string(n);
    const Ref ref = items.Make(n, key);
    REQUIRE(index.Insert(Mix(n), ref) == Index::InsertResult::kInserted);
    ++n;
  }
  // The drained table is never freed: no further growth.
  double load = 0;
  for (;; ++n) {
    const std::string key = std::to_string(n);
    const Ref ref = items.Make(n, key);
    if (index.Insert(Mix(n), ref) != Index::InsertResult::kInserted) break;
    load = static_cast<double>(index.entries()) / static_cast<double>(index.slots());
  }
  MESSAGE("full at a load of " << load);
  CHECK(load > 0.93);
  Check(index);
  for (uint32_t i = 0; i < n; ++i) REQUIRE(index.Find(Mix(i), std::to_string(i)) != nullptr);
}

TEST_CASE("keys of one tag crowd each other, but do not make the table grow without end") {
  Items items(1000);
  Index index(items.space(), 512, false);
  uint32_t inserted = 0;
  for (uint32_t n = 0; n < 200; ++n) {
    const Ref ref = items.Make(n, std::to_string(n));
    const auto result = index.Insert(0x12345678, ref);
    if (result == Index::InsertResult::kInserted) {
      ++inserted;
      continue;
    }
    CHECK(result == Index::InsertResult::kCrowded);
    Ref occupant = 0;
    for (uint32_t i = 0; i < Index::kOccupantsMax; ++i) {
      if ((occupant = index.Occupant(0x12345678, i)) != 0) break;
    }
    REQUIRE(occupant != 0);
    index.Erase(0x12345678, occupant);
    REQUIRE(index.Insert(0x12345678, ref) == Index::InsertResult::kInserted);
  }
  CHECK(inserted == 64);
  CHECK(index.slots() == 512 * 8);
  Check(index);
}

TEST_CASE("entries that a growing table cannot place are handed to the owner") {
  Items items(40'000);
  Index index(items.space(), 512, false);
  std::unordered_map<uint32_t, uint64_t> present;
  // 64 entries of one tag, and company that would have to share their buckets in any table.
  for (uint32_t n = 0; n < 30'000; ++n) {
    const uint64_t hash =
        n % 40 == 0 && n / 40 < 64 ? 0x80000000u : 0x80000000u + (Mix(n) % 0x8000000);
    const Ref ref = items.Make(n, std::to_string(n));
    const auto result = index.Insert(hash, ref);
    if (result == Index::InsertResult::kInserted) present[n] = hash;
    while (const Ref dropped = index.TakeDropped()) present.erase(dropped - 1);
    if (index.has_retired()) index.FreeRetired();
  }
  while (index.Step(64)) {
    while (const Ref dropped = index.TakeDropped()) present.erase(dropped - 1);
  }
  while (const Ref dropped = index.TakeDropped()) present.erase(dropped - 1);
  CHECK(index.entries() == present.size());
  for (const auto& [n, hash] : present) REQUIRE(index.Find(hash, std::to_string(n)) != nullptr);
  Check(index);
}

}  // namespace
}  // namespace torc::slab
